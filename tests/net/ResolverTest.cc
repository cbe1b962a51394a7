// Names to addresses, against a name server of the test's own.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/ResolverFixture.h"

namespace gyre {
namespace {

using std::chrono::milliseconds;

class ResolverTest : public ResolverFixture {};

TEST_F(ResolverTest, Name_withAddressesOfBothFamilies_givesAll) {
  server().answer("both.test", {.ipv4 = {"192.0.2.1", "192.0.2.2"}, .ipv6 = {"2001:db8::1"}});
  const ResolveResult result = resultOf("both.test");
  EXPECT_FALSE(result.error) << result.error.message();
  EXPECT_EQ(texts(result), (Texts{"192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"}));
}

TEST_F(ResolverTest, Name_withAddressesOfOneFamily_givesThose) {
  server().answer("four.test", {.ipv4 = {"192.0.2.1"}});
  server().answer("six.test", {.ipv6 = {"2001:db8::1"}});
  EXPECT_EQ(texts(resultOf("four.test")), Texts{"192.0.2.1:80"});
  EXPECT_EQ(texts(resultOf("six.test")), Texts{"[2001:db8::1]:80"});
}

TEST_F(ResolverTest, Literals_needNoServer) {
  EXPECT_EQ(texts(resultOf("192.0.2.7")), Texts{"192.0.2.7:80"});
  EXPECT_EQ(texts(resultOf("::1")), Texts{"[::1]:80"});
  EXPECT_EQ(texts(resultOf("fe80::1%lo")), Texts{"[fe80::1%lo]:80"});
  EXPECT_EQ(server().udpQuestions(), 0U);
}

TEST_F(ResolverTest, Localhost_needsNoServer) {
  const ResolveResult result = resultOf("localhost");
  ASSERT_FALSE(result.addresses.empty()) << result.error.message();
  for (const InetAddress& address : result.addresses) {
    EXPECT_TRUE(address.isLoopback());
    EXPECT_EQ(address.port(), 80);
  }
  EXPECT_EQ(server().udpQuestions(), 0U);
}

TEST_F(ResolverTest, NoSuchName) { expectError("nobody.test", ResolveError::NotFound); }

TEST_F(ResolverTest, NameWithoutAddresses_isNotFound) {
  server().answer("empty.test", {});
  expectError("empty.test", ResolveError::NotFound);
}

TEST_F(ResolverTest, WhatIsNoName_isRefusedWithoutAsking) {
  for (const std::string& bad : {std::string(), std::string("*"), std::string("a\0b.test", 8),
                                 std::string(300, 'x') + ".test", std::string("unix:/tmp/x")}) {
    const ResolveResult result = resultOf(bad);
    EXPECT_TRUE(result.error == ResolveError::BadName || result.error == ResolveError::NotFound)
        << bad << ": " << result.error.message();
  }
}

TEST_F(ResolverTest, ServerFailure) {
  server().answer("sick.test", {.kind = Kind::ServerFailure});
  const ResolveResult result = resultOf("sick.test");
  EXPECT_TRUE(result.error) << "an answer of servers that fail";
  EXPECT_NE(result.error, ResolveError::NotFound);
}

TEST_F(ResolverTest, TruncatedAnswer_isAskedForOverTcp) {
  DnsAnswer large{.kind = Kind::Truncated};
  for (int i = 1; i < 60; ++i) large.ipv4.push_back("192.0.2." + std::to_string(i));
  server().answer("large.test", large);
  EXPECT_EQ(resultOf("large.test").addresses.size(), 59U);
  EXPECT_GE(server().tcpQuestions(), 1U);
}

TEST_F(ResolverTest, Silence_isTimedOutByTheTries) {
  ResolverOptions quick = options();
  quick.tryTimeout = milliseconds(10);
  quick.tries = 2;
  quick.timeout = std::chrono::hours(1);
  make(quick);
  server().answer("silent.test", {.kind = Kind::Silence});
  expectError("silent.test", ResolveError::TimedOut);
  EXPECT_GE(server().udpQuestions(), 4U) << "both families, asked twice";
}

TEST_F(ResolverTest, Silence_isTimedOutByTheWholeQuery) {
  ResolverOptions quick = options();
  quick.timeout = milliseconds(20);
  make(quick);
  server().answer("silent.test", {.kind = Kind::Silence});
  expectError("silent.test", ResolveError::TimedOut);
  // The question itself is still out; the answer to it is thrown away.
  server().answer("silent.test", {.ipv4 = {"192.0.2.1"}});
  endResolver();
}

TEST_F(ResolverTest, NoTimeout_zeroOrBeyondTheClock_waitsForTheAnswer) {
  for (const TimeSpan never : {TimeSpan(milliseconds::max()), TimeSpan(milliseconds(0))}) {
    ResolverOptions patient = options();
    patient.timeout = patient.tryTimeout = never;
    make(patient);
    ask("server.test");
    for (int i = 0; i < 5; ++i) settle();
    EXPECT_TRUE(results_.empty()) << "before the server has answered";
    server().answer("server.test", {.ipv4 = {"192.0.2.1"}});
    ASSERT_TRUE(runUntilResults(1));
    EXPECT_EQ(texts(results_[0]), Texts{"192.0.2.1:80"});
    results_.clear();
  }
}

TEST_F(ResolverTest, Garbage_isNoAnswer) {
  for (const Kind kind : {Kind::Garbage, Kind::HalfAMessage}) {
    ResolverOptions quick = options();
    quick.tryTimeout = milliseconds(10);
    quick.tries = 2;
    make(quick);
    server().answer("garbage.test", {.kind = kind, .ipv4 = {"192.0.2.1"}});
    const ResolveResult result = resultOf("garbage.test");
    EXPECT_TRUE(result.error);
    EXPECT_TRUE(result.addresses.empty());
    // It answers sense again.
    server().answer("sense.test", {.ipv4 = {"192.0.2.1"}});
    EXPECT_EQ(texts(resultOf("sense.test")), Texts{"192.0.2.1:80"});
  }
}

TEST_F(ResolverTest, NoServerThere_isSaid) {
  ResolverOptions nowhere = options();
  {
    const FakeDnsServer gone;
    nowhere.servers = {gone.address()};
  }
  nowhere.tryTimeout = milliseconds(10);
  make(nowhere);
  const ResolveResult result = resultOf("name.test");
  EXPECT_TRUE(result.error == ResolveError::Unreachable || result.error == ResolveError::TimedOut)
      << result.error.message();
}

TEST_F(ResolverTest, ManyQueriesAtOnce_getTheirOwnAnswers) {
  constexpr std::size_t kQueries = 100;
  std::size_t right = 0;
  for (std::size_t i = 0; i < kQueries; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    const std::string ip = "192.0.2." + std::to_string(i % 250);
    server().answer(name, {.ipv4 = {ip}});
    resolver().resolve({name, static_cast<std::uint16_t>(i + 1)}, [&, ip, i](const auto& result) {
      results_.push_back(result);
      right += texts(result) == Texts{ip + ":" + std::to_string(i + 1)} ? 1 : 0;
    });
  }
  EXPECT_EQ(resolver().pendingCount(), kQueries);
  ASSERT_TRUE(runUntilResults(kQueries));
  EXPECT_EQ(right, kQueries);
}

// --- Cancelling and ending

TEST_F(ResolverTest, Cancel_ofOneOfTwo_leavesTheOther) {
  server().answer("one.test", {.ipv4 = {"192.0.2.1"}});
  server().answer("two.test", {.ipv4 = {"192.0.2.2"}});
  const ResolveId first = ask("one.test");
  ask("two.test");
  resolver().cancel(first);
  EXPECT_EQ(resolver().pendingCount(), 1U);
  ASSERT_TRUE(runUntilResults(1));
  for (int i = 0; i < 5; ++i) {
    server().serve();
    settle();
  }
  ASSERT_EQ(results_.size(), 1U);
  EXPECT_EQ(texts(results_[0]), Texts{"192.0.2.2:80"});
  resolver().cancel(first);  // again: nothing
}

TEST_F(ResolverTest, Cancel_afterTheAnswerButBeforeItIsTold_tellsNothing) {
  resolver().cancel(ask("192.0.2.7"));
  settle();
  EXPECT_TRUE(results_.empty());
}

TEST_F(ResolverTest, Cancel_letsGoOfTheCallbackAtOnce) {
  const auto token = std::make_shared<int>(0);
  server().answer("silent.test", {.kind = Kind::Silence});
  const ResolveId query = resolver().resolve({"silent.test", 80}, [token](const auto&) {});
  EXPECT_EQ(token.use_count(), 2);
  resolver().cancel(query);
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(ResolverTest, End_withQueriesUnderWay_tellsNothing) {
  server().answer("silent.test", {.kind = Kind::Silence});
  server().answer("large.test", {.kind = Kind::Truncated, .ipv4 = {"192.0.2.1"}});
  for (int i = 0; i < 10; ++i) ask(i % 2 == 0 ? "silent.test" : "large.test");
  ASSERT_TRUE(runUntil([&] {
    server().serve();
    return server().tcpQuestions() != 0;
  }));
  const std::size_t before = results_.size();
  endResolver();
  settle();
  EXPECT_EQ(results_.size(), before);
}

TEST_F(ResolverTest, End_rightAfterAsking) {
  ask("name.test");
  endResolver();
  settle();
  EXPECT_TRUE(results_.empty());
}

TEST_F(ResolverTest, End_insideACallback_tellsTheOthersNothing) {
  for (int i = 0; i < 3; ++i) {
    resolver().resolve({"192.0.2.7", 80}, [this](const ResolveResult& result) {
      results_.push_back(result);
      endResolver();
    });
  }
  ask("name.test");
  settle();
  EXPECT_EQ(results_.size(), 1U);
}

TEST_F(ResolverTest, CallbackThatAsksAgain_isAnswered) {
  server().answer("one.test", {.ipv4 = {"192.0.2.1"}});
  server().answer("two.test", {.ipv4 = {"192.0.2.2"}});
  resolver().resolve({"one.test", 80}, [this](const ResolveResult&) { ask("two.test"); });
  ASSERT_TRUE(runUntilResults(1));
  EXPECT_EQ(texts(results_[0]), Texts{"192.0.2.2:80"});
}

TEST_F(ResolverTest, CallbackThatThrows_isCounted) {
  resolver().resolve({"::1", 80}, [](const auto&) { throw std::runtime_error("on purpose"); });
  ask("192.0.2.7");
  ASSERT_TRUE(runUntilResults(1));
  EXPECT_EQ(loop().counters().callbackFailures.get(), 1U);
}

// Any calls in any order, and an end at any moment. GYRE_TEST_SEED replays a run.
TEST_F(ResolverTest, AnyCallsInAnyOrder_answerOnceOrNever) {
  const char* text = std::getenv("GYRE_TEST_SEED");
  const std::uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  SCOPED_TRACE("GYRE_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  ResolverOptions quick = options();
  quick.tryTimeout = milliseconds(2);
  quick.timeout = milliseconds(5);
  server().answer("a.test", {.ipv4 = {"192.0.2.1"}, .ipv6 = {"2001:db8::1"}});
  server().answer("large.test", {.kind = Kind::Truncated, .ipv4 = {"192.0.2.1"}});
  server().answer("silent.test", {.kind = Kind::Silence});
  server().answer("garbage.test", {.kind = Kind::Garbage});
  const Texts names = {"a.test",  "large.test", "silent.test", "garbage.test",
                       "no.test", "192.0.2.9",  "localhost",   "*"};
  std::vector<int> timesTold(3000);
  std::vector<bool> isCancelled(timesTold.size());
  std::vector<ResolveId> ids(timesTold.size());
  for (std::size_t i = 0; i < timesTold.size(); ++i) {
    if (random() % 100 == 0) make(quick);  // the one before ends
    ids[i] = resolver().resolve({names[random() % names.size()], 80}, [&, i](const auto&) {
      EXPECT_FALSE(isCancelled[i]);
      ++timesTold[i];
    });
    if (random() % 4 == 0) {
      resolver().cancel(ids[i]);
      isCancelled[i] = true;
    }
    if (random() % 3 == 0) server().serve();
    if (random() % 2 == 0) loop().runOnce(kNoWait);
  }
  ASSERT_TRUE(runUntil([&] {
    server().serve();
    return resolver().pendingCount() == 0;
  }));
  EXPECT_LE(*std::max_element(timesTold.begin(), timesTold.end()), 1);
  EXPECT_GT(std::count(timesTold.begin(), timesTold.end(), 1), 100);
}

TEST_F(ResolverTest, WaitingForAnAnswer_doesNotSpin) {
  server().answer("silent.test", {.kind = Kind::Silence});
  ask("silent.test");
  settle();
  const std::uint64_t before = loop().counters().iterations.get();
  // One iteration each: what would spin would come back at once, many times.
  const TimePoint until = loop().now() + milliseconds(100);
  while (loop().now() < until) loop().runOnce(until);
  EXPECT_LE(loop().counters().iterations.get() - before, 5U);
}

TEST_F(ResolverTest, ServersThatAreNoIpAddresses_areRefused) {
  ResolverOptions bad;
  bad.servers = {InetAddress("unix:/nonexistent")};
  EXPECT_THROW(Resolver(&loop(), bad), std::system_error);
}

}  // namespace
}  // namespace gyre
