// KernelProactor: what the engines over the kernel's sockets share.
//
// That is the direct calls, the wake-up descriptor, and a table of what is in flight on each
// socket.
//
// Thread  The engine's, wake() excepted.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/CycleCount.h"
#include "gyre/base/UniqueFd.h"
#include "gyre/proactor/Proactor.h"

namespace gyre {

// One per descriptor number.
struct SocketState {
  std::uint8_t operations = 0;  // in flight or queued
  bool sending = false;         // true exactly while a send is in flight or queued
  bool cancelled = false;       // from cancelAll to close: nothing is armed again
};

class KernelProactor : public Proactor {
 public:
  KernelProactor();

  void wake() noexcept final;
  TimePoint now() const noexcept final;
  std::uint64_t random() noexcept final;
  SocketHandle listen(const InetAddress& address, const ListenOptions& options) final;
  SocketHandle socket(int family) noexcept final;
  SocketHandle adopt(int fd) noexcept final;
  int setOption(SocketHandle socket, SocketOption option, int value) noexcept final;
  InetAddress localAddress(SocketHandle socket) const noexcept final;
  InetAddress peerAddress(SocketHandle socket) const noexcept final;
  IoResult trySend(SocketHandle socket, std::string_view bytes) noexcept override;
  int shutdownWrite(SocketHandle socket) noexcept final;
  int shutdownBoth(SocketHandle socket) noexcept final;
  void close(SocketHandle socket) noexcept final;

 protected:
  // True when run() may block: nobody has called wake() since the last run(). From here to
  // endSleep() a wake() writes the eventfd, once.
  bool beginSleep() noexcept;
  void endSleep() noexcept;
  // The run is about to wait: how long it has not is booked when it wakes.
  void noteBusy() noexcept { busyUntil_ = cycleCount(); }
  int wakeFd() const noexcept { return wakeFd_.get(); }

  // Notes how an operation ends that could not be started, or that the engine could not go on with;
  // one without memory is counted, and logged once a second. The engine tells it in run().
  void setFailure(IoContext& context, int error) noexcept;
  static int failureOf(IoContext& context) noexcept;
  // Books an operation on its socket. False when the table cannot grow: ENOMEM; then no socket
  // counts it.
  bool beginOperation(IoContext& context, IoKind kind, SocketHandle socket) noexcept;
  // Unbooks it and delivers the terminal completion. The context is not touched afterwards.
  void endOperation(IoContext& context, IoResult result);
  // connect(2) of a socket that may block, which stays as it is. 0 or an errno value.
  static int connectWithoutWaiting(SocketHandle socket, const InetAddress& to) noexcept;
  bool isCancelled(const IoContext& context) const noexcept;
  void markCancelled(SocketHandle socket) noexcept;

  // An engine forgets what it knows of a descriptor that is about to be closed.
  virtual void forget(SocketHandle) noexcept {}
  // O_NONBLOCK or 0, for new listeners and connecting sockets.
  virtual int socketFlags() const noexcept { return 0; }

 private:
  enum class Wake : std::uint8_t { Running, Sleeping, Woken };
  // `error` of an operation that no socket counts, because their table found no memory: its end
  // must not take another operation of that socket off.
  static constexpr std::int16_t kUncounted = INT16_MIN;

  void noteFailure(int error) noexcept;
  void bookBusy(Duration span, std::uint64_t countBefore) noexcept;

  UniqueFd wakeFd_;
  std::atomic<Wake> wake_{Wake::Running};
  bool slept_ = false;                // from beginSleep() to endSleep()
  std::uint64_t busyUntil_ = 0;       // by cycleCount()
  std::vector<SocketState> sockets_;  // by descriptor
  TimePoint noMemoryLogDue_{};
};

}  // namespace gyre
