// The questions for IPv4 and IPv6 are independent, and what is searched or needs no server.
//
// Where one of them is never answered, the timeouts are hours: who waited for it would fail here.
#include <cstdlib>

#include "support/ResolverFixture.h"

namespace gyre {
namespace {

class ResolverFamilyTest : public ResolverFixture {
 protected:
  void SetUp() override {
    ResolverFixture::SetUp();
    if (!IsSkipped()) make(patient());
  }
  void TearDown() override {
    ::unsetenv("LOCALDOMAIN");
    ResolverFixture::TearDown();
  }

  ResolverOptions patient() {
    ResolverOptions options = this->options();
    options.timeout = options.tryTimeout = std::chrono::hours(10);
    return options;
  }
  // As resolv.conf says with the line "search".
  void search(const std::string& domains) {
    ::setenv("LOCALDOMAIN", domains.c_str(), 1);
    make(patient());
  }
};

// --- One of two is not answered

TEST_F(ResolverFamilyTest, ServerThatDropsTheQuestionForIPv6_costsAMoment) {
  server().answer("slow6.test", {.kindV6 = Kind::Silence, .ipv4 = {"192.0.2.1"}});
  EXPECT_EQ(texts(resultOf("slow6.test")), Texts{"192.0.2.1:80"});
  EXPECT_EQ(server().asked(), (Texts{"slow6.test AAAA", "slow6.test A"}));
}

TEST_F(ResolverFamilyTest, ServerThatDropsTheQuestionForIPv4_costsAMoment) {
  server().answer("slow4.test", {.kindV4 = Kind::Silence, .ipv6 = {"2001:db8::1"}});
  EXPECT_EQ(texts(resultOf("slow4.test")), Texts{"[2001:db8::1]:80"});
}

TEST_F(ResolverFamilyTest, ServerThatFailsOneOfThem_givesTheOther) {
  for (const Kind kind : {Kind::ServerFailure, Kind::NoSuchName}) {
    server().answer("fails6.test", {.kindV6 = kind, .ipv4 = {"192.0.2.1"}});
    EXPECT_EQ(texts(resultOf("fails6.test")), Texts{"192.0.2.1:80"});
    server().answer("fails4.test", {.kindV4 = kind, .ipv6 = {"2001:db8::1"}});
    EXPECT_EQ(texts(resultOf("fails4.test")), Texts{"[2001:db8::1]:80"});
  }
}

// NXDOMAIN says that there are no records of any type (RFC 8020).
TEST_F(ResolverFamilyTest, NameThatDoesNotExist_isSaidThoughIPv6IsNotAnswered) {
  server().answer("nobody.test", {.kind = Kind::Silence, .kindV4 = Kind::NoSuchName});
  expectError("nobody.test", ResolveError::NotFound);
}

TEST_F(ResolverFamilyTest, NameWithoutIPv4_waitsForIPv6) {
  ResolverOptions quick = patient();
  quick.timeout = std::chrono::milliseconds(80);
  make(quick);
  server().answer("only6.test", {.kindV6 = Kind::Silence});
  expectError("only6.test", ResolveError::TimedOut);
}

// --- As they come

TEST_F(ResolverFamilyTest, Each_IPv6First_isToldAtOnce_andIPv4WhenItComes) {
  ResolverOptions options = patient();
  options.tryTimeout = std::chrono::milliseconds(20);
  options.tries = 20;
  make(options);
  server().answer("both.test", {.kindV4 = Kind::Silence, .ipv6 = {"2001:db8::1"}});
  askEach("both.test");
  ASSERT_TRUE(runUntilResults(1));
  EXPECT_EQ(texts(results_[0]), Texts{"[2001:db8::1]:80"});
  EXPECT_FALSE(results_[0].isLast);
  EXPECT_EQ(resolver().pendingCount(), 1U);
  server().answer("both.test", {.ipv4 = {"192.0.2.1"}});  // asked again
  ASSERT_TRUE(runUntilResults(2));
  EXPECT_EQ(texts(results_[1]), Texts{"192.0.2.1:80"});
  EXPECT_TRUE(results_[1].isLast);
  EXPECT_EQ(resolver().pendingCount(), 0U);
}

TEST_F(ResolverFamilyTest, Each_IPv4First_isToldAfterAMoment_andTheLastMayBringNothing) {
  ResolverOptions options = patient();
  options.timeout = std::chrono::milliseconds(200);
  make(options);
  server().answer("slow6.test", {.kindV6 = Kind::Silence, .ipv4 = {"192.0.2.1"}});
  const TimePoint begin = loop().now();
  askEach("slow6.test");
  ASSERT_TRUE(runUntilResults(1));
  EXPECT_GE(loop().now() - begin, std::chrono::milliseconds(50));
  EXPECT_FALSE(results_[0].isLast);
  ASSERT_TRUE(runUntilResults(2));
  EXPECT_GE(loop().now() - begin, std::chrono::milliseconds(200));
  EXPECT_TRUE(results_[1].isLast);
  EXPECT_FALSE(results_[1].error) << "some were found";
  EXPECT_TRUE(results_[1].addresses.empty());
}

TEST_F(ResolverFamilyTest, Each_cancelledOrEndedInsideTheFirstCallback_tellsNoMore) {
  for (const bool ends : {true, false}) {
    make(patient());
    server().answer("both.test", {.kindV4 = Kind::Silence, .ipv6 = {"2001:db8::1"}});
    ResolveId query{};
    query = resolver().resolveEach({"both.test", 80}, [&](const ResolveResult& result) {
      results_.push_back(result);
      if (ends) return endResolver();
      resolver().cancel(query);
    });
    ASSERT_TRUE(runUntilResults(1));
    if (!ends) {
      EXPECT_EQ(resolver().pendingCount(), 0U);
    }
    for (int i = 0; i < 3; ++i) settle();
    EXPECT_EQ(results_.size(), 1U);
    results_.clear();
  }
}

TEST_F(ResolverFamilyTest, Each_withoutAnyAddress_isToldOnce) {
  askEach("nobody.test");
  ASSERT_TRUE(runUntilResults(1));
  EXPECT_EQ(results_[0].error, ResolveError::NotFound);
  EXPECT_TRUE(results_[0].isLast);
}

// --- One family only

TEST_F(ResolverFamilyTest, Family_onlyThatOneIsAskedFor) {
  server().answer("both.test", {.ipv4 = {"192.0.2.1"}, .ipv6 = {"2001:db8::1"}});
  ResolverOptions options = patient();
  options.family = AddressFamily::V4;
  make(options);
  EXPECT_EQ(texts(resultOf("both.test")), Texts{"192.0.2.1:80"});
  expectError("::1", ResolveError::NotFound);
  EXPECT_EQ(texts(resultOf("localhost")), Texts{"127.0.0.1:80"});
  EXPECT_EQ(server().asked(), Texts{"both.test A"});
  options.family = AddressFamily::V6;
  make(options);
  EXPECT_EQ(texts(resultOf("both.test")), Texts{"[2001:db8::1]:80"});
  expectError("192.0.2.1", ResolveError::NotFound);
  EXPECT_EQ(texts(resultOf("localhost")), Texts{"[::1]:80"});
}

// --- Without a server

TEST_F(ResolverFamilyTest, Localhost_inAllItsForms_needsNoServer) {
  for (const char* name :
       {"localhost", "localhost.", "LOCALHOST", "app.localhost", "a.b.localhost."}) {
    EXPECT_EQ(texts(resultOf(name)), (Texts{"127.0.0.1:80", "[::1]:80"})) << name;
  }
  EXPECT_EQ(server().udpQuestions(), 0U);
}

// --- What is searched

TEST_F(ResolverFamilyTest, SearchOfTheRoot_leavesSingleLabelsAsTheyAre) {
  server().answer("host", {.ipv4 = {"192.0.2.1"}});
  search(".");
  EXPECT_EQ(texts(resultOf("host")), Texts{"192.0.2.1:80"});
  EXPECT_EQ(server().asked(), (Texts{"host AAAA", "host A"}));
}

TEST_F(ResolverFamilyTest, Search_triesOneDomainAfterTheOther_bothFamiliesOfEach) {
  server().answer("host.b.test", {.ipv4 = {"192.0.2.1"}, .ipv6 = {"2001:db8::1"}});
  server().answer("host.c.test", {.ipv4 = {"192.0.2.9"}});
  search("a.test b.test c.test");
  EXPECT_EQ(texts(resultOf("host")), (Texts{"192.0.2.1:80", "[2001:db8::1]:80"}));
  EXPECT_EQ(server().asked(),
            (Texts{"host.a.test AAAA", "host.a.test A", "host.b.test AAAA", "host.b.test A"}));
}

// Each family searched for itself would mix the addresses of two hosts.
TEST_F(ResolverFamilyTest, Search_theFirstDomainWithAnyAddress_givesAllOfThem) {
  server().answer("host.a.test", {.ipv4 = {"192.0.2.1"}});
  server().answer("host.b.test", {.ipv6 = {"2001:db8::1"}});
  search("a.test b.test");
  EXPECT_EQ(texts(resultOf("host")), Texts{"192.0.2.1:80"});
}

TEST_F(ResolverFamilyTest, Search_goesOnThoughADomainsIPv6IsNotAnswered) {
  server().answer("host.a.test", {.kind = Kind::Silence, .kindV4 = Kind::NoSuchName});
  server().answer("host", {.ipv4 = {"192.0.2.1"}, .ipv6 = {"2001:db8::1"}});
  search("a.test");
  EXPECT_EQ(texts(resultOf("host")), (Texts{"192.0.2.1:80", "[2001:db8::1]:80"}));
}

TEST_F(ResolverFamilyTest, Search_nothingAnywhere_isNotFound) {
  search("a.test b.test .");
  expectError("host", ResolveError::NotFound);
  EXPECT_EQ(server().asked().size(), 6U);
}

}  // namespace
}  // namespace gyre
