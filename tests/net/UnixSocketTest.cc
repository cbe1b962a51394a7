// Unix sockets: paths that are left behind, in use or forbidden, permissions, abstract names.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "server/InheritedListeners.h"
#include "service/NewProcess.h"
#include "support/ServerFixture.h"

namespace gyre {
namespace {

class UnixSocketTest : public ServerFixture {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / "gyre-unix-XXXXXX";
    ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
    path_ = directory_ + "/socket";
    ServerFixture::SetUp();
  }
  void TearDown() override {
    ServerFixture::TearDown();
    std::filesystem::remove_all(directory_);
  }
  void startAt(const std::string& address, const ListenOptions& options = {}) {
    start({.configure = [&](TcpServer& server) {
      server.addListener(InetAddress(address), options);
    }});
  }
  bool echoesAt(const std::string& address) {
    Peer peer = connectTo(InetAddress(address));
    return peer.send("hello") && peer.receive(5) == "hello";
  }
  // The text of the refusal; empty when it listens.
  std::string refusal(const std::string& address) {
    TcpServer server(&loop(), InetAddress(address), "refused");
    server.setThreadNum(0);
    try {
      server.start();
      return {};
    } catch (const std::system_error& error) {
      return error.what();
    }
  }

  std::string directory_;
  std::string path_;
};

TEST_F(UnixSocketTest, Path_isServed_andGoneAfterwards) {
  startAt("unix:" + path_);
  EXPECT_TRUE(echoesAt("unix:" + path_));
  EXPECT_TRUE(std::filesystem::is_socket(path_));
  endServer();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixSocketTest, PathOfADeadListener_isTakenOver) {
  {
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const InetAddress address("unix:" + path_);
    ASSERT_EQ(::bind(dead.get(), address.sockaddrPtr(), address.length()), 0);
    ASSERT_EQ(::listen(dead.get(), 1), 0);
  }
  ASSERT_TRUE(std::filesystem::exists(path_));
  startAt("unix:" + path_);
  EXPECT_TRUE(echoesAt("unix:" + path_));
}

TEST_F(UnixSocketTest, PathInUse_isLeftAlone) {
  startAt("unix:" + path_);
  EXPECT_NE(refusal("unix:" + path_).find("another process listens there"), std::string::npos);
  EXPECT_TRUE(echoesAt("unix:" + path_)) << "the first one still serves";
}

TEST_F(UnixSocketTest, PathOfAnotherFile_isNotRemoved) {
  std::ofstream(path_) << "precious";
  EXPECT_NE(refusal("unix:" + path_).find("no socket"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(path_), 8U);
}

TEST_F(UnixSocketTest, MissingDirectory_isNamed) {
  EXPECT_NE(refusal("unix:" + directory_ + "/none/socket").find("directory"), std::string::npos);
}

TEST_F(UnixSocketTest, Mode_isThePathsFromTheBeginning) {
  startAt("unix:" + path_, {.unixMode = 0600});
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(UnixSocketTest, PathThatSomebodyElseTook_isNotRemovedAtTheEnd) {
  startAt("unix:" + path_);
  std::filesystem::remove(path_);
  std::ofstream(path_) << "precious";
  endServer();
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixSocketTest, KeptPath_staysForWhoeverTakesOver) {
  startAt("unix:" + path_);
  server()->keepUnixPaths();
  endServer();
  EXPECT_TRUE(std::filesystem::is_socket(path_));
}

TEST_F(UnixSocketTest, AbstractName_isServed) {
  const std::string name = "unix:@gyre-test-" + std::to_string(::getpid());
  startAt(name);
  EXPECT_TRUE(echoesAt(name));
}

// The old process serves there until it has given way: should this one end before, it goes on.
TEST_F(UnixSocketTest, InheritedPath_goesWithTheServer_onlyOnceTheOldProcessHasGivenWay) {
  const InetAddress address("unix:" + path_);
  const UniqueFd old(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(old.get(), address.sockaddrPtr(), address.length()), 0);
  ASSERT_EQ(::listen(old.get(), 8), 0);
  for (const bool hasGivenWay : {false, true}) {
    std::vector<InheritedListeners::Socket> sockets(1);
    sockets[0].descriptor = UniqueFd(::fcntl(old.get(), F_DUPFD_CLOEXEC, 0));
    sockets[0].address = address;
    sockets[0].ownedPath = path_;
    InheritedListeners::ofProcess().add(std::move(sockets),
                                        InheritedListeners::Origin::Predecessor);
    startAt("unix:" + path_);
    EXPECT_TRUE(echoesAt("unix:" + path_));
    if (hasGivenWay) server()->takeUnixPaths();
    endServer();
    EXPECT_EQ(std::filesystem::exists(path_), !hasGivenWay);
  }
}

// The new process is started in another directory.
TEST_F(UnixSocketTest, RelativePath_isHandedOverAsAnAbsoluteOne) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_);
  startAt("unix:socket");
  std::filesystem::current_path(before);
  const std::vector<HandedListener> handed = server()->listenersToHandOver();
  ASSERT_EQ(handed.size(), 2U);
  EXPECT_TRUE(handed[1].key.ends_with(std::string(kOwnsPath) + path_)) << handed[1].key;
}

// A relative path is one of the directory in which the server was started.
TEST_F(UnixSocketTest, RelativePath_afterChdir_isGoneAllTheSame) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_);
  startAt("unix:socket");
  EXPECT_TRUE(std::filesystem::is_socket(path_));
  std::filesystem::current_path(before);
  endServer();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace gyre
