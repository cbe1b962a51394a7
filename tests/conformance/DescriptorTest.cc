// What only an engine over the kernel can meet: descriptors of all sorts, and signals.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <future>
#include <memory>
#include <thread>

#include "support/ConformanceFixture.h"
#include "support/ConformanceKernelWorld.h"

namespace gyre {
namespace {

using testing::AnyOf;

class DescriptorConformanceTest : public ConformanceTest {
 protected:
  ConformanceSocket adoptEventFd() { return adopt(::eventfd(0, EFD_CLOEXEC)); }
  static void signal(const ConformanceSocket& event, std::uint64_t count) {
    ASSERT_EQ(::write(event.get().value(), &count, sizeof count), ssize_t{sizeof count});
  }
  std::span<char> bytesOf(std::uint64_t& value) {
    return {reinterpret_cast<char*>(&value), sizeof value};
  }
};

// --- eventfd and pipe

TEST_P(DescriptorConformanceTest, Poll_eventfd_saysReadable) {
  ConformanceSocket event = adoptEventFd();
  ConformanceOperation poll(loop());
  poll.poll(event.get(), POLLIN);
  loop().settle();
  EXPECT_TRUE(poll.told().empty());
  signal(event, 1);
  EXPECT_EQ(poll.join().events, static_cast<std::uint32_t>(POLLIN));
}

TEST_P(DescriptorConformanceTest, Poll_eventfdIsReadableAlready_saysSo) {
  ConformanceSocket event = adoptEventFd();
  signal(event, 1);
  ConformanceOperation poll(loop());
  for (int i = 0; i < 3; ++i) {
    poll.poll(event.get(), POLLIN);
    EXPECT_EQ(poll.join().events, static_cast<std::uint32_t>(POLLIN));
  }
}

TEST_P(DescriptorConformanceTest, Poll_eventfdReadByItsUser_waitsForTheNext) {
  ConformanceSocket event = adoptEventFd();
  ConformanceOperation poll(loop());
  for (std::uint64_t count = 1; count <= 5; ++count) {
    poll.poll(event.get(), POLLIN);
    loop().settle();
    ASSERT_TRUE(poll.isInFlight());
    signal(event, count);
    EXPECT_EQ(poll.join().events, static_cast<std::uint32_t>(POLLIN));
    std::uint64_t value = 0;
    ASSERT_EQ(::read(event.get().value(), &value, sizeof value), ssize_t{sizeof value});
    EXPECT_EQ(value, count);
  }
}

// The descriptor is a blocking one: reading too early would stop the loop.
TEST_P(DescriptorConformanceTest, Read_eventfd_getsEachCount) {
  ConformanceSocket event = adoptEventFd();
  ConformanceOperation read(loop());
  std::uint64_t value = 0;
  for (std::uint64_t count = 1; count <= 5; ++count) {
    read.read(event.get(), bytesOf(value));
    loop().settle();
    ASSERT_TRUE(read.isInFlight());
    signal(event, count);
    EXPECT_EQ(read.join().bytes, sizeof value);
    EXPECT_EQ(value, count);
  }
}

TEST_P(DescriptorConformanceTest, Read_cancelled_endsAndLeavesTheCount) {
  ConformanceSocket event = adoptEventFd();
  ConformanceOperation read(loop());
  std::uint64_t value = 0;
  read.read(event.get(), bytesOf(value));
  loop().settle();
  loop().cancel(read);
  EXPECT_EQ(read.join().error, ECANCELED);
  signal(event, 7);
  read.read(event.get(), bytesOf(value));
  EXPECT_EQ(read.join().bytes, sizeof value);
  EXPECT_EQ(value, 7U);
}

TEST_P(DescriptorConformanceTest, Read_cancelAll_endsIt) {
  ConformanceSocket event = adoptEventFd();
  ConformanceOperation read(loop());
  std::uint64_t value = 0;
  read.read(event.get(), bytesOf(value));
  loop().settle();
  loop().cancelAll(event.get());
  EXPECT_EQ(read.join().error, ECANCELED);
}

TEST_P(DescriptorConformanceTest, Read_pipe_getsBytesThenTheEnd) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ConformanceSocket pipe = adopt(ends[0]);
  ConformanceOperation read(loop());
  std::array<char, 64> buffer{};
  read.read(pipe.get(), buffer);
  loop().settle();
  EXPECT_TRUE(read.isInFlight());
  ASSERT_EQ(::write(ends[1], "through", 7), 7);
  EXPECT_EQ(read.join().bytes, 7U);
  EXPECT_EQ(std::string_view(buffer.data(), 7), "through");
  read.read(pipe.get(), buffer);
  loop().settle();
  ::close(ends[1]);
  const auto end = read.join();
  EXPECT_EQ(end.error, 0);
  EXPECT_EQ(end.bytes, 0U);
}

// One write makes it readable for both, and no further edge comes.
TEST_P(DescriptorConformanceTest, Read_twoWait_bothGetTheirShare) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd writer(ends[1]);
  ConformanceSocket pipe = adopt(ends[0]);
  ConformanceOperation first(loop());
  ConformanceOperation second(loop());
  std::array<char, 3> one{};
  std::array<char, 3> other{};
  first.read(pipe.get(), one);
  second.read(pipe.get(), other);
  loop().settle();
  ASSERT_EQ(::write(writer.get(), "abcdef", 6), 6);
  EXPECT_EQ(first.join().bytes, 3U);
  EXPECT_EQ(second.join().bytes, 3U);
  EXPECT_THAT(std::string(one.data(), 3) + std::string(other.data(), 3), AnyOf("abcdef", "defabc"));
}

