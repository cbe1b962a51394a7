// AddressLimit: how many connections of one server come from each IP address or IPv6 network.
//
// An IPv4 address counts the same whether it comes as itself or mapped into IPv6
// (::ffff:127.0.0.1), as it does on a listener of both families. Whoever has an IPv6 address has a
// whole network of them, so those count by a prefix.
//
// A connection is known by its id, since the kernel no longer tells the address of one that was
// reset.
//
// Thread  Any. It locks, and is asked only when there is such a limit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>

#include "gyre/base/InetAddress.h"

namespace gyre {

class AddressLimit {
 public:
  // Before the first connection; 0 connections: no limit, then nothing else is to be called.
  // REQUIRES: a prefix of 1 to 128 bits.
  void setLimit(std::size_t connections, unsigned ipv6Prefix);
  bool isOn() const noexcept { return limit_ != 0; }

  // False when so many from there are in already. What is no IP address has no limit. May throw
  // std::bad_alloc: then it is not in.
  bool enter(std::uint64_t id, const InetAddress& peer);
  void leave(std::uint64_t id) noexcept;

 private:
  // The bytes of an IPv6 address, those beyond the prefix zero; IPv4 mapped into it, whole.
  using Key = std::array<std::uint8_t, 16>;

  Key keyOf(const InetAddress& peer) const noexcept;

  std::size_t limit_ = 0;
  unsigned ipv6Prefix_ = 64;
  std::mutex mutex_;
  std::map<Key, std::size_t> counts_;
  std::unordered_map<std::uint64_t, Key> addresses_;  // by id
};

}  // namespace gyre
