// What counts as one address.
#include <gtest/gtest.h>

#include "connection/AddressLimit.h"

namespace gyre {
namespace {

class AddressLimitTest : public testing::Test {
 protected:
  bool enter(const char* host) {
    return limit_.enter(++lastId_, InetAddress(std::string(host) + ":1000"));
  }

  AddressLimit limit_;
  std::uint64_t lastId_ = 0;
};

TEST_F(AddressLimitTest, IPv4_countsTheSameAsMappedIntoIPv6) {
  limit_.setLimit(2, 64);
  EXPECT_TRUE(enter("127.0.0.1"));
  EXPECT_TRUE(enter("[::ffff:127.0.0.1]"));
  EXPECT_FALSE(enter("127.0.0.1"));
  EXPECT_FALSE(enter("[::ffff:127.0.0.1]"));
  EXPECT_TRUE(enter("127.0.0.2"));
  EXPECT_TRUE(enter("[::ffff:127.0.0.3]")) << "mapped ones are no network of their own";
}

TEST_F(AddressLimitTest, IPv6_countsByNetwork) {
  limit_.setLimit(1, 64);
  EXPECT_TRUE(enter("[2001:db8:0:1::1]"));
  EXPECT_FALSE(enter("[2001:db8:0:1:ffff:ffff:ffff:ffff]"));
  EXPECT_TRUE(enter("[2001:db8:0:2::1]"));
  limit_.leave(1);
  EXPECT_TRUE(enter("[2001:db8:0:1::2]"));
}

TEST_F(AddressLimitTest, Prefix_isExactToTheBit) {
  limit_.setLimit(1, 57);
  EXPECT_TRUE(enter("[2001:db8:0:0100::1]"));
  EXPECT_FALSE(enter("[2001:db8:0:017f::1]"));
  EXPECT_TRUE(enter("[2001:db8:0:0180::1]"));
}

TEST_F(AddressLimitTest, PrefixOf128_isEachAddress) {
  limit_.setLimit(1, 128);
  EXPECT_TRUE(enter("[2001:db8::1]"));
  EXPECT_TRUE(enter("[2001:db8::2]"));
  EXPECT_FALSE(enter("[2001:db8::2]"));
}

TEST_F(AddressLimitTest, UnixPeers_haveNoLimit) {
  limit_.setLimit(1, 64);
  EXPECT_TRUE(limit_.enter(1, InetAddress("unix:@a")));
  EXPECT_TRUE(limit_.enter(2, InetAddress("unix:@a")));
  EXPECT_TRUE(limit_.enter(3, InetAddress()));
  limit_.leave(1);
}

}  // namespace
}  // namespace gyre
