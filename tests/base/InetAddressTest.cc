// InetAddressTest: text to socket address and back, and what is refused with which words.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "gyre/base/InetAddress.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {
namespace {

using namespace std::string_view_literals;

static_assert(std::is_trivially_copyable_v<InetAddress>);
static_assert(noexcept(InetAddress::parse("")));

constexpr std::size_t kNameOffset = offsetof(sockaddr_un, sun_path);

InetAddress fromUnix(std::string_view bytes, socklen_t length) {
  sockaddr_un local = {};
  local.sun_family = AF_UNIX;
  bytes.copy(local.sun_path, sizeof local.sun_path);
  return InetAddress::fromSockaddr(reinterpret_cast<const sockaddr*>(&local), length);
}

InetAddress again(const InetAddress& address) {
  return InetAddress::fromSockaddr(address.sockaddrPtr(), address.length());
}

constexpr std::string_view kRoundTrips[] = {
    "0.0.0.0:0",
    "1.2.3.4:80",
    "127.0.0.1:65535",
    "255.255.255.255:1",
    "[::]:0",
    "[::1]:80",
    "[2001:db8::ff00:42:8329]:443",
    "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
    "[::ffff:1.2.3.4]:80",
    "[fe80::1%lo]:80",
    "[fe80::1%4000000000]:80",
    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:1",
    "unix:/a",
    "unix:/run/app.sock",
    "unix:relative",
    "unix:./@file",
    "unix:@a",
    "unix:@abstract name",
    "unix:@a\0b\0"sv};

TEST(InetAddressTest, Text_parsedAndPrinted_isTheSame) {
  for (const std::string_view text : kRoundTrips) {
    const InetAddress address(text);
    EXPECT_EQ(address.toString(), text);
    EXPECT_EQ(InetAddress::parse(text), address) << text;
    EXPECT_EQ(again(address), address) << text;
    EXPECT_EQ(again(address).toString(), text);
  }
}

TEST(InetAddressTest, Default_isUnspecifiedWithoutLength) {
  const InetAddress address;
  EXPECT_EQ(address.family(), AF_UNSPEC);
  EXPECT_EQ(address.length(), 0u);
  EXPECT_EQ(address.ip(), "");
  EXPECT_EQ(address.port(), 0);
  EXPECT_EQ(address.toString(), "unspecified");
  EXPECT_EQ(address, InetAddress());
}

TEST(InetAddressTest, Parts_ofIPv4) {
  const InetAddress address("1.2.3.4:80");
  EXPECT_EQ(address.family(), AF_INET);
  EXPECT_EQ(address.length(), sizeof(sockaddr_in));
  EXPECT_EQ(address.ip(), "1.2.3.4");
  EXPECT_EQ(address.port(), 80);
  sockaddr_in raw;
  std::memcpy(&raw, address.sockaddrPtr(), sizeof raw);
  EXPECT_EQ(raw.sin_port, htons(80));
  EXPECT_EQ(raw.sin_addr.s_addr, htonl(0x01020304));
}

TEST(InetAddressTest, Parts_ofIPv6WithScope) {
  const InetAddress address("[fe80::1%lo]:8080");
  EXPECT_EQ(address.family(), AF_INET6);
  EXPECT_EQ(address.length(), sizeof(sockaddr_in6));
  EXPECT_EQ(address.ip(), "fe80::1%lo");
  EXPECT_EQ(address.port(), 8080);
  sockaddr_in6 raw;
  std::memcpy(&raw, address.sockaddrPtr(), sizeof raw);
  EXPECT_EQ(raw.sin6_scope_id, ::if_nametoindex("lo"));
  const std::string byNumber = "[fe80::1%" + std::to_string(raw.sin6_scope_id) + "]:8080";
  EXPECT_EQ(InetAddress(byNumber), address);
  EXPECT_EQ(InetAddress("[fe80::1%0]:8080"), InetAddress("[fe80::1]:8080"));
}

TEST(InetAddressTest, EmptyAndStarHost_areAnyIPv4) {
  EXPECT_EQ(InetAddress(":80"), InetAddress::any(80));
  EXPECT_EQ(InetAddress("*:80"), InetAddress::any(80));
  EXPECT_EQ(InetAddress(":0").toString(), "0.0.0.0:0");
}

TEST(InetAddressTest, Factories_areWhatTheirTextSays) {
  EXPECT_EQ(InetAddress::any(7), InetAddress("0.0.0.0:7"));
  EXPECT_EQ(InetAddress::anyV6(7), InetAddress("[::]:7"));
  EXPECT_EQ(InetAddress::loopback(7), InetAddress("127.0.0.1:7"));
  EXPECT_EQ(InetAddress::loopbackV6(7), InetAddress("[::1]:7"));
}

TEST(InetAddressTest, IsLoopback_isTrueForLoopbackOnly) {
  for (const auto* text : {"127.0.0.1:1", "127.255.255.255:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_TRUE(InetAddress(text).isLoopback()) << text;
  }
  for (const auto* text : {"126.255.255.255:1", "128.0.0.0:1", "0.0.0.0:1", "[::]:1", "[::2]:1",
                           "[::127.0.0.1]:1", "[::ffff:126.0.0.1]:1", "unix:/a"}) {
    EXPECT_FALSE(InetAddress(text).isLoopback()) << text;
  }
  EXPECT_FALSE(InetAddress().isLoopback());
}

TEST(InetAddressTest, IsUnspecified_isTrueForDefaultAndAny) {
  EXPECT_TRUE(InetAddress().isUnspecified());
  EXPECT_TRUE(InetAddress::any(80).isUnspecified());
  EXPECT_TRUE(InetAddress::anyV6(80).isUnspecified());
  for (const auto* text : {"0.0.0.1:0", "[::1]:0", "unix:/a"}) {
    EXPECT_FALSE(InetAddress(text).isUnspecified()) << text;
  }
}

TEST(InetAddressTest, Equality_countsFamilyHostPortAndScope) {
  const std::array<const char*, 9> different = {
      "1.2.3.4:80",          "1.2.3.5:80",   "1.2.3.4:81",
      "[::ffff:1.2.3.4]:80", "[fe80::1]:80", "[fe80::1%4000]:80",
      "[fe80::1%4001]:80",   "unix:a",       "unix:@a"};
  for (const auto* a : different) {
    for (const auto* b : different) {
      EXPECT_EQ(InetAddress(a) == InetAddress(b), a == b) << a << " and " << b;
    }
  }
  EXPECT_NE(InetAddress(), InetAddress::any(0));
}

TEST(InetAddressTest, Equality_ignoresTheFlowLabel) {
  sockaddr_in6 raw = {};
  raw.sin6_family = AF_INET6;
  raw.sin6_flowinfo = 99;
  EXPECT_EQ(InetAddress::fromSockaddr(reinterpret_cast<const sockaddr*>(&raw), sizeof raw),
            InetAddress::anyV6(0));
}

struct Refusal {
  std::string_view text;
  const char* cause;
};

constexpr Refusal kBadPorts[] = {
    {"1.2.3.4", "port is missing"},  {"1.2.3.4:", "port is missing"},
    {":", "port is missing"},        {"80", "port is missing"},
    {"[::1]:", "port is missing"},   {"[::1]", ":port is missing"},
    {"[::1]80", ":port is missing"}, {"1.2.3.4:65536", "0 to 65535"},
    {"1.2.3.4:-1", "0 to 65535"},    {"1.2.3.4:+1", "0 to 65535"},
    {"1.2.3.4: 80", "0 to 65535"},   {"1.2.3.4:80 ", "0 to 65535"},
    {"1.2.3.4:80x", "0 to 65535"},   {"1.2.3.4:0x50", "0 to 65535"},
    {"[::1]:80/", "0 to 65535"},     {"1.2.3.4:80\0"sv, "0 to 65535"},
    {"1.2.3.4:http", "0 to 65535"},  {"1.2.3.4:99999999999999999999", "0 to 65535"}};

constexpr Refusal kBadHosts[] = {{"", "it is empty"},
                                 {"localhost:80", "names are not resolved"},
                                 {"1.2.3:80", "not an IPv4 address"},
                                 {"1.2.3.4.5:80", "not an IPv4 address"},
                                 {"1.2.3.256:80", "not an IPv4 address"},
                                 {"1.2.3.04:80", "not an IPv4 address"},
                                 {" 1.2.3.4:80", "not an IPv4 address"},
                                 {"1.2.3.4\0:80"sv, "not an IPv4 address"},
                                 {"1.2.3.4%lo:80", "not an IPv4 address"},
                                 {"**:80", "not an IPv4 address"},
                                 {"::1:80", "needs brackets"},
                                 {"fe80::1%lo", "needs brackets"},
                                 {"[::1:80", "closing bracket is missing"},
                                 {"[]:80", "not an IPv6 address"},
                                 {"[1.2.3.4]:80", "not an IPv6 address"},
                                 {"[::1::]:80", "not an IPv6 address"},
                                 {"[::g]:80", "not an IPv6 address"},
                                 {"[::1\0]:80"sv, "not an IPv6 address"},
                                 {"[fe80::1%]:80", "no network interface"},
                                 {"[fe80::1%nosuchif0]:80", "no network interface"},
                                 {"[fe80::1%4294967296]:80", "no network interface"},
                                 {"[fe80::1%-1]:80", "no network interface"},
                                 {"[fe80::1%lo\0]:80"sv, "no network interface"},
                                 {"UNIX:/a", "0 to 65535"},
                                 {"unix:", "is missing"},
                                 {"unix:@", "is missing"},
                                 {"unix:/a\0b"sv, "zero byte"}};

void expectRefused(const Refusal& refusal) {
  EXPECT_EQ(InetAddress::parse(refusal.text), std::nullopt);
  std::string complaint;
  EXPECT_EQ(InetAddress::parse(refusal.text, complaint), std::nullopt);
  EXPECT_NE(complaint.find(refusal.cause), std::string::npos) << complaint;
  try {
    const InetAddress address(refusal.text);
    ADD_FAILURE() << refusal.text << " taken for " << address.toString();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    const std::string what = error.what();
    EXPECT_NE(what.find(refusal.cause), std::string::npos) << what;
    EXPECT_NE(what.find("examples: 127.0.0.1:80"), std::string::npos) << what;
  }
}

TEST(InetAddressTest, BadPort_isRefusedWithItsCause) {
  for (const Refusal& refusal : kBadPorts) expectRefused(refusal);
}

TEST(InetAddressTest, BadHost_isRefusedWithItsCause) {
  for (const Refusal& refusal : kBadHosts) expectRefused(refusal);
}

TEST(InetAddressTest, Refusal_ofControlCharacters_showsNone) {
  try {
    const InetAddress address("1.2\n3\0\x7f:80"sv);
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::strstr(error.what(), "\"1.2?3??:80\""), nullptr) << error.what();
  }
}

TEST(InetAddressTest, Refusal_ofALongText_isCutOffNotSwallowed) {
  const std::string text(100'000, 'x');
  try {
    const InetAddress address(text);
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_LT(std::strlen(error.what()), 600u);
    EXPECT_NE(std::strstr(error.what(), "xxx...\" is not an address"), nullptr);
  }
}

TEST(InetAddressTest, Host_ofAnyLength_isReadToItsEndOnly) {
  for (std::size_t size = 1; size < 5000; size += size < 100 ? 1 : 99) {
    const std::string host(size, '1');
    EXPECT_EQ(InetAddress::parse("1.2.3." + host + ":80").has_value(), size <= 3);
    EXPECT_EQ(InetAddress::parse("[::" + host + "]:80").has_value(), size <= 4);
    EXPECT_EQ(InetAddress::parse("[::1%x" + host + "]:80"), std::nullopt);
  }
}

TEST(InetAddressTest, UnixPath_fits107BytesAndNoMore) {
  const std::string longest = "unix:/" + std::string(106, 'p');
  const InetAddress address(longest);
  EXPECT_EQ(address.length(), kNameOffset + 108);
  EXPECT_EQ(address.toString(), longest);
  EXPECT_EQ(again(address), address);
  EXPECT_EQ(InetAddress::parse(longest + "p"), std::nullopt);
  try {
    const InetAddress tooLong(longest + "p");
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::strstr(error.what(), "108"), nullptr) << error.what();
  }
}

TEST(InetAddressTest, AbstractName_fits107BytesAndNoMore) {
  const std::string longest = "unix:@" + std::string(107, 'n');
  const InetAddress address(longest);
  EXPECT_EQ(address.length(), kNameOffset + 108);
  EXPECT_EQ(address.toString(), longest);
  EXPECT_EQ(InetAddress::parse(longest + "n"), std::nullopt);
}

TEST(InetAddressTest, AbstractName_hasItsExactLengthAndNoTerminator) {
  const InetAddress address("unix:@ab");
  EXPECT_EQ(address.length(), kNameOffset + 3);
  sockaddr_un raw = {};
  std::memcpy(&raw, address.sockaddrPtr(), address.length());
  EXPECT_EQ(std::string_view(raw.sun_path, 3), "\0ab"sv);
  EXPECT_NE(address, InetAddress("unix:@ab\0"sv));
}

TEST(InetAddressTest, UnixFromSockaddr_isTheSameWhateverLengthWasGiven) {
  const InetAddress address("unix:/a");
  EXPECT_EQ(address.length(), kNameOffset + 3);
  for (const std::size_t length : {kNameOffset + 2, kNameOffset + 3, sizeof(sockaddr_un)}) {
    const InetAddress given = fromUnix("/a", static_cast<socklen_t>(length));
    EXPECT_EQ(given, address);
    EXPECT_EQ(given.length(), address.length());
  }
}

TEST(InetAddressTest, UnixFromSockaddr_unterminatedFullPath_isReadToItsEndOnly) {
  const std::string path(108, 'p');
  const InetAddress address = fromUnix(path, sizeof(sockaddr_un));
  EXPECT_EQ(address.toString(), "unix:" + path);
  EXPECT_EQ(address.length(), sizeof(sockaddr_un));
}

TEST(InetAddressTest, UnixFromSockaddr_pathWithAt_isNotMistakenForAbstract) {
  const InetAddress file = fromUnix("@x", static_cast<socklen_t>(kNameOffset + 3));
  EXPECT_EQ(file.toString(), "unix:./@x");
  EXPECT_NE(file, InetAddress("unix:@x"));
}

TEST(InetAddressTest, UnnamedUnix_hasNoPath) {
  const InetAddress address = fromUnix("", sizeof(sa_family_t));
  EXPECT_TRUE(address.isUnix());
  EXPECT_EQ(address.toString(), "unix:");
  EXPECT_EQ(address.length(), sizeof(sa_family_t));
  EXPECT_EQ(again(address), address);
}

TEST(InetAddressTest, FromSockaddr_shortOrUnknown_isUnspecified) {
  const InetAddress v4 = InetAddress::any(80);
  const InetAddress v6 = InetAddress::anyV6(80);
  for (socklen_t length = 0; length < v4.length(); ++length) {
    EXPECT_EQ(InetAddress::fromSockaddr(v4.sockaddrPtr(), length), InetAddress());
  }
  EXPECT_EQ(InetAddress::fromSockaddr(v6.sockaddrPtr(), v6.length() - 1), InetAddress());
  EXPECT_EQ(InetAddress::fromSockaddr(nullptr, 16), InetAddress());
  sockaddr other = {};
  other.sa_family = AF_APPLETALK;
  EXPECT_EQ(InetAddress::fromSockaddr(&other, sizeof other), InetAddress());
}

TEST(InetAddressTest, FromSockaddr_tooLongALength_isCutToTheFamily) {
  sockaddr_storage storage = {};
  const InetAddress v4("1.2.3.4:80");
  std::memcpy(&storage, v4.sockaddrPtr(), v4.length());
  const auto* raw = reinterpret_cast<const sockaddr*>(&storage);
  EXPECT_EQ(InetAddress::fromSockaddr(raw, sizeof storage).length(), v4.length());
}

// The kernel is asked what it makes of an address.
TEST(InetAddressTest, BoundSocket_givesTheAddressBack) {
  const std::string name = "unix:@gyre-inet-address-test-" + std::to_string(::getpid());
  for (const InetAddress& address : {InetAddress::loopback(0), InetAddress(name)}) {
    const UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(socket.get(), address.sockaddrPtr(), address.length()), 0);
    sockaddr_storage storage;
    socklen_t length = sizeof storage;
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    ASSERT_EQ(::getsockname(socket.get(), raw, &length), 0);
    const InetAddress bound = InetAddress::fromSockaddr(raw, length);
    EXPECT_EQ(bound.ip(), address.ip());
    EXPECT_EQ(bound.length(), address.length());
    EXPECT_TRUE(address.isUnix() ? bound == address : bound.port() != 0);
  }
}

TEST(InetAddressTest, RandomText_isRefusedOrPrintsToTheSameAddress) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::string_view kAlphabet = "0123456789:.[]%@/*abfunix\0 -+"sv;
  std::size_t taken = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text(random() % 4 == 0 ? "unix:" : "");
    for (auto i = random() % 12; i > 0; --i) text += kAlphabet[random() % kAlphabet.size()];
    const auto address = InetAddress::parse(text);
    if (!address) continue;
    ++taken;
    EXPECT_EQ(InetAddress::parse(address->toString()), address) << text;
  }
  EXPECT_GT(taken, 100u);
}

}  // namespace
}  // namespace gyre
