// ConformanceSimWorld: a simulated engine, and both ends of simulated connections to test it with.
#pragma once

#include <memory>

#include "gyre/sim/SimNetwork.h"
#include "support/ConformanceWorld.h"

namespace gyre {

struct SimSocket;
class SimLink;
class SimTcp;

class ConformanceSimWorld final : public ConformanceWorld {
 public:
  // Segments take no time, as on a loopback: what a peer did has arrived when its call returns.
  explicit ConformanceSimWorld(SimOptions options);

  std::unique_ptr<Proactor> makeProactor() override { return network_.makeProactor("engine"); }
  ConformanceLink link(Proactor& proactor, int bufferBytes) override;
  std::unique_ptr<ConformancePeer> connectTo(const InetAddress& address) override;
  std::unique_ptr<ConformancePeer> takeClient() override;
  InetAddress acceptingAddress() override;
  InetAddress refusingAddress() override;
  InetAddress silentAddress() override;
  InetAddress fullUnixAddress() override;
  void takeFromFullUnix() override;

 private:
  SimTcp& tcp();
  SimSocket& accepting();
  std::shared_ptr<SimLink> connect(const InetAddress& address);

  SimNetwork network_;
  SimSocket* accepting_ = nullptr;
  SimSocket* silent_ = nullptr;
  SimSocket* fullUnix_ = nullptr;
};

}  // namespace gyre
