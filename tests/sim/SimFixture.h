// SimFixture: a simulated network with one engine, for tests of the raw contract.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gyre/sim/SimClient.h"
#include "gyre/sim/SimNetwork.h"

namespace gyre {

using namespace std::chrono_literals;

// Bytes that say where in the stream they belong.
inline std::string simPattern(std::size_t size, std::size_t offset = 0) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t place = offset + i;
    bytes[i] = static_cast<char>((place * 131 + (place >> 8) * 17 + (place >> 16)) & 0xff);
  }
  return bytes;
}

// An operation and everything it was told.
struct SimRecorder {
  SimRecorder() = default;
  // Cancels and joins nothing: the test does.
  SimRecorder(const SimRecorder&) = delete;
  SimRecorder& operator=(const SimRecorder&) = delete;

  static void handle(IoContext& context, const IoResult& result) noexcept;

  bool hasEnded() const { return !told.empty() && !told.back().more; }
  int error() const { return told.back().error; }
  std::size_t bytes() const { return told.back().bytes; }

  IoContext context{&SimRecorder::handle};
  std::vector<IoResult> told;
  std::string data;
  std::function<void(const IoResult&)> onResult;
};

inline void SimRecorder::handle(IoContext& context, const IoResult& result) noexcept {
  SimRecorder& self = ownerOf<&SimRecorder::context>(context);
  self.told.push_back(result);
  if (result.data != nullptr) self.data.append(result.data, result.bytes);
  if (self.onResult) self.onResult(result);
}

class SimFixture : public testing::Test {
 protected:
  explicit SimFixture(const SimOptions& options = {}) { rebuild(options); }

  // Everything anew, with other options.
  void rebuild(const SimOptions& options) {
    engine_.reset();
    network_ = std::make_unique<SimNetwork>(options);
    engine_ = network_->makeProactor("engine");
    Proactor* engine = engine_.get();
    network_->addLoop(*engine, [engine] { engine->run(kForever); });
  }

  SimNetwork& network() { return *network_; }
  Proactor& engine() { return *engine_; }
  void destroyEngine() { engine_.reset(); }

  bool runUntil(const std::function<bool()>& predicate, Duration timeout = 1h) {
    return network_->runUntil(predicate, timeout);
  }
  bool runUntilEnd(const SimRecorder& operation) {
    return runUntil([&operation] { return operation.hasEnded(); });
  }
  void settle() { network_->runFor(10min); }

  void listen(const ListenOptions& options = {}) {
    listener_ = engine().listen(InetAddress("127.0.0.1:0"), options);
    address_ = engine().localAddress(listener_);
  }
  // Connects the client and accepts it.
  SocketHandle acceptFrom(SimClient& client) {
    if (!listener_.isValid()) listen();
    SimRecorder accept;
    engine().accept(accept.context, listener_);
    client.connect(address_);
    EXPECT_TRUE(runUntil([&] { return !accept.told.empty() && client.isConnected(); }));
    engine().cancel(accept.context);
    EXPECT_TRUE(runUntilEnd(accept));
    return accept.told.front().socket;
  }
  void send(SimRecorder& operation, SocketHandle socket, std::string_view bytes) {
    const IoSlice slice{bytes.data(), bytes.size()};
    engine().send(operation.context, socket, {&slice, 1});
  }
  void TearDown() override {
    if (listener_.isValid() && engine_) engine().close(listener_);
  }

  SocketHandle listener_;
  InetAddress address_;

 private:
  std::unique_ptr<SimNetwork> network_;
  std::unique_ptr<Proactor> engine_;
};

}  // namespace gyre
