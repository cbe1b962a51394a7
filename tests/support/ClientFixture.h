// ClientFixture: a client and, when asked for, a server on the test's loop, and what the client's
// callbacks have told.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyre/client/TcpClient.h"
#include "support/ConformanceKernelWorld.h"
#include "support/ServerFixture.h"

namespace gyre {

class ClientFixture : public ServerFixture {
 protected:
  void TearDown() override;

  // Replaces the client by one whose callbacks write down their names in told(): "up", "message",
  // "written", "down", "close", "failed". What arrives is kept in received().
  TcpClient& aim(const InetAddress& server);
  TcpClient& watch(std::unique_ptr<TcpClient> client);
  TcpClient& client() noexcept { return *client_; }
  void endClient() { client_.reset(); }
  bool hasClient() const noexcept { return client_ != nullptr; }
  // Short delays, without chance.
  static ConnectOptions quick();

  const std::vector<std::string>& told() const noexcept { return told_; }
  std::size_t timesTold(const std::string& what) const;
  bool runUntilTold(const std::string& what, std::size_t times = 1);
  const std::string& received() const noexcept { return received_; }
  const std::vector<ConnectFailure>& failures() const noexcept { return failures_; }
  // Runs inside every callback of the client.
  std::function<void(const std::string& what)> onTold;

  // Addresses where nobody listens, and where nobody answers.
  InetAddress refusing() { return world().refusingAddress(); }
  InetAddress silent() { return world().silentAddress(); }
  ConformanceKernelWorld& world();

 private:
  void tell(const std::string& what);

  std::optional<ConformanceKernelWorld> world_;
  std::unique_ptr<TcpClient> client_;
  std::vector<std::string> told_;
  std::vector<ConnectFailure> failures_;
  std::string received_;
};

}  // namespace gyre
