// PeerDirectory: which peer has which address, and how much it has sent by now.
//
// Thread  Any.
// Owns    The facts about each peer, at addresses that stay.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "fuzz/Scenario.h"
#include "gyre/base/InetAddress.h"

namespace gyre {

struct PeerFacts {
  std::uint64_t key = 0;
  const PeerPlan* plan = nullptr;
  std::atomic<std::uint64_t> sent{0};    // bytes that the kernel took
  std::atomic<bool> hasFinished{false};  // nothing more will be sent
  // Where completions are delivered in any order, a send in flight may take the news of a reset,
  // and a receive then meets the end of the stream before that send has completed. Says whether
  // that can be: a reset has come. Empty where it can never be.
  std::function<bool()> mayEndByReset;
};

class PeerDirectory {
 public:
  PeerFacts& add(const PeerPlan& plan) {
    const std::lock_guard lock(mutex_);
    PeerFacts& facts = facts_.emplace_back();
    facts.key = facts_.size();
    facts.plan = &plan;
    return facts;
  }
  // Before it connects. A port that is used again is the latest peer's. A listener of both families
  // knows an IPv4 address by another name.
  void bind(const InetAddress& address, PeerFacts& facts) {
    const std::lock_guard lock(mutex_);
    byAddress_[address.toString()] = &facts;
    if (address.family() != AF_INET) return;
    byAddress_["[::ffff:" + address.ip() + "]:" + std::to_string(address.port())] = &facts;
  }
  // Null when the kernel has forgotten the address: the peer has reset before it was accepted.
  PeerFacts* find(const InetAddress& address) {
    const std::lock_guard lock(mutex_);
    const auto found = byAddress_.find(address.toString());
    if (found == byAddress_.end()) return fallback_ ? fallback_(address) : nullptr;
    return found->second;
  }
  // For addresses that are chosen on connecting.
  void setFallback(std::function<PeerFacts*(const InetAddress&)> fallback) {
    fallback_ = std::move(fallback);
  }

 private:
  std::mutex mutex_;
  std::deque<PeerFacts> facts_;
  std::unordered_map<std::string, PeerFacts*> byAddress_;
  std::function<PeerFacts*(const InetAddress&)> fallback_;
};

}  // namespace gyre
