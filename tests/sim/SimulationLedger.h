// SimulationLedger: what one connection of a simulated server went through, judged as it happens.
//
// Thread  The one that steps the network.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "gyre/connection/TcpConnection.h"

namespace gyre {

// What a server does to a connection of its own accord.
struct SimulationConduct {
  enum class Kind : std::uint8_t {
    Plain,
    ReadLater,  // paused from the beginning
    ShutdownAtOnce,
    ForceCloseAtOnce,
    // These after `bytes` have been received
    Shutdown,
    ForceClose,
    Throw,
    Pause,          // stopRead, and startRead after a time
    PauseForEver,   // without startRead: only a reset ends it
    ShutdownWrite,  // and now and then stopRead with it
    SendMuch,       // more than one send takes
    SendMuchAndShutdown,
    SendMuchAndForceClose,  // after a time
    CloseOther,             // a connection of any loop
    StopServer,
    FloodFunctors,  // more than the loop runs in one iteration
    Hoard,          // from the beginning, for a time, nothing is retrieved
  };
  static constexpr std::size_t kKinds = 17;

  bool isMuch() const { return kind >= Kind::SendMuch && kind <= Kind::SendMuchAndForceClose; }

  Kind kind = Kind::Plain;
  std::size_t bytes = 0;
  std::size_t size = 0;  // of what is much
  Duration pause{};
};

struct SimulationLedger {
  TcpConnectionPtr connection;  // kept after the end: its calls must do nothing then
  SimulationConduct conduct;
  std::uint16_t clientPort = 0;
  bool conductDone = false;
  bool isPaused = false;
  bool isPausedForEver = false;
  bool hoards = false;
  bool isSendingOver = false;  // shutdown was asked for: what is sent now is ignored
  int ups = 0;
  int downs = 0;
  int closes = 0;
  int drains = 0;
  std::string received;
  std::string sent;  // all that was handed to send()
  std::size_t outputMax = 0;
  std::size_t inputMax = 0;

  bool isOver() const { return closes > 0; }
  std::string describe() const {
    return "connection " + std::to_string(connection->id()) + " from port " +
           std::to_string(clientPort) + ": received " + std::to_string(received.size()) +
           ", sent " + std::to_string(sent.size()) + ", conduct " +
           std::to_string(static_cast<int>(conduct.kind)) + ", reason " +
           std::to_string(static_cast<int>(connection->closeReason())) + ", error " +
           std::to_string(connection->error());
  }

  void up() {
    EXPECT_EQ(ups++, 0) << "a connection comes up once";
    EXPECT_TRUE(connection->connected());
    EXPECT_EQ(connection->closeReason(), CloseReason::None);
  }
  void message(std::string_view bytes) {
    expectAlive("a message");
    EXPECT_FALSE(isPaused) << "a message after stopRead()";
    received.append(bytes);
  }
  // Any other callback.
  void expectAlive(const char* what) const {
    EXPECT_EQ(ups, 1) << what;
    EXPECT_EQ(downs + closes, 0) << what << " after the end";
  }
  void down() {
    expectAlive("down");
    ++downs;
    EXPECT_TRUE(connection->disconnected());
    EXPECT_NE(connection->closeReason(), CloseReason::None);
  }
  void closed() {
    EXPECT_EQ(ups + downs, 2);
    EXPECT_EQ(closes++, 0) << "a connection closes once";
    EXPECT_EQ(connection->outputBytes() + connection->inputBytes(), 0u);
  }
};

}  // namespace gyre
