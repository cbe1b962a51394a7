// BenchCountFile: a counter in a mapped file, which a harness reads without asking anybody.
//
// Thread  Any; the counter has one writer.
// Owns    The mapping.
#pragma once

#include <string>

#include "gyre/proactor/LoopCounters.h"

namespace gyre {

class BenchCountFile {
 public:
  // Of an empty path: none. Throws std::system_error when the file cannot be mapped.
  explicit BenchCountFile(const std::string& path);
  ~BenchCountFile();
  BenchCountFile(const BenchCountFile&) = delete;
  BenchCountFile& operator=(const BenchCountFile&) = delete;

  // nullptr: none.
  Counter* counter() const noexcept { return counter_; }

 private:
  Counter* counter_ = nullptr;
};

}  // namespace gyre
