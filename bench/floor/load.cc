// load: a closed-loop client that measures echo servers and checks every byte they return.
//
// Usage: load PORT [--connections N] [--size BYTES] [--depth D] [--seconds S] [--warmup S]
//                  [--check] [--half-close] [--sync]
// Every connection keeps D messages on their way; a message that has come back is sent again. After
// the measured window one line of JSON goes to stdout. Exit status 1: a wrong byte, a lost
// connection, a stall, or no message at all.
//
// --check       compare every byte that comes back
// --half-close  at the end shut down the sending side, then expect all that is owed and the FIN
// --sync        print "open" when the window opens; after the JSON wait for EOF on stdin before any
//               connection closes, so that a harness can read the server's counters at both edges
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Nanos = int64_t;

constexpr size_t kChunkBytes = 128 * 1024;  // The most that one send or receive moves.
constexpr size_t kPatternPeriod = 4093;     // A prime: no message size hides a shifted stream.
constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kGrace = 10 * kSecond;  // After which a run that does not end is a stall.
constexpr size_t kConnectionsPerAddress = 10'000;

struct Options {
  uint16_t port = 0;
  size_t connections = 1;
  size_t size = 64;
  size_t depth = 1;
  double seconds = 1;
  double warmup = 0.2;
  bool check = false;
  bool halfClose = false;
  bool sync = false;
};

struct Connection {
  int fd = -1;
  bool writeClosed = false;
  bool done = false;
  size_t patternStart = 0;
  uint64_t bytesOwed = 0;  // To be sent, ever; counts up.
  uint64_t bytesSent = 0;
  uint64_t bytesReceived = 0;
  uint64_t nextMessageEnd = 0;  // The value of bytesReceived that completes the oldest message.
  size_t oldest = 0;            // Index into sentAt.
  std::vector<Nanos> sentAt;    // One entry per message on its way, a ring.
};

enum class Phase { Warmup, Measuring, Draining };

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "load: %s\n", what);
  std::_Exit(1);
}

[[noreturn]] void failErrno(const char* what) {
  std::fprintf(stderr, "load: %s: %s\n", what, std::strerror(errno));
  std::_Exit(1);
}

Nanos now() { return Clock::now().time_since_epoch().count(); }

Nanos cpuTime() {
  timespec ts{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return ts.tv_sec * kSecond + ts.tv_nsec;
}

// Log-linear: 64 steps per power of two, so an entry is within 1.6 % of the truth.
class Histogram {
 public:
  void add(Nanos value) { ++counts_[indexOf(static_cast<uint64_t>(std::max<Nanos>(value, 0)))]; }

  double quantileMicros(double q, uint64_t total) const {
    const auto rank = static_cast<uint64_t>(q * static_cast<double>(total));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > rank) return static_cast<double>(valueOf(i)) / 1000.0;
    }
    return 0;
  }

 private:
  static constexpr uint64_t kSteps = 64;

  static size_t indexOf(uint64_t value) {
    if (value < kSteps) return value;
    const auto shift = static_cast<uint64_t>(std::bit_width(value)) - 7;
    return std::min<size_t>((shift + 1) * kSteps + (value >> shift) - kSteps, kEntries - 1);
  }
  static uint64_t valueOf(size_t index) {
    if (index < kSteps) return index;
    return (index % kSteps + kSteps) << (index / kSteps - 1);
  }

  static constexpr size_t kEntries = kSteps * 40;
  std::array<uint64_t, kEntries> counts_{};
};

class Load {
 public:
  explicit Load(const Options& options);
  void run();

 private:
  void connectAll();
  void start(Connection& c);
  void serve(Connection& c, uint32_t events);
  void receiveAll(Connection& c, bool finSeen);
  void account(Connection& c, size_t n);
  void flush(Connection& c);
  void finish(Connection& c);
  void advancePhase(Nanos time);
  void report();

  const Options options_;
  const int receiveFlags_;
  Phase phase_ = Phase::Warmup;
  int epollFd_;
  std::vector<Connection> connections_;
  std::vector<char> pattern_;
  std::vector<char> hot_;  // One receive buffer for all connections.
  Histogram latency_;
  size_t open_ = 0;
  uint64_t messages_ = 0;
  uint64_t bytes_ = 0;
  Nanos phaseEnd_ = 0;
  Nanos opened_ = 0;
  Nanos closed_ = 0;
  Nanos cpuAtOpen_ = 0;
  Nanos cpuAtClose_ = 0;
};

