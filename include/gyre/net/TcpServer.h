// TcpServer: listens on one loop and deals connections out to many.
//
// Thread  Lives on its base loop's thread. Methods under "Any thread" are for others too.
// Owns    Its acceptors, its pool of loop threads, and through their loops every connection.
// Borrows The base loop.
// Ends    stop() closes everything and says when that is done. The destructor does the same and
//         waits, running the base loop meanwhile: here alone close callbacks run inside a user's
//         call. It belongs on the base loop's thread, not inside an I/O callback (CHECKed): use
//         stop() there.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/EventLoopThreadPool.h"
#include "gyre/net/Callbacks.h"
#include "gyre/net/ConnectionProfile.h"
#include "gyre/net/TcpConnection.h"

namespace gyre {

class Acceptor;

class GYRE_API TcpServer {
 public:
  TcpServer(EventLoop* loop, const InetAddress& listenAddress, std::string name);
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;
  ~TcpServer();

  // --- Before start

  // I/O threads besides the base loop's: the CPUs of this process unless said; 0: everything on the
  // base loop. Throws std::system_error (EINVAL) outside 0..1024.
  void setThreadNum(int count) { pool_.setThreadNum(count); }
  void setThreadInitCallback(ThreadInitCallback callback) { threadInit_ = std::move(callback); }
  void setCpus(std::vector<int> cpus) { pool_.setCpus(std::move(cpus)); }
  // Loops that the user runs himself, instead of threads.
  void setLoops(std::vector<EventLoop*> loops) { pool_.setLoops(std::move(loops)); }
  // Another address to listen on.
  void addListener(const InetAddress& address, const ListenOptions& options = {});
  // Of the address given to the constructor.
  void setListenOptions(const ListenOptions& options) { listeners_.front().options = options; }
  void setConnectionOptions(const ConnectionOptions& options) { profile_->options = options; }
  void setConnectionCallback(ConnectionCallback callback);
  void setMessageCallback(MessageCallback callback);
  void setWriteCompleteCallback(WriteCompleteCallback callback);
  void setHighWaterMarkCallback(HighWaterMarkCallback callback, std::size_t highWaterMark);
  void setHalfCloseCallback(HalfCloseCallback callback);
  void setCloseCallback(CloseCallback callback);

  // Starts the threads, then listens. Throws std::system_error naming cause and cure; what
  // was started by then ends with the destructor. REQUIRES: called once, on the base loop's thread.
  void start();

  // --- After start

  // Where the n-th listener listens, with the port that the kernel chose for port 0.
  InetAddress listenAddress(std::size_t index = 0) const;
  // For TcpConnection::setProfile: an empty one of this server.
  RefPtr<ConnectionProfile> makeProfile() const;
  EventLoopThreadPool& pool() noexcept { return pool_; }

  // --- Any thread

  // Stops listening, closes every connection (not waiting for what is unsent), then calls `done` on
  // the base loop. Again: only adds another `done`.
  void stop(std::function<void()> done = {});
  // Accepted and not yet closed.
  std::size_t connectionCount() const noexcept;
  const std::string& name() const noexcept { return profile_->name; }
  EventLoop* getLoop() const noexcept { return loop_; }

 private:
  struct Listener {
    InetAddress address;
    ListenOptions options;
    std::shared_ptr<Acceptor> acceptor;
  };
  struct Arrival {
    SocketHandle socket;
    std::uint64_t id;
  };
  using Arrivals = std::vector<Arrival>;

  void listen(Listener& listener);
  void newConnection(SocketHandle socket);
  void handOver();
  static void establish(EventLoop& loop, const RefPtr<ConnectionProfile>& profile,
                        const Arrivals& arrivals);
  void stopInLoop(std::function<void()> done);
  void acceptorClosed();
  void closeConnections();
  void finishStop();

  EventLoop* const loop_;
  EventLoopThreadPool pool_;
  ThreadInitCallback threadInit_;
  RefPtr<ConnectionProfile> profile_;
  std::vector<Listener> listeners_;
  std::vector<Arrivals> arrivals_;  // of this iteration, by index of the loop
  std::vector<std::function<void()>> onStopped_;
  std::uint64_t lastId_ = 0;
  std::size_t nextLoop_ = 0;
  std::size_t acceptorsOpen_ = 0;
  bool isStarted_ = false;
  bool isStopping_ = false;
  bool isStopped_ = false;
};

}  // namespace gyre
