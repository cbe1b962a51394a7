// FamilyAnswers: what the questions for a name's IPv4 and IPv6 addresses have come to so far.
//
// Knows no time: the caller says when it is enough.
#pragma once

#include <cstdint>
#include <vector>

#include "gyre/client/ResolveResult.h"

namespace gyre {

// What came of one of the two questions.
struct FamilyAnswer {
  std::error_code error;
  bool isNoSuchName = false;  // NXDOMAIN: the name has no records of any type (RFC 8020)
  std::vector<InetAddress> addresses;
};

// As getaddrinfo(3) finds it out: connecting a datagram socket sends nothing and looks up a route.
bool hasRoute(const InetAddress& to) noexcept;

class FamilyAnswers {
 public:
  explicit FamilyAnswers(AddressFamily family) noexcept;

  // AddressFamily::V4 and V6 only. The first answer of a family counts.
  bool isAwaited(AddressFamily family) const noexcept { return of(family).isAwaited; }
  void add(AddressFamily family, FamilyAnswer answer) noexcept;
  // Those that are still awaited will not be: this is what came of them.
  void giveUp(ResolveError error) noexcept;
  // Asked again, by another name. REQUIRES: nothing was found.
  void restart() noexcept;

  bool isComplete() const noexcept { return !v4_.isAwaited && !v6_.isAwaited; }
  // Complete, and the name is not there, or has no addresses: another one may be tried.
  bool isNotFound() const noexcept;
  // Addresses that take() has not taken yet.
  bool hasAddresses() const noexcept;
  // What has come is enough, and the other family need not be waited for much longer: addresses, or
  // NXDOMAIN for IPv4. (To the question for IPv6 some servers answer NXDOMAIN although the name is
  // there: RFC 4074.)
  bool isEnough() const noexcept;
  // The addresses since the last call, in the order in which they are to be tried, or the error if
  // there have never been any. May throw std::bad_alloc: then nothing was taken.
  ResolveResult take(bool (*hasRouteTo)(const InetAddress&) = &hasRoute);

 private:
  struct Family {
    bool isAwaited = false;
    bool isAsked = false;
    FamilyAnswer answer = {};
  };

  Family& of(AddressFamily family) noexcept { return family == AddressFamily::V4 ? v4_ : v6_; }
  const Family& of(AddressFamily family) const noexcept {
    return family == AddressFamily::V4 ? v4_ : v6_;
  }
  std::error_code error() const noexcept;

  Family v4_;
  Family v6_;
  bool hasTaken_ = false;
};

}  // namespace gyre
