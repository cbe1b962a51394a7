// Proactor: starts operations, waits for completions, tells whoever asked. The one seam of gyre.
//
// Thread  Lives on the thread that made it. wake() alone is for other threads.
// Owns    Its ring or poll set, its receive buffers, and every operation in flight.
// Borrows Each IoContext, and each buffer of a send or receiveInto, until its terminal completion.
// Ends    Destroyed when no operation is in flight (CHECKed).
//
// Rules that every engine keeps:
// 1. A handler runs inside run() only, never inside another verb.
// 2. Every operation has exactly one terminal completion (more == false), also when cancelled or
//    failed or overtaken by a close. Until then context, buffer and handle belong to the kernel
//    too.
// 3. Streams (accept, receive) go on by themselves after whatever is no fault of the peer: no free
//    buffer, a full completion queue, a multishot that ended, no descriptor. No byte is lost or
//    reordered, nothing spins. After a cancel was asked for nothing is armed again.
// 4. What was taken from the kernel before a cancel took effect is delivered, in order, first.
// 5. Nothing is retried by timer where an event can say when.
// 6. Direct calls overtake operations: see the REQUIRES of shutdownWrite and close.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <thread>

#include "gyre/base/Export.h"
#include "gyre/base/InetAddress.h"
#include "gyre/base/Time.h"
#include "gyre/proactor/IoContext.h"
#include "gyre/proactor/LoopCounters.h"
#include "gyre/proactor/ProactorOptions.h"
#include "gyre/proactor/SocketHandle.h"

namespace gyre {

// Bytes to send. They stay where they are until the terminal completion.
struct IoSlice {
  const char* data;
  std::size_t size;
};

// Slices and bytes that one send takes at most. A send completes when all is done, and hides its
// progress until then: 256 KiB keeps a stalled peer visible.
inline constexpr std::size_t kSendSlicesMax = 32;
inline constexpr std::size_t kSendBytesMax = 256 * 1024;

struct ListenOptions {
  int backlog = 4096;      // capped by net.core.somaxconn
  bool reusePort = false;  // SO_REUSEPORT: the kernel deals clients to several listeners
  bool v6Only = false;     // IPv6 listeners take IPv4 clients too unless said
  // Permissions of a unix path, as 0660; 0: what the umask leaves. Writing is connecting.
  std::uint32_t unixMode = 0;
};

enum class SocketOption : std::uint8_t {
  NoDelay,        // TCP_NODELAY
  KeepAlive,      // SO_KEEPALIVE
  SendBuffer,     // SO_SNDBUF, bytes
  ReceiveBuffer,  // SO_RCVBUF, bytes
  LingerZero,     // SO_LINGER {1, 0}: close resets the connection
};

class GYRE_API Proactor {
 public:
  Proactor() = default;
  Proactor(const Proactor&) = delete;
  Proactor& operator=(const Proactor&) = delete;
  virtual ~Proactor();

  // --- Any thread

  // Makes a run() that waits return soon, or the next one not wait. Cheap while it runs.
  virtual void wake() noexcept = 0;
  const LoopCounters& counters() const noexcept { return counters_; }
  virtual std::string_view name() const noexcept = 0;
  // What makeProactor() made it from: loops of other threads are made alike. Null for an engine
  // that was made otherwise.
  const ProactorOptions* recipe() const noexcept { return recipe_.get(); }
  // True when sockets of this engine may be used with the other: both speak to the kernel in the
  // same way, or belong to the same simulated network.
  virtual bool sharesSocketsWith(const Proactor& other) const noexcept {
    return name() == other.name();
  }
  bool isOwnThread() const noexcept { return std::this_thread::get_id() == thread_; }
  virtual RingGrant grant() const noexcept { return {}; }

  // --- Loop thread: operations. Each REQUIRES that its context is not in flight.
  // None throws: one that finds no memory completes with ENOMEM, in run().

  // A stream: one completion per connection, `socket` = the new handle. It may be used with another
  // Proactor of the same engine. Ends only by cancel or when the listener is no listener.
  virtual void accept(IoContext& context, SocketHandle listener) noexcept = 0;
  // The same on a listener that other processes may accept on too (inherited). A cancel takes no
  // client from them: whoever is told of one and does not accept it is never the only one told.
  virtual void acceptShared(IoContext& context, SocketHandle listener) noexcept {
    accept(context, listener);
  }
  // A stream: each completion lends bytes until the handler returns, or keepLent() is undone. Ends
  // with error 0 (end of stream) or an errno value. REQUIRES: no other receive is in flight on the
  // socket.
  virtual void receive(IoContext& context, SocketHandle socket) noexcept = 0;
  // One completion: bytes > 0, or 0 for end of stream, or an error.
  virtual void receiveInto(IoContext& context, SocketHandle socket,
                           std::span<char> into) noexcept = 0;
  // One completion, with the bytes done and, when not all, the error. Short sends are continued
  // inside, except after a cancel. A send that holds kept bytes (keepLent) never waits for room: it
  // ends with EAGAIN, whether those bytes or others are left. The slices are copied, what they
  // point to is not.
  // REQUIRES: 1..kSendSlicesMax slices, not empty, of at most kSendBytesMax bytes together; no
  // other send is in flight on the socket.
  virtual void send(IoContext& context, SocketHandle socket,
                    std::span<const IoSlice> slices) noexcept = 0;
  // One completion: error 0 when connected. A unix socket whose backlog is full: EAGAIN at once;
  // that there is room again cannot be waited for.
  virtual void connect(IoContext& context, SocketHandle socket, const InetAddress& to) noexcept = 0;
  // One completion: the events of poll(2) that came. POLLERR and POLLHUP always count.
  virtual void poll(IoContext& context, SocketHandle handle, std::uint32_t events) noexcept = 0;
  // One completion, for an adopted eventfd, signalfd or pipe.
  virtual void read(IoContext& context, SocketHandle handle, std::span<char> into) noexcept = 0;

