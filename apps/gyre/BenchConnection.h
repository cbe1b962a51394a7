// BenchConnection: one connection of gyre bench: sends what is due, counts and checks replies.
//
// Thread  The loop of its proactor.
// Owns    Its socket and one IoContext per kind of operation.
// Ends    When isClosed(): then nothing is in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "BenchLedger.h"
#include "gyre/loop/EventLoop.h"

namespace gyre {

class BenchConnection {
 public:
  enum class News : std::uint8_t {
    Settled,   // it has opened, or will not; once
    Finished,  // nothing more is to come; once
    Closed,    // as was asked; it may be opened again
    Failed,    // closed, and a fault was counted; it may be opened again
  };
  // The last thing that a connection does in a handler.
  using NewsCallback = std::function<void(BenchConnection&, News)>;

  // What every connection of a thread has in common; outlives them.
  struct Surroundings {
    BenchLedger& ledger;
    EventLoop& loop;
    NewsCallback callback;
  };

  // `index` among the connections of its thread.
  BenchConnection(const Surroundings& surroundings, std::size_t index);

  void open();
  // The first messages are due now.
  void start(TimePoint now);
  // Open loop: one more message is due.
  void addDue();
  // No new message from now on.
  void finishUp();
  // Closes, whatever is owed.
  void abandon();

  bool isOpen() const noexcept { return state_ == State::Open; }
  bool isClosed() const noexcept { return state_ == State::Closed; }
  // True exactly while nothing more is to come, after finishUp().
  bool isFinished() const noexcept;

 private:
  enum class State : std::uint8_t { Closed, Connecting, Open, Closing };

  static void handleConnect(IoContext& context, const IoResult& result) noexcept;
  void connect();
  static void handleReceive(IoContext& context, const IoResult& result) noexcept;
  static void handleSend(IoContext& context, const IoResult& result) noexcept;
  void takeBytes(const char* data, std::size_t size);
  void completeReplies();
  void completeSent(std::size_t size);
  void completeMessage(TimePoint now);
  void endOfStream();
  void pump();
  void sendBytes(std::uint64_t size);
  void shutDownWhenDue();
  void fail(BenchFault fault, int error);
  void beginClose();
  void advanceClose();
  void noteFinish();
  void noteSettled();

  std::uint64_t messagesAllowed() const noexcept;
  std::uint64_t bytesExpected() const noexcept;
  TimePoint dueTime(std::uint64_t message) const noexcept;

  const Surroundings& surroundings_;
  BenchLedger& ledger_;
  Proactor& proactor_;
  TimerId connectAgain_;
  const std::size_t index_;
  const std::uint64_t payloadStart_;
  State state_ = State::Closed;
  bool isFinishing_ = false;
  bool isFinishNoted_ = false;
  bool hasShutDown_ = false;
  bool hasSettled_ = false;
  bool hasFailed_ = false;
  SocketHandle socket_;
  IoContext connect_;
  IoContext receive_;
  IoContext send_;
  std::uint64_t due_ = 0;             // messages that may be sent; counts up
  std::uint64_t done_ = 0;            // messages that are complete
  std::uint64_t bytesSubmitted_ = 0;  // given to send
  std::uint64_t bytesReceived_ = 0;
  std::uint64_t nextReplyEnd_ = 0;    // the value of bytesReceived_ that completes a message
  std::vector<TimePoint> startedAt_;  // of the messages on their way, by number modulo depth
};

}  // namespace gyre
