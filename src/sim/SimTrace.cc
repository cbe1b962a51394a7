#include "sim/SimTrace.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

namespace gyre {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9fb21c651e98df25;
  return hash ^ (hash >> 32);
}

}  // namespace

std::uint64_t simHash(std::uint64_t seed, std::string_view bytes) noexcept {
  std::uint64_t hash = mix(seed, bytes.size());
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    hash = mix(hash, word);
    bytes.remove_prefix(sizeof word);
  }
  std::uint64_t rest = 0;
  if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
  return mix(hash, rest);
}

std::string_view simKindName(IoKind kind) noexcept {
  static constexpr std::array<std::string_view, kIoKinds> kNames = {
      "none", "accept", "receive", "receiveInto", "send", "connect", "poll", "read"};
  return kNames[static_cast<std::size_t>(kind)];
}

void SimTrace::fold(std::uint64_t value) noexcept { hash_ = mix(hash_, value); }

void SimTrace::note(TimePoint at, const SimNote& note) {
  fold(static_cast<std::uint64_t>(at.time_since_epoch().count()));
  hash_ = simHash(simHash(hash_, note.who), note.what);
  fold(static_cast<std::uint64_t>(note.operation));
  fold(static_cast<std::uint64_t>(note.socket));
  fold(static_cast<std::uint64_t>(note.amount));
  fold(static_cast<std::uint64_t>(note.error));
  if (sink_) write(at, note);
}

// "12.345678901 worker: receive delivers, operation 7, socket 5, 1024".
void SimTrace::write(TimePoint at, const SimNote& note) {
  const auto seconds = std::chrono::duration<double>(at.time_since_epoch()).count();
  std::array<char, 40> time;
  const int size = std::snprintf(time.data(), time.size(), "%.9f ", seconds);
  std::string line(time.data(), static_cast<std::size_t>(size));
  line.append(note.who).append(": ").append(note.what);
  if (note.operation >= 0) line.append(", operation ").append(std::to_string(note.operation));
  if (note.socket >= 0) line.append(", socket ").append(std::to_string(note.socket));
  if (note.amount >= 0) line.append(", ").append(std::to_string(note.amount));
  if (note.error != 0) line.append(", ").append(std::generic_category().message(note.error));
  sink_(line);
}

}  // namespace gyre