  // Asks an operation to end soon; nothing when it is not in flight. Its terminal completion comes
  // with ECANCELED, or with what it had come to by then.
  virtual void cancel(IoContext& context) noexcept = 0;
  // The same for every operation in flight on the socket.
  // REQUIRES: no operation is started on the socket before it has been closed.
  virtual void cancelAll(SocketHandle socket) noexcept = 0;

  // Submits all that is queued, waits until something completes, wake() was called or the deadline
  // has come, and dispatches. The only place where handlers run. A deadline (but kNoWait) that is
  // not after wokenAt() makes it take all from the kernel that has come by now: see caughtUpAt().
  // REQUIRES: not called from a handler.
  virtual void run(TimePoint deadline) noexcept = 0;
  // Operations that still owe a terminal completion, the engine's own not counted.
  std::size_t operationsInFlight() const noexcept { return operationsInFlight_; }

  // --- Loop thread: direct calls

  virtual TimePoint now() const noexcept = 0;
  // When the latest run() came back from its wait. Costs nothing.
  TimePoint wokenAt() const noexcept { return wokenAt_; }
  // The processor's counter then; 0 where time is not real.
  std::uint64_t wokenCount() const noexcept { return wokenCount_; }
  // All that had come by then has been dispatched. It moves on with runs whose deadline has come,
  // and is behind now() by as long as dispatching takes. Timeouts of peers are judged by it: after
  // a time in which the process was stopped, what peers sent meanwhile is found first.
  TimePoint caughtUpAt() const noexcept { return caughtUpAt_; }
  virtual std::uint64_t random() noexcept = 0;

  // Binds and listens. Throws std::system_error naming the address, the cause and the cure.
  virtual SocketHandle listen(const InetAddress& address, const ListenOptions& options) = 0;
  // A stream socket to connect with; failed(errno) when there is none to have.
  virtual SocketHandle socket(int family) noexcept = 0;
  // Takes over a descriptor that was opened elsewhere: inherited, accepted, eventfd, signalfd.
  virtual SocketHandle adopt(int fd) noexcept = 0;
  // 0 or an errno value.
  virtual int setOption(SocketHandle socket, SocketOption option, int value) noexcept = 0;
  // Unspecified when the socket no longer tells: a peer's address is gone after a reset.
  virtual InetAddress localAddress(SocketHandle socket) const noexcept = 0;
  virtual InetAddress peerAddress(SocketHandle socket) const noexcept = 0;
  // Keeps bytes that a receive lends beyond the handler that calls this, so that the next send can
  // take them without a copy. False where they are not such bytes, or the engine cannot: then copy
  // them. A loop has few receive buffers, and other connections may be waiting for this one.
  // REQUIRES: returnLent() before the second next run() begins, unless a send in flight holds the
  // bytes by then: that one never waits, and they are returned in the handler of its completion at
  // the latest. (CHECKed by the simulated engine, and by io_uring in debug builds.)
  virtual bool keepLent(std::string_view) noexcept { return false; }
  // REQUIRES: called once for each keepLent() that was true, with any byte of it.
  virtual void returnLent(const char*) noexcept {}
  // send(2) that never waits: the bytes taken, which may be none, or the error. For bytes that
  // would have to be copied in order to wait for run(), while they are hot in the cache.
  // REQUIRES: no send is queued or in flight on the socket, and no cancelAll.
  virtual IoResult trySend(SocketHandle socket, std::string_view bytes) noexcept = 0;
  // Sends FIN after what was sent. 0 or an errno value.
  // REQUIRES: no send is queued or in flight on the socket: it would fail with EPIPE.
  virtual int shutdownWrite(SocketHandle socket) noexcept = 0;
  // For abort only: destroys what the peer has not read. Never on a listener.
  virtual int shutdownBoth(SocketHandle socket) noexcept = 0;
  // REQUIRES: no operation is queued or in flight on the socket: close(2) neither ends one nor
  // sends FIN under it, and the number may be reused.
  virtual void close(SocketHandle socket) noexcept = 0;

  LoopCounters& mutableCounters() noexcept { return counters_; }

 protected:
  // All that had come by `time` has been taken from the kernel, or lies in the engine.
  void noteTaken(TimePoint time) noexcept {
    if (time > taken_) taken_ = time;
  }
  // The run is over, and all that was taken has been dispatched …
  void endRun() noexcept;
  // … or something is left for later ones, of which each dispatches `perRun` at least, oldest
  // first.
  void endRunBehind(std::size_t perRun) noexcept;

  LoopCounters counters_;
  std::size_t operationsInFlight_ = 0;
  TimePoint wokenAt_{};  // written by each engine after each wait
  std::uint64_t wokenCount_ = 0;

 private:
  friend GYRE_API std::unique_ptr<Proactor> makeProactor(const ProactorOptions& options);

  TimePoint caughtUpAt_{};
  TimePoint taken_{};
  TimePoint takenFirst_{};      // as it was when the runs behind began
  std::size_t runsBehind_ = 0;  // in a row
  std::unique_ptr<const ProactorOptions> recipe_;
  const std::thread::id thread_ = std::this_thread::get_id();
};

// Makes the engine that `options.engine` names, on this thread. Throws std::system_error naming the
// cause and the cure.
GYRE_API std::unique_ptr<Proactor> makeProactor(const ProactorOptions& options);

}  // namespace gyre
