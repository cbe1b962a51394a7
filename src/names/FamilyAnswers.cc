#include "names/FamilyAnswers.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "client/AddressOrder.h"
#include "gyre/base/Check.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {

bool hasRoute(const InetAddress& to) noexcept {
  const UniqueFd probe(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), to.sockaddrPtr(), to.length()) == 0;
}

FamilyAnswers::FamilyAnswers(AddressFamily family) noexcept {
  v4_.isAsked = v4_.isAwaited = family != AddressFamily::V6;
  v6_.isAsked = v6_.isAwaited = family != AddressFamily::V4;
}

void FamilyAnswers::add(AddressFamily family, FamilyAnswer answer) noexcept {
  Family& its = of(family);
  if (!std::exchange(its.isAwaited, false)) return;
  its.answer = std::move(answer);
}

void FamilyAnswers::giveUp(ResolveError error) noexcept {
  for (Family* its : {&v4_, &v6_}) {
    if (std::exchange(its->isAwaited, false)) its->answer.error = error;
  }
}

void FamilyAnswers::restart() noexcept {
  GYRE_CHECK(isComplete() && !hasAddresses() && !hasTaken_, "a name was found and asked for again");
  for (Family* its : {&v4_, &v6_}) {
    its->isAwaited = its->isAsked;
    its->answer = {};
  }
}

bool FamilyAnswers::isNotFound() const noexcept {
  return isComplete() && !hasAddresses() && !hasTaken_ && error() == ResolveError::NotFound;
}

bool FamilyAnswers::hasAddresses() const noexcept {
  return !v4_.answer.addresses.empty() || !v6_.answer.addresses.empty();
}

bool FamilyAnswers::isEnough() const noexcept { return hasAddresses() || v4_.answer.isNoSuchName; }

// What says more than that there are none comes first.
std::error_code FamilyAnswers::error() const noexcept {
  std::error_code found = ResolveError::NotFound;
  for (const Family* its : {&v4_, &v6_}) {
    const std::error_code& one = its->answer.error;
    if (its->isAsked && one && found == ResolveError::NotFound) found = one;
  }
  return found;
}

ResolveResult FamilyAnswers::take(bool (*hasRouteTo)(const InetAddress&)) {
  std::vector<InetAddress>& v4 = v4_.answer.addresses;
  std::vector<InetAddress>& v6 = v6_.answer.addresses;
  ResolveResult result;
  result.isLast = isComplete();
  if (v4.empty() || v6.empty() || hasRouteTo(v6.front())) {
    result.addresses = interleave(v6, v4);
  } else {
    result.addresses = v4;
    result.addresses.insert(result.addresses.end(), v6.begin(), v6.end());
  }
  v4.clear();
  v6.clear();
  if (!result.addresses.empty()) hasTaken_ = true;
  if (!hasTaken_) result.error = error();
  return result;
}

}  // namespace gyre
