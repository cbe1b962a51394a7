// ResolverFixture: a resolver on the test's loop, its only name server, and the results.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "gyre/names/Resolver.h"
#include "support/FakeDnsServer.h"
#include "support/LoopFixture.h"

namespace gyre {

using Kind = DnsAnswer::Kind;
using Texts = std::vector<std::string>;

class ResolverFixture : public LoopFixture {
 protected:
  void SetUp() override {
    LoopFixture::SetUp();
    if (!IsSkipped()) server_.emplace();
  }
  void TearDown() override {
    if (IsSkipped()) return;
    resolver_.reset();
    server_.reset();
    settle();
    EXPECT_EQ(loop().residentCount(), 0U);
    LoopFixture::TearDown();
  }

  FakeDnsServer& server() { return *server_; }
  ResolverOptions options() {
    ResolverOptions options;
    options.servers = {server_->address()};
    return options;
  }
  Resolver& resolver() {
    if (!resolver_) resolver_.emplace(&loop(), options());
    return *resolver_;
  }
  void make(const ResolverOptions& options) { resolver_.emplace(&loop(), options); }
  void endResolver() { resolver_.reset(); }

  // The answer will be in results_, in the order of the answers.
  ResolveId ask(const std::string& host) {
    return resolver().resolve({host, 80},
                              [this](const ResolveResult& result) { results_.push_back(result); });
  }
  bool runUntilResults(std::size_t count) {
    return runUntil([&] {
      server_->serve();
      return results_.size() >= count;
    });
  }
  // The same, told as addresses come.
  ResolveId askEach(const std::string& host) {
    return resolver().resolveEach(
        {host, 80}, [this](const ResolveResult& result) { results_.push_back(result); });
  }
  ResolveResult resultOf(const std::string& host) {
    results_.clear();
    ask(host);
    EXPECT_TRUE(results_.empty()) << "never inside the call";
    return runUntilResults(1) ? results_.front() : ResolveResult();
  }
  static std::vector<std::string> texts(const ResolveResult& result) {
    std::vector<std::string> all;
    for (const InetAddress& address : result.addresses) all.push_back(address.toString());
    std::sort(all.begin(), all.end());
    return all;
  }
  void expectError(const std::string& host, ResolveError error) {
    const ResolveResult result = resultOf(host);
    EXPECT_EQ(result.error, error) << host << ": " << result.error.message();
    EXPECT_TRUE(result.addresses.empty());
    EXPECT_EQ(resolver().pendingCount(), 0U);
  }

  std::vector<ResolveResult> results_;

 private:
  std::optional<FakeDnsServer> server_;
  std::optional<Resolver> resolver_;
};

}  // namespace gyre
