// The names that one is looked up by.
#include <gtest/gtest.h>

#include "names/SearchList.h"

namespace gyre {
namespace {

using Names = std::vector<std::string>;

TEST(SearchListTest, SingleLabel_isSearchedFirst_andTakenAsItIsAtLast) {
  const SearchList list{.domains = {"a.test", "b.test."}};
  EXPECT_EQ(list.namesOf("host"), (Names{"host.a.test.", "host.b.test.", "host."}));
}

TEST(SearchListTest, EnoughDots_isTakenAsItIsFirst) {
  const SearchList list{.domains = {"a.test"}};
  EXPECT_EQ(list.namesOf("www.host"), (Names{"www.host.", "www.host.a.test."}));
  const SearchList two{.dotsMin = 2, .domains = {"a.test"}};
  EXPECT_EQ(two.namesOf("www.host"), (Names{"www.host.a.test.", "www.host."}));
}

TEST(SearchListTest, DotAtTheEnd_isNotSearched) {
  const SearchList list{.domains = {"a.test"}};
  EXPECT_EQ(list.namesOf("host."), Names{"host."});
}

// It made every single label fail: "host.." is no name.
TEST(SearchListTest, TheRoot_addsNothing) {
  for (const char* root : {".", "", ".."}) {
    EXPECT_EQ((SearchList{.domains = {root}}.namesOf("host")), Names{"host."}) << root;
    EXPECT_EQ((SearchList{.domains = {root, "a.test"}}.namesOf("host")),
              (Names{"host.a.test.", "host."}));
  }
}

TEST(SearchListTest, WhatWouldBeTooLong_isPassedOver) {
  const SearchList list{.domains = {std::string(63, 'd') + ".test", "b"}};
  const std::string host(200, 'h');
  EXPECT_EQ(list.namesOf(host), (Names{host + ".b.", host + "."}));
}

TEST(SearchListTest, Localhost_andAllBelowIt) {
  for (const char* name :
       {"localhost", "localhost.", "LocalHost", "a.localhost", "a.b.LOCALHOST."}) {
    EXPECT_TRUE(isLocalhost(name)) << name;
  }
  for (const char* name :
       {"", ".", "ocalhost", "mylocalhost", "localhost.test", "localhost..", "local.host"}) {
    EXPECT_FALSE(isLocalhost(name)) << name;
  }
}

}  // namespace
}  // namespace gyre
