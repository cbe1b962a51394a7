#include "sim/SimulationClient.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace gyre {
namespace {

void appendInt(std::string& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
}

std::uint32_t readInt(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// What only this sender says at this place.
std::string simulationBytes(std::uint32_t sender, std::uint32_t place, std::size_t size) {
  SimRandom random(std::uint64_t{sender} << 32 | place);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  return bytes;
}

// Header, number within the sender's frames, content.
std::string simulationFrame(std::uint32_t sender, std::uint32_t number, std::size_t size) {
  std::string frame;
  appendInt(frame, static_cast<std::uint32_t>(size + 4));
  appendInt(frame, sender);
  appendInt(frame, number);
  return frame + simulationBytes(sender, number, size);
}

// After a timeout's FIN the user may send what goes nowhere.
bool claimsAll(CloseReason reason) {
  return reason != CloseReason::IdleTimeout && reason != CloseReason::FirstByteTimeout &&
         reason != CloseReason::ReadIdleTimeout && reason != CloseReason::Deadline &&
         reason != CloseReason::Drained && reason != CloseReason::LingerTimeout &&
         reason != CloseReason::None;
}

bool losesConnections(const SimStatistics& network) {
  return network[SimFault::ResetIdle] + network[SimFault::ResetReceiving] +
             network[SimFault::ResetSending] + network[SimFault::ResetInBacklog] +
             network[SimFault::PeerVanished] + network[SimFault::AcceptAborted] >
         0;
}

}  // namespace

SimulationClient::SimulationClient(SimNetwork& network, SimRandom& random,
                                   const SimulationServer& server, std::uint32_t number)
    : random_(random),
      settings_(server.settings()),
      number_(number),
      client_(network, "client" + std::to_string(number)) {
  makeStream();
  script(server.address());
}

void SimulationClient::makeStream() {
  const std::size_t size = random_.below(random_.chance(0.2) ? 100'000 : 10'000);
  if (settings_.protocol == SimulationProtocol::Echo) {
    stream_ = simulationBytes(number_, 0, size);
    return;
  }
  for (std::uint32_t frame = 0; stream_.size() < size; ++frame) {
    stream_ += simulationFrame(number_, frame, random_.below(random_.chance(0.2) ? 4000 : 200));
  }
}

void SimulationClient::script(const InetAddress& address) {
  client_.wait(Duration(static_cast<Duration::rep>(random_.below(20'000'000))));
  client_.connect(address);
  if (random_.chance(0.1)) {
    client_.halfClose().awaitEnd().close();
    return;
  }
  if (random_.chance(0.2)) client_.wait(std::chrono::milliseconds(random_.below(500)));
  const bool readsSlowly = random_.chance(settings_.isStuck ? 0.8 : 0.2);
  if (readsSlowly) client_.setReadPace({2048, std::chrono::milliseconds(500)});
  sendStream();
  if (readsSlowly) {
    client_.wait(std::chrono::milliseconds(random_.below(5000)));
    client_.then([](SimClient& self) { self.setReadPace({}); });
  }
  endScript();
}

void SimulationClient::sendStream() {
  const std::string bytes = settings_.isFiltered ? SimulationFilter::flip(stream_) : stream_;
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t size = random_.between(1, bytes.size() - done);
    SimPace pace;
    if (random_.chance(0.2)) pace = {size / 5 + 1, std::chrono::milliseconds(random_.below(300))};
    if (random_.chance(0.1)) client_.stall().wait(std::chrono::seconds(1)).resume();
    client_.send(bytes.substr(done, size), pace);
    if (random_.chance(0.2)) client_.wait(std::chrono::milliseconds(random_.below(1000)));
    done += size;
  }
}

void SimulationClient::endScript() {
  const std::uint64_t choice = random_.below(11);
  closesEarly_ = choice >= 6;
  resets_ = choice == 6 || choice == 10;
  if (choice < 6) client_.halfClose().awaitEnd().close();
  if (resets_) client_.reset();
  if (choice == 7) client_.stall().wait(std::chrono::seconds(20)).close();
  if (choice == 8) client_.wait(std::chrono::milliseconds(random_.below(2000))).close();
  if (choice == 9) client_.halfClose().awaitBytes(random_.below(stream_.size() + 1)).close();
}

