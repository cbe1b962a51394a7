// UringProactor: the contract of Proactor over one io_uring instance.
//
// Thread  The one that made it; wake() alone is for others.
// Owns    The ring, the receive buffers, and a block of argument memory per send or connect.
// Ends    Nothing may be in flight (CHECKed); the armed read of the wake-up descriptor is joined,
//         then the ring is closed, then the memory that the kernel could write to is freed.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "proactor/BlockList.h"
#include "proactor/DescriptorRoom.h"
#include "proactor/IoQueue.h"
#include "proactor/KernelProactor.h"
#include "proactor/MappedMemory.h"
#include "proactor/PausedAccepts.h"
#include "proactor/uring/BufferRing.h"
#include "proactor/uring/CompletionBacklog.h"
#include "proactor/uring/LoanCheck.h"
#include "proactor/uring/Ring.h"
#include "proactor/uring/UringFeatures.h"

namespace gyre {

// Throws std::system_error naming the cause and the cure.
std::unique_ptr<Proactor> makeUringProactor(const ProactorOptions& options);

class UringProactor final : public KernelProactor {
 public:
  explicit UringProactor(const ProactorOptions& options);
  ~UringProactor() override;

  std::string_view name() const noexcept override { return "uring"; }
  RingGrant grant() const noexcept override { return ring_.grant(); }

  void accept(IoContext& context, SocketHandle listener) noexcept override;
  void acceptShared(IoContext& context, SocketHandle listener) noexcept override;
  void receive(IoContext& context, SocketHandle socket) noexcept override;
  void receiveInto(IoContext& context, SocketHandle socket, std::span<char> into) noexcept override;
  void send(IoContext& context, SocketHandle socket,
            std::span<const IoSlice> slices) noexcept override;
  void connect(IoContext& context, SocketHandle socket, const InetAddress& to) noexcept override;
  void poll(IoContext& context, SocketHandle handle, std::uint32_t events) noexcept override;
  void read(IoContext& context, SocketHandle handle, std::span<char> into) noexcept override;
  void cancel(IoContext& context) noexcept override;
  void cancelAll(SocketHandle socket) noexcept override;
  bool keepLent(std::string_view bytes) noexcept override;
  void returnLent(const char* byte) noexcept override;
  IoResult trySend(SocketHandle socket, std::string_view bytes) noexcept override;
  void run(TimePoint deadline) noexcept override;

 private:
  // What only a send or connect in flight needs; it stays where it is until the terminal
  // completion.
  struct SendBlock {
    std::size_t done;
    std::size_t total;
    std::uint32_t first;  // the first slice with bytes left
    std::uint32_t count;
    std::array<iovec, kSendSlicesMax> slices;
    msghdr message;

    void skip(std::size_t bytes) noexcept;
    // Any byte of that slice, of one that was sent too.
    const char* byteOf(std::uint32_t index) const noexcept {
      return static_cast<const char*>(slices[index].iov_base) - (index < first ? 1 : 0);
    }
  };
  union alignas(64) Block {
    SendBlock send;
    sockaddr_storage address;
    iovec buffer;  // of a receiveInto or read, for taking it up again
  };

  // What is known of a thread that polls the submission queue: see askPoller().
  struct Poller {
    bool isMarked = false;     // a marker is in flight
    bool isQuiet = false;      // nothing has completed since the latest marker did
    TimePoint markedAt{};      // when the latest was submitted
    TimePoint markedBefore{};  // … and the one before it
    TimePoint busySince{};     // when that was of the first of those that did not end quietly
    std::size_t busy = 0;      // how many in a row
  };

  // Engine bits of a context.
  static constexpr std::uint8_t kDataWaits = 0x10;   // the last completion said SOCK_NONEMPTY
  static constexpr std::uint8_t kTakenUp = 0x20;     // armed before: re-arms poll first
  static constexpr std::uint8_t kShared = 0x10;      // an accept that must not wait: acceptShared()
  static constexpr std::uint8_t kPollFirst = 0x40;   // an accept that polls (kShared, O_NONBLOCK)
  static constexpr std::uint8_t kOneByOne = 0x80;    // an accept that ends in order to take one
  static constexpr std::uint8_t kPollMulti = 0x80;   // a poll that waits for more than it is asked
  static constexpr std::uint8_t kRoomWanted = 0x40;  // a send that polls
  static constexpr std::uint8_t kBulk = 0x40;        // a receive of a bulk stream: it polls
  static constexpr std::uint8_t kBulkWanted = 0x80;  // … and one that ends in order to become one

