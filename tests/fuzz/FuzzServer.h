// FuzzServer: a TcpServer that does to its connections what their conducts say, and notes it.
//
// Thread  Made, started, ended and destroyed on its base loop's thread; its callbacks run on all of
//         its loops.
// Owns    The server. The ledgers belong to the book, which outlives all loops.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fuzz/Ledger.h"
#include "fuzz/Outside.h"
#include "fuzz/PeerDirectory.h"
#include "fuzz/Scenario.h"
#include "fuzz/Verdict.h"
#include "gyre/server/TcpServer.h"

namespace gyre {

// Every connection of a run, whichever server had it.
class LedgerBook {
 public:
  Ledger& open(int generation, std::unique_ptr<Ledger> ledger);
  // Null for a connection that never came up.
  Ledger* find(int generation, std::uint64_t id);
  // When everything has ended.
  std::vector<Ledger*> all();

 private:
  std::mutex mutex_;
  std::map<std::pair<int, std::uint64_t>, std::unique_ptr<Ledger>> ledgers_;
};

// What the servers of a run share.
struct FuzzContext {
  const Scenario& scenario;
  PeerDirectory& peers;
  LedgerBook& book;
  Verdict& verdict;
  Outside* outside = nullptr;  // null: the simulation has one thread
  // Somebody, a callback for instance, has asked a server to end.
  std::atomic<bool> isEnding{false};
};

class FuzzServer {
 public:
  // `loops`: the workers of a simulation; empty: the server starts its own threads.
  FuzzServer(EventLoop* base, std::vector<EventLoop*> loops, FuzzContext& context, int generation);

  void start(std::vector<UniqueFd> inherited = {});
  TcpServer& server() noexcept { return *server_; }
  void end(FuzzEnding ending, std::function<void()> done);

 private:
  void setCallbacks();
  void setCallbacks(ConnectionProfile& profile);
  PeerFacts* noteArrival(const InetAddress& address);
  PeerFacts* peerOf(const TcpConnection& connection);
  Ledger& ledgerOf(const TcpConnectionPtr& connection);
  void handleUp(const TcpConnectionPtr& connection);
  void handleDown(const TcpConnectionPtr& connection);
  void handleMessage(const TcpConnectionPtr& connection, Buffer& input);
  void handleHalfClose(const TcpConnectionPtr& connection);
  void handleDrain(const TcpConnectionPtr& connection);
  void handleClose(const TcpConnectionPtr& connection);
  void answer(Ledger& ledger, Buffer& input, std::size_t size);
  void echo(Ledger& ledger, Buffer& input, std::size_t size);
  void sendLarge(Ledger& ledger);
  void send(Ledger& ledger, std::shared_ptr<const std::string> bytes);
  static void sendNow(Ledger& ledger, const std::shared_ptr<const std::string>& bytes,
                      std::uint64_t form);
  void doEvent(Ledger& ledger);
  void request(Ledger& ledger, void (TcpConnection::*ending)());
  void pause(Ledger& ledger);
  void later(Ledger& ledger, std::function<void(Ledger&)> call);
  std::string plain(std::string_view wire) const;

  FuzzContext& context_;
  const Scenario& scenario_;
  const int generation_;
  // What its callbacks use, which run on other threads until it is gone.
  RefPtr<ConnectionProfile> otherProfile_;
  std::mutex arrivalsMutex_;
  std::vector<PeerFacts*> arrivals_;  // of a unix listener: by id, from 1
  std::atomic<std::size_t> up_{0};
  std::unique_ptr<TcpServer> server_;
};

}  // namespace gyre
