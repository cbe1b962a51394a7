// How a server listens: inherited sockets on one loop and on many, both families on one port, and a
// listener that fails.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/ServerFixture.h"

namespace gyre {
namespace {

int optionOf(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

// Made as by another program: none of gyre's options.
UniqueFd listenForeign(const InetAddress& address, bool sharesPort = false) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM, 0));
  const int on = sharesPort ? 1 : 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  EXPECT_EQ(::bind(fd.get(), address.sockaddrPtr(), address.length()), 0);
  EXPECT_EQ(::listen(fd.get(), 64), 0);
  return fd;
}

InetAddress addressOf(const UniqueFd& fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  EXPECT_EQ(::getsockname(fd.get(), address, &length), 0);
  return InetAddress::fromSockaddr(address, length);
}

// This process's end of the connection with this peer.
int socketTo(const InetAddress& peer) {
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if (::getpeername(fd, address, &length) != 0) continue;
    if (InetAddress::fromSockaddr(address, length) == peer) return fd;
  }
  return -1;
}

class ListenerTest : public ServerFixture {
 protected:
  ServerScript everyLoop(int threads, std::vector<UniqueFd>& inherited) {
    return {.threads = threads, .configure = [&inherited](TcpServer& server) {
              server.setAcceptMode(AcceptMode::EveryLoop);
              for (UniqueFd& fd : inherited) server.addListener(std::move(fd));
            }};
  }
  // So many clients of that address are served.
  void expectServed(const InetAddress& address, std::size_t count) {
    std::vector<Peer> peers;
    for (std::size_t i = 0; i < count; ++i) peers.push_back(connectTo(address));
    EXPECT_EQ(countEchoed(peers, "hello", pump()), count);
  }
};

// The first two clients came before the server did, as the one for whom systemd starts it.
TEST_F(ListenerTest, Inherited_itsConnectionsHaveNoNagle) {
  UniqueFd listener = listenForeign(InetAddress::loopback(0));
  const int fd = listener.get();
  const InetAddress address = addressOf(listener);
  std::vector<Peer> peers;
  for (int i = 0; i < 2; ++i) peers.emplace_back(address);
  start({.configure = [&](TcpServer& server) { server.addListener(std::move(listener)); }});
  for (int i = 0; i < 2; ++i) peers.push_back(connectTo(address));
  ASSERT_TRUE(runUntilUp(4));
  for (const Peer& peer : peers) {
    EXPECT_EQ(optionOf(socketTo(peer.address()), IPPROTO_TCP, TCP_NODELAY), 1);
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(ListenerTest, EveryLoop_oneInheritedSocket_isSharedByTheLoops) {
  std::vector<UniqueFd> inherited;
  inherited.push_back(listenForeign(InetAddress::loopback(0)));
  const InetAddress address = addressOf(inherited[0]);
  start(everyLoop(3, inherited));
  expectServed(address, 30);
  EXPECT_EQ(server()->listenerDescriptors().size(), 3U + 1U) << "one is enough to hand over";
}

// As after a hot restart: the kernel distributes the clients, and each socket has a loop.
TEST_F(ListenerTest, EveryLoop_inheritedSocketsOfOneAddress_areDistributed) {
  for (const int threads : {2, 3, 5}) {
    std::vector<UniqueFd> inherited;
    inherited.push_back(listenForeign(InetAddress::loopback(0), true));
    const InetAddress address = addressOf(inherited[0]);
    for (int i = 1; i < 3; ++i) inherited.push_back(listenForeign(address, true));
    start(everyLoop(threads, inherited));
    expectServed(address, 60);
    std::size_t accepting = 0;
    for (const LoopStats& loop : server()->stats().loops) accepting += loop.accepts != 0 ? 1 : 0;
    EXPECT_GE(accepting, 2U) << "of " << threads;
    endServer();
  }
}

// A port that is free for both families, at the moment.
std::string freePort() {
  return std::to_string(addressOf(listenForeign(InetAddress::anyV6(0))).port());
}

TEST_F(ListenerTest, BothFamiliesOnOnePort_theMessageNamesV6Only) {
  const UniqueFd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) GTEST_SKIP() << "there is no IPv6 here";
  const auto refusal = [this](const std::string& first, const std::string& second) {
    const std::string port = freePort();
    TcpServer server(&loop(), InetAddress(first + ":" + port), "both");
    server.setThreadNum(0);
    server.addListener(InetAddress(second + ":" + port));
    try {
      server.start();
      return std::string("it listens");
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EADDRINUSE);
      return std::string(error.what());
    }
  };
  EXPECT_NE(refusal("0.0.0.0", "[::]").find("v6Only"), std::string::npos);
  EXPECT_NE(refusal("[::]", "0.0.0.0").find("v6Only"), std::string::npos);
  EXPECT_NE(refusal("[::]", "127.0.0.1").find("v6Only"), std::string::npos);
  EXPECT_EQ(refusal("0.0.0.0", "127.0.0.1").find("v6Only"), std::string::npos);
}

