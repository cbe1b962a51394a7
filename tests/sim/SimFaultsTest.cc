#include "sim/SimFixture.h"
#include "sim/SimRawEcho.h"
#include "support/ChildProcess.h"

namespace gyre {
namespace {

constexpr std::size_t kClients = 4;

struct History {
  SimStatistics statistics;
  std::uint64_t hash = 0;
  Duration duration{};
};

void script(SimClient& client, const InetAddress& address, std::uint64_t choice) {
  const std::size_t size = 1 + choice % 150'000;
  client.connect(address);
  if (choice % 5 == 0) client.stall();
  if (choice % 7 == 0) client.halfClose();  // and so what follows is impossible
  client.send(simPattern(size), {.bytes = size / (1 + choice % 3) + 1, .pause = 1ms});
  switch (choice % 5) {
    case 0: client.wait(3s).reset(); break;
    case 1: client.halfClose().awaitBytes(size).awaitEnd().close(); break;
    case 2: client.awaitBytes(size / 2).close(); break;
    case 3: client.awaitBytes(size).close(); break;
    default: client.wait(Duration(choice % 1'000'000)).close(); break;
  }
}

// A second engine connects as a client, so that connect, poll and cancelled sends have their turn.
void visit(SimNetwork& network, const InetAddress& address, std::uint64_t choice) {
  const auto engine = network.makeProactor("visitor");
  network.addLoop(*engine, [&engine] { engine->run(kForever); });
  const SocketHandle socket = engine->socket(AF_INET);
  SimRecorder connect;
  engine->connect(connect.context, socket, address);
  network.runUntil([&] { return connect.hasEnded(); }, 1h);
  ASSERT_TRUE(connect.hasEnded());
  const std::string bytes = simPattern(200'000);
  SimRecorder send;
  SimRecorder receive;
  if (connect.error() == 0) {
    const IoSlice slice{bytes.data(), bytes.size()};
    engine->send(send.context, socket, {&slice, 1});
    engine->receive(receive.context, socket);
    network.runFor(Duration(choice % 3'000'000));
    engine->cancelAll(socket);
    network.runUntil([&] { return send.hasEnded() && receive.hasEnded(); }, 1h);
    ASSERT_TRUE(send.hasEnded() && receive.hasEnded());
    EXPECT_EQ(receive.data, bytes.substr(0, receive.data.size()));
  }
  engine->close(socket);
}

// What came back is the beginning of what was sent: no byte invented, lost or out of order.
void expectEcho(const SimClient& client, bool everything) {
  EXPECT_EQ(client.received(), simPattern(client.received().size()));
  EXPECT_LE(client.bytesReceived(), client.bytesSent());
  if (!everything) return;
  EXPECT_EQ(client.bytesReceived(), client.bytesSent());
}

History play(const SimOptions& options, std::function<void(std::string_view)> sink = {}) {
  SimNetwork network(options);
  network.setTraceSink(std::move(sink));
  SimRawEcho server(network);
  std::vector<std::unique_ptr<SimClient>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<SimClient>(network, "client" + std::to_string(i)));
    script(*clients.back(), server.address(), server.engine().random());
  }
  const TimePoint begin = network.now();
  visit(network, server.address(), server.engine().random());
  network.runFor(10min);
  for (const auto& client : clients) {
    EXPECT_TRUE(client->isFinished());
    expectEcho(*client, client->hasEnded() && server.aborted() == 0);
  }
  EXPECT_EQ(server.connections(), 0u) << "every connection ends by itself";
  server.stop();
  EXPECT_TRUE(network.runUntil([&] { return server.isStopped(); }, 1h));
  EXPECT_EQ(network.statistics().socketsOpen(), 1u) << "the listener";
  return {network.statistics(), network.traceHash(), network.now() - begin};
}

// Tiny rings and windows for some.
SimOptions optionsOf(std::uint64_t seed, double scale) {
  SimOptions options{.seed = seed, .faults = SimFaults::everything(scale)};
  if (seed % 3 == 0) options.completionEntries = 4;
  if (seed % 4 == 0) options.receiveBuffers = 2;
  if (seed % 5 == 0) options.sendBuffer = options.receiveBuffer = 2048;
  if (seed % 6 == 0) options.descriptorsMax = 4;
  return options;
}

TEST(SimFaultsTest, NoFaults_everyClientIsServed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const History history = play({.seed = seed});
    EXPECT_EQ(history.statistics[SimFault::CompletionReordered], 0u);
    EXPECT_EQ(history.statistics[SimFault::ReceiveSplit], 0u);
    EXPECT_EQ(history.statistics.connections, kClients + 1);
  }
}

