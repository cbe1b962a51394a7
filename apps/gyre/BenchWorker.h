// BenchWorker: one thread of gyre bench, with its share of the connections.
//
// Thread  Made and destroyed by the command's thread; the methods under "Any thread" post.
// Owns    Its loop's thread, its connections, and what they count.
// Borrows The plan and the payload.
// Ends    After Event::Closed, when nothing is in flight any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "BenchConnection.h"
#include "BenchLedger.h"
#include "BenchPlan.h"
#include "gyre/loop/EventLoop.h"
#include "gyre/loop/EventLoopThread.h"

namespace gyre {

class BenchWorker {
 public:
  enum class Event : std::uint8_t {
    Settled,  // every connection has opened or failed
    Opened,   // the window is open
    WindowClosed,
    Finished,  // all that was owed has come
    Lost,      // no connection is left
    Closed,    // every connection is closed
  };
  // Runs on the worker's thread.
  using EventCallback = std::function<void(Event)>;

  BenchWorker(const BenchPlan& plan, const BenchPayload& payload, BenchShare share,
              EventCallback callback);

  // --- Any thread, in this order

  void connectAll();
  void start();
  void openWindow();
  void closeWindow();
  void finishUp();
  void closeAll();

  // Messages so far, for a progress line.
  std::uint64_t messagesSoFar() const noexcept { return ledger_.messagesSoFar(); }
  // REQUIRES: Event::Closed has come.
  const BenchTally& tally() const noexcept { return ledger_.tally(); }

 private:
  void hear(BenchConnection& connection, BenchConnection::News news);
  void onSettled();
  void onFinished();
  void onClosed(BenchConnection& connection, bool hasFailed);
  void openMore();
  void reopen(BenchConnection& connection, bool hasFailed);
  void sendDue();

  const BenchPlan& plan_;
  const EventCallback callback_;
  BenchLedger ledger_;
  bool isSending_ = false;
  bool isClosing_ = false;
  bool isOpeningMore_ = false;
  std::size_t nextToOpen_ = 0;
  std::size_t opening_ = 0;
  std::size_t finished_ = 0;
  std::size_t lost_ = 0;
  std::size_t closed_ = 0;
  std::uint64_t nextSlot_ = 0;  // of the open loop
  std::optional<BenchConnection::Surroundings> surroundings_;
  std::deque<BenchConnection> connections_;
  EventLoop* loop_ = nullptr;
  EventLoopThread thread_;  // the last: it ends before what its functors use
};

}  // namespace gyre
