#include "server/Admission.h"

namespace gyre {

void Admission::setLimits(const ServerLimits& limits) {
  limits_ = limits;
  group_->budget().setLimit(limits.memoryBudget);
  group_->addresses().setLimit(limits.connectionsPerAddressMax, limits.ipv6PrefixPerAddress);
}

bool Admission::admits(Proactor& proactor, SocketHandle socket, std::uint64_t id) {
  asked_.fetch_add(1, std::memory_order_relaxed);
  if (group_->budget().pressure() >= MemoryBudget::Pressure::Refuse) return refuse(byMemory_);
  // Only to spare the filter: a place is reserved when it is known that it will be used.
  if (!waits() && group_->isFull(limits_.connectionsMax)) return refuse(byConnections_);
  if (filter_ && !filter_(proactor.peerAddress(socket))) return refuse(byFilter_);
  AddressLimit& addresses = group_->addresses();
  if (addresses.isOn() && !addresses.enter(id, proactor.peerAddress(socket))) {
    return refuse(byAddress_);
  }
  return true;
}

void Admission::refuseAtMax(std::uint64_t id) noexcept {
  group_->turnAway(id);
  refuse(byConnections_);
}

bool Admission::refuse(std::atomic<std::uint64_t>& cause) noexcept {
  cause.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void Admission::fill(ServerStats& stats) const noexcept {
  stats.connections = group_->size();
  stats.accepted = asked_.load(std::memory_order_relaxed);
  stats.refusedByFilter = byFilter_.load(std::memory_order_relaxed);
  stats.refusedByAddress = byAddress_.load(std::memory_order_relaxed);
  stats.refusedByConnections = byConnections_.load(std::memory_order_relaxed);
  stats.refusedByMemory = byMemory_.load(std::memory_order_relaxed);
  stats.pausedForMemory = group_->budget().paused.load(std::memory_order_relaxed);
  stats.abortedForMemory = group_->budget().shed.load(std::memory_order_relaxed);
  stats.bytesHeld = group_->budget().held();
}

}  // namespace gyre
