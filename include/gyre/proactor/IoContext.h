// IoContext: the state of one I/O operation, and the way home of its completion.
//
// It is embedded in the object that asks, one per operation that can be in flight at the same time,
// and never allocated per operation. Its address is the `user_data` of the submission.
//
// Thread  The thread of the Proactor it was given to.
// Owns    Nothing. From the verb to the terminal completion the Proactor (and the kernel) owns it.
// Ends    Its destructor CHECKs that it is not in flight; it can be used again and again.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "gyre/base/Check.h"
#include "gyre/proactor/SocketHandle.h"

namespace gyre {

enum class IoKind : std::uint8_t {
  Idle,  // no operation yet
  Accept,
  Receive,
  ReceiveInto,
  Send,
  Connect,
  Poll,
  Read,
};

// What a completion says. Which fields mean something depends on the kind of the operation.
struct IoResult {
  bool more = false;           // true exactly while the operation goes on; false once: terminal
  int error = 0;               // 0 or an errno value; only terminal completions carry one
  std::size_t bytes = 0;       // Receive, ReceiveInto, Send, Read: bytes done
  const char* data = nullptr;  // Receive: lent until the handler returns
  SocketHandle socket = {};    // Accept, while more
  std::uint32_t events = 0;    // Poll: as poll(2)
};

class IoContext {
 public:
  // Runs on the Proactor's thread, inside Proactor::run and nowhere else. It does not throw, by
  // type: nothing above it could take an exception, and the others of its batch would get lost.
  using Handler = void (*)(IoContext& context, const IoResult& result) noexcept;

  explicit constexpr IoContext(Handler handler) noexcept : handler_(handler) {}
  // All its operations will be on this socket.
  constexpr IoContext(Handler handler, SocketHandle socket) noexcept : handler_(handler) {
    state_.socket = socket.value();
  }
  IoContext(const IoContext&) = delete;
  IoContext& operator=(const IoContext&) = delete;
  ~IoContext() {
    GYRE_CHECK(!isInFlight(), "an IoContext was destroyed while its operation was in flight");
  }

  // True exactly while a terminal completion is owed.
  bool isInFlight() const noexcept { return (state_.flags & kInFlight) != 0; }
  // True exactly while a terminal completion is owed and a cancel was asked for.
  bool isCancelRequested() const noexcept { return (state_.flags & kCancelRequested) != 0; }
  // The operation in flight, or the last one.
  IoKind kind() const noexcept { return state_.kind; }
  // Its socket, or the one it was made with.
  SocketHandle socket() const noexcept { return SocketHandle(state_.socket); }

  // Internal: for engines.
  static constexpr std::uint8_t kInFlight = 1;
  static constexpr std::uint8_t kCancelRequested = 2;
  static constexpr std::uint8_t kArmed = 4;          // the kernel holds it
  static constexpr std::uint8_t kQueued = 8;         // it waits in a list of the engine
  static constexpr std::uint8_t kEngineBits = 0xf0;  // free for each engine

  struct State {
    union {
      IoContext* next = nullptr;  // while queued in a list of the engine
      void* block;                // while armed: what only an operation in flight needs
      std::uint32_t events;       // Poll: those asked for
    };
    std::int32_t socket = -1;
    IoKind kind = IoKind::Idle;
    std::uint8_t flags = 0;
    std::int16_t error = 0;  // what a queued completion will say
  };

  State& state() noexcept { return state_; }
  bool has(std::uint8_t flag) const noexcept { return (state_.flags & flag) != 0; }
  void set(std::uint8_t flag) noexcept {
    state_.flags = static_cast<std::uint8_t>(state_.flags | flag);
  }
  void clear(std::uint8_t flag) noexcept {
    state_.flags = static_cast<std::uint8_t>(state_.flags & ~flag);
  }
  void start(IoKind kind, SocketHandle socket) noexcept {
    GYRE_CHECK(!isInFlight(), "an operation was started on an IoContext that is in flight");
    state_ = State{};
    state_.socket = socket.value();
    state_.kind = kind;
    state_.flags = kInFlight;
  }
  // Delivers a completion. A terminal one ends the flight first, so that the handler may start the
  // context again or destroy it: the caller touches it no more.
  void complete(const IoResult& result) noexcept {
    if (!result.more) state_.flags = 0;
    handler_(*this, result);
  }

 private:
  Handler handler_;
  State state_;
};

static_assert(sizeof(IoContext) <= 32);

// The object that embeds a context as `Member`: ownerOf<&TcpConnection::receive_>(context).
// Valid where a pointer to data member is an offset (Itanium C++ ABI: every Linux compiler).
template <typename Owner, IoContext Owner::*Member>
Owner& ownerOfMember(IoContext& context) noexcept {
  static_assert(sizeof(Member) == sizeof(std::ptrdiff_t));
  auto* bytes = reinterpret_cast<char*>(&context);
  return *reinterpret_cast<Owner*>(bytes - std::bit_cast<std::ptrdiff_t>(Member));
}

namespace internal {
template <typename T>
struct MemberOwner;
template <typename Owner>
struct MemberOwner<IoContext Owner::*> {
  using Type = Owner;
};
}  // namespace internal

template <auto Member>
auto& ownerOf(IoContext& context) noexcept {
  return ownerOfMember<typename internal::MemberOwner<decltype(Member)>::Type, Member>(context);
}

}  // namespace gyre
