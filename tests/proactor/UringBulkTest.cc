// UringBulkTest: streams that fill one receive buffer after the other share one large buffer.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "gyre/base/UniqueFd.h"
#include "proactor/UringTest.h"
#include "proactor/uring/UringProactor.h"
#include "support/ConformanceLoop.h"

namespace gyre {
namespace {

constexpr std::size_t kSmall = 4096;
constexpr std::size_t kLarge = 64 * 1024;

std::array<int, 2> unixPair() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return ends;
}

std::array<int, 2> tcpPair() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), plain, length), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), plain, &length), 0);
  const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(peer, plain, length), 0);
  return {peer, ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
}

// One stream, and where its bytes have come to.
struct Stream {
  explicit Stream(ConformanceLoop& loop, std::array<int, 2> ends = unixPair()) : receive(loop) {
    peer.reset(ends[0]);
    socket.emplace(loop, loop.proactor().adopt(ends[1]));
    receive.onCompletion = [this](const IoResult& result) {
      if (result.more) last = result;
      largest = std::max(largest, result.bytes);
    };
    receive.receive(socket->get());
  }

  void write(std::size_t bytes) {
    const std::string text = patternBytes(bytes, written);
    ASSERT_EQ(::write(peer.get(), text.data(), bytes), static_cast<ssize_t>(bytes));
    written += bytes;
  }

  UniqueFd peer;
  std::optional<ConformanceSocket> socket;
  ConformanceOperation receive;
  IoResult last;
  std::size_t largest = 0;
  std::size_t written = 0;
};

class UringBulkTest : public UringTest {
 protected:
  static ProactorOptions options() {
    ProactorOptions options;
    options.receiveBuffers = 16;
    options.receiveBufferSize = kSmall;
    options.bulkBufferSize = kLarge;
    return options;
  }

  bool arrives(Stream& stream) {
    return loop_.runUntil([&] { return stream.receive.data().size() == stream.written; });
  }
  // So much at a time that it is seen to be bulk.
  void makeBulk(Stream& stream) {
    for (int i = 0; i < 2; ++i) {
      stream.write(kLarge);
      ASSERT_TRUE(arrives(stream));
    }
    stream.largest = 0;
    stream.write(kLarge);
    ASSERT_TRUE(arrives(stream));
    ASSERT_EQ(stream.largest, kLarge);
  }

  ConformanceLoop loop_{std::make_unique<UringProactor>(options())};
};

TEST_F(UringBulkTest, Streams_thatAreBulk_shareOneHotBuffer) {
  Stream first(loop_);
  Stream second(loop_);
  makeBulk(first);
  makeBulk(second);
  EXPECT_EQ(first.last.data, second.last.data);
  for (int i = 0; i < 10; ++i) {
    first.write(kLarge);
    second.write(kLarge);
    ASSERT_TRUE(arrives(first) && arrives(second));
  }
  EXPECT_EQ(first.receive.data(), patternBytes(first.written));
  EXPECT_EQ(second.receive.data(), patternBytes(second.written));
}

TEST_F(UringBulkTest, Stream_thatCalmsDown_leavesIt) {
  Stream stream(loop_);
  makeBulk(stream);
  const char* shared = stream.last.data;
  std::set<const char*> places;
  for (int i = 0; i < 20; ++i) {
    stream.write(100);
    ASSERT_TRUE(arrives(stream));
    places.insert(stream.last.data);
  }
  EXPECT_TRUE(places.contains(shared)) << "not with the first small one";
  EXPECT_NE(stream.last.data, shared);
  makeBulk(stream);
  EXPECT_EQ(stream.last.data, shared) << "and comes back";
  EXPECT_EQ(stream.receive.data(), patternBytes(stream.written));
}

TEST_F(UringBulkTest, Cancel_whileItWaits_endsItOnceAndTakesNothing) {
  Stream stream(loop_);
  makeBulk(stream);
  loop_.settle();
  loop_.cancel(stream.receive);
  stream.write(100);
  EXPECT_EQ(stream.receive.join().error, ECANCELED);
  EXPECT_EQ(stream.receive.data().size(), stream.written - 100);
  stream.receive.receive(stream.socket->get());
  ASSERT_TRUE(arrives(stream));
  EXPECT_EQ(stream.receive.data(), patternBytes(stream.written));
}

TEST_F(UringBulkTest, End_whileItIsBulk_comesBehindTheLastByte) {
  Stream stream(loop_);
  makeBulk(stream);
  stream.write(kLarge + kSmall);
  stream.peer.reset();
  EXPECT_EQ(stream.receive.join().error, 0);
  EXPECT_EQ(stream.receive.data(), patternBytes(stream.written));
}

// A send that runs after the poll and before the receive takes the error of the socket with it: the
// receive then finds the end of the stream, as if the peer had ended it in good order.
TEST_F(UringBulkTest, Reset_ofWhichASendIsToldFirst_isNoEndOfTheStream) {
  Stream stream(loop_, tcpPair());
  makeBulk(stream);
  const linger now{1, 0};
  ::setsockopt(stream.peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  stream.peer.reset();
  pollfd reset{stream.socket->get().value(), 0, 0};
  ASSERT_EQ(::poll(&reset, 1, 10'000), 1);
  ASSERT_NE(reset.revents & POLLERR, 0);
  ConformanceOperation send(loop_);
  send.send(stream.socket->get(), "answer");
  EXPECT_EQ(stream.receive.join().error, ECONNRESET);
  EXPECT_EQ(send.join().error, ECONNRESET) << "the send was not the first: nothing was tested";
}

TEST_F(UringBulkTest, NoBulkBuffer_everythingComesInSmallOnes) {
  ProactorOptions without = options();
  without.bulkBufferSize = 0;
  ConformanceLoop loop(std::make_unique<UringProactor>(without));
  Stream stream(loop);
  for (int i = 0; i < 5; ++i) {
    stream.write(kLarge);
    ASSERT_TRUE(loop.runUntil([&] { return stream.receive.data().size() == stream.written; }));
  }
  EXPECT_EQ(stream.largest, kSmall);
}

}  // namespace
}  // namespace gyre
