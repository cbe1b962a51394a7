// crowd: the load of a broadcast: the first of many connections speaks, all of them must hear it.
//
// Usage: crowd HOST PORT CONNECTIONS BYTES COUNT_FILE
// Sends one message, takes the copies that come on all connections, and again, until SIGINT. The
// copies asked for so far are in the first 8 bytes of COUNT_FILE. Prints "open" when all hear.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr int kEventsMax = 512;
constexpr int kSilenceMs = 200;
constexpr int kGatherTries = 20;
volatile std::sig_atomic_t isOver = 0;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::atomic<std::uint64_t>& mapCounter(const char* path) {
  const int fd = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ::ftruncate(fd, sizeof(std::uint64_t)) < 0) die(path);
  void* at = ::mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) die("mmap");
  return *static_cast<std::atomic<std::uint64_t>*>(at);
}

class Crowd {
 public:
  Crowd(const sockaddr_in& server, std::size_t count, std::size_t messageBytes)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), message_(messageBytes, 'b') {
    for (std::size_t i = 0; i < count; ++i) join(server);
  }

  // Broadcasts until all hear it: connections that a server has not accepted yet do not.
  void gather() {
    for (int tries = 0; tries < kGatherTries; ++tries) {
      speak();
      std::uint64_t bytes = 0;
      for (int count = 1; count > 0;) {
        count = ::epoll_wait(epoll_, events_.data(), kEventsMax, kSilenceMs);
        for (int i = 0; i < count; ++i) bytes += take(events_[static_cast<std::size_t>(i)].data.fd);
      }
      if (bytes == std::uint64_t{message_.size()} * fds_.size()) return;
    }
    std::fprintf(stderr, "not all connections hear the broadcast\n");
    std::exit(1);
  }

  // One broadcast; false when it was interrupted.
  bool hear(std::atomic<std::uint64_t>& copies) {
    speak();
    copies.fetch_add(fds_.size(), std::memory_order_relaxed);
    const std::uint64_t wanted = std::uint64_t{message_.size()} * fds_.size();
    for (std::uint64_t bytes = 0; bytes < wanted;) {
      const int count = ::epoll_wait(epoll_, events_.data(), kEventsMax, -1);
      if (isOver != 0) return false;
      if (count < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < count; ++i) bytes += take(events_[static_cast<std::size_t>(i)].data.fd);
    }
    return true;
  }

 private:
  void speak() {
    const ssize_t n = ::send(fds_.front(), message_.data(), message_.size(), MSG_NOSIGNAL);
    if (n != static_cast<ssize_t>(message_.size())) die("send");
  }

  void join(const sockaddr_in& server) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server) < 0) {
      die("connect");
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
    fds_.push_back(fd);
  }

  std::uint64_t take(int fd) {
    const ssize_t n = ::recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n > 0) return static_cast<std::uint64_t>(n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    std::fprintf(stderr, "the server closed a connection\n");
    std::exit(1);
  }

  const int epoll_;
  const std::string message_;
  std::vector<int> fds_;
  std::array<epoll_event, kEventsMax> events_{};
  std::array<char, 65536> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: crowd HOST PORT CONNECTIONS BYTES COUNT_FILE\n");
    return 2;
  }
  struct sigaction action {};
  action.sa_handler = [](int) { isOver = 1; };  // No SA_RESTART: the wait ends.
  ::sigaction(SIGINT, &action, nullptr);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  if (::inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) die(argv[1]);
  Crowd crowd(server, static_cast<std::size_t>(std::atol(argv[3])),
              static_cast<std::size_t>(std::atol(argv[4])));
  std::atomic<std::uint64_t>& copies = mapCounter(argv[5]);
  crowd.gather();
  std::printf("open\n");
  std::fflush(stdout);
  while (isOver == 0 && crowd.hear(copies)) {
  }
  return 0;
}