std::string SimulationClient::plainReceived() const {
  return settings_.isFiltered ? SimulationFilter::flip(client_.received()) : client_.received();
}

std::string SimulationClient::describe(const SimulationLedger& ledger) const {
  std::string text = client_.name() + ": sent " + std::to_string(client_.bytesSent());
  text += ", received " + std::to_string(client_.bytesReceived());
  text += client_.hasEnded() ? ", ended" : "";
  text += client_.wasReset() ? ", reset" : "";
  return text + "; " + ledger.describe();
}

void SimulationClient::expectHonest(const SimulationLedger* ledger,
                                    const SimStatistics& network) const {
  const std::string plain = plainReceived();
  if (ledger == nullptr) {
    EXPECT_EQ(plain, "") << "bytes from nowhere";
    return;
  }
  SCOPED_TRACE(describe(*ledger));
  EXPECT_LE(ledger->received.size(), client_.bytesSent());
  EXPECT_TRUE(stream_.starts_with(ledger->received)) << "the server got other bytes than were sent";

  const CloseReason reason = ledger->connection->closeReason();
  // With an error: a broadcast came after its end was known, and was lost.
  const bool isGraceful = (reason == CloseReason::PeerClosed || reason == CloseReason::Shutdown) &&
                          ledger->connection->error() == 0 && !closesEarly_;
  if (isGraceful && !losesConnections(network)) {
    EXPECT_TRUE(client_.hasEnded() && !client_.wasReset()) << "a graceful close was none";
  }
  const bool isWhole = isGraceful && client_.hasEnded();
  if (settings_.protocol == SimulationProtocol::Broadcast) {
    expectFrames(plain);
  } else {
    EXPECT_TRUE(ledger->sent.starts_with(plain)) << "the client got other bytes than were sent";
    EXPECT_TRUE(!isWhole || plain == ledger->sent) << "the end of the answer is missing";
  }
  // Whoever ends a stream with FIN has sent all that it was given, why ever it ended.
  if (client_.hasEnded() && !client_.wasReset() && claimsAll(reason) &&
      settings_.protocol != SimulationProtocol::Broadcast) {
    EXPECT_EQ(plain.size(), ledger->sent.size()) << "bytes were lost, and a FIN hides it";
  }
  const bool takesAll = settings_.protocol == SimulationProtocol::Echo &&
                        !settings_.retrievesParts &&
                        ledger->conduct.kind != SimulationConduct::Kind::Hoard;
  if (isWhole && takesAll && reason == CloseReason::PeerClosed) {
    EXPECT_EQ(ledger->received.size(), client_.bytesSent()) << "the end of the question is missing";
  }
}

// Frames as they were sent, those of one sender in order and without a gap. The last may be cut.
void SimulationClient::expectFrames(std::string_view bytes) const {
  std::map<std::uint32_t, std::uint32_t> next;
  while (bytes.size() >= kFrameHeader + 4) {
    const std::size_t length = readInt(bytes);
    const std::uint32_t sender = readInt(bytes.substr(4));
    const std::uint32_t number = readInt(bytes.substr(8));
    ASSERT_LE(length, kFrameMax) << "the stream is no longer one of frames";
    if (bytes.size() < kFrameHeader + length) return;
    // Of others it sees what came after it did; of its own, all.
    const auto expected = next.emplace(sender, sender == number_ ? 0 : number).first;
    EXPECT_EQ(number, expected->second++) << "a frame of sender " << sender << " is missing";
    const std::string_view content = bytes.substr(kFrameHeader + 4, length - 4);
    EXPECT_EQ(content, simulationBytes(sender, number, length - 4));
    bytes.remove_prefix(kFrameHeader + length);
  }
}

}  // namespace gyre
