// InputReader: takes the decisions of a test from the bytes of a fuzzed input.
//
// Thread  One.
// Borrows The input.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace gyre {

class InputReader {
 public:
  InputReader(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  bool isEmpty() const { return rest_.empty(); }
  // 0 at the end of the input.
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }
  std::size_t number() { return byte() + std::size_t{256} * byte(); }
  std::string_view take(std::size_t size) {
    const std::string_view part = rest_.substr(0, std::min(size, rest_.size()));
    rest_.remove_prefix(part.size());
    return part;
  }
  std::string_view rest() { return take(rest_.size()); }

 private:
  std::string_view rest_;
};

// What a fuzzer reports as a crash.
inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "expected: %s\n", what);
  std::abort();
}

}  // namespace gyre

// Of libFuzzer; InputMain.cc calls it too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
