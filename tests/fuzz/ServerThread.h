// ServerThread: a FuzzServer on a base loop and a thread of its own, and its successors.
//
// Thread  All of it on one thread, not the loop's.
// Owns    The thread, its loop, the server.
// Ends    Its destructor ends the loop, destroys the server there and joins.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fuzz/FuzzServer.h"

namespace gyre {

class ServerThread {
 public:
  // Throws what starting it threw.
  explicit ServerThread(FuzzContext& context);
  ServerThread(const ServerThread&) = delete;
  ServerThread& operator=(const ServerThread&) = delete;
  ~ServerThread();

  const InetAddress& address() const noexcept { return address_; }
  void end(FuzzEnding ending);
  bool hasEnded() const noexcept { return hasEnded_.load(); }
  // Another server takes the listeners over. REQUIRES: not ended, or ended by end().
  void beginRestart();
  bool isRestarting() const noexcept { return isRestarting_.load(); }
  // Of all loops together.
  std::uint64_t iterations();
  std::uint64_t bytesMoved();  // received and sent
  std::size_t connectionCount();
  std::string describe();

 private:
  void run(std::promise<InetAddress>& started);
  void replace(std::vector<UniqueFd> listeners);
  void call(const std::function<void()>& function);
  void quit();

  FuzzContext& context_;
  InetAddress address_;
  EventLoop* loop_ = nullptr;
  std::unique_ptr<FuzzServer> server_;
  int generation_ = 0;
  bool hasQuit_ = false;
  std::mutex quitMutex_;  // held as long as another thread is in EventLoop::quit()
  std::atomic<bool> hasEnded_{false};
  std::atomic<bool> isRestarting_{false};
  std::thread thread_;
};

}  // namespace gyre
