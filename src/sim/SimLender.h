// SimLender: the receive buffers of an engine, and what happens to lent bytes afterwards.
//
// A buffer that came back is overwritten with 0xDD and, under the address sanitizer, may not be
// touched. It goes to the end of the line, so that a stale pointer points at garbage for long.
//
// Thread  The engine's.
// Owns    The buffers.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

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
  // One takeBack() more is needed from now on. REQUIRES: isLent(byte).
  void keep(const char* byte);
  // Takes the buffer of the byte back, or undoes one keep(). REQUIRES: isLent(byte).
  void takeBack(const char* byte);

 private:
  struct Loan {
    char* buffer;
    int keeps;
  };

  std::vector<Loan>::iterator find(const char* byte) noexcept;
  std::vector<Loan>::iterator loanOf(const char* byte);
  void makeIdle(char* buffer) noexcept;

  const std::size_t bufferSize_;
  std::vector<std::unique_ptr<char[]>> buffers_;
  std::deque<char*> idle_;
  std::vector<Loan> loans_;
};

}  // namespace gyre
