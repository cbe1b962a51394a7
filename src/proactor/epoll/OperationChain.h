// OperationChain: the operations in flight on one side of a descriptor, oldest first.
//
// Thread  The engine's.
// Owns    Nothing. Linked through the contexts or, where a context holds a block, through that. One
//         pointer: there is hardly ever more than one operation in a chain.
#pragma once

#include <cstddef>

#include "proactor/epoll/Transfer.h"

namespace gyre {

class OperationChain {
 public:
  bool isEmpty() const noexcept { return head_ == nullptr; }
  IoContext* head() const noexcept { return head_; }

  std::size_t size() const noexcept {
    std::size_t count = 0;
    for (IoContext* context = head_; context != nullptr; context = linkOf(*context)) ++count;
    return count;
  }

  void push(IoContext& context) noexcept {
    linkOf(context) = nullptr;
    IoContext** link = &head_;
    while (*link != nullptr) link = &linkOf(**link);
    *link = &context;
  }

  // REQUIRES: not empty.
  IoContext& pop() noexcept {
    IoContext& context = *head_;
    head_ = linkOf(context);
    return context;
  }

  // REQUIRES: it is in this chain.
  void remove(IoContext& context) noexcept {
    IoContext** link = &head_;
    while (*link != &context) link = &linkOf(**link);
    *link = linkOf(context);
  }

  // The oldest whose cancel was asked for, or null.
  IoContext* findCancelled() const noexcept {
    IoContext* context = head_;
    while (context != nullptr && !context->isCancelRequested()) context = linkOf(*context);
    return context;
  }

  void requestCancel() noexcept {
    for (IoContext* context = head_; context != nullptr; context = linkOf(*context)) {
      context->set(IoContext::kCancelRequested);
    }
  }

 private:
  static IoContext*& linkOf(IoContext& context) noexcept {
    return hasTransfer(context.kind()) ? transferOf(context).next : context.state().next;
  }

  IoContext* head_ = nullptr;
};

}  // namespace gyre
