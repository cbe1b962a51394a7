// IoQueue: a FIFO of contexts that wait inside an engine, linked through themselves.
//
// Thread  The engine's.
// Owns    Nothing. A context is in one queue at a time, marked kQueued while it is.
#pragma once

#include <cstddef>

#include "gyre/proactor/IoContext.h"

namespace gyre {

class IoQueue {
 public:
  bool isEmpty() const noexcept { return head_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  void push(IoContext& context) noexcept {
    context.state().next = nullptr;
    context.set(IoContext::kQueued);
    (head_ == nullptr ? head_ : tail_->state().next) = &context;
    tail_ = &context;
    ++size_;
  }

  // The oldest, or null.
  IoContext* pop() noexcept {
    IoContext* context = head_;
    if (context == nullptr) return nullptr;
    head_ = context->state().next;
    context->state().next = nullptr;
    context->clear(IoContext::kQueued);
    --size_;
    return context;
  }

  // Moves those that match to `other`, keeping the order of both.
  template <typename Predicate>
  void moveIf(Predicate predicate, IoQueue& other) {
    for (std::size_t left = size_; left > 0; --left) {
      IoContext* context = pop();
      (predicate(*context) ? other : *this).push(*context);
    }
  }

 private:
  IoContext* head_ = nullptr;
  IoContext* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gyre
