// ResolverSocket: one socket of c-ares, watched by the loop.
//
// c-ares closes its sockets when it likes; this one is only closed once its poll has ended.
//
// Thread  The loop's.
// Owns    The descriptor.
// Ends    After release(), with the terminal completion of the poll.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "gyre/loop/EventLoop.h"

namespace gyre {

class ResolverSocket final : public LoopResident {
 public:
  // With the events of poll(2) that came.
  using Ready = std::function<void(int fd, std::uint32_t events)>;

  // May throw std::bad_alloc; then the descriptor is still the caller's.
  static std::shared_ptr<ResolverSocket> open(EventLoop* loop, int fd, Ready ready);
  // Internal: see open().
  ResolverSocket(EventLoop* loop, int fd, Ready ready);
  ~ResolverSocket() override;

  int fd() const noexcept { return handle_.value(); }
  // The events to wait for from now on; none for 0.
  void watch(std::uint32_t events);
  // c-ares is done with it: `ready` is not called any more.
  void release();

  void beginClose() noexcept override {}  // the resolver's core ends, and releases this

 private:
  static void handlePoll(IoContext& context, const IoResult& result) noexcept;
  void update();
  void close();

  EventLoop* const loop_;
  const SocketHandle handle_;
  const Ready ready_;
  IoContext poll_;
  std::uint32_t wanted_ = 0;
  std::uint32_t polled_ = 0;  // of the poll in flight
  bool isReleased_ = false;
};

}  // namespace gyre
