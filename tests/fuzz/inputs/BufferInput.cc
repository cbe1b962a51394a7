// Buffer: any sequence of calls leaves what the same calls leave of a std::string.
#include <string>
#include <utility>

#include "InputReader.h"
#include "gyre/base/Buffer.h"

namespace gyre {
namespace {

constexpr std::size_t kSizeMax = 1 << 20;

class BufferPlay {
 public:
  explicit BufferPlay(InputReader& input) : input_(input) {}

  void step() {
    const std::uint8_t choice = input_.byte();
    switch (choice % 12) {
      case 0: append(input_.take(input_.number() % 5000)); break;
      case 1: append(std::string(input_.number(), static_cast<char>(choice))); break;
      case 2: prepend(input_.take(input_.byte())); break;
      case 3: retrieve(); break;
      case 4: appendOwnPart(); break;
      case 5: writeInPlace(); break;
      case 6: unwrite(); break;
      case 7: buffer_.shrink(input_.number()); break;
      case 8: integers(); break;
      case 9: move(); break;
      case 10:
        buffer_.retrieveAll();
        model_.clear();
        break;
      default: find(); break;
    }
    expect(buffer_.view() == model_, "the readable bytes");
    expect(buffer_.readableBytes() == model_.size(), "the number of readable bytes");
  }

 private:
  void append(std::string_view bytes) {
    if (model_.size() + bytes.size() > kSizeMax) return;
    buffer_.append(bytes);
    model_ += bytes;
  }
  void prepend(std::string_view bytes) {
    if (model_.size() + bytes.size() > kSizeMax) return;
    buffer_.prepend(bytes.data(), bytes.size());
    model_.insert(0, bytes);
  }
  void retrieve() {
    const std::size_t size = input_.number() % (model_.size() + 1);
    expect(buffer_.retrieveAsString(size) == model_.substr(0, size), "what is retrieved");
    model_.erase(0, size);
  }
  void appendOwnPart() {
    const std::size_t begin = input_.number() % (model_.size() + 1);
    const std::size_t size = input_.number();
    const std::string part = model_.substr(begin, size);
    if (model_.size() + part.size() > kSizeMax) return;
    buffer_.append(buffer_.view().substr(begin, size));
    model_ += part;
  }
  void writeInPlace() {
    const std::string_view bytes = input_.take(input_.byte());
    buffer_.ensureWritableBytes(bytes.size());
    expect(buffer_.writableBytes() >= bytes.size(), "the room that was asked for");
    if (!bytes.empty()) bytes.copy(buffer_.beginWrite(), bytes.size());
    buffer_.hasWritten(bytes.size());
    model_ += bytes;
  }
  void unwrite() {
    const std::size_t size = input_.number() % (model_.size() + 1);
    buffer_.unwrite(size);
    model_.resize(model_.size() - size);
  }
  void integers() {
    const auto value = static_cast<std::int32_t>(input_.number() * 65'537);
    Buffer network;
    network.appendInt32(value);
    prepend(network.view());
    expect(buffer_.peekInt32() == value || model_.size() < 4, "an integer comes back");
  }
  void move() {
    Buffer other = std::move(buffer_);
    expect(buffer_.readableBytes() == 0, "a Buffer that was moved from is empty");
    if (input_.byte() % 2 == 0) other = other.clone();
    buffer_.swap(other);
  }
  void find() {
    const char* end = buffer_.findCRLF();
    const std::size_t at =
        end == nullptr ? std::string::npos : static_cast<std::size_t>(end - buffer_.peek());
    expect(at == model_.find("\r\n"), "findCRLF");
    const char* line = buffer_.findEOL();
    expect((line == nullptr ? std::string::npos
                            : static_cast<std::size_t>(line - buffer_.peek())) == model_.find('\n'),
           "findEOL");
  }

  InputReader& input_;
  Buffer buffer_;
  std::string model_;
};

// A window on bytes of somebody else: the first write copies them.
void playBorrowed(InputReader& input) {
  const std::string lent(input.take(input.byte()));
  Buffer window = Buffer::borrow(lent.data(), lent.size());
  const std::size_t size = input.byte() % (lent.size() + 1);
  window.retrieve(size);
  expect(window.view() == std::string_view(lent).substr(size), "a window shows what is left");
  const Buffer copy = window.clone();
  window.append("tail");
  expect(window.view() == lent.substr(size) + "tail", "a window that is written to is a copy");
  expect(copy.view() == std::string_view(lent).substr(size), "a clone is its own");
}

}  // namespace
}  // namespace gyre

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gyre::InputReader input(data, size);
  gyre::playBorrowed(input);
  gyre::BufferPlay play(input);
  for (int steps = 0; !input.isEmpty() && steps < 2000; ++steps) play.step();
  return 0;
}
