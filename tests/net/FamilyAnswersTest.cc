// Two questions for one name: what they come to together, in every order.
#include <gtest/gtest.h>

#include "client/AddressOrder.h"
#include "names/FamilyAnswers.h"

namespace gyre {
namespace {

const InetAddress kV4("127.0.0.1:80");
const InetAddress kV4Other("127.0.0.2:80");
const InetAddress kV6("[::1]:80");
const InetAddress kV6Other("[2001:db8::2]:80");

using Addresses = std::vector<InetAddress>;
constexpr AddressFamily k4 = AddressFamily::V4;
constexpr AddressFamily k6 = AddressFamily::V6;

FamilyAnswer found(Addresses addresses) { return {{}, false, std::move(addresses)}; }
FamilyAnswer failed(ResolveError error) { return {error, false, {}}; }
FamilyAnswer noSuchName() { return {ResolveError::NotFound, true, {}}; }

TEST(FamilyAnswersTest, Interleave_takesTurns_andKeepsTheOrderOfEach) {
  EXPECT_EQ(interleave({kV6}, {kV4, kV4Other}), (Addresses{kV6, kV4, kV4Other}));
  EXPECT_EQ(interleave({}, {kV4}), Addresses{kV4});
  EXPECT_EQ(interleave({kV4, kV4Other}, {kV6}), (Addresses{kV4, kV6, kV4Other}));
  EXPECT_TRUE(interleave({}, {}).empty());
}

TEST(FamilyAnswersTest, OneFamilyAsked_theOtherIsNotAwaited) {
  FamilyAnswers answers(k4);
  EXPECT_FALSE(answers.isAwaited(k6));
  EXPECT_FALSE(answers.isComplete());
  answers.add(k6, found({kV6}));
  answers.add(k4, found({kV4}));
  EXPECT_TRUE(answers.isComplete());
  EXPECT_EQ(answers.take().addresses, Addresses{kV4});
}

TEST(FamilyAnswersTest, AddressesOfOneFamily_areEnough_butNotAll) {
  FamilyAnswers answers(AddressFamily::Any);
  EXPECT_FALSE(answers.isEnough());
  answers.add(k4, found({kV4}));
  EXPECT_TRUE(answers.isEnough());
  EXPECT_FALSE(answers.isComplete());
  const ResolveResult first = answers.take();
  EXPECT_FALSE(first.isLast);
  EXPECT_EQ(first.addresses, Addresses{kV4});
  EXPECT_FALSE(answers.hasAddresses()) << "taken";
  answers.add(k6, found({kV6}));
  const ResolveResult last = answers.take();
  EXPECT_TRUE(last.isLast);
  EXPECT_EQ(last.addresses, Addresses{kV6}) << "only what is new";
}

TEST(FamilyAnswersTest, LastWithNothingNew_isNoError) {
  FamilyAnswers answers(AddressFamily::Any);
  answers.add(k4, found({kV4}));
  answers.take();
  answers.giveUp(ResolveError::TimedOut);
  const ResolveResult last = answers.take();
  EXPECT_TRUE(last.isLast);
  EXPECT_FALSE(last.error);
  EXPECT_TRUE(last.addresses.empty());
  EXPECT_FALSE(answers.isNotFound()) << "it was";
}

TEST(FamilyAnswersTest, Errors_whatSaysMoreThanNothingThereComesFirst) {
  for (const bool isV4First : {true, false}) {
    FamilyAnswers answers(AddressFamily::Any);
    answers.add(isV4First ? k4 : k6, failed(ResolveError::NotFound));
    EXPECT_FALSE(answers.isEnough());
    answers.add(isV4First ? k6 : k4, failed(ResolveError::ServerFailed));
    EXPECT_FALSE(answers.isNotFound());
    EXPECT_EQ(answers.take().error, ResolveError::ServerFailed);
  }
}

// Some servers say NXDOMAIN to the question for IPv6 although there is an IPv4 address (RFC 4074).
TEST(FamilyAnswersTest, NoSuchName_isConclusiveForIPv4Only) {
  FamilyAnswers four(AddressFamily::Any);
  four.add(k4, noSuchName());
  EXPECT_TRUE(four.isEnough());
  FamilyAnswers six(AddressFamily::Any);
  six.add(k6, noSuchName());
  EXPECT_FALSE(six.isEnough());
}

TEST(FamilyAnswersTest, NotFound_mayBeAskedByAnotherName) {
  FamilyAnswers answers(AddressFamily::Any);
  answers.add(k4, noSuchName());
  answers.add(k6, noSuchName());
  ASSERT_TRUE(answers.isNotFound());
  answers.restart();
  EXPECT_TRUE(answers.isAwaited(k4) && answers.isAwaited(k6));
  EXPECT_FALSE(answers.isEnough());
  answers.add(k6, found({kV6}));
  answers.add(k6, found({}));  // a second answer to one question
  EXPECT_EQ(answers.take().addresses, Addresses{kV6});
}

TEST(FamilyAnswersTest, ASecondTry_afterAddresses_isABrokenPromise) {
  FamilyAnswers answers(k4);
  answers.add(k4, found({kV4}));
  EXPECT_DEATH(answers.restart(), "found and asked for again");
}

TEST(FamilyAnswersTest, Order_withoutARoute_comesLast) {
  FamilyAnswers answers(AddressFamily::Any);
  answers.add(k4, found({kV4, kV4Other}));
  answers.add(k6, found({kV6, kV6Other}));
  const auto isV4 = +[](const InetAddress& to) { return to.family() == AF_INET; };
  EXPECT_EQ(answers.take(isV4).addresses, (Addresses{kV4, kV4Other, kV6, kV6Other}));
}

}  // namespace
}  // namespace gyre
