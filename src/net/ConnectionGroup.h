// ConnectionGroup: how many connections of one server live, on all its loops together.
//
// Thread  Any; onEmpty runs on the home loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <utility>

#include "gyre/base/RefPtr.h"
#include "gyre/loop/Mailbox.h"

namespace gyre {

class ConnectionGroup : public RefCounted {
 public:
  ConnectionGroup(RefPtr<Mailbox> home, std::function<void()> onEmpty)
      : home_(std::move(home)), onEmpty_(std::move(onEmpty)) {}

  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  void add() noexcept { size_.fetch_add(1, std::memory_order_relaxed); }
  // Home loop: from now on onEmpty is told when the last has gone; nothing is added any more.
  void closeDoor() {
    isClosing_.store(true, std::memory_order_seq_cst);
    if (size_.load(std::memory_order_seq_cst) == 0) tellEmpty();
  }
  void remove() {
    // seq_cst with closeDoor(): one of both sees the other.
    const bool wasLast = size_.fetch_sub(1, std::memory_order_seq_cst) == 1;
    if (wasLast && isClosing_.load(std::memory_order_seq_cst)) tellEmpty();
  }
  // Home loop: the server is gone.
  void forget() { onEmpty_ = nullptr; }

 private:
  // May come twice, when both saw the other.
  void tellEmpty() {
    home_->post([self = RefPtr<ConnectionGroup>(this)] {
      if (self->onEmpty_) self->onEmpty_();
    });
  }

  std::atomic<std::size_t> size_{0};
  std::atomic<bool> isClosing_{false};
  const RefPtr<Mailbox> home_;
  std::function<void()> onEmpty_;
};

}  // namespace gyre
