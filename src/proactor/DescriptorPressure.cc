#include "proactor/DescriptorPressure.h"

#include <mutex>

namespace gyre {
namespace {

std::mutex waitersMutex;
DescriptorWaiter* firstWaiter = nullptr;
std::atomic<int> waiterCount{0};

}  // namespace

void DescriptorWaiter::start() {
  if (waiting_) return;
  const std::lock_guard lock(waitersMutex);
  next_ = firstWaiter;
  firstWaiter = this;
  waiting_ = true;
  waiterCount.fetch_add(1, std::memory_order_relaxed);
}

void DescriptorWaiter::stop() noexcept {
  if (!waiting_) return;
  const std::lock_guard lock(waitersMutex);
  DescriptorWaiter** link = &firstWaiter;
  while (*link != this) link = &(*link)->next_;
  *link = next_;
  waiting_ = false;
  waiterCount.fetch_sub(1, std::memory_order_relaxed);
  released_.store(false, std::memory_order_relaxed);
}

// A close between the failed accept and start() is not seen here: the accept's back-off covers it.
void notifyDescriptorReleased() noexcept {
  if (waiterCount.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard lock(waitersMutex);
  for (DescriptorWaiter* waiter = firstWaiter; waiter != nullptr; waiter = waiter->next_) {
    waiter->released_.store(true, std::memory_order_release);
    waiter->proactor_.wake();
  }
}

}  // namespace gyre
