// SimProactor: an engine over a simulated network: the contract, with every REQUIRES CHECKed.
//
// Thread  The one that steps the network.
// Owns    Its operations in flight, and through its kernel the receive buffers.
// Borrows The world, the sockets and the scheduler, which outlive it.
// Ends    When no operation is in flight (CHECKed).
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "gyre/proactor/Proactor.h"
#include "sim/SimKernel.h"
#include "sim/SimScheduler.h"

namespace gyre {

struct SimSurroundings {
  SimWorld& world;
  SimTcp& tcp;
  SimScheduler& scheduler;
};

class SimProactor final : public Proactor, public SimEngine {
 public:
  SimProactor(const SimSurroundings& surroundings, std::string name);
  ~SimProactor() override;

  void wake() noexcept override { woken_ = true; }
  std::string_view name() const noexcept override { return "sim"; }
  bool sharesSocketsWith(const Proactor& other) const noexcept override;

  void accept(IoContext& context, SocketHandle listener) noexcept override;
  void receive(IoContext& context, SocketHandle socket) noexcept override;
  void receiveInto(IoContext& context, SocketHandle socket, std::span<char> into) noexcept override;
  void send(IoContext& context, SocketHandle socket,
            std::span<const IoSlice> slices) noexcept override;
  void connect(IoContext& context, SocketHandle socket, const InetAddress& to) noexcept override;
  void poll(IoContext& context, SocketHandle handle, std::uint32_t events) noexcept override;
  void read(IoContext& context, SocketHandle handle, std::span<char> into) noexcept override;
  void cancel(IoContext& context) noexcept override;
  void cancelAll(SocketHandle socket) noexcept override;
  void run(TimePoint deadline) noexcept override;

  TimePoint now() const noexcept override { return world_.now(); }
  std::uint64_t random() noexcept override { return world_.random().next(); }
  SocketHandle listen(const InetAddress& address, const ListenOptions& options) override;
  SocketHandle socket(int family) noexcept override;
  SocketHandle adopt(int fd) noexcept override;
  int setOption(SocketHandle socket, SocketOption option, int value) noexcept override;
  InetAddress localAddress(SocketHandle socket) const noexcept override;
  InetAddress peerAddress(SocketHandle socket) const noexcept override;
  bool keepLent(std::string_view bytes) noexcept override;
  void returnLent(const char* byte) noexcept override;
  IoResult trySend(SocketHandle socket, std::string_view bytes) noexcept override;
  int shutdownWrite(SocketHandle socket) noexcept override;
  int shutdownBoth(SocketHandle socket) noexcept override;
  void close(SocketHandle socket) noexcept override;

 private:
  // What the next run() submits.
  struct Request {
    SimOperation* operation;
    bool isCancel;
  };

  bool isReady() const override;
  TimePoint wakeTime() const override;

  SimOperation& begin(IoContext& context, IoKind kind, SocketHandle handle);
  void start(SimOperation& operation);
  void submit();
  void dispatch();
  void deliver(const SimCompletion& completion);
  void release(SimOperation& operation);
  void tellOperations(SimSocket& socket);
  void countBytes(IoKind kind, const IoResult& result);
  void note(std::string_view what, const SimSocket& socket, int error = 0) const;
  void checkThread() const;

  SimWorld& world_;
  SimTcp& tcp_;
  SimScheduler& scheduler_;
  const std::string name_;
  const std::thread::id thread_ = std::this_thread::get_id();
  SimKernel kernel_;
  std::deque<SimOperation> operations_;
  std::vector<SimOperation*> idle_;  // of operations_, to be used again
  std::vector<Request> requests_;
  std::string_view lent_;         // what the receive that is being told lends
  TimePoint deadline_ = kNoWait;  // of the last run
  std::atomic<bool> woken_{false};
  bool runsAgain_ = false;  // the last run delivered something or was woken: that may want another
  bool running_ = false;    // inside run()
};

}  // namespace gyre
