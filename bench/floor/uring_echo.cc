// uring_echo: the hand-written io_uring echo server that gyre is measured against.
//
// Usage: uring_echo PORT [echo|sink|source|broadcast]
// One thread, one ring, raw system calls. A connection receives by multishot from a small, hot
// buffer ring; one that fills its buffers changes to single receives into a large buffer of its
// own. What arrives is sent at once by send(2), while it is in the cache; what that leaves over is
// copied and follows through the ring, one send in flight at a time. While bytes wait no receive is
// armed, and beyond kQueuedMax the running one is ended.
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr unsigned kSqEntries = 4096;
constexpr unsigned kCqEntries = 16384;
constexpr unsigned kBatchMax = 1024;  // Completions at a time, at most two entries for each.
constexpr unsigned kBuffers = 32;
constexpr unsigned kBufferBytes = 32 * 1024;
constexpr unsigned kBulkBytes = 256 * 1024;
constexpr unsigned kBulkMax = 256;    // Connections with a large buffer.
constexpr unsigned kFullForBulk = 2;  // Full buffers in a row.
constexpr size_t kQueuedMax = 256 * 1024;
constexpr unsigned kFeatNoIowait = 1U << 17, kEnterNoIowait = 1U << 7;  // Linux 6.15.

enum class Mode { Echo, Sink, Source, Broadcast };
enum Op : uint64_t { Accept = 1, Stream, Single, Send, Cancel, OpMask = 7 };

struct Connection {
  int fd = -1;
  bool receiving = false;  // True exactly while a receive is armed.
  bool starving = false;   // True exactly while in Server::starving_.
  bool sending = false;    // True exactly while a send is in flight.
  bool ended = false;      // Nothing more will be read: EOF, or an error.
  bool bulk = false;       // Receives into a large buffer of its own.
  unsigned fullCount = 0;
  char* bulkBuffer = nullptr;
  size_t bytesSent = 0;  // Of `inFlight`.
  std::string inFlight;  // Also the kernel's while `sending`.
  std::string queued;    // Follows it.
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

template <class T>
T* map(size_t bytes, int fd = -1, off_t offset = 0) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, offset);
  if (at == MAP_FAILED) die("mmap");
  return static_cast<T*>(at);
}

uint64_t addressOf(const void* p) { return reinterpret_cast<uint64_t>(p); }

unsigned loadAcquire(unsigned* p) {
  return std::atomic_ref<unsigned>(*p).load(std::memory_order_acquire);
}

template <class T>
void storeRelease(T* p, T value) {
  std::atomic_ref<T>(*p).store(value, std::memory_order_release);
}

class Ring {
 public:
  Ring() {
    io_uring_params params{};
    params.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE |
                   IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    params.cq_entries = kCqEntries;
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, kSqEntries, &params));
    if (fd_ < 0) die("io_uring_setup");
    if ((params.features & kFeatNoIowait) != 0) enterFlags_ |= kEnterNoIowait;
    const size_t sqEnd = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    const size_t cqEnd = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
    char* base = map<char>(std::max(sqEnd, cqEnd), fd_, IORING_OFF_SQ_RING);
    const auto field = [base](unsigned at) { return reinterpret_cast<unsigned*>(base + at); };
    sqHead_ = field(params.sq_off.head);
    sqTail_ = field(params.sq_off.tail);
    cqHead_ = field(params.cq_off.head);
    cqTail_ = field(params.cq_off.tail);
    cqes_ = reinterpret_cast<io_uring_cqe*>(base + params.cq_off.cqes);
    sqes_ = map<io_uring_sqe>(params.sq_entries * sizeof(io_uring_sqe), fd_, IORING_OFF_SQES);
    sqMask_ = params.sq_entries - 1;
    cqMask_ = params.cq_entries - 1;
    for (unsigned i = 0; i <= sqMask_; ++i) field(params.sq_off.array)[i] = i;
    bufferRing_ = map<io_uring_buf>(kBuffers * sizeof(io_uring_buf));
    bufferMemory_ = map<char>(size_t{kBuffers} * kBufferBytes);
    io_uring_buf_reg buffers{};
    buffers.ring_addr = addressOf(bufferRing_);
    buffers.ring_entries = kBuffers;
    if (syscall(SYS_io_uring_register, fd_, IORING_REGISTER_PBUF_RING, &buffers, 1) < 0) {
      die("IORING_REGISTER_PBUF_RING");
    }
    for (uint16_t id = 0; id < kBuffers; ++id) provide(id);
    publish();
  }

  io_uring_sqe& prepare(Op op, Connection* c, uint8_t opcode, int fd) {
    if (sqLocalTail_ - loadAcquire(sqHead_) > sqMask_) die("submission queue full");
    io_uring_sqe& sqe = sqes_[sqLocalTail_++ & sqMask_];
    std::memset(&sqe, 0, sizeof sqe);
    sqe.opcode = opcode;
    sqe.fd = fd;
    sqe.user_data = addressOf(c) | op;
    return sqe;
  }

  // Hands over all that is prepared, then waits for that many completions.
  void enter(unsigned completions) {
    storeRelease(sqTail_, sqLocalTail_);
    for (;;) {
      const unsigned offered = sqLocalTail_ - loadAcquire(sqHead_);
      const long n =
          syscall(SYS_io_uring_enter, fd_, offered, completions, enterFlags_, nullptr, 0);
      if (n < 0 && errno != EINTR) die("io_uring_enter");
      if (n == static_cast<long>(offered)) return;
    }
  }

  template <class Handler>
  void drain(Handler handle) {
    unsigned head = *cqHead_;
    const unsigned tail = loadAcquire(cqTail_);
    const unsigned end = head + std::min(tail - head, kBatchMax);
    for (; head != end; ++head) handle(cqes_[head & cqMask_]);
    storeRelease(cqHead_, head);
  }

  const char* buffer(uint16_t id) const { return bufferMemory_ + size_t{id} * kBufferBytes; }

  void provide(uint16_t id) {
    io_uring_buf& entry = bufferRing_[bufferTail_++ & (kBuffers - 1)];
    entry.addr = addressOf(buffer(id));
    entry.len = kBufferBytes;
    entry.bid = id;
  }

  void publish() { storeRelease(&bufferRing_[0].resv, bufferTail_); }

 private:
  int fd_ = -1;
  unsigned enterFlags_ = IORING_ENTER_GETEVENTS;
  unsigned sqMask_ = 0, cqMask_ = 0, sqLocalTail_ = 0;
  unsigned *sqHead_, *sqTail_, *cqHead_, *cqTail_;
  io_uring_sqe* sqes_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
  // Not io_uring_buf_ring, whose array C++ misplaces. The ring's tail is `resv` of entry 0.
  io_uring_buf* bufferRing_ = nullptr;
  char* bufferMemory_ = nullptr;
  uint16_t bufferTail_ = 0;
};