TEST(SimFaultsTest, Everything_everyKindComesAboutAndNoByteIsLost) {
  SimStatistics sum;
  for (std::uint64_t seed = 1; seed <= 400 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const History history = play(optionsOf(seed, 1));
    for (std::size_t i = 0; i < kSimFaults; ++i) sum.faults[i] += history.statistics.faults[i];
  }
  for (std::size_t i = 0; i < kSimFaults; ++i) {
    EXPECT_GT(sum.faults[i], 0u) << simFaultName(static_cast<SimFault>(i));
  }
}

TEST(SimFaultsTest, EachFaultAlone_comesAboutOrIsOnlySeen) {
  const SimFaults all = SimFaults::everything();
  for (std::size_t i = 0; i < kSimFaults; ++i) {
    const auto fault = static_cast<SimFault>(i);
    if (all[fault] == 0) continue;
    std::uint64_t count = 0;
    for (std::uint64_t seed = 1; seed <= 50 && count == 0; ++seed) {
      SCOPED_TRACE(testing::Message() << simFaultName(fault) << ", seed " << seed);
      SimOptions options{.seed = seed};
      options.faults[fault] = 0.3;
      count = play(options).statistics[fault];
    }
    EXPECT_GT(count, 0u) << simFaultName(fault);
  }
}

TEST(SimFaultsTest, Hash_sameSeed_isTheSame) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const History one = play(optionsOf(seed, 1));
    const History two = play(optionsOf(seed, 1));
    EXPECT_EQ(one.hash, two.hash) << "seed " << seed;
    EXPECT_EQ(one.duration, two.duration) << "seed " << seed;
    EXPECT_NE(one.hash, play(optionsOf(seed + 100, 1)).hash);
  }
}

TEST(SimFaultsTest, Trace_sameSeed_isTheSameToTheLetter) {
  std::string one;
  std::string two;
  play(optionsOf(7, 1), [&one](std::string_view line) { one.append(line).append("\n"); });
  play(optionsOf(7, 1), [&two](std::string_view line) { two.append(line).append("\n"); });
  EXPECT_GT(one.size(), 1000u);
  EXPECT_TRUE(one == two);
  EXPECT_THAT(one, testing::HasSubstr(" echo: delivers, operation "));
  EXPECT_THAT(one, testing::HasSubstr(" client0: connects"));
}

std::uint64_t historyHash() {
  std::uint64_t sum = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    sum = sum * 31 + play(optionsOf(seed, 1)).hash;
  }
  return sum;
}

int tellHistory(LineChannel& parent) {
  while (parent.hear()) parent.say(std::to_string(historyHash()));
  return 0;
}

const ChildProgram kHistory("sim-history", &tellHistory);

TEST(SimFaultsTest, Hash_anotherProcess_isTheSame) {
  ChildProcess other("sim-history");
  EXPECT_EQ(other.ask("hash"), std::to_string(historyHash()));
}

// The same in every build: optimised or not, sanitized or not, by either compiler. Whoever changes
// the engine or the scenario on purpose writes down the new value here.
TEST(SimFaultsTest, Hash_everyBuild_isTheSame) { EXPECT_EQ(historyHash(), 0x2b537cc23e1d28f5u); }

}  // namespace
}  // namespace gyre
