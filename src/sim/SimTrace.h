// SimTrace: the record of a simulation: a hash of every event, and readable lines when wanted.
//
// Sockets and operations are known by their numbers and owners by their names: never by an address,
// so the hash is the same in every process and build.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "gyre/proactor/Proactor.h"

namespace gyre {

struct SimNote {
  std::string_view who;  // an engine, a client, or the network
  std::string_view what;
  std::int64_t operation = -1;
  std::int32_t socket = -1;
  std::int64_t amount = -1;
  int error = 0;
};

// For what a SimNote has no name for: the content of bytes, for example.
std::uint64_t simHash(std::uint64_t seed, std::string_view bytes) noexcept;

class SimTrace {
 public:
  using Sink = std::function<void(std::string_view line)>;

  void setSink(Sink sink) { sink_ = std::move(sink); }
  void note(TimePoint at, const SimNote& note);
  void fold(std::uint64_t value) noexcept;
  std::uint64_t hash() const noexcept { return hash_; }

 private:
  void write(TimePoint at, const SimNote& note);

  std::uint64_t hash_ = 0xcbf29ce484222325;
  Sink sink_;
};

// "receive", "send", …
std::string_view simKindName(IoKind kind) noexcept;

}  // namespace gyre