// --- The wrong sort of descriptor: the error comes as a completion, at once

TEST_P(DescriptorConformanceTest, Verbs_noSocket_endWithNotASocket) {
  ConformanceSocket event = adoptEventFd();
  std::array<char, 64> buffer{};
  ConformanceOperation operation(loop());
  operation.receive(event.get());
  EXPECT_EQ(operation.join().error, ENOTSOCK);
  operation.receiveInto(event.get(), buffer);
  EXPECT_EQ(operation.join().error, ENOTSOCK);
  operation.send(event.get(), "x");
  EXPECT_EQ(operation.join().error, ENOTSOCK);
  operation.connect(event.get(), world().acceptingAddress());
  EXPECT_EQ(operation.join().error, ENOTSOCK);
  operation.accept(event.get());
  EXPECT_EQ(operation.join().error, ENOTSOCK);
}

TEST_P(DescriptorConformanceTest, Verbs_socketInTheWrongState_endWithItsError) {
  Link pair = link();
  ConformanceSocket listener = listen();
  ConformanceSocket fresh = socket();
  ConformanceOperation operation(loop());
  operation.accept(pair.near.get());
  EXPECT_EQ(operation.join().error, EINVAL);
  operation.receive(listener.get());
  EXPECT_EQ(operation.join().error, ENOTCONN);
  operation.send(fresh.get(), "x");
  EXPECT_EQ(operation.join().error, EPIPE);
  operation.receive(fresh.get());
  EXPECT_EQ(operation.join().error, ENOTCONN);
  operation.connect(pair.near.get(), world().acceptingAddress());
  EXPECT_EQ(operation.join().error, EISCONN);
}

TEST_P(DescriptorConformanceTest, Verbs_descriptorIsClosed_endWithBadDescriptor) {
  ConformanceOperation operation(loop());
  const int fd = ::dup(STDERR_FILENO);
  ::close(fd);
  operation.receive(SocketHandle(fd));
  EXPECT_EQ(operation.join().error, EBADF);
  operation.accept(SocketHandle(fd));
  EXPECT_EQ(operation.join().error, EBADF);
  operation.poll(SocketHandle(fd), POLLIN);
  EXPECT_EQ(operation.join().error, EBADF);
}

// A regular file is always ready, and no receive: epoll refuses it as such.
TEST_P(DescriptorConformanceTest, Receive_regularFile_ends) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ConformanceSocket regular = adopt(::dup(::fileno(file)));
    ConformanceOperation receive(loop());
    receive.receive(regular.get());
    EXPECT_THAT(receive.join().error, AnyOf(ENOTSOCK, EPERM));
  }
  std::fclose(file);
}

// --- Sockets that others have opened

