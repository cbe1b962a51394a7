// Verdict: what was found wrong in one run, the first of it in words.
//
// Thread  Any.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <utility>

namespace gyre {

class Verdict {
 public:
  void fail(std::string what) {
    const std::lock_guard lock(mutex_);
    if (failures_.fetch_add(1) == 0) first_ = std::move(what);
  }
  bool hasFailed() const noexcept { return failures_.load() != 0; }
  int failures() const noexcept { return failures_.load(); }
  std::string first() const {
    const std::lock_guard lock(mutex_);
    return first_;
  }

 private:
  mutable std::mutex mutex_;
  std::atomic<int> failures_{0};
  std::string first_;
};

}  // namespace gyre
