// TcpConnection: one connected socket and the bytes in flight on it.
//
// Thread  Lives on one EventLoop for life. Methods under "Any thread" post to it; the others belong
//         on it. No lock is taken on its data path.
// Owns    The socket, unread input, unsent output, one IoContext per direction.
// Borrows Its loop. After the loop's end a handle still kept is a closed connection whose calls do
//         nothing.
// Ends    When the last completion has returned, not when close was asked for. The close callback
// is
//         the last; right after it the user's context is given back, and all that is the loop's.
#pragma once

#include <any>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "gyre/base/Buffer.h"
#include "gyre/base/Check.h"
#include "gyre/base/Export.h"
#include "gyre/base/RefPtr.h"
#include "gyre/connection/Callbacks.h"
#include "gyre/connection/CloseReason.h"
#include "gyre/connection/ConnectionExtras.h"
#include "gyre/connection/ConnectionFilter.h"
#include "gyre/connection/ConnectionProfile.h"
#include "gyre/connection/Endpoints.h"
#include "gyre/connection/Frame.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

class OutputQueue;

class GYRE_API TcpConnection final : public LoopResident,
                                     public std::enable_shared_from_this<TcpConnection> {
 public:
  // Internal: made by TcpServer on the connection's loop.
  struct Init {
    EventLoop* loop;
    SocketHandle socket;
    std::uint64_t id;
    const RefPtr<ConnectionProfile>& profile;  // copied, so that it may end after make()
    const InetAddress* local = nullptr;        // its own address, where that is known
  };
  // With its place on the loop and its timeouts, so that nothing more is needed for the user to
  // know of it. May throw std::bad_alloc: then the socket is the caller's.
  static std::shared_ptr<TcpConnection> make(const Init& init);
  explicit TcpConnection(const Init& init);
  ~TcpConnection() override;

  // --- Any thread. What is called on another thread than the loop's may throw std::bad_alloc: then
  // nothing was sent or asked for.

  // Bytes are sent in the order of the calls of one thread; ignored once shutdown was asked for.
  // Where they are lost for another reason (memory is out, the socket fails, the connection is
  // being closed, but not by you) it ends with RST. From another thread may throw std::bad_alloc.
  // What waits is sent at the end of the loop's iteration. On the loop's thread the kernel is
  // offered 8 KiB and more at once where they would be copied (but for the string&&, which is
  // kept, and the shared one); it may take all, and then nothing waits and no mark is passed.
  void send(std::string_view bytes);  // copies
  void send(const char* text) { send(std::string_view(text)); }
  void send(const void* bytes, std::size_t size);       // copies
  void send(std::string&& bytes);                       // keeps a large one
  void send(std::shared_ptr<const std::string> bytes);  // keeps it: one for many connections
  // Takes all that is readable. REQUIRES: the buffer belongs to the calling thread.
  void send(Buffer& buffer);

  // Closes in good order: sends what is queued, then FIN, waits for the peer's (discarding what it
  // sends), then closes. No message callback runs after it was processed.
  void shutdown();
  // Half-closes: sends what is queued, then FIN; messages still arrive until the peer closes too.
  void shutdownWrite();
  // Closes now. What was not sent is lost: then the peer sees a reset, never the end of the stream
  // (but on a unix socket, which has none). So ends every connection that is closed with bytes
  // unsent, whoever did it: a limit, a timeout, a deadline, the server's end.
  void forceClose();
  // Closes now with RST, also when all was sent: what the peer got is not the whole. A unix socket
  // has no RST: the peer reads the end of the stream, or ECONNRESET when we left bytes of its own
  // unread. CloseReason::Aborted.
  void abort();
  // After stopRead() on the loop's thread no message callback runs, and the kernel soon stops
  // taking bytes, so that the peer is held back. startRead() delivers what was taken by then.
  void startRead();
  void stopRead();

  bool connected() const noexcept {
    return state_.load(std::memory_order_acquire) == State::Connected;
  }
  bool disconnected() const noexcept {
    return state_.load(std::memory_order_acquire) == State::Closed;
  }
  std::uint64_t id() const noexcept { return id_; }
  InetAddress localAddress() const noexcept { return endpoints_.local(); }
  InetAddress peerAddress() const noexcept { return endpoints_.peer(); }
  bool isInLoopThread() const noexcept;
  // REQUIRES: on the loop's thread, or after the loop's end.
  void assertInLoopThread() const noexcept;
  // Runs it on the connection's loop, later. False after the loop's end.
  bool queueInLoop(Functor functor) { return mailbox_->post(std::move(functor)); }

  // --- Loop thread (CHECKed; what the library itself calls for every message: in debug builds)

  // REQUIRES: the loop lives, as in every callback.
  EventLoop* loop() const noexcept { return onLoopInDebug().mailbox_->loop(); }
  // Why it closed, and the errno value for Error; None and 0 before.
  CloseReason closeReason() const noexcept { return onLoop().reason_; }
  int error() const noexcept { return onLoop().error_; }
  std::uint64_t bytesReceived() const noexcept { return onLoop().bytesReceived_; }
  std::uint64_t bytesSent() const noexcept { return onLoop().bytesSent_; }
  // Bytes that wait to be sent or are in flight.
  std::size_t outputBytes() const noexcept;
  // Bytes received that no message callback has retrieved.
  std::size_t inputBytes() const noexcept {
    return onLoopInDebug().extras_ == nullptr ? 0 : extras_->unread.readableBytes();
  }
  // False also once the connection is to be aborted.
  bool isReading() const noexcept { return onLoopInDebug().has(kReading) && !has(kAbortWanted); }
  // As forceClose(), with CloseReason::Error and this errno value as error().
  void forceCloseWith(int error) noexcept;
  // Nagle's algorithm is off on every connection unless switched on here.
  void setTcpNoDelay(bool on) noexcept;
  // Anything of the user's; destroyed right after the close callback.
  std::any& context();
  void setContext(std::any context) { this->context() = std::move(context); }
  // Makes a T the context, which need be neither copyable nor movable.
  template <typename T, typename... Arguments>
  T& emplaceContext(Arguments&&... arguments) {
    auto made = std::make_shared<T>(std::forward<Arguments>(arguments)...);
    return *context().emplace<std::shared_ptr<T>>(std::move(made));
  }
  // The context where it is a T, however it was given: by emplaceContext<T>(), setContext(T), or
  // setContext(std::shared_ptr<T>). Null where it is none. Costs no memory, unlike the first
  // context().
  template <typename T>
  T* context() noexcept {
    assertInLoopThread();
    if (extras_ == nullptr) return nullptr;
    const auto* made = std::any_cast<std::shared_ptr<T>>(&extras_->context);
    if (made != nullptr) return made->get();
    if constexpr (std::is_copy_constructible_v<T>) return std::any_cast<T>(&extras_->context);
    return nullptr;
  }
  // Other callbacks and limits from now on (a protocol switch).
  // What a message callback has not retrieved is offered to the new one.
  // REQUIRES: made by the same server's makeProfile().
  void setProfile(RefPtr<ConnectionProfile> profile);
  const ConnectionProfile& profile() const noexcept { return *onLoopInDebug().profile_; }
  // Instead of the profile's, for this connection.
  void setTimeouts(const ConnectionTimeouts& timeouts);
  const ConnectionTimeouts& timeouts() const noexcept;
  // Ends the connection at this time, however busy it is: what a protocol waits for, a whole
  // request as it may be, has to come by then. Exact to a tick. Setting replaces the one before;
  // clearing takes it back, which costs nothing. Ends as an idle timeout does, with
  // CloseReason::Deadline. Setting may throw std::bad_alloc.
  void setDeadline(TimePoint when);
  void setDeadline(TimeSpan fromNow);
  void clearDeadline() noexcept;
  // Between wire and user from now on. REQUIRES: none was set.
  void setFilter(std::unique_ptr<ConnectionFilter> filter);

  // --- Internal

  // Once, on the loop: tells the user, starts the first read.
  void connectEstablished() noexcept;
  // Closes it, and no callback of the user's runs any more.
  void abandon() noexcept;
  // Once, when its server drains: runs the callback, or begins to look for a pause.
  void drain();
  void beginClose() noexcept override;
  void settle() noexcept override;
  TimePoint checkTimeouts(TimePoint now) noexcept override;
  const void* group() const noexcept override;
  // How far the codec has come with what is unread.
  FrameProgress frameProgress() const noexcept {
    return extras_ == nullptr ? FrameProgress{} : extras_->frames;
  }
  void setFrameProgress(FrameProgress progress) { extras().frames = progress; }
  // Frames that this iteration may still deliver, and what is left of them.
  std::uint16_t framesLeft() noexcept;
  void setFramesLeft(std::uint16_t left) noexcept { budgetLeft_ = left; }
  // What a message callback leaves is offered again in the next iteration, also when no more comes.
  void offerAgain() noexcept;

 private:
  enum class State : std::uint8_t {
    Connected,  // the user sends and receives
    Flushing,   // closing in good order: what is queued is being sent
    Lingering,  // our FIN is out; waiting for the peer's
    Joining,    // waiting for the operations in flight to end
    Closed,
  };
  // Flags; each is true exactly while …
  static constexpr std::uint16_t kReading = 1 << 0;       // the user wants messages
  static constexpr std::uint16_t kEndOfInput = 1 << 1;    // the peer's FIN has come
  static constexpr std::uint16_t kEndUntold = 1 << 2;     // … while the user did not read
  static constexpr std::uint16_t kInputUntold = 1 << 3;   // unread bytes were never offered
  static constexpr std::uint16_t kFinWanted = 1 << 4;     // shutdownWrite() was asked for
  static constexpr std::uint16_t kFinSent = 1 << 5;       // our FIN is out
  static constexpr std::uint16_t kAbortWanted = 1 << 6;   // settle() is to abort
  static constexpr std::uint16_t kHighWaterDue = 1 << 7;  // settle() is to tell of high water
  static constexpr std::uint16_t kOutputFull = 1 << 8;    // reading pauses: output limit
  static constexpr std::uint16_t kInputFull = 1 << 9;     // reading pauses: input limit
  static constexpr std::uint16_t kEstablished = 1 << 10;  // the user knows of it
  static constexpr std::uint16_t kHungUp = 1 << 11;       // both FINs are known: no watch is armed
  static constexpr std::uint16_t kOverBudget = 1 << 12;   // reading pauses: the memory budget
  static constexpr std::uint16_t kWriteCompleteDue = 1 << 13;  // settle() is to tell of it
  static constexpr std::uint16_t kReset = 1 << 14;  // closing resets: see loseOutput() and abort()
  static constexpr std::uint32_t kNoTimeout = (1U << 24) - 1;

  using Extras = ConnectionExtras;
  using Timeout = ConnectionTimeout;
  using Notice = ConnectionNotice;

  bool has(std::uint16_t flag) const noexcept { return (flags_ & flag) != 0; }
  void set(std::uint16_t flag) noexcept { flags_ = static_cast<std::uint16_t>(flags_ | flag); }
  void clear(std::uint16_t flag) noexcept { flags_ = static_cast<std::uint16_t>(flags_ & ~flag); }
  State state() const noexcept { return state_.load(std::memory_order_relaxed); }
  void setState(State state) noexcept { state_.store(state, std::memory_order_release); }
  Extras& extras();
  const TcpConnection& onLoop() const noexcept { return assertInLoopThread(), *this; }
  const TcpConnection& onLoopInDebug() const noexcept { return kDchecksOn ? onLoop() : *this; }
  Proactor& proactor() const noexcept { return loop()->proactor(); }
  SocketHandle socket() const noexcept { return input_.socket(); }
  void post(void (TcpConnection::*method)());
  // It is received as the user wants, and nothing is to be told or ended.
  bool isSteady() const noexcept {
    return flags_ == (kReading | kEstablished) && state() == State::Connected &&
           input_.isInFlight() && input_.kind() == IoKind::Receive &&
           (extras_ == nullptr || extras_->retired.empty());
  }
  // Connected, and not about to be aborted.
  bool isOpen() const noexcept { return state() == State::Connected && !has(kAbortWanted); }
  // The one place that says which callback may run when.
  bool mayNotify(Notice notice) const noexcept;
  // Every callback of the profile runs through this. False when it threw.
  // REQUIRES: mayNotify(kNotice).
  template <Notice kNotice, typename Call>
  bool notify(Call call) noexcept {
    assertMayNotify<kNotice>();
    return guarded(std::move(call));
  }
  template <Notice kNotice>
  void assertMayNotify() const noexcept {
    GYRE_CHECK(mayNotify(kNotice), "a callback was about to run in a state that rules it out");
  }
  // Calls what is the user's. False when it threw: that aborts the connection, and nothing else.
  template <typename Call>
  bool guarded(Call call) noexcept {
    try {
      call();
      loop()->noteCallback(id_);
      return true;
    } catch (...) {
      handleThrow();
      return false;
    }
  }
  // Inside a catch block.
  void handleThrow() noexcept;

  // Input
  static void handleInput(IoContext& context, const IoResult& result) noexcept;
  void handleBytes(std::string_view bytes) noexcept;
  void handleEndOfStream() noexcept;
  void handleWatch(const IoResult& result) noexcept;
  void discard(std::size_t bytes) noexcept;
  void decode(std::string_view received) noexcept;
  void deliver(std::string_view bytes) noexcept;
  void deliverWindow(std::string_view bytes) noexcept;
  void deliverKept() noexcept;
  void keep(std::string_view bytes) noexcept;
  void callMessage(Buffer& buffer) noexcept;
  void releaseUnread() noexcept;
  void limitInput() noexcept;
  bool wantsInput() const noexcept;
  bool isBacklogged() const noexcept;
  void updateReading() noexcept;

  // Output
  template <typename Bytes>
  void sendInLoop(Bytes&& bytes) noexcept;
  template <typename Bytes>
  void postSend(Bytes&& bytes);
  bool isCutShort() const noexcept { return has(kReset) || hasLostPost(); }
  bool hasLostPost() const noexcept { return isPostLost_.load(std::memory_order_acquire); }
  void refuseSend() noexcept;
  void loseOutput(CloseReason reason, int error) noexcept;
  bool maySend() const noexcept { return isOpen() && !has(kFinWanted); }
  void encode(std::string_view plain);
  std::size_t sendAtOnce(std::string_view bytes) noexcept;
  void tellWriteComplete() noexcept;
  template <typename Bytes>
  void enqueue(Bytes&& bytes) noexcept;
  bool appendLent(std::string_view bytes) noexcept;
  void beginOutput() noexcept;
  void dropOutput() noexcept;
  void submitSend() noexcept;
  bool sendsAlone(const IoSlice& slice) noexcept;
  static void handleSend(IoContext& context, const IoResult& result) noexcept;
  void handleSent(const IoResult& result) noexcept;
  void outputEmptied() noexcept;
  bool hasOutput() const noexcept { return output_ != nullptr; }
  void chargeOutput() noexcept;
  void limitOutput(std::size_t before) noexcept;
  void tellHighWater() noexcept;

  // Memory budget
  void updateCharge() noexcept;
  void setCharge(std::uint32_t units) noexcept;
  bool isShed() const noexcept;
  void underPressure() noexcept;
  void relaxBudget() noexcept;
  bool isStarved(TimePoint now) const noexcept;
  TcpConnection& greediestOfLoop() noexcept;
  void shed() noexcept;
  void dropCharge() noexcept;

  // Timeouts
  Timeout nextTimeout(TimePoint now) const noexcept;
  bool endsWhenIdle() const noexcept;
  bool isAmidRequest() const noexcept { return hasOutput() || inputBytes() != 0 || !has(kReading); }
  Duration sinceReceived(TimePoint now) const noexcept;
  Duration sinceSent(TimePoint now) const noexcept;
  Duration sinceTraffic(TimePoint now) const noexcept;
  Duration silence(TimePoint now) const noexcept;
  Duration stall(TimePoint now) const noexcept;
  void keepUp(CoarseTime& stamp, TimePoint Extras::*longAgo, TimePoint now) noexcept;
  void noteReading() noexcept;
  std::uint32_t addTimeoutEntry(TimePoint due);
  void expire(CloseReason reason) noexcept;
  void scheduleTimeouts();
  void unscheduleTimeouts() noexcept;

  // Closing
  void startReadInLoop();
  void stopReadInLoop();
  void shutdownInLoop();
  void shutdownWriteInLoop();
  void forceCloseInLoop();
  void abortInLoop();
  void requestAbort(CloseReason reason, int error) noexcept;
  void beginGraceful(CloseReason reason) noexcept;
  void finishFilter() noexcept;
  void advanceClose() noexcept;
  void sendFin() noexcept;
  void abort(CloseReason reason, int error) noexcept;
  void abortCutShort() noexcept;
  void joinInFlight() noexcept;
  void closeSocket() noexcept;
  void finishClose() noexcept;

  RefPtr<Mailbox> mailbox_;
  RefPtr<ConnectionProfile> profile_;
  IoContext input_;  // receive, or the watch for a reset while nothing is received
  IoContext send_;
  const std::uint64_t id_;
  std::uint64_t bytesReceived_ = 0;
  std::uint64_t bytesSent_ = 0;
  OutputQueue* output_ = nullptr;  // null while all was sent
  std::unique_ptr<Extras> extras_;
  std::uint32_t timeoutEntry_ : 24 = kNoTimeout;  // its place in the loop's timing wheel
  CloseReason reason_ : 8 = CloseReason::NotClosed;
  CoarseTime received_;  // when bytes were last received
  [[no_unique_address]] Endpoints endpoints_;
  std::uint16_t flags_ = 0;  // in the padding at the end of the endpoints
  CoarseTime sent_;          // when bytes, or our FIN, were last sent
  std::atomic<State> state_{State::Connected};
  std::atomic<bool> isPostLost_{false};  // a send() of another thread found no memory
  std::int16_t error_ = 0;
  std::uint32_t charge_ = 0;  // what it holds of the memory budget, in its units
};

// Each notice is a claim that the user acts on: all was delivered, all was sent. A connection that
// is to be aborted drops input and output, so from the request on nothing is claimed but the end.
inline bool TcpConnection::mayNotify(Notice notice) const noexcept {
  switch (notice) {
    case Notice::Up:
    case Notice::Drain:
    case Notice::HighWater: return isOpen();
    case Notice::Message: return isOpen() && has(kReading);
    case Notice::WriteComplete: return isOpen() && !hasOutput();
    // All that came before the peer's FIN was offered to a message callback.
    case Notice::HalfClose:
      return isOpen() && has(kReading) && has(kEndOfInput) && !has(kInputUntold);
    case Notice::Closed: return state() == State::Closed;
  }
  return false;
}

// An idle connection may cost 256 bytes: with control block, allocator and registry this allows
// 200, and 24 for its place in the timing wheel.
static_assert(sizeof(TcpConnection) <= 200);

}  // namespace gyre
