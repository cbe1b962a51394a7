#include "connection/AddressLimit.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "gyre/base/Check.h"

namespace gyre {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

void AddressLimit::setLimit(std::size_t connections, unsigned ipv6Prefix) {
  GYRE_CHECK(ipv6Prefix >= 1 && ipv6Prefix <= 128, "an IPv6 prefix has 1 to 128 bits");
  limit_ = connections;
  ipv6Prefix_ = ipv6Prefix;
}

bool AddressLimit::enter(std::uint64_t id, const InetAddress& peer) {
  if (peer.family() != AF_INET && peer.family() != AF_INET6) return true;
  const Key key = keyOf(peer);
  const std::lock_guard lock(mutex_);
  const auto known = counts_.find(key);
  if (known != counts_.end() && known->second >= limit_) return false;
  addresses_.emplace(id, key);
  try {
    ++counts_[key];
  } catch (...) {
    addresses_.erase(id);
    throw;
  }
  return true;
}

void AddressLimit::leave(std::uint64_t id) noexcept {
  const std::lock_guard lock(mutex_);
  const auto entry = addresses_.find(id);
  if (entry == addresses_.end()) return;
  const auto count = counts_.find(entry->second);
  if (--count->second == 0) counts_.erase(count);
  addresses_.erase(entry);
}

AddressLimit::Key AddressLimit::keyOf(const InetAddress& peer) const noexcept {
  Key key{};
  if (peer.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(peer.sockaddrPtr());
    std::copy(kMapped.begin(), kMapped.end(), key.begin());
    std::memcpy(key.data() + kMapped.size(), &v4->sin_addr, sizeof v4->sin_addr);
    return key;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(peer.sockaddrPtr());
  std::memcpy(key.data(), &v6->sin6_addr, key.size());
  if (std::equal(kMapped.begin(), kMapped.end(), key.begin())) return key;
  for (unsigned byte = ipv6Prefix_ / 8, kept = ipv6Prefix_ % 8; byte < key.size(); ++byte) {
    key[byte] = static_cast<std::uint8_t>(key[byte] & (0xff00U >> kept));
    kept = 0;
  }
  return key;
}

}  // namespace gyre
