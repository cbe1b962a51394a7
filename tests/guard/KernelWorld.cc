// The loop runs on a real engine, the peers are sockets on the loopback interface.
//
// The peers read and write with readv and writev, which no engine uses: so a list of system calls
// tells theirs from the engine's.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "Counting.h"
#include "World.h"
#include "gyre/base/UniqueFd.h"

namespace gyre::guard {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class LoopbackPeer {
 public:
  explicit LoopbackPeer(const InetAddress& server)
      : fd_(::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Of a fixed size, since the kernel's own tuning goes by time.
    const int buffer = 1 << 20;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (::connect(fd_.get(), server.sockaddrPtr(), server.length()) != 0) fail("connect");
    if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0) fail("fcntl");
  }

  void begin(std::string_view text) {
    unsent_ = text;
    unheard_ = text.size();
    proceed();
  }

  // Says and hears what can be at once. True when all was heard.
  bool proceed() {
    while (!unsent_.empty() && say()) continue;
    while (unheard_ != 0 && hear()) continue;
    return unheard_ == 0;
  }

 private:
  bool say() {
    iovec part{const_cast<char*>(unsent_.data()), unsent_.size()};
    const ssize_t said = ::writev(fd_.get(), &part, 1);
    if (said < 0 && errno != EAGAIN) fail("writev");
    if (said > 0) unsent_.remove_prefix(static_cast<std::size_t>(said));
    return said > 0;
  }

  bool hear() {
    static std::vector<char> into(256 * 1024);
    iovec part{into.data(), std::min(into.size(), unheard_)};
    const ssize_t heard = ::readv(fd_.get(), &part, 1);
    if (heard == 0) errno = EPIPE;
    if (heard == 0 || (heard < 0 && errno != EAGAIN)) fail("readv");
    if (heard > 0) unheard_ -= static_cast<std::size_t>(heard);
    return heard > 0;
  }

  UniqueFd fd_;
  std::string_view unsent_;
  std::size_t unheard_ = 0;
};

class KernelWorld final : public World {
 public:
  explicit KernelWorld(Engine engine) : loop_(optionsFor(engine)) {}

  EventLoop& loop() override { return loop_; }

  void connect(const InetAddress& server, std::size_t peers) override {
    for (std::size_t i = 0; i < peers; ++i) peers_.emplace_back(server);
  }

  void exchange(std::string_view text) override {
    for (LoopbackPeer& peer : peers_) peer.begin(text);
    bool isDone = false;
    while (!isDone) {
      runOnce();
      isDone = true;
      for (LoopbackPeer& peer : peers_) isDone = peer.proceed() && isDone;
    }
  }

  void disconnect() override { peers_.clear(); }

  void runUntil(const std::function<bool()>& isDone) override {
    while (!isDone()) runOnce();
  }

 private:
  static ProactorOptions optionsFor(Engine engine) {
    ProactorOptions options;
    options.engine = engine;
    return options;
  }

  void runOnce() {
    const TimePoint deadline = loop_.now() + 10ms;
    const Counted counted;
    loop_.runOnce(deadline);
  }

  EventLoop loop_;
  std::vector<LoopbackPeer> peers_;
};

}  // namespace

std::unique_ptr<World> makeKernelWorld(Engine engine) {
  return std::make_unique<KernelWorld>(engine);
}

}  // namespace gyre::guard
