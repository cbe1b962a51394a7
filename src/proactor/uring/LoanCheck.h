// LoanCheck: CHECKs in debug builds that kept receive buffers are returned in time.
//
// The rule is the REQUIRES of Proactor::keepLent. A buffer that breaks it is lost to every other
// connection of the loop, and nothing else would show that.
//
// Thread  The engine's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gyre/base/Check.h"

namespace gyre {

template <bool IsOn>
class LoanCheckIf {
 public:
  static constexpr bool kIsOn = IsOn;

  // For buffers 0..count - 1. Throws std::bad_alloc.
  void open(std::size_t count) {
    if constexpr (IsOn) loans_.resize(count);
  }
  void keep(std::uint16_t id) noexcept {
    if constexpr (IsOn) loans_[id] = {loans_[id].keeps + 1, loans_[id].sends, runs_};
  }
  void endKeep(std::uint16_t id) noexcept {
    if constexpr (IsOn) --loans_[id].keeps;
  }
  // A send in flight holds bytes of the buffer.
  void beginSend(std::uint16_t id) noexcept {
    if constexpr (IsOn) ++loans_[id].sends;
  }
  void endSend(std::uint16_t id) noexcept {
    if constexpr (IsOn) --loans_[id].sends;
  }
  void beginRun() noexcept {
    if constexpr (IsOn) {
      ++runs_;
      for (const Loan& loan : loans_) {
        GYRE_CHECK(loan.keeps == 0 || loan.sends != 0 || runs_ - loan.keptIn < 2,
                   "keepLent: returned before the second next run(), or held by a send in flight");
      }
    }
  }

 private:
  struct Loan {
    int keeps = 0;
    int sends = 0;
    std::uint64_t keptIn = 0;  // the latest keep
  };

  std::vector<Loan> loans_;  // by buffer
  std::uint64_t runs_ = 0;
};

#ifdef NDEBUG
using LoanCheck = LoanCheckIf<false>;
#else
using LoanCheck = LoanCheckIf<true>;
#endif

}  // namespace gyre
