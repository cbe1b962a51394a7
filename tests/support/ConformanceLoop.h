// ConformanceLoop: an engine under test, watched for the rules that hold always.
//
// Every handler must run inside run() and inside no verb, every operation must end exactly once,
// and the counters must tell what the handlers saw. Whoever breaks one fails the test.
//
// Thread  The test's.
// Ends    Its destructor compares the counters and expects that nothing is in flight.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/ConformanceWorld.h"

namespace gyre {

class ConformanceOperation;

class ConformanceLoop {
 public:
  explicit ConformanceLoop(std::unique_ptr<Proactor> proactor) : proactor_(std::move(proactor)) {}
  ConformanceLoop(const ConformanceLoop&) = delete;
  ConformanceLoop& operator=(const ConformanceLoop&) = delete;
  ~ConformanceLoop();

  Proactor& proactor() noexcept { return *proactor_; }
  const LoopCounters& counters() const noexcept { return proactor_->counters(); }

  void run(TimePoint deadline);
  // False when it did not come true within ten seconds of the engine's clock.
  bool runUntil(const std::function<bool()>& isDone);
  // Runs until nothing happens any more, so that one completion too many would be seen.
  void settle();
  // Until the peer has got `size` bytes in all, or the stream has ended. Returns what it got.
  std::string receiveAll(ConformancePeer& peer, std::size_t size);
  // Until the peer has met the end of the stream or an error.
  std::string receiveToEnd(ConformancePeer& peer);
  // Until the network has taken all bytes of the peer.
  bool sendAll(ConformancePeer& peer, std::string_view bytes);

  void cancel(ConformanceOperation& operation);
  void cancelAll(SocketHandle socket);

 private:
  friend class ConformanceOperation;

  // While one lives, no handler may run.
  class VerbScope {
   public:
    explicit VerbScope(ConformanceLoop& loop) : loop_(loop) { ++loop_.verbs_; }
    ~VerbScope() { --loop_.verbs_; }

   private:
    ConformanceLoop& loop_;
  };

  void enterHandler(IoKind kind);
  void leaveHandler() { --handlers_; }

  const std::unique_ptr<Proactor> proactor_;
  bool running_ = false;
  int verbs_ = 0;
  int handlers_ = 0;
  std::size_t started_ = 0;
  std::size_t ended_ = 0;
  std::array<std::uint64_t, kIoKinds> handled_{};
};

// An operation, and all that it was told. Its destructor cancels and joins it.
class ConformanceOperation {
 public:
  struct Completion {
    bool more = false;
    int error = 0;
    std::size_t bytes = 0;
    SocketHandle socket;
    std::uint32_t events = 0;
  };

  explicit ConformanceOperation(ConformanceLoop& loop) : loop_(loop) {}
  ConformanceOperation(const ConformanceOperation&) = delete;
  ConformanceOperation& operator=(const ConformanceOperation&) = delete;
  ~ConformanceOperation();

  void accept(SocketHandle listener);
  void acceptShared(SocketHandle listener);
  void receive(SocketHandle socket);
  void receiveInto(SocketHandle socket, std::span<char> into);
  void send(SocketHandle socket, std::string_view bytes);
  void send(SocketHandle socket, std::span<const IoSlice> slices);
  void connect(SocketHandle socket, const InetAddress& to);
  void poll(SocketHandle handle, std::uint32_t events);
  void read(SocketHandle handle, std::span<char> into);

  bool isInFlight() const noexcept { return context_.isInFlight(); }
  // True from the terminal completion until it is started again.
  bool hasEnded() const noexcept { return !isInFlight() && !told_.empty(); }
  // Runs the loop until the terminal completion, and returns that.
  Completion join();
  const std::vector<Completion>& told() const noexcept { return told_; }
  // Of a receive: all bytes, in order.
  const std::string& data() const noexcept { return data_; }

  // Runs at the end of each completion; may destroy the operation at the terminal one.
  std::function<void(const IoResult&)> onCompletion;

 private:
  friend class ConformanceLoop;

  static void handle(IoContext& context, const IoResult& result) noexcept;
  void note(const IoResult& result);
  void begin();

  ConformanceLoop& loop_;
  IoContext context_{&ConformanceOperation::handle};
  bool isOwedEnd_ = false;
  std::vector<Completion> told_;
  std::string data_;
};

// A handle that closes itself.
class ConformanceSocket {
 public:
  ConformanceSocket(ConformanceLoop& loop, SocketHandle handle) : loop_(&loop), handle_(handle) {}
  ConformanceSocket(ConformanceSocket&& other) noexcept
      : loop_(other.loop_), handle_(other.release()) {}
  ConformanceSocket& operator=(ConformanceSocket&&) = delete;
  ~ConformanceSocket() { close(); }

  SocketHandle get() const noexcept { return handle_; }
  SocketHandle release() noexcept { return std::exchange(handle_, SocketHandle()); }
  void close();

 private:
  ConformanceLoop* loop_;
  SocketHandle handle_;
};

}  // namespace gyre
