// BufferModelTest: random operations in both modes against a std::string.
//
// GYRE_TEST_SEED=<number> replays a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "base/LentBytes.h"
#include "gyre/base/Buffer.h"

namespace gyre {
namespace {

unsigned seedOfThisRun() {
  const char* given = std::getenv("GYRE_TEST_SEED");
  return given == nullptr ? std::random_device()()
                          : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

// One Buffer, what it must contain, and the bytes it may be a window on.
class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) {}

  void step();
  void check();
  int borrowedSteps() const { return borrowedSteps_; }
  int moves() const { return moves_; }

 private:
  using Step = void (Model::*)();

  std::size_t upTo(std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(0, most)(random_);
  }
  std::string someBytes();
  std::string_view somePart();

  void borrow();
  void append();
  void appendOwnPart();
  void prepend();
  void prependOwnPart();
  void retrieve();
  void retrieveUntil();
  void retrieveString();
  void retrieveAll();
  void readIntegers();
  void writeIntegers();
  void writeInPlace();
  void unwrite();
  void shrink();
  void move();
  void swapTwice();
  void replaceByClone();
  void own() { buffer_.own(); }
  void find();

  std::mt19937 random_;
  Buffer buffer_;
  std::string expected_;
  std::unique_ptr<LentBytes> lent_;
  int borrowedSteps_ = 0;
  int moves_ = 0;
};

// Few different bytes, so that line ends and near line ends are frequent.
std::string Model::someBytes() {
  constexpr std::string_view kAlphabet = "ab\r\n";
  std::string bytes(upTo(9) == 0 ? upTo(3000) : upTo(40), '\0');
  for (char& byte : bytes) byte = kAlphabet[upTo(kAlphabet.size() - 1)];
  return bytes;
}

std::string_view Model::somePart() {
  const std::size_t begin = upTo(expected_.size());
  return buffer_.view().substr(begin, upTo(200));
}

void Model::borrow() {
  expected_ = someBytes();
  const auto edge = upTo(1) == 0 ? LentBytes::Against::Front : LentBytes::Against::Back;
  auto lent = std::make_unique<LentBytes>(expected_, edge);
  // Assigning would copy; a borrowed Buffer exists where it was made only.
  buffer_.~Buffer();
  ::new (&buffer_) Buffer(Buffer::borrow(lent->data(), lent->size()));
  lent_ = std::move(lent);
}

void Model::append() {
  const std::string bytes = someBytes();
  buffer_.append(bytes);
  expected_ += bytes;
}

void Model::appendOwnPart() {
  const std::string_view part = somePart();
  const std::string bytes(part);
  buffer_.append(part);
  expected_ += bytes;
}

void Model::prepend() {
  const std::string bytes = someBytes();
  buffer_.prepend(bytes.data(), bytes.size());
  expected_.insert(0, bytes);
}

void Model::prependOwnPart() {
  const std::string_view part = somePart();
  const std::string bytes(part);
  buffer_.prepend(part.data(), part.size());
  expected_.insert(0, bytes);
}

void Model::retrieve() {
  const std::size_t n = upTo(expected_.size());
  const std::size_t before = buffer_.prependableBytes();
  buffer_.retrieve(n);
  expected_.erase(0, n);
  if (!expected_.empty() && !buffer_.isBorrowed()) {
    EXPECT_EQ(buffer_.prependableBytes(), before + n);
  }
}

void Model::retrieveUntil() {
  const std::size_t n = upTo(expected_.size());
  buffer_.retrieveUntil(buffer_.peek() + n);
  expected_.erase(0, n);
}

void Model::retrieveString() {
  const std::size_t n = upTo(expected_.size());
  EXPECT_EQ(buffer_.retrieveAsString(n), expected_.substr(0, n));
  expected_.erase(0, n);
}

void Model::retrieveAll() {
  buffer_.retrieveAll();
  expected_.clear();
}

void Model::readIntegers() {
  if (expected_.size() < 15) return;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<std::uint8_t>(expected_[i]);
  EXPECT_EQ(buffer_.peekInt64(), static_cast<std::int64_t>(value));
  EXPECT_EQ(buffer_.peekInt32(), static_cast<std::int32_t>(value >> 32));
  EXPECT_EQ(buffer_.readInt16(), static_cast<std::int16_t>(value >> 48));
  EXPECT_EQ(buffer_.readInt8(), static_cast<std::int8_t>(value >> 40 & 0xff));
  buffer_.retrieveInt32();
  expected_.erase(0, 7);
}

void Model::writeIntegers() {
  buffer_.appendInt32(0x61620d0a);
  buffer_.prependInt64(0x6162636465666768);
  buffer_.prependInt8('z');
  buffer_.appendInt16(0x7879);
  expected_ = "zabcdefgh" + expected_ + "ab\r\nxy";
}

void Model::writeInPlace() {
  const std::string bytes = someBytes();
  buffer_.ensureWritableBytes(bytes.size());
  ASSERT_GE(buffer_.writableBytes(), bytes.size());
  if (bytes.empty()) return;
  bytes.copy(buffer_.beginWrite(), bytes.size());
  buffer_.hasWritten(bytes.size());
  expected_ += bytes;
}

void Model::unwrite() {
  const std::size_t n = upTo(expected_.size());
  buffer_.unwrite(n);
  expected_.resize(expected_.size() - n);
}

void Model::shrink() {
  const std::size_t reserve = upTo(100);
  buffer_.shrink(reserve);
  EXPECT_EQ(buffer_.writableBytes(), reserve);
}

void Model::move() {
  Buffer other(std::move(buffer_));
  EXPECT_EQ(buffer_.readableBytes(), 0u);  // NOLINT(bugprone-use-after-move): specified
  EXPECT_EQ(buffer_.capacity(), 0u);
  buffer_ = std::move(other);
  ++moves_;
}

void Model::swapTwice() {
  Buffer other = Buffer::borrow("other", 5);
  buffer_.swap(other);
  EXPECT_EQ(buffer_.view(), "other");
  EXPECT_EQ(other.view(), expected_);
  buffer_.swap(other);
}

void Model::replaceByClone() {
  const bool wasBorrowed = buffer_.isBorrowed();
  Buffer copy = buffer_.clone();
  EXPECT_EQ(buffer_.isBorrowed(), wasBorrowed);
  buffer_ = std::move(copy);
}

void Model::find() {
  const std::size_t from = upTo(expected_.size());
  const auto offset = [this](const char* found) {
    return found == nullptr ? std::string::npos : static_cast<std::size_t>(found - buffer_.peek());
  };
  EXPECT_EQ(offset(buffer_.findCRLF(buffer_.peek() + from)), expected_.find("\r\n", from));
  EXPECT_EQ(offset(buffer_.findEOL(buffer_.peek() + from)), expected_.find('\n', from));
  EXPECT_EQ(offset(buffer_.findCRLF()), expected_.find("\r\n"));
  EXPECT_EQ(offset(buffer_.findEOL()), expected_.find('\n'));
}

void Model::step() {
  static constexpr std::array<Step, 24> kSteps = {
      &Model::borrow,         &Model::borrow,        &Model::append,         &Model::append,
      &Model::appendOwnPart,  &Model::prepend,       &Model::prependOwnPart, &Model::retrieve,
      &Model::retrieve,       &Model::retrieveUntil, &Model::retrieveString, &Model::retrieveAll,
      &Model::readIntegers,   &Model::readIntegers,  &Model::writeIntegers,  &Model::writeInPlace,
      &Model::unwrite,        &Model::shrink,        &Model::move,           &Model::swapTwice,
      &Model::replaceByClone, &Model::own,           &Model::find,           &Model::find};
  (this->*kSteps[upTo(kSteps.size() - 1)])();
  if (expected_.size() > 20'000) retrieveAll();
}

void Model::check() {
  ASSERT_EQ(buffer_.view(), expected_);
  ASSERT_EQ(buffer_.span().size(), expected_.size());
  if (buffer_.isBorrowed()) {
    ++borrowedSteps_;
    ASSERT_TRUE(lent_->holds(buffer_.peek()));
    ASSERT_EQ(buffer_.capacity() + buffer_.writableBytes() + buffer_.prependableBytes(), 0u);
    return;
  }
  if (lent_ != nullptr) lent_->takeBack();
  const std::size_t used = buffer_.prependableBytes() + buffer_.readableBytes();
  ASSERT_EQ(buffer_.capacity(), used + buffer_.writableBytes());
  ASSERT_EQ(buffer_.view(), expected_) << "still there once the lent bytes are not";
}

void runModel(unsigned seed) {
  std::cout << "GYRE_TEST_SEED=" << seed << '\n';
  SCOPED_TRACE("GYRE_TEST_SEED=" + std::to_string(seed));
  Model model(seed);
  for (int step = 0; step < 50'000; ++step) {
    model.step();
    model.check();
    if (testing::Test::HasFailure()) FAIL() << "at step " << step;
  }
  EXPECT_GT(model.borrowedSteps(), 1000);
  EXPECT_GT(model.moves(), 1000);
}

TEST(BufferModelTest, RandomOperations_inBothModes_equalAString) { runModel(seedOfThisRun()); }

}  // namespace
}  // namespace gyre
