// TcpServer: listens on one loop and deals connections out to many.
//
// Thread  Lives on its base loop's thread. Methods under "Any thread" are for others too.
// Owns    Its acceptors, its pool of loop threads, and through their loops every connection.
// Borrows The base loop.
// Ends    drain() lets the connections come to their end, stop() closes them; both say when that is
//         done. The destructor does as stop() and waits, running the base loop meanwhile: here
//         alone close callbacks run inside a user's call. It belongs on the base loop's thread, not
//         inside an I/O callback (CHECKed): use stop() there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/base/UniqueFd.h"
#include "gyre/connection/Callbacks.h"
#include "gyre/connection/ConnectionProfile.h"
#include "gyre/connection/TcpConnection.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/EventLoopThreadPool.h"
#include "gyre/loop/ReservedTimer.h"
#include "gyre/server/ServerLimits.h"
#include "gyre/server/ServerStats.h"

namespace gyre {

class Acceptor;
class AcceptGate;
class Admission;
class UnixPath;
enum class ListenerMatch : std::uint8_t;
struct HandedListener;
struct Arrival;

// Who accepts.
enum class AcceptMode : std::uint8_t {
  BaseLoop,  // one acceptor, which deals the connections out: an exact balance
  // Every loop, with a listener of its own (SO_REUSEPORT): the kernel deals them out by a hash.
  // There is no placement then, and clients beyond connectionsMax are refused. Inherited listeners
  // are distributed over the loops, in turn for each address; loops share them where they are too
  // few. A unix listener that the server opens itself is accepted on by one loop.
  EveryLoop,
};

class GYRE_API TcpServer {
 public:
  TcpServer(EventLoop* loop, const InetAddress& listenAddress, std::string name);
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;
  ~TcpServer();

  // --- Before start (CHECKed)

  // I/O threads besides the base loop's. Default: the CPUs of this process, or fewer under a CPU
  // quota of its control groups; 0: everything on the base loop. Throws std::system_error (EINVAL)
  // outside 0..1024.
  void setThreadNum(int count);
  void setThreadInitCallback(ThreadInitCallback callback);
  void setCpus(std::vector<int> cpus);
  // Loops that the user runs himself, instead of threads. REQUIRES: their engines are like the base
  // loop's.
  void setLoops(std::vector<EventLoop*> loops);
  // Another address to listen on. Beside 0.0.0.0, [::] with the same port needs
  // ListenOptions::v6Only.
  void addListener(const InetAddress& address, const ListenOptions& options = {});
  // A socket that listens already: inherited from systemd or from a process that hands over. Its
  // backlog stays as it is, TCP_NODELAY is set on it. Throws std::system_error (EINVAL) when it is
  // none. The first one takes the place of the constructor's address when that is unspecified.
  void addListener(UniqueFd listener);
  // Of the address given to the constructor.
  void setListenOptions(const ListenOptions& options);
  void setAcceptMode(AcceptMode mode);
  void setLimits(const ServerLimits& limits);
  void setAcceptFilter(AcceptFilter filter);
  void setPlacement(Placement placement);
  void setPlacement(PlacementCallback callback);
  // All of them: also the mark given to setHighWaterMarkCallback before.
  void setConnectionOptions(const ConnectionOptions& options);
  void setConnectionCallback(ConnectionCallback callback);
  void setMessageCallback(MessageCallback callback);
  void setWriteCompleteCallback(WriteCompleteCallback callback);
  void setHighWaterMarkCallback(HighWaterMarkCallback callback, std::size_t highWaterMark);
  void setHalfCloseCallback(HalfCloseCallback callback);
  void setCloseCallback(CloseCallback callback);
  void setDrainCallback(DrainCallback callback);
  void setListenerFailedCallback(ListenerFailedCallback callback);

  // Starts the threads, then listens. Throws std::system_error naming cause and cure, or
  // std::bad_alloc; what was started by then ends with the destructor. REQUIRES: called once, on
  // the base loop's thread.
  // Loops of other threads get engines like the base loop's: where that cannot be made again
  // (EventLoop.h), REQUIRES setThreadNum(0) or setLoops().
  void start();

  // --- After start

  // Where the n-th listener listens, with the port that the kernel chose for port 0.
  InetAddress listenAddress(std::size_t index = 0) const;
  // For TcpConnection::setProfile: an empty one of this server.
  RefPtr<ConnectionProfile> makeProfile() const;
  EventLoopThreadPool& pool() noexcept { return pool_; }
  // The descriptors it listens on, for a process that takes over. They stay the server's.
  std::vector<int> listenerDescriptors() const;
  // The files of unix listeners stay when the server ends: somebody else goes on listening there.
  void keepUnixPaths() noexcept;

  // Internal, of ServiceRunner: those descriptors, and what the next process must know of them.
  std::vector<HandedListener> listenersToHandOver() const;
  // Internal, of ServiceRunner: the old process has given way, and its files are the server's.
  void takeUnixPaths() noexcept;
  // True from start() on.
  bool isStarted() const noexcept { return phase_ != Phase::New; }

  // --- Any thread