class Server {
 public:
  Server(uint16_t port, Mode mode)
      : mode_(mode), listenFd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int one = 1;
    setsockopt(listenFd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listenFd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // Inherited on accept.
    sockaddr_in addr{};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof addr;
    auto* generic = reinterpret_cast<sockaddr*>(&addr);
    if (bind(listenFd_, generic, size) < 0 || listen(listenFd_, 4096) < 0) die("listen");
    getsockname(listenFd_, generic, &size);
    std::printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    std::fflush(stdout);
  }

  [[noreturn]] void run() {
    armAccept();
    for (;;) {
      ring_.enter(starving_.empty() ? 1 : 0);
      ring_.drain([this](const io_uring_cqe& cqe) { dispatch(cqe); });
      ring_.publish();
      feedStarving();
    }
  }

 private:
  void dispatch(const io_uring_cqe& cqe) {
    auto* c = reinterpret_cast<Connection*>(cqe.user_data & ~uint64_t{OpMask});
    const auto op = static_cast<Op>(cqe.user_data & OpMask);
    if (op == Accept) handleAccept(cqe);
    if (op == Stream) handleStream(*c, cqe);
    if (op == Single) handleSingle(*c, cqe.res);
    if (op == Send) handleSent(*c, cqe.res);
  }

  // Between two batches all buffers are back: nothing is lent for longer than its completion.
  void feedStarving() {
    const size_t fed = std::min<size_t>(starving_.size(), kBuffers);
    for (size_t i = 0; i < fed; ++i) {
      starving_[i]->starving = false;
      proceed(*starving_[i]);
    }
    starving_.erase(starving_.begin(), starving_.begin() + static_cast<std::ptrdiff_t>(fed));
  }

  void armAccept() {
    io_uring_sqe& sqe = ring_.prepare(Accept, nullptr, IORING_OP_ACCEPT, listenFd_);
    sqe.accept_flags = SOCK_CLOEXEC;
    sqe.ioprio = IORING_ACCEPT_MULTISHOT;
    accepting_ = true;
  }

  void handleAccept(const io_uring_cqe& cqe) {
    if (cqe.res >= 0) {
      auto* c = new Connection;
      c->fd = cqe.res;
      armReceive(*c);
      if (mode_ == Mode::Broadcast) members_.push_back(c);
      if (mode_ == Mode::Source) submitSend(*c);
    }
    if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
    accepting_ = false;
    const int e = -cqe.res;  // Out of descriptors or memory: the next close accepts again.
    if (e != EMFILE && e != ENFILE && e != ENOBUFS && e != ENOMEM) armAccept();
  }

  void armReceive(Connection& c) {
    c.receiving = true;
    io_uring_sqe& sqe = ring_.prepare(c.bulk ? Single : Stream, &c, IORING_OP_RECV, c.fd);
    if (!c.bulk) {
      sqe.flags = IOSQE_BUFFER_SELECT;
      sqe.ioprio = IORING_RECV_MULTISHOT;
      return;
    }
    if (c.bulkBuffer == nullptr) {
      if (bulkPool_.empty()) bulkPool_.push_back(map<char>(kBulkBytes));
      c.bulkBuffer = bulkPool_.back();
      bulkPool_.pop_back();
    }
    sqe.addr = addressOf(c.bulkBuffer);
    sqe.len = kBulkBytes;
  }

