#include "net/Admission.h"

namespace gyre {

void Admission::setLimits(const ServerLimits& limits) {
  limits_ = limits;
  group_->budget().setLimit(limits.memoryBudget);
  group_->addresses().setLimit(limits.connectionsPerAddressMax);
}

Admission::Answer Admission::ask(Proactor& proactor, SocketHandle socket, std::uint64_t id) {
  asked_.fetch_add(1, std::memory_order_relaxed);
  if (group_->budget().pressure() >= MemoryBudget::Pressure::Refuse) return refuse(byMemory_);
  const bool mayNotAdd = isAtMax();
  if (mayNotAdd && !waits()) return refuse(byConnections_);
  if (filter_ && !filter_(proactor.peerAddress(socket))) return refuse(byFilter_);
  if (!entersByAddress(proactor, socket, id)) return refuse(byAddress_);
  return mayNotAdd ? Answer::Wait : Answer::Enter;
}

bool Admission::entersByAddress(Proactor& proactor, SocketHandle socket, std::uint64_t id) {
  AddressLimit& addresses = group_->addresses();
  return !addresses.isOn() || addresses.enter(id, proactor.peerAddress(socket).ip());
}

Admission::Answer Admission::refuse(std::atomic<std::uint64_t>& cause) noexcept {
  cause.fetch_add(1, std::memory_order_relaxed);
  return Answer::Refuse;
}

bool Admission::isAtMax() const noexcept {
  return limits_.connectionsMax != 0 && group_->size() >= limits_.connectionsMax;
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