TEST_P(DescriptorConformanceTest, Accept_blockingListenerWithTwoTakers_neverBlocksTheLoop) {
  UniqueFd own(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const InetAddress any = InetAddress::loopback(0);
  ASSERT_EQ(::bind(own.get(), any.sockaddrPtr(), any.length()), 0);
  ASSERT_EQ(::listen(own.get(), 16), 0);
  // As in a process that inherited it: whoever is second finds the client gone.
  ConformanceSocket listener = adopt(::dup(own.get()));
  ConformanceLoop other(world().makeProactor());
  ConformanceSocket shared(other, other.proactor().adopt(::dup(own.get())));
  std::vector<ConformanceSocket> taken;
  ConformanceOperation first(loop());
  ConformanceOperation second(other);
  const auto keep = [&](const IoResult& result) {
    if (result.more) taken.emplace_back(loop(), result.socket);
  };
  first.onCompletion = keep;
  second.onCompletion = keep;
  first.accept(listener.get());
  second.accept(shared.get());
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (std::size_t i = 1; i <= 50; ++i) {
    clients.push_back(world().connectTo(proactor().localAddress(listener.get())));
    ASSERT_TRUE(loop().runUntil([&] {
      other.run(kNoWait);
      return taken.size() == i;
    }));
  }
}

// The flags of a listener belong to every process that has it, and accept4 knows no MSG_DONTWAIT.
TEST_P(DescriptorConformanceTest,
       Accept_listenerThatAnotherProcessMadeBlocking_neverBlocksTheLoop) {
  ConformanceSocket listener = listen();
  const InetAddress address = proactor().localAddress(listener.get());
  const UniqueFd shared(::dup(listener.get().value()));
  std::vector<ConformanceSocket> taken;
  ConformanceOperation accept(loop());
  accept.onCompletion = [&](const IoResult& result) {
    if (result.more) taken.emplace_back(loop(), result.socket);
  };
  accept.accept(listener.get());
  loop().settle();
  ASSERT_EQ(::fcntl(shared.get(), F_SETFL, ::fcntl(shared.get(), F_GETFL) & ~O_NONBLOCK), 0);
  const auto client = world().connectTo(address);
  // If the loop hangs in accept4, one client more lets it go, and the next call does not wait.
  std::promise<void> isOver;
  std::unique_ptr<ConformancePeer> rescuer;
  std::thread watch([&] {
    const auto status = isOver.get_future().wait_for(std::chrono::seconds(5));
    if (status != std::future_status::timeout) return;
    ::fcntl(shared.get(), F_SETFL, ::fcntl(shared.get(), F_GETFL) | O_NONBLOCK);
    rescuer = world().connectTo(address);
  });
  EXPECT_TRUE(loop().runUntil([&] { return !taken.empty(); }));
  isOver.set_value();
  watch.join();
  EXPECT_EQ(rescuer, nullptr) << "the loop waited for a client";
}

TEST_P(DescriptorConformanceTest, Adopt_listener_leavesItsFlagsToThoseWhoShareIt) {
  UniqueFd own(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const InetAddress any = InetAddress::loopback(0);
  ASSERT_EQ(::bind(own.get(), any.sockaddrPtr(), any.length()), 0);
  ASSERT_EQ(::listen(own.get(), 16), 0);
  ConformanceSocket listener = adopt(::dup(own.get()));
  std::vector<ConformanceSocket> taken;
  ConformanceOperation accept(loop());
  accept.onCompletion = [&](const IoResult& result) {
    if (result.more) taken.emplace_back(loop(), result.socket);
  };
  accept.accept(listener.get());
  std::vector<std::unique_ptr<ConformancePeer>> clients;
  for (std::size_t i = 1; i <= 10; ++i) {
    clients.push_back(world().connectTo(proactor().localAddress(listener.get())));
    ASSERT_TRUE(loop().runUntil([&] { return taken.size() == i; }));
  }
  EXPECT_NE(::fcntl(own.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_P(DescriptorConformanceTest, UnixSockets_listenConnectTransfer_workAsTcpDoes) {
  const std::string path = testing::TempDir() + "gyre-" + std::to_string(::getpid()) + ".sock";
  const InetAddress address("unix:" + path);
  {
    ConformanceSocket listener(loop(), proactor().listen(address, {}));
    ConformanceSocket client(loop(), proactor().socket(AF_UNIX));
    std::vector<ConformanceSocket> taken;
    ConformanceOperation accept(loop());
    ConformanceOperation connect(loop());
    accept.onCompletion = [&](const IoResult& result) {
      if (result.more) taken.emplace_back(loop(), result.socket);
    };
    accept.accept(listener.get());
    connect.connect(client.get(), address);
    EXPECT_EQ(connect.join().error, 0);
    ASSERT_TRUE(loop().runUntil([&] { return !taken.empty(); }));
    const std::string sent = patternBytes(kSendBytesMax);
    ConformanceOperation send(loop());
    ConformanceOperation receive(loop());
    receive.receive(taken.front().get());
    send.send(client.get(), sent);
    EXPECT_TRUE(loop().runUntil([&] { return receive.data().size() == sent.size(); }));
    EXPECT_EQ(receive.data(), sent);
    EXPECT_EQ(send.join().error, 0);
    EXPECT_EQ(proactor().shutdownWrite(client.get()), 0);
    EXPECT_EQ(receive.join().error, 0);
  }
  ::unlink(path.c_str());
  ConformanceSocket client(loop(), proactor().socket(AF_UNIX));
  ConformanceOperation connect(loop());
  connect.connect(client.get(), address);
  EXPECT_EQ(connect.join().error, ENOENT);
}

// A receive stops at urgent data. io_uring's multishot may then take the socket for empty, until
// more arrives (its hint counts up to the mark only); but nothing is lost or reordered.
TEST_P(DescriptorConformanceTest, Receive_urgentDataBetween_theRestIsWhole) {
  TcpPair pair = makeTcpPair();
  ConformanceSocket near = adopt(pair.near.release());
  ConformanceOperation receive(loop());
  receive.receive(near.get());
  ASSERT_EQ(::send(pair.far.get(), "before", 6, MSG_NOSIGNAL), 6);
  ASSERT_EQ(::send(pair.far.get(), "!", 1, MSG_NOSIGNAL | MSG_OOB), 1);
  ASSERT_EQ(::send(pair.far.get(), "behind", 6, MSG_NOSIGNAL), 6);
  ASSERT_TRUE(loop().runUntil([&] { return receive.data().size() >= 6; }));
  ASSERT_EQ(::send(pair.far.get(), "after", 5, MSG_NOSIGNAL), 5);
  EXPECT_TRUE(loop().runUntil([&] { return receive.data() == "beforebehindafter"; }))
      << receive.data();
}

// It also stops at a message that carries descriptors: what lies behind is still to be delivered,
// although no more will arrive.
void sendWithDescriptor(int socket, std::string_view bytes) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int passed = STDERR_FILENO;
  std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
  ASSERT_EQ(::sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

TEST_P(DescriptorConformanceTest, Receive_passedDescriptorsBetween_getsWhatLiesBehindThem) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const UniqueFd far(ends[1]);
  ConformanceSocket near = adopt(ends[0]);
  sendWithDescriptor(far.get(), "first");
  sendWithDescriptor(far.get(), "second");
  ASSERT_EQ(::send(far.get(), "third", 5, MSG_NOSIGNAL), 5);
  ConformanceOperation receive(loop());
  receive.receive(near.get());
  EXPECT_TRUE(loop().runUntil([&] { return receive.data() == "firstsecondthird"; }))
      << receive.data();
}

// A duplicate keeps the socket open beyond close(): its events must reach nobody here.
TEST_P(DescriptorConformanceTest, Close_aDuplicateLivesOn_theLoopHearsNoMoreOfIt) {
  Link pair = link();
  const UniqueFd duplicate(::dup(pair.near.get().value()));
  {
    ConformanceOperation receive(loop());
    receive.receive(pair.near.get());
    loop().settle();
  }
  pair.near.close();
  loop().settle();
  const std::uint64_t before = loop().counters().enters.get();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(pair.far->sendSome("x"), 1U);
  const TimePoint start = proactor().now();
  loop().run(start + std::chrono::milliseconds(5));
  EXPECT_GE(proactor().now() - start, std::chrono::milliseconds(4)) << "it was woken";
  EXPECT_LE(loop().counters().enters.get() - before, 2U);
}

// --- Signals

// EINTR is no error, and no reason to return early.
TEST_P(DescriptorConformanceTest, Run_signalsEveryMillisecond_nothingFails) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  struct sigaction previous {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &previous), 0);
  const std::string sent = patternBytes(kSendBytesMax);
  Link pair = link(kTinyBuffers);
  ConformanceOperation send(loop());
  const pthread_t self = ::pthread_self();
  std::atomic<bool> stop{false};
  std::thread storm([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      ::pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  send.send(pair.near.get(), sent);
  EXPECT_EQ(loop().receiveAll(*pair.far, sent.size()), sent);
  EXPECT_EQ(send.join().error, 0);
  const TimePoint deadline = proactor().now() + std::chrono::milliseconds(20);
  loop().run(deadline);
  EXPECT_GE(proactor().now(), deadline);
  stop.store(true, std::memory_order_relaxed);
  storm.join();
  ::sigaction(SIGUSR1, &previous, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Engines, DescriptorConformanceTest,
                         testing::ValuesIn(kernelConformanceEngines()), conformanceEngineName);

}  // namespace
}  // namespace gyre
