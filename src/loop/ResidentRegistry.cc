#include "loop/ResidentRegistry.h"

#include <algorithm>
#include <utility>

#include "gyre/base/Check.h"

namespace gyre {

LoopResident::~LoopResident() = default;

void ResidentRegistry::add(std::shared_ptr<LoopResident> resident) {
  LoopResident& added = *resident;
  GYRE_CHECK(added.index_ == LoopResident::kAbsent, "a resident was added twice");
  residents_.push_back(std::move(resident));
  std::swap(residents_[live_], residents_.back());
  added.index_ = static_cast<std::uint32_t>(live_++);
}

void ResidentRegistry::remove(LoopResident& resident) noexcept {
  const std::uint32_t index = std::exchange(resident.index_, LoopResident::kAbsent);
  GYRE_CHECK(index < live_ && residents_[index].get() == &resident,
             "a resident was removed that is not there");
  --live_;
  std::swap(residents_[index], residents_[live_]);
  if (index != live_) residents_[index]->index_ = index;
}

void ResidentRegistry::collect() noexcept {
  while (residents_.size() > live_ && !residents_.back()->isDirty_) {
    // Popped first: its destructor runs user code (contexts), which may add and remove.
    const std::shared_ptr<LoopResident> ending = std::move(residents_.back());
    residents_.pop_back();
  }
}

std::size_t ResidentRegistry::sizeOf(const void* group) const noexcept {
  const auto matches = [group](const auto& resident) { return resident->group() == group; };
  const auto end = residents_.begin() + static_cast<std::ptrdiff_t>(live_);
  return static_cast<std::size_t>(std::count_if(residents_.begin(), end, matches));
}

void ResidentRegistry::visit(const void* group,
                             const std::function<void(LoopResident&)>& visit) const {
  for (std::size_t i = 0; i < live_; ++i) {
    if (residents_[i]->group() == group) visit(*residents_[i]);
  }
}

void ResidentRegistry::beginClose(const void* group) noexcept {
  for (std::size_t i = 0; i < live_; ++i) {
    // By index and with a copy: closing may add residents.
    const std::shared_ptr<LoopResident> resident = residents_[i];
    if (group == nullptr || resident->group() == group) resident->beginClose();
  }
}

}  // namespace gyre
