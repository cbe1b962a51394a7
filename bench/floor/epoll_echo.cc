// epoll_echo: the hand-written epoll echo server that gyre is measured against.
//
// Usage: epoll_echo PORT [echo|sink|source|broadcast]
// One thread, one hot receive buffer for all connections, no allocation on the steady path. Edge
// triggered, because a level-triggered item is polled once more in every wait that follows. While
// output is pending a connection does not read: it queues at most one receive buffer. It is also
// the hand-written sink, source (level triggered: one send per wait) and broadcast.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kHotBytes = 256 * 1024;
constexpr int kEventsMax = 512;

struct Connection {
  int fd;
  bool readable;     // True exactly while the kernel may hold bytes or EOF that we have not taken.
  bool finSeen;      // True once the edge of the peer's FIN or reset has been reported.
  size_t bytesSent;  // Of `pending`.
  std::string pending;  // What a short send left over. Not empty: waiting for EPOLLOUT.
};

enum class Step { Done, Again, Closed };
enum class Mode { Echo, Sink, Source, Broadcast };

alignas(4096) std::array<char, kHotBytes> hot;
int epollFd = -1;
int listenFd = -1;
bool acceptPaused = false;
Mode mode = Mode::Echo;
std::vector<Connection*> members;  // of a broadcast

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

void watch(int op, int fd, uint32_t events, void* tag) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = tag;
  if (epoll_ctl(epollFd, op, fd, &event) < 0) die("epoll_ctl");
}

int listenOn(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // Inherited by what is accepted.
  sockaddr_in addr{};
  addr.sin_family = AF_INET;
  addr.sin_port = htons(port);
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof addr;
  auto* generic = reinterpret_cast<sockaddr*>(&addr);
  if (bind(fd, generic, size) < 0 || listen(fd, 4096) < 0) die("listen");
  getsockname(fd, generic, &size);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
  std::fflush(stdout);
  return fd;
}

void closeConnection(Connection* c) {
  std::erase(members, c);
  close(c->fd);
  delete c;
  if (!acceptPaused) return;
  acceptPaused = false;
  watch(EPOLL_CTL_MOD, listenFd, EPOLLIN, nullptr);
}

void acceptAll() {
  for (;;) {
    const int fd = accept4(listenFd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      auto* c = new Connection{fd, false, false, 0, {}};
      if (mode == Mode::Broadcast) members.push_back(c);
      const uint32_t others = mode == Mode::Source ? 0 : EPOLLIN | EPOLLET;
      watch(EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLRDHUP | others, c);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    if (errno == EAGAIN) return;
    acceptPaused = true;  // No descriptors: the listener stays readable, so wait for a close.
    watch(EPOLL_CTL_MOD, listenFd, 0, nullptr);
    return;
  }
}

// Sends what is pending. False when the connection is beyond help.
bool flushPending(Connection* c) {
  while (c->bytesSent < c->pending.size()) {
    const ssize_t n = send(c->fd, c->pending.data() + c->bytesSent,
                           c->pending.size() - c->bytesSent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    c->bytesSent += static_cast<size_t>(n);
  }
  std::string().swap(c->pending);
  c->bytesSent = 0;
  return true;
}

// Sends it, or queues what the kernel does not take. False when the connection is beyond help.
bool deliver(Connection* c, size_t size) {
  if (!c->pending.empty()) {  // Only of a broadcast.
    c->pending.append(hot.data(), size);
    return true;
  }
  ssize_t sent = send(c->fd, hot.data(), size, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
  if (sent < 0) sent = 0;
  if (static_cast<size_t>(sent) == size) return true;
  c->pending.assign(hot.data() + sent, size - static_cast<size_t>(sent));
  return flushPending(c);
}

// A member that is beyond help is told of by an event of its own.
bool answer(Connection* c, size_t size) {
  if (mode == Mode::Sink) return true;
  if (mode == Mode::Echo) return deliver(c, size);
  for (Connection* member : members) deliver(member, size);
  return true;
}

// One receive and its echo.
Step echoOnce(Connection* c) {
  const ssize_t n = recv(c->fd, hot.data(), hot.size(), 0);
  if (n < 0 && errno == EINTR) return Step::Again;
  if (n < 0) return errno == EAGAIN ? Step::Done : Step::Closed;
  if (n == 0) return Step::Closed;
  const auto received = static_cast<size_t>(n);
  if (!answer(c, received)) return Step::Closed;
  // A receive that did not fill the buffer has emptied the socket: what comes later is a new edge.
  // A FIN whose edge has been reported is not.
  return received == hot.size() || c->finSeen ? Step::Again : Step::Done;
}

void pour(Connection* c, uint32_t events) {
  const ssize_t n = send(c->fd, hot.data(), hot.size(), MSG_NOSIGNAL);
  const bool isLost = n < 0 && errno != EAGAIN && errno != EINTR;
  if (isLost || (events & ~uint32_t{EPOLLOUT}) != 0) closeConnection(c);
}

void serve(Connection* c, uint32_t events) {
  if (mode == Mode::Source) return pour(c, events);
  if (!c->pending.empty() && !flushPending(c)) return closeConnection(c);
  if ((events & ~uint32_t{EPOLLOUT}) != 0) c->readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) c->finSeen = true;
  while (c->readable && c->pending.empty()) {
    const Step step = echoOnce(c);
    if (step == Step::Closed) return closeConnection(c);
    c->readable = step == Step::Again;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc == 3 ? argv[2] : "echo";
  if (name == "sink") mode = Mode::Sink;
  if (name == "source") mode = Mode::Source;
  if (name == "broadcast") mode = Mode::Broadcast;
  if (argc < 2 || argc > 3 || (mode == Mode::Echo && name != "echo")) {
    std::fprintf(stderr, "usage: epoll_echo PORT [echo|sink|source|broadcast]\n");
    return 2;
  }
  std::signal(SIGTERM, [](int) { _exit(0); });
  std::signal(SIGINT, [](int) { _exit(0); });
  epollFd = epoll_create1(EPOLL_CLOEXEC);
  listenFd = listenOn(static_cast<uint16_t>(std::atoi(argv[1])));
  watch(EPOLL_CTL_ADD, listenFd, EPOLLIN, nullptr);
  std::array<epoll_event, kEventsMax> events;
  for (;;) {
    const int n = epoll_wait(epollFd, events.data(), kEventsMax, -1);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.ptr == nullptr) {
        acceptAll();
      } else {
        serve(static_cast<Connection*>(event.data.ptr), event.events);
      }
    }
  }
}
