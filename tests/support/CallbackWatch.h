// CallbackWatch: watches the callbacks of one server for the rules that hold always.
//
// Each runs on the thread of its connection's loop, none inside another; a connection comes up
// once, goes down once, is closed once, and then is never heard of again; messages come only while
// it reads. Whoever breaks a rule fails the test.
//
// Thread  Any. It needs no memory for a connection that it knows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "gyre/connection/TcpConnection.h"

namespace gyre {

enum class CallbackKind : std::uint8_t {
  Up,
  Message,
  WriteComplete,
  HighWater,
  HalfClose,
  Down,
  Close,
};
inline constexpr std::size_t kCallbackKinds = 7;

const char* nameOf(CallbackKind kind) noexcept;

class CallbackWatch {
 public:
  // While one lives, a callback runs.
  class Scope {
   public:
    Scope(CallbackWatch& watch, const TcpConnection& connection, CallbackKind kind);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    CallbackWatch& watch_;
    const CallbackKind kind_;
  };

  // Callbacks that have returned: whoever counts them sees all that they did.
  std::size_t count(CallbackKind kind) const;
  // Up and not yet closed.
  std::size_t openCount() const;
  void expectAllClosed() const;

 private:
  struct Life {
    std::thread::id thread;
    std::array<int, kCallbackKinds> calls{};
  };

  void note(const TcpConnection& connection, CallbackKind kind);

  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, Life> lives_;
  std::array<std::size_t, kCallbackKinds> counts_{};
};

}  // namespace gyre
