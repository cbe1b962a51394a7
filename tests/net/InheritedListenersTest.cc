// Inherited sockets: which server finds which, in whatever order it is started and added.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gyre/server/TcpServer.h"
#include "gyre/service/ServiceRunner.h"
#include "server/InheritedListeners.h"
#include "service/NewProcess.h"
#include "support/LoopFixture.h"
#include "support/Peer.h"

namespace gyre {
namespace {

using Origin = InheritedListeners::Origin;

class InheritedListenersTest : public LoopFixture {
 protected:
  void SetUp() override {
    LoopFixture::SetUp();
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_);
    service_.emplace(&loop());
  }
  void TearDown() override {
    servers_.clear();
    service_.reset();
    endLoop();
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    LoopFixture::TearDown();
  }

  // Listens, and has been passed to this process. Its address.
  InetAddress inherit(Origin origin, const std::string& name, const std::string& key = "",
                      const char* ip = "127.0.0.1:0") {
    InetAddress address(ip);
    UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket.get(), address.sockaddrPtr(), address.length()), 0);
    EXPECT_EQ(::listen(socket.get(), 16), 0);
    descriptors_.push_back(socket.get());
    address = loop().proactor().localAddress(SocketHandle(socket.get()));
    std::vector<InheritedListeners::Socket> sockets;
    sockets.push_back({std::move(socket), name, key, address, {}});
    InheritedListeners::ofProcess().add(std::move(sockets), origin);
    return address;
  }
  TcpServer& server(const InetAddress& address, const std::string& name = "im") {
    servers_.push_back(std::make_unique<TcpServer>(&loop(), address, name));
    servers_.back()->setThreadNum(0);
    return *servers_.back();
  }
  static InetAddress anyPort() { return InetAddress("127.0.0.1:0"); }

  std::optional<ServiceRunner> service_;
  std::vector<std::unique_ptr<TcpServer>> servers_;
  std::vector<int> descriptors_;

 private:
  sigset_t mask_{};
};

TEST_F(InheritedListenersTest, Address_findsItsSocket_startedBeforeItIsAdded) {
  const InetAddress address = inherit(Origin::Systemd, "unknown");
  TcpServer& started = server(address);
  started.start();
  service_->add(&started);
  EXPECT_EQ(started.listenerDescriptors(), descriptors_);
}

TEST_F(InheritedListenersTest, Address_findsItsSocket_addedBeforeItIsStarted) {
  const InetAddress address = inherit(Origin::Systemd, "unknown");
  TcpServer& added = server(address);
  service_->add(&added);
  added.start();
  EXPECT_EQ(added.listenerDescriptors(), descriptors_);
}

TEST_F(InheritedListenersTest, EachServer_findsItsOwn_andNoneTakesAnothers) {
  const InetAddress first = inherit(Origin::Systemd, "unknown");
  const InetAddress second = inherit(Origin::Systemd, "admin.socket");
  inherit(Origin::Systemd, "stray");
  TcpServer& admin = server(anyPort(), "admin");
  TcpServer& im = server(first);
  TcpServer& other = server(anyPort(), "other");
  for (TcpServer* one : {&admin, &im, &other}) service_->add(one);
  for (TcpServer* one : {&other, &admin, &im}) EXPECT_NO_THROW(one->start()) << one->name();
  EXPECT_EQ(im.listenerDescriptors(), std::vector<int>{descriptors_[0]});
  EXPECT_EQ(admin.listenerDescriptors(), std::vector<int>{descriptors_[1]});
  EXPECT_EQ(admin.listenAddress(), second);
  EXPECT_EQ(service_->takeListeners("stray").size(), 1U) << "it was meant for nobody";
}

TEST_F(InheritedListenersTest, TheOnlyServer_takesWhatSystemdPassed_whateverTheAddress) {
  inherit(Origin::Systemd, "one");
  inherit(Origin::Systemd, "two");
  TcpServer& only = server(InetAddress("127.0.0.1:1"));
  service_->add(&only);
  only.start();
  EXPECT_EQ(only.listenerDescriptors(), descriptors_);
}

TEST_F(InheritedListenersTest, AWildcardOfTheOtherFamily_isTaken_sinceItHoldsThePort) {
  const InetAddress address = inherit(Origin::Predecessor, "unknown", "", "0.0.0.0:0");
  TcpServer& im = server(InetAddress("[::]:" + std::to_string(address.port())));
  im.start();
  EXPECT_EQ(im.listenerDescriptors(), descriptors_);
}

TEST_F(InheritedListenersTest, AfterARestart_eachListenerGetsItsSocketBack) {
  inherit(Origin::Predecessor, "unknown", "im/1/127.0.0.1:0");
  inherit(Origin::Predecessor, "unknown", "im/0/127.0.0.1:0");
  inherit(Origin::Predecessor, "unknown", "gone/0/127.0.0.1:0");
  TcpServer& im = server(anyPort());
  im.addListener(anyPort());
  service_->add(&im);
  im.start();
  EXPECT_EQ(im.listenerDescriptors(), (std::vector<int>{descriptors_[1], descriptors_[0]}));
  const std::vector<HandedListener> handed = im.listenersToHandOver();
  ASSERT_EQ(handed.size(), 2U);
  EXPECT_EQ(handed[0].key, "im/0/127.0.0.1:0") << "and passes it on under the same key";
  EXPECT_EQ(handed[1].key, "im/1/127.0.0.1:0");
}

TEST_F(InheritedListenersTest, AfterARestart_anAddressThatIsNewIsOpened) {
  const InetAddress old = inherit(Origin::Predecessor, "unknown", "im/0/127.0.0.1:1");
  TcpServer& im = server(anyPort());
  service_->add(&im);
  im.start();
  EXPECT_NE(im.listenAddress(), old);
}

TEST_F(InheritedListenersTest, TakeListeners_leavesNothingToTheServers) {
  const InetAddress address = inherit(Origin::Systemd, "web");
  EXPECT_TRUE(service_->takeListeners("other").empty());
  std::vector<UniqueFd> taken = service_->takeListeners();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_TRUE(service_->takeListeners().empty());
  TcpServer& im = server(InetAddress());
  im.addListener(std::move(taken.front()));
  service_->add(&im);
  im.start();
  EXPECT_EQ(im.listenAddress(), address);
  const std::vector<HandedListener> handed = im.listenersToHandOver();
  ASSERT_EQ(handed.size(), 1U);
  EXPECT_EQ(handed[0].name, "web");
}

TEST_F(InheritedListenersTest, SocketsThatNobodyTook_areClosedWithTheRunner) {
  const std::size_t before = openDescriptors();
  inherit(Origin::Systemd, "unknown");
  EXPECT_EQ(openDescriptors(), before + 1);
  service_.reset();
  EXPECT_EQ(openDescriptors(), before);
}

TEST_F(InheritedListenersTest, WhatDoesNotListen_isLeftToTheUser) {
  std::vector<InheritedListeners::Socket> sockets;
  sockets.push_back({UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), "im", "", {}, {}});
  InheritedListeners::ofProcess().add(std::move(sockets), Origin::Systemd);
  TcpServer& im = server(anyPort());
  im.start();
  EXPECT_EQ(service_->takeListeners("im").size(), 1U);
}

}  // namespace
}  // namespace gyre
