// SimTcp: the sockets of a simulated network: who listens where, and how connections come about.
//
// Thread  The one that steps the network.
// Owns    Listeners and the engines' sockets. Numbers are never used again.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "gyre/proactor/Proactor.h"
#include "sim/SimLink.h"

namespace gyre {

struct SimOperation;
struct SimSocket;

// Who performs the operations on a socket: one engine at a time.
class SimSocketUser {
 public:
  virtual void socketChanged(SimSocket& socket) = 0;

 protected:
  ~SimSocketUser() = default;
};

struct SimListener {
  InetAddress address;
  ListenOptions options;
  std::deque<std::shared_ptr<SimLink>> backlog;
};

struct SimSocket final : SimWatcher {
  explicit SimSocket(std::int32_t socketNumber) : number(socketNumber) {}
  void linkChanged() override {
    if (user != nullptr) user->socketChanged(*this);
  }

  const std::int32_t number;
  // At most one of these three; none before connect.
  std::shared_ptr<SimLink> link;
  std::optional<SimListener> listener;
  std::optional<std::uint64_t> event;  // the counter of an eventfd
  SimSide side = SimSide::Connector;
  bool lingerZero = false;
  std::size_t sendBuffer = 0;  // by setOption; 0: the network's
  std::size_t receiveBuffer = 0;
  bool cancelled = false;  // from cancelAll to close

  SimSocketUser* user = nullptr;          // of the operations
  std::vector<SimOperation*> operations;  // that owe a terminal completion
};

class SimTcp {
 public:
  explicit SimTcp(SimWorld& world) noexcept : world_(world) {}
  SimTcp(const SimTcp&) = delete;
  SimTcp& operator=(const SimTcp&) = delete;

  // REQUIRES: the handle is open.
  SimSocket& get(SocketHandle handle) const;
  // Null when nothing is open under that handle.
  SimSocket* find(SocketHandle handle) const noexcept;

  // Throws std::system_error naming the address, the cause and the cure.
  SimSocket& listen(const InetAddress& address, const ListenOptions& options);
  // REQUIRES, of both: hasDescriptor().
  SimSocket& openStream();
  SimSocket& openAccepted(std::shared_ptr<SimLink> link, const SimSocket& listener);
  void close(SimSocket& socket);

  bool hasDescriptor() const noexcept;
  // Grows with each close: whoever waits for a descriptor compares.
  std::uint64_t closes() const noexcept { return world_.statistics().socketsClosed; }

  // Starts a connection; what comes of it is told to the watcher of its connector.
  std::shared_ptr<SimLink> connect(const InetAddress& to);
  // The same for an engine's socket, which becomes the watcher.
  void connect(SimSocket& socket, const InetAddress& to);
  // Applies what setOption said to the socket's connection.
  static void applyBuffers(SimSocket& socket);

  int openEvent();
  void signalEvent(int fd, std::uint64_t value);

 private:
  SimSocket& open();
  void sendSyn(const std::shared_ptr<SimLink>& link);
  void handleSyn(const std::shared_ptr<SimLink>& link, int attempt);
  void enterBacklog(SimSocket& listener, const std::shared_ptr<SimLink>& link);
  void scheduleFate(const std::shared_ptr<SimLink>& link);
  SimSocket* chooseListener(const InetAddress& to);
  bool isTaken(const InetAddress& address, const ListenOptions& options) const;
  std::uint16_t nextPort() noexcept;

  SimWorld& world_;
  std::vector<std::unique_ptr<SimSocket>> sockets_;  // by number
  std::vector<SimSocket*> listeners_;                // in the order of their opening
  std::int32_t nextLink_ = 0;
  std::uint16_t nextPort_ = 32768;
};

}  // namespace gyre