  void endStream(Connection& c) {
    if (!c.receiving) return;
    io_uring_sqe& sqe = ring_.prepare(Cancel, nullptr, IORING_OP_ASYNC_CANCEL, -1);
    sqe.addr = addressOf(&c) | Stream;
    sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
  }

  void handleStream(Connection& c, const io_uring_cqe& cqe) {
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) c.receiving = false;
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      const auto id = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
      if (cqe.res > 0) echo(c, ring_.buffer(id), static_cast<size_t>(cqe.res));
      ring_.provide(id);
      c.fullCount = cqe.res == int{kBufferBytes} ? c.fullCount + 1 : 0;
      if (c.fullCount >= kFullForBulk && bulkConnections_ < kBulkMax && !c.bulk) {
        c.bulk = true;
        ++bulkConnections_;
        endStream(c);
      }
    }
    if (c.receiving) return;
    if (cqe.res == -ENOBUFS) {
      c.starving = true;
      starving_.push_back(&c);
    }
    const int e = -cqe.res;
    c.ended |= e == 0;
    if (e > 0 && e != ENOBUFS && e != ECANCELED && e != EINTR) abort(c);
    proceed(c);
  }

  void handleSingle(Connection& c, int result) {
    c.receiving = false;
    c.ended |= result == 0;
    if (result < 0 && result != -EINTR) abort(c);
    if (result > 0) echo(c, c.bulkBuffer, static_cast<size_t>(result));
    proceed(c);
  }

  void echo(Connection& c, const char* data, size_t length) {
    if (mode_ == Mode::Echo) return deliver(c, data, length);
    for (Connection* member : members_) deliver(*member, data, length);
  }

  void deliver(Connection& c, const char* data, size_t length) {
    if (c.ended) return;
    ssize_t sent = 0;
    if (!c.sending) sent = ::send(c.fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(length)) return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return abort(c);
    const auto done = static_cast<size_t>(std::max<ssize_t>(sent, 0));
    c.queued.append(data + done, length - done);
    if (!c.sending) sendQueued(c);
    if (c.queued.size() > kQueuedMax) endStream(c);
  }

  void sendQueued(Connection& c) {
    c.inFlight.swap(c.queued);
    c.queued.clear();
    c.bytesSent = 0;
    submitSend(c);
  }

  void submitSend(Connection& c) {
    const std::string& from = mode_ == Mode::Source ? endless_ : c.inFlight;
    io_uring_sqe& sqe = ring_.prepare(Send, &c, IORING_OP_SEND, c.fd);
    sqe.addr = addressOf(from.data() + c.bytesSent);
    sqe.len = static_cast<uint32_t>(from.size() - c.bytesSent);
    sqe.msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
    c.sending = true;
  }

  void handleSent(Connection& c, int result) {
    c.sending = false;
    if (result < 0 && result != -EINTR && result != -EAGAIN) abort(c);
    if (mode_ == Mode::Source && !c.ended) return submitSend(c);
    if (result > 0) c.bytesSent += static_cast<size_t>(result);
    if (c.bytesSent < c.inFlight.size()) return submitSend(c);
    if (!c.queued.empty()) return sendQueued(c);
    proceed(c);
  }

  // Nothing more goes either way; what is in flight ends by it.
  void abort(Connection& c) {
    c.ended = true;
    c.queued.clear();
    c.bytesSent = c.inFlight.size();
    shutdown(c.fd, SHUT_RDWR);
  }

  // The next step of a connection, once nothing of it is in flight or waiting.
  void proceed(Connection& c) {
    if (c.receiving || c.sending || c.starving) return;
    if (!c.ended) return armReceive(c);
    if (c.bulk) --bulkConnections_;
    if (c.bulkBuffer != nullptr) bulkPool_.push_back(c.bulkBuffer);
    close(c.fd);
    std::erase(members_, &c);
    delete &c;
    if (!accepting_) armAccept();
  }

  Ring ring_;
  const Mode mode_;
  int listenFd_;
  bool accepting_ = false;
  unsigned bulkConnections_ = 0;
  std::vector<char*> bulkPool_;
  std::vector<Connection*> starving_;  // Receivers that found no buffer, in their order.
  std::vector<Connection*> members_;   // Of a broadcast.
  const std::string endless_ = std::string(kBulkBytes, '\0');  // What a source sends.
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc == 3 ? argv[2] : "echo";
  Mode mode = Mode::Echo;
  if (name == "sink") mode = Mode::Sink;
  if (name == "source") mode = Mode::Source;
  if (name == "broadcast") mode = Mode::Broadcast;
  if (argc < 2 || argc > 3 || (mode == Mode::Echo && name != "echo")) {
    std::fprintf(stderr, "usage: uring_echo PORT [echo|sink|source|broadcast]\n");
    return 2;
  }
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { _exit(0); });
  Server(static_cast<uint16_t>(std::atoi(argv[1])), mode).run();
}
