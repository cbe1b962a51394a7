// SimNetwork: an in-memory network with virtual time, repeatable to the byte from one seed.
//
//   SimNetwork network({.seed = 7, .faults = SimFaults::everything()});
//   EventLoop loop(network.makeProactor("main"));
//   network.addLoop(loop.proactor(), [&loop] { loop.runOnce(kForever); });
//   SimClient client(network, "client");
//   client.connect(address).send("hello").awaitBytes(5).close();
//   network.runUntil([&client] { return client.isFinished(); }, std::chrono::seconds(10));
//
// The seed decides which loop runs next, in which order completions come, how the bytes are cut and
// what goes wrong. Time stands still while anything is ready and then jumps to whatever comes next.
// A step of a loop does not wait: Proactor::run delivers what is ready and returns. Called
// elsewhere (or for the second time in a step) it waits virtually: it steps the rest of the network
// meanwhile.
//
// The engines CHECK every REQUIRES of Proactor.h. Lent bytes are overwritten with 0xDD when the
// handler has returned (and poisoned under the address sanitizer); the bytes of a send are CHECKed
// to be unchanged until it has completed; a handle is never used again, so a stale one is a CHECK.
//
// Thread  One thread makes, steps and destroys everything.
// Owns    Listeners, sockets, the bytes on their way, time. Not the engines, not the clients.
// Ends    After every engine and client (CHECKed).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gyre/base/Export.h"
#include "gyre/proactor/Proactor.h"
#include "gyre/sim/SimFaults.h"

namespace gyre {

class SimFabric;

class GYRE_API SimNetwork {
 public:
  explicit SimNetwork(const SimOptions& options = {});
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;
  ~SimNetwork();

  // An engine of this network. The name is for the trace.
  std::unique_ptr<Proactor> makeProactor(std::string name);
  // How to step the loop of an engine: one iteration, with one run() of that engine. It is stepped
  // whenever the engine has something to do; never again once a step did not run it, or it is gone.
  void addLoop(Proactor& engine, std::function<void()> step);

  // Does one thing: steps a loop, or lets the network do something, after advancing the time when
  // nothing is ready. False when nothing will ever happen any more.
  bool step();
  // Steps until the predicate holds. False when it does not by then, or never will.
  bool runUntil(const std::function<bool()>& predicate, Duration timeout);
  // Steps until that much virtual time has passed.
  void runFor(Duration duration);

  // Virtual; begins at a fixed moment after the clock's epoch.
  TimePoint now() const noexcept;

  // A descriptor like an eventfd, for Proactor::adopt. Real descriptors are not adopted (EBADF).
  int openEvent();
  // Adds to its counter, as write(2) does.
  void signalEvent(int fd, std::uint64_t value);

  const SimOptions& options() const noexcept;
  const SimStatistics& statistics() const noexcept;
  // Of every event so far. The same seed and the same program give the same hash in every process
  // and every build.
  std::uint64_t traceHash() const noexcept;
  // Adds an event of the user's.
  void note(std::string_view text);
  // One readable line per event, without the line's end; an empty function turns it off.
  void setTraceSink(std::function<void(std::string_view line)> sink);

  // Internal
  SimFabric& fabric() noexcept { return *fabric_; }

 private:
  std::unique_ptr<SimFabric> fabric_;
};

}  // namespace gyre