Load::Load(const Options& options)
    : options_(options),
      // Truncated receives drop the bytes in the kernel, so that bulk load is cheaper than the
      // server.
      receiveFlags_(MSG_DONTWAIT | (options.check ? 0 : MSG_TRUNC)),
      epollFd_(epoll_create1(EPOLL_CLOEXEC)),
      connections_(options.connections),
      pattern_(kPatternPeriod + kChunkBytes),
      hot_(kChunkBytes) {
  uint32_t state = 1;
  for (size_t i = 0; i < kPatternPeriod; ++i) {
    state = state * 1664525 + 1013904223;
    pattern_[i] = static_cast<char>(state >> 24);
  }
  for (size_t i = kPatternPeriod; i < pattern_.size(); ++i) {
    pattern_[i] = pattern_[i - kPatternPeriod];
  }
}

void Load::connectAll() {
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(options_.port);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (size_t i = 0; i < connections_.size(); ++i) {
    Connection& c = connections_[i];
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c.fd < 0) failErrno("socket");
    const int one = 1;
    setsockopt(c.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr =
        htonl(INADDR_LOOPBACK + static_cast<uint32_t>(i / kConnectionsPerAddress));
    if (bind(c.fd, reinterpret_cast<sockaddr*>(&source), sizeof source) < 0) failErrno("bind");
    if (connect(c.fd, reinterpret_cast<sockaddr*>(&server), sizeof server) < 0) {
      failErrno("connect");
    }
    c.patternStart = i * 31 % kPatternPeriod;
    c.sentAt.resize(options_.depth);
  }
  open_ = connections_.size();
}

void Load::start(Connection& c) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &c;
  if (epoll_ctl(epollFd_, EPOLL_CTL_ADD, c.fd, &event) < 0) failErrno("epoll_ctl");
  std::fill(c.sentAt.begin(), c.sentAt.end(), now());
  c.bytesOwed = options_.depth * options_.size;
  c.nextMessageEnd = options_.size;
  flush(c);
}

void Load::serve(Connection& c, uint32_t events) {
  if (c.done) return;
  if ((events & EPOLLERR) != 0) fail("connection reset");
  if ((events & EPOLLIN) != 0) receiveAll(c, (events & (EPOLLRDHUP | EPOLLHUP)) != 0);
  flush(c);
}

void Load::receiveAll(Connection& c, bool finSeen) {
  for (;;) {
    const ssize_t n = recv(c.fd, hot_.data(), hot_.size(), receiveFlags_);
    if (n == 0) return finish(c);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) failErrno("recv");
    const auto received = static_cast<size_t>(n);
    if (c.bytesReceived + received > c.bytesSent) fail("more came back than was sent");
    const size_t offset = (c.patternStart + c.bytesReceived) % kPatternPeriod;
    if (options_.check && std::memcmp(hot_.data(), pattern_.data() + offset, received) != 0) {
      fail("a wrong byte came back");
    }
    account(c, received);
    if (received < hot_.size() && !finSeen) return;
    flush(c);
  }
}

// Notes what has come back, and owes the server a new message for each that is complete.
void Load::account(Connection& c, size_t n) {
  c.bytesReceived += n;
  if (c.bytesReceived < c.nextMessageEnd) return;
  const Nanos time = now();
  while (c.bytesReceived >= c.nextMessageEnd) {
    Nanos& sentAt = c.sentAt[c.oldest];
    if (phase_ == Phase::Measuring) {
      latency_.add(time - sentAt);
      ++messages_;
      bytes_ += options_.size;
    }
    sentAt = time;
    c.oldest = c.oldest + 1 == c.sentAt.size() ? 0 : c.oldest + 1;
    c.nextMessageEnd += options_.size;
    if (phase_ != Phase::Draining) c.bytesOwed += options_.size;
  }
  advancePhase(time);
}

