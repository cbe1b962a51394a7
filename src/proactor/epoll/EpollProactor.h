// EpollProactor: the contract of Proactor by readiness, where there is no io_uring.
//
// A verb only queues. run() tries each new operation once, right away, and keeps in mind what the
// kernel said; an edge of the descriptor's one registration says when trying again is worth it. So
// a steady echo costs one epoll_wait, one recv and one send, and no epoll_ctl. Data moves with
// MSG_DONTWAIT, so a blocking socket that was adopted stays blocking. A listener and a connecting
// socket are made O_NONBLOCK (accept4 and connect know no such flag). A listener's flags belong to
// every process that shares it, so they are looked at before each batch of accepts.
//
// Thread  The one that made it; wake() alone is for others.
// Owns    The epoll set, one receive buffer for all sockets, 32 bytes per descriptor number.
// Ends    Nothing may be in flight (CHECKed).
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string_view>

#include "proactor/DescriptorRoom.h"
#include "proactor/IoQueue.h"
#include "proactor/KernelProactor.h"
#include "proactor/PausedAccepts.h"
#include "proactor/epoll/EpollSet.h"
#include "proactor/epoll/WatchTable.h"

namespace gyre {

// Throws std::system_error naming the cause and the cure.
std::unique_ptr<Proactor> makeEpollProactor(const ProactorOptions& options);

class EpollProactor final : public KernelProactor {
 public:
  explicit EpollProactor(const ProactorOptions& options);

  std::string_view name() const noexcept override { return "epoll"; }

  void accept(IoContext& context, SocketHandle listener) noexcept override;
  void receive(IoContext& context, SocketHandle socket) noexcept override;
  void receiveInto(IoContext& context, SocketHandle socket, std::span<char> into) noexcept override;
  void send(IoContext& context, SocketHandle socket,
            std::span<const IoSlice> slices) noexcept override;
  // A unix socket whose backlog is full ends with EAGAIN: no event would say when to try again.
  void connect(IoContext& context, SocketHandle socket, const InetAddress& to) noexcept override;
  void poll(IoContext& context, SocketHandle handle, std::uint32_t events) noexcept override;
  void read(IoContext& context, SocketHandle handle, std::span<char> into) noexcept override;
  void cancel(IoContext& context) noexcept override;
  void cancelAll(SocketHandle socket) noexcept override;
  void run(TimePoint deadline) noexcept override;

 private:
  void forget(SocketHandle socket) noexcept override;
  int socketFlags() const noexcept override;

  // Starting and ending
  Watch* begin(IoContext& context, IoKind kind, SocketHandle socket) noexcept;
  bool giveTransfer(IoContext& context, std::span<const IoSlice> slices) noexcept;
  void enqueue(OperationChain& chain, IoContext& context) noexcept;
  void fail(IoContext& context, int error) noexcept;
  void deliver(IoContext& context, const IoResult& result);
  void finish(OperationChain& chain, IoContext& context, const IoResult& result);

  // Running
  void performWork();
  void deliverFailed();
  void resumeAccepts(TimePoint time) noexcept;
  enum class Patience : std::uint8_t { None, Waits };
  void wait(TimePoint deadline, Patience patience);
  std::size_t takeAll() noexcept;
  void dispatch(const epoll_event& event);

  // Working on one descriptor
  void serve(std::int32_t fd, Watch& watch, std::uint32_t edges);
  bool enroll(std::int32_t fd, Watch& watch);
  void endAll(Watch& watch, int error);
  void endCancelled(Watch& watch);
  void serveInput(std::int32_t fd, Watch& watch);
  void serveOutput(std::int32_t fd, Watch& watch);
  void acceptSome(std::int32_t fd, Watch& watch, IoContext& context);
  bool survivesAcceptError(Watch& watch, IoContext& context, int error);
  void receiveSome(std::int32_t fd, Watch& watch, IoContext& context);
  void fillTransfer(std::int32_t fd, Watch& watch, IoContext& context);
  void sendSome(std::int32_t fd, Watch& watch, IoContext& context);
  void checkConnect(Watch& watch, IoContext& context);
  void checkPolls(std::int32_t fd, Watch& watch, std::uint32_t edges);

  // A poll that was started and not looked at yet. Its events lie where other kinds have an error.
  static constexpr std::uint8_t kNewPoll = 0x10;
  static void setPollEvents(IoContext& context, std::uint32_t events) noexcept {
    context.state().error = static_cast<std::int16_t>(events & 0x7fff);
    context.set(kNewPoll);
  }
  static std::uint32_t pollEvents(IoContext& context) noexcept {
    return static_cast<std::uint16_t>(context.state().error);
  }

  static constexpr std::size_t kEvents = 512;
  // What one descriptor gets at most before the others have their turn.
  static constexpr std::size_t kReceivesPerTurn = 2;
  static constexpr int kAcceptsPerTurn = 64;

  const std::size_t hotSize_;
  const std::unique_ptr<char[]> hot_;
  TransferPool transfers_;
  WatchTable watches_;
  EpollSet set_;
  IoQueue failed_;  // operations whose end is known, to be told in run()
  PausedAccepts pausedAccepts_;
  DescriptorRoom descriptors_{kAcceptsPerTurn};
  std::array<epoll_event, kEvents> events_;
  std::uint64_t delivered_ = 0;
  TimePoint lookedAt_{};         // when the first of these began
  std::size_t fullLooks_ = 0;    // in a row, by takeAll(), that left something in the set
  bool waitPassedOver_ = false;  // the last run() returned what was queued, and did not wait
  bool running_ = false;
};

}  // namespace gyre
