// Counting: which instructions are counted, and where one measurement ends and the next begins.
//
// Under callgrind the marks are its client requests, which do nothing elsewhere. Under strace they
// are system calls that fail, to be found in its output.
//
// Thread  Each its own: what is counted is switched on and off for the calling thread.
#pragma once

#include <cstddef>
#include <string>

namespace gyre::guard {

enum class Counter { Callgrind, Strace };

// While one lives, the calling thread's instructions are counted. They do not nest.
class Counted {
 public:
  Counted() noexcept;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted();
};

class Marks {
 public:
  explicit Marks(Counter counter) noexcept : counter_(counter) {}

  // What was counted until now is of no interest.
  void begin() const;
  // What was counted since is the cost of so many messages (or whatever the load consists of).
  void end(const std::string& load, std::size_t messages) const;

 private:
  const Counter counter_;
};

}  // namespace gyre::guard
