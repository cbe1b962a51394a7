// ConformanceKernelWorld: an engine over the kernel, and plain loopback sockets on the other side.
#pragma once

#include <vector>

#include "gyre/base/UniqueFd.h"
#include "support/ConformanceWorld.h"

namespace gyre {

class ConformanceKernelWorld final : public ConformanceWorld {
 public:
  using Factory = std::unique_ptr<Proactor> (*)(const ProactorOptions& options);

  ConformanceKernelWorld(Factory factory, ProactorOptions options);

  std::unique_ptr<Proactor> makeProactor() override { return factory_(options_); }
  ConformanceLink link(Proactor& proactor, int bufferBytes) override;
  std::unique_ptr<ConformancePeer> connectTo(const InetAddress& address) override;
  std::unique_ptr<ConformancePeer> takeClient() override;
  InetAddress acceptingAddress() override;
  InetAddress refusingAddress() override;
  InetAddress silentAddress() override;
  InetAddress fullUnixAddress() override;
  void takeFromFullUnix() override;

 private:
  const Factory factory_;
  const ProactorOptions options_;
  UniqueFd listener_;
  UniqueFd refusing_;  // bound, not listening: keeps the port
  UniqueFd silent_;    // listening, with a full queue
  std::vector<UniqueFd> silentQueue_;
  UniqueFd fullUnix_;  // the same, of the unix family
  std::vector<UniqueFd> fullUnixQueue_;
};

// A TCP connection over loopback, both ends blocking.
struct TcpPair {
  UniqueFd near;
  UniqueFd far;
};
TcpPair makeTcpPair();

// A plain socket. REQUIRES: it is connected.
std::unique_ptr<ConformancePeer> makeKernelPeer(UniqueFd fd);

}  // namespace gyre
