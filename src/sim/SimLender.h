// SimLender: the receive buffers of an engine, and what happens to lent bytes afterwards.
//
// A buffer that came back is overwritten with 0xDD and, under the address sanitizer, may not be
// touched. It goes to the end of the line, so that a stale pointer points at garbage for long.
//
// Thread  The engine's.
// Owns    The buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "gyre/base/Check.h"

namespace gyre {

class SimLender {
 public:
  SimLender(std::size_t buffers, std::size_t bufferSize);
  SimLender(const SimLender&) = delete;
  SimLender& operator=(const SimLender&) = delete;
  ~SimLender();

  std::size_t available() const noexcept { return idle_.size(); }
  std::size_t bufferSize() const noexcept { return bufferSize_; }
  // A buffer of exactly that many bytes: no byte behind them may be touched.
  // REQUIRES: available() > 0, size <= bufferSize().
  char* lend(std::size_t size);
  // True while the byte lies in a buffer that is lent.
  bool isLent(const char* byte) noexcept { return find(byte) != loans_.end(); }
  // One takeBack() more is needed from now on: endKeep(). REQUIRES: isLent(byte).
  void keep(const char* byte);
  void endKeep(const char* byte);
  // Takes the buffer of the byte back, unless it is kept. REQUIRES: isLent(byte).
  void takeBack(const char* byte);
  // A run of the engine begins. CHECKs that each buffer which was kept before the last one has come
  // back, or is held by a send in flight, as `isBeingSent(buffer, size)` says.
  template <typename IsBeingSent>
  void beginRun(IsBeingSent isBeingSent) {
    ++runs_;
    for (const Loan& loan : loans_) {
      if (loan.kept == 0 || runs_ - loan.keptIn < 2) continue;
      GYRE_CHECK(isBeingSent(loan.buffer, bufferSize_),
                 "keepLent: returned before the second next run(), or held by a send in flight");
    }
  }

 private:
  struct Loan {
    char* buffer;
    int keeps;                 // takeBack() still to come, but for the last
    int kept = 0;              // endKeep() still to come
    std::uint64_t keptIn = 0;  // the run of the latest keep()
  };

  std::vector<Loan>::iterator find(const char* byte) noexcept;
  std::vector<Loan>::iterator loanOf(const char* byte);
  void makeIdle(char* buffer) noexcept;

  const std::size_t bufferSize_;
  std::vector<std::unique_ptr<char[]>> buffers_;
  std::deque<char*> idle_;
  std::vector<Loan> loans_;
  std::uint64_t runs_ = 0;
};

}  // namespace gyre