TEST_F(ListenerTest, BothFamiliesOnOnePort_withV6Only_areServed) {
  const UniqueFd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) GTEST_SKIP() << "there is no IPv6 here";
  const std::string port = freePort();
  start({.configure = [&](TcpServer& server) {
    server.addListener(InetAddress("0.0.0.0:" + port));
    server.addListener(InetAddress("[::]:" + port), {.v6Only = true});
  }});
  expectServed(InetAddress("127.0.0.1:" + port), 1);
  expectServed(InetAddress("[::1]:" + port), 1);
}

// Another process that shares the socket may do that.
TEST_F(ListenerTest, ShutDownFromOutside_isToldAndCounted_andTheOthersGoOn) {
  for (const AcceptMode mode : {AcceptMode::BaseLoop, AcceptMode::EveryLoop}) {
    std::vector<std::pair<std::size_t, int>> failed;
    start({.threads = 2, .configure = [&](TcpServer& server) {
             server.setAcceptMode(mode);
             server.addListener(InetAddress::loopback(0));
             server.setListenerFailedCallback([&](std::size_t listener, int error) {
               EXPECT_TRUE(loop().isInLoopThread());
               failed.emplace_back(listener, error);
             });
           }});
    const std::size_t before = server()->listenerDescriptors().size();
    ::shutdown(server()->listenerDescriptors().back(), SHUT_RDWR);
    ASSERT_TRUE(runUntil([&] { return !failed.empty(); }));
    settle();
    EXPECT_EQ(failed, (std::vector<std::pair<std::size_t, int>>{{1, EINVAL}}));
    EXPECT_EQ(server()->stats().listenersFailed, 1U);
    EXPECT_EQ(server()->listenerDescriptors().size(), before - 1) << "it is not handed over";
    expectServed(server().address(), 3);
    endServer();
  }
}

// Clients beyond the places wait for one; that the listener has gone is no reason to drop them.
TEST_F(ListenerTest, ShutDownFromOutside_theConnectionsAndThoseThatWaitAreServed) {
  int failures = 0;
  start({.configure = [&](TcpServer& server) {
    server.setLimits({.connectionsMax = 1});
    server.setListenerFailedCallback([&](std::size_t, int) { ++failures; });
  }});
  Peer first = connect();
  std::vector<Peer> others;
  for (int i = 0; i < 2; ++i) others.push_back(connect());
  ASSERT_TRUE(runUntilUp(1));
  settle();
  const std::uint64_t accepted = server()->stats().accepted;
  ::shutdown(server()->listenerDescriptors().front(), SHUT_RDWR);
  settle();
  first.close();
  for (std::size_t i = 0; i + 1 < accepted; ++i) {
    ASSERT_TRUE(others[i].send("hello"));
    EXPECT_EQ(others[i].receive(5), "hello");
    others[i].close();
  }
  ASSERT_TRUE(runUntil([&] { return failures == 1; }));
}

// A worker stands still, clients come on: they are left in the backlog instead of piling up as
// descriptors, and all are served when it goes on.
TEST_F(ListenerTest, WorkerStandsStill_acceptingPauses_andAllAreServedAfterwards) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit fewer{std::min<rlim_t>(before.rlim_max, 1024), before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &fewer);
  constexpr std::size_t kClients = 300;
  constexpr std::size_t kArrivingMax = 1024 / 8;
  start({.threads = 1});
  std::promise<void> goOn;
  server()->pool().getAllLoops()[0]->queueInLoop([&] { goOn.get_future().wait(); });
  std::vector<Peer> peers;
  for (std::size_t i = 0; i < kClients; ++i) {
    peers.push_back(connect());
    runOnce();
  }
  const std::uint64_t accepted = server()->stats().accepted;
  EXPECT_GE(accepted, kArrivingMax);
  EXPECT_LE(accepted, 2 * kArrivingMax);
  goOn.set_value();
  EXPECT_EQ(countEchoed(peers, "hello", pump()), kClients);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace gyre
