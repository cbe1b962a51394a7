// SimBytes: a FIFO of bytes.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "gyre/base/Check.h"

namespace gyre {

class SimBytes {
 public:
  std::size_t size() const noexcept { return bytes_.size() - head_; }
  void append(std::string_view bytes) { bytes_.append(bytes); }

  // REQUIRES: n <= size().
  void take(char* into, std::size_t n) {
    GYRE_CHECK(n <= size(), "take: n <= size()");
    if (n > 0) std::memcpy(into, bytes_.data() + head_, n);
    head_ += n;
    if (head_ * 2 < bytes_.size()) return;
    bytes_.erase(0, head_);
    head_ = 0;
  }
  // Keeps the first n.
  void truncate(std::size_t n) {
    if (n < size()) bytes_.resize(head_ + n);
  }

 private:
  std::string bytes_;
  std::size_t head_ = 0;  // of bytes_, taken already
};

}  // namespace gyre