  // Stops listening, closes every connection (not waiting for what is unsent), then calls `done` on
  // the base loop. Again: only adds another `done`, which comes also when the server is destroyed
  // meanwhile. Without a `done` this cannot fail, nor with the first one on the base loop's thread;
  // else it may throw std::bad_alloc: then nothing has begun.
  void stop(std::function<void()> done = {});
  // Stops listening, then lets every connection come to its end: runs the DrainCallback for each,
  // or, without one, closes each as soon as it pauses between requests
  // (ConnectionTimeouts::drainIdle). What still lives after the limit (zero: there is none) is
  // closed as by stop(); `done` as for stop(). With a DrainCallback a connection that neither the
  // callback nor the peer ends stays until then. On another thread it may throw std::bad_alloc, and
  // with a `done` as stop(): then nothing has begun.
  void drain(TimeSpan limit, std::function<void()> done = {});
  // Accepted and not yet closed.
  std::size_t connectionCount() const noexcept;
  // REQUIRES: start() has returned.
  ServerStats stats() const;
  const std::string& name() const noexcept { return profile_->name; }
  EventLoop* getLoop() const noexcept { return loop_; }

 private:
  struct Listener {
    InetAddress wanted;     // as it was given
    InetAddress address;    // as it is bound
    std::size_t group = 0;  // which of those given it belongs to, when others came with it
    ListenOptions options;
    UniqueFd inherited;                 // until it is opened
    std::string ownedPath;              // the file that comes with an inherited unix socket
    std::vector<SocketHandle> sockets;  // one, or one per loop
    std::unique_ptr<UnixPath> path;
    std::size_t backlogWithNagle = 0;  // clients that came before TCP_NODELAY was set
    bool isInherited = false;
  };
  struct AcceptorPlace {
    EventLoop* loop;
    std::shared_ptr<Acceptor> acceptor;
    RefPtr<LoopCall> close;
    SocketHandle socket;
    std::size_t listener;  // its index
    bool isFailureTold = false;
  };
  // What one loop of the pool will be asked to do with this server's connections. Made at the
  // start, so that an end needs no memory.
  struct LoopCalls {
    EventLoop* loop;
    RefPtr<LoopCall> drain;
    RefPtr<LoopCall> close;
  };
  using DoneList = std::list<std::function<void()>>;
  using Arrivals = std::vector<Arrival>;
  enum class Phase : std::uint8_t { New, Running, Draining, Stopping, Stopped };

  void checkNotStarted(const char* call) const;
  ConnectionProfile& profileBeforeStart(const char* call);
  std::string listenerKey(const Listener& listener) const;
  void takeInherited();
  void takeInherited(std::size_t place, ListenerMatch match);
  void open(Listener& listener);
  void noteInherited(Listener& listener) const;
  void openInherited(Listener& listener);
  SocketHandle listenFor(const Listener& listener);
  void complainOfBothFamilies(const Listener& refused) const;
  static const InetAddress* localOfAll(const Listener& listener) noexcept;
  void startAcceptor(EventLoop* loop, SocketHandle socket, const Listener& listener);
  std::shared_ptr<Acceptor> makeAcceptor(EventLoop* loop, const Listener& listener);
  void tellFailedListeners() noexcept;
  void acceptHere(SocketHandle socket, const InetAddress* local);
  void acceptOn(EventLoop& loop, SocketHandle socket, const InetAddress* local);
  void makeGate();
  void place(const Arrival& arrival);
  std::size_t choosePlace(SocketHandle socket) noexcept;
  std::size_t placeByCallback(SocketHandle socket) noexcept;
  std::size_t placeInTurn() noexcept;
  void handOver();
  void handOverTo(EventLoop& loop, const Arrivals& arrivals);
  static void establish(EventLoop& loop, const RefPtr<ConnectionProfile>& profile,
                        const Arrivals& arrivals);
  void prepareEnd();
  DoneList listOf(std::function<void()> done);
  void drainInLoop(TimeSpan limit, DoneList done) noexcept;
  void stopInLoop(DoneList done) noexcept;
  void closeAcceptors() noexcept;
  void acceptorClosed() noexcept;
  void acceptorsClosed() noexcept;
  void tellDraining() noexcept;
  void closeConnections() noexcept;
  void finishStop() noexcept;

  EventLoop* const loop_;
  EventLoopThreadPool pool_;
  ThreadInitCallback threadInit_;
  RefPtr<ConnectionProfile> profile_;
  std::unique_ptr<Admission> admission_;
  std::vector<Listener> listeners_;
  std::vector<AcceptorPlace> acceptors_;
  PlacementCallback choosePlace_;
  ListenerFailedCallback onListenerFailed_;
  std::atomic<std::uint64_t> listenersFailed_{0};
  std::vector<Arrivals> arrivals_;  // of this iteration, by index of the loop
  Arrivals spareArrivals_;          // empty: its memory is for the next batch
  std::unique_ptr<AcceptGate> gate_;
  DoneList onStopped_;
  DoneList spare_;  // room for one more
  RefPtr<LoopCall> stopCall_;
  std::vector<LoopCalls> calls_;  // by index of the loop
  std::atomic<std::uint64_t> lastId_{0};
  std::size_t nextLoop_ = 0;
  std::size_t acceptorsOpen_ = 0;
  std::optional<ReservedTimer> drainTimer_;
  AcceptMode acceptMode_ = AcceptMode::BaseLoop;
  Placement placement_ = Placement::RoundRobin;
  Phase phase_ = Phase::New;
};

}  // namespace gyre
