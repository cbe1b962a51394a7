// What a connection holds of its server's memory budget, and what happens when that is used up.
#include <algorithm>
#include <cerrno>

#include "base/LogFormat.h"
#include "connection/ConnectionGroup.h"
#include "connection/OutputQueue.h"
#include "gyre/connection/TcpConnection.h"

namespace gyre {

using Pressure = MemoryBudget::Pressure;

// Called wherever the send queue or unread input has changed. Nothing, for small messages.
void TcpConnection::updateCharge() noexcept {
  const std::uint32_t units = MemoryBudget::unitsOf(outputBytes() + inputBytes());
  if (units == charge_ || state() == State::Closed || isShed()) return;
  const bool hasGrown = units > charge_;
  setCharge(units);
  if (hasGrown) {
    underPressure();
  } else if (has(kOverBudget)) {
    relaxBudget();
  }
}

void TcpConnection::dropCharge() noexcept {
  if (isShed()) profile_->group->budget().addLeaving(-std::int64_t{charge_});
  setCharge(0);
}

void TcpConnection::setCharge(std::uint32_t units) noexcept {
  const std::int64_t change = std::int64_t{units} - charge_;
  charge_ = units;
  if (change != 0) profile_->group->budget().add(change);
}

bool TcpConnection::isShed() const noexcept {
  return has(kAbortWanted) && reason_ == CloseReason::MemoryBudget;
}

void TcpConnection::underPressure() noexcept {
  ConnectionGroup& group = *profile_->group;
  if (group.budget().isUsedUp()) return shed();
  const Pressure pressure = group.budget().pressure();
  if (pressure == Pressure::None) return;
  if (pressure == Pressure::Shed) greediestOfLoop().shed();
  if (has(kOverBudget) || isShed()) return;
  if (charge_ <= group.budget().fairUnits(group.size())) return;
  set(kOverBudget);
  group.budget().paused.fetch_add(1, std::memory_order_relaxed);
  loop()->markDirty(*this);
  // Its share may grow when others go, of which nothing tells it: it looks once a tick.
  guarded([this] { scheduleTimeouts(); });
}

void TcpConnection::relaxBudget() noexcept {
  ConnectionGroup& group = *profile_->group;
  const bool isGreedy = charge_ > group.budget().fairUnits(group.size()) / 2;
  if (isGreedy && group.budget().pressure() != Pressure::None) return;
  clear(kOverBudget);
  loop()->markDirty(*this);
}

// The budget keeps it from reading what would complete its message: nobody else ends that.
bool TcpConnection::isStarved(TimePoint now) const noexcept {
  constexpr std::chrono::seconds kStarvedMax{10};
  return has(kOverBudget) && has(kReading) && inputBytes() != 0 && sinceTraffic(now) >= kStarvedMax;
}

// Other loops do the same when they need more.
TcpConnection& TcpConnection::greediestOfLoop() noexcept {
  TcpConnection* greediest = this;
  loop()->visitResidents(group(), [&greediest](LoopResident& resident) {
    auto& other = static_cast<TcpConnection&>(resident);
    if (other.charge_ > greediest->charge_ && !other.has(kAbortWanted)) greediest = &other;
  });
  return *greediest;
}

void TcpConnection::shed() noexcept {
  if (state() >= State::Joining || has(kAbortWanted)) return;
  logWarn("connection {} of {} was aborted: it holds {} KiB, and the memory budget is used up", id_,
          profile_->name, charge_ * MemoryBudget::kUnit / 1024);
  MemoryBudget& budget = profile_->group->budget();
  budget.shed.fetch_add(1, std::memory_order_relaxed);
  requestAbort(CloseReason::MemoryBudget, ENOBUFS);
  // What the kernel does not hold is given back here and now.
  if (hasOutput() && !send_.isInFlight()) {
    set(kReset);
    dropOutput();
  }
  setCharge(MemoryBudget::unitsOf(outputBytes() + inputBytes()));
  budget.addLeaving(charge_);
}

}  // namespace gyre