  io_uring_sqe& nextSqe(IoContext& context, std::uint8_t opcode) noexcept;
  io_uring_sqe& nextSqe() noexcept;
  void connectUnix(IoContext& context, SocketHandle socket, const InetAddress& to) noexcept;
  void queueCancel(IoContext& context) noexcept;
  bool begin(IoContext& context, IoKind kind, SocketHandle socket) noexcept;
  Block* acquireBlock(IoContext& context) noexcept;
  void openBuffers();
  void finish(IoContext& context, IoResult result);
  void fail(IoContext& context, int error) noexcept;

  void armAccept(IoContext& context) noexcept;
  void armReceive(IoContext& context) noexcept;
  void armSend(IoContext& context) noexcept;
  void armInto(IoContext& context) noexcept;
  void armPoll(IoContext& context) noexcept;
  void queuePoll(IoContext& context, std::uint32_t events) noexcept;
  void armWake() noexcept;
  // Takes an operation up again that the kernel ended; after a cancel it ends instead.
  void resume(IoContext& context);

  bool prepare();
  bool deliverFailed();
  void resumeAccepts();
  void resumeStarved() noexcept;
  void trimBuffers() noexcept;
  bool mustNotWait() const noexcept;
  void waitForCompletions(TimePoint deadline);
  int sleepUntil(TimePoint deadline) noexcept;
  int takeAll() noexcept;
  int askPoller() noexcept;
  void handleMarker(std::uint64_t userData) noexcept;
  void endRun() noexcept;
  void dispatch();
  std::size_t takeBatch() noexcept;
  void flushOverflow() noexcept;
  void dispatchOne(const io_uring_cqe& cqe);
  void handleAccept(IoContext& context, const io_uring_cqe& cqe);
  void acceptOneByOne(IoContext& context) noexcept;
  void handleAcceptError(IoContext& context, int error);
  void handleReceive(IoContext& context, const io_uring_cqe& cqe);
  void handleReceiveEnd(IoContext& context, int error);
  void starve(IoContext& context) noexcept;
  void watchForBulk(IoContext& context, std::size_t bytes) noexcept;
  void beginBulk(IoContext& context) noexcept;
  void handleBulk(IoContext& context, int result);
  int receiveNow(const IoContext& context) noexcept;
  void handleSend(IoContext& context, const io_uring_cqe& cqe);
  void handleSent(IoContext& context, int result);
  void handleRoom(IoContext& context, const io_uring_cqe& cqe);
  int sendNow(IoContext& context) noexcept;
  bool isOfLent(const SendBlock& send) const noexcept;
  void noteLoans(const SendBlock& send, void (LoanCheck::*note)(std::uint16_t) noexcept) noexcept;
  void handlePoll(IoContext& context, const io_uring_cqe& cqe);
  // Notes in `error` which of `events` have come. True while it does not end with this completion.
  bool pollGoesOn(IoContext& context, const io_uring_cqe& cqe, std::uint32_t events) noexcept;
  void handleOnce(IoContext& context, int result);
  static bool isRetry(int error) noexcept { return error == EINTR || error == EAGAIN; }
  static void handleWake(IoContext& context, const IoResult& result) noexcept;

  // In `error` of an armed receive: full buffers in a row, small ones of a bulk stream, or this.
  static constexpr std::int16_t kNothingYet = -1;
  static constexpr std::size_t kBatch = 128;
  // The user_data of what has no context: no address is so low.
  static constexpr std::uint64_t kCancel = 0;
  static constexpr std::uint64_t kMarker = 1;
  static constexpr std::chrono::milliseconds kTrimInterval{500};

  const ProactorOptions options_;
  const UringFeatures features_;
  BlockList<Block> blocks_;
  BufferRing buffers_;     // outlives the ring, which is declared after it
  std::string_view lent_;  // what the receive that is being told lends
  LoanCheck loans_;
  MappedMemory bulkBuffer_;
  std::uint64_t wakeCount_ = 0;
  Ring ring_;
  IoContext wakeContext_;
  IoQueue starved_;  // receives that found no buffer, oldest first
  IoQueue sated_;    // … and had received since they were armed: behind those that had not
  IoQueue failed_;   // operations whose end is known, to be told in run()
  PausedAccepts pausedAccepts_;
  DescriptorRoom descriptors_;
  TimePoint trimDue_ = kForever;     // looks whether a grown buffer ring is in use
  std::uint64_t receivedBytes_ = 0;  // by the last look
  CompletionBacklog backlog_;
  std::array<io_uring_cqe, kBatch> batch_;
  std::size_t batchSize_ = 0;
  Poller poller_;
  bool running_ = false;
  bool cancelledQueued_ = false;  // a context in starved_ may have to end
};

}  // namespace gyre