void Load::flush(Connection& c) {
  while (!c.done && c.bytesSent < c.bytesOwed) {
    const size_t want = std::min<uint64_t>(c.bytesOwed - c.bytesSent, kChunkBytes);
    const char* from = pattern_.data() + (c.patternStart + c.bytesSent) % kPatternPeriod;
    const ssize_t n = send(c.fd, from, want, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) failErrno("send");
    c.bytesSent += static_cast<size_t>(n);
  }
  if (phase_ != Phase::Draining || c.writeClosed) return;
  c.writeClosed = true;
  if (shutdown(c.fd, SHUT_WR) < 0) failErrno("shutdown");
}

void Load::finish(Connection& c) {
  if (!c.writeClosed) fail("the server closed a connection");
  if (c.bytesReceived != c.bytesSent) fail("FIN before all bytes had come back");
  c.done = true;
  --open_;
}

void Load::advancePhase(Nanos time) {
  if (time < phaseEnd_) return;
  if (phase_ == Phase::Warmup) {
    phase_ = Phase::Measuring;
    if (options_.sync) std::puts("open");
    std::fflush(stdout);
    opened_ = now();
    cpuAtOpen_ = cpuTime();
    phaseEnd_ = opened_ + static_cast<Nanos>(options_.seconds * 1e9);
  } else if (phase_ == Phase::Measuring) {
    phase_ = Phase::Draining;
    closed_ = time;
    cpuAtClose_ = cpuTime();
    phaseEnd_ = time + kGrace;
  } else {
    fail("stalled while draining");
  }
}

void Load::run() {
  connectAll();
  phaseEnd_ = now() + static_cast<Nanos>(options_.warmup * 1e9);
  for (Connection& c : connections_) start(c);
  std::array<epoll_event, 512> events;
  while (open_ > 0) {
    const int n = epoll_wait(epollFd_, events.data(), static_cast<int>(events.size()), 100);
    if (n < 0 && errno != EINTR) failErrno("epoll_wait");
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      serve(*static_cast<Connection*>(event.data.ptr), event.events);
    }
    if (n == 0) advancePhase(now());
    if (phase_ != Phase::Draining) continue;
    if (!options_.halfClose) break;
    for (Connection& c : connections_) flush(c);  // The ones that are silent shut down here.
  }
  report();
}

void Load::report() {
  const auto count = static_cast<double>(std::max<uint64_t>(messages_, 1));
  std::printf(
      "{\"messages\": %llu, \"seconds\": %.6f, \"bytes\": %llu, \"p50_us\": %.2f, \"p99_us\": "
      "%.2f, "
      "\"load_cpu_us\": %.4f, \"connections\": %zu, \"size\": %zu, \"depth\": %zu}\n",
      static_cast<unsigned long long>(messages_), static_cast<double>(closed_ - opened_) / 1e9,
      static_cast<unsigned long long>(bytes_), latency_.quantileMicros(0.5, messages_),
      latency_.quantileMicros(0.99, messages_),
      static_cast<double>(cpuAtClose_ - cpuAtOpen_) / 1000.0 / count, options_.connections,
      options_.size, options_.depth);
  std::fflush(stdout);
  if (messages_ == 0) fail("no message came back");
  while (options_.sync && std::getchar() != EOF) {
  }
}

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "usage: load PORT [--connections N] [--size BYTES] [--depth D] [--seconds S] "
               "[--warmup S] [--check] [--half-close] [--sync]\n");
  std::_Exit(2);
}

Options parse(int argc, char** argv) {
  if (argc < 2) usage();
  Options options;
  options.port = static_cast<uint16_t>(std::atoi(argv[1]));
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--check") {
      options.check = true;
    } else if (name == "--half-close") {
      options.halfClose = true;
    } else if (name == "--sync") {
      options.sync = true;
    } else if (i + 1 == argc) {
      usage();
    } else {
      const double value = std::atof(argv[++i]);
      if (name == "--connections") options.connections = static_cast<size_t>(value);
      if (name == "--size") options.size = static_cast<size_t>(value);
      if (name == "--depth") options.depth = static_cast<size_t>(value);
      if (name == "--seconds") options.seconds = value;
      if (name == "--warmup") options.warmup = value;
    }
  }
  if (options.connections == 0 || options.size == 0 || options.depth == 0) usage();
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Load(options).run();
}
