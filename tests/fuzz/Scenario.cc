#include "fuzz/Scenario.h"

#include <algorithm>
#include <array>
#include <string>

namespace gyre {
namespace {

constexpr std::array<std::string_view, kFuzzEngines> kEngineNames{"uring",  "tiny",  "polling",
                                                                  "faulty", "epoll", "sim"};
constexpr std::array<std::string_view, 4> kThemeNames{"mixed", "storm", "stalled", "endings"};
constexpr std::array<std::string_view, 3> kEndingNames{"stop", "drain", "destroy"};

}  // namespace

std::string_view fuzzEngineName(FuzzEngine engine) noexcept {
  return kEngineNames[static_cast<std::size_t>(engine)];
}

std::optional<FuzzEngine> parseFuzzEngine(std::string_view name) noexcept {
  const auto found = std::find(kEngineNames.begin(), kEngineNames.end(), name);
  if (found == kEngineNames.end()) return std::nullopt;
  return static_cast<FuzzEngine>(found - kEngineNames.begin());
}

bool Scenario::mayRefuse() const {
  const bool refusesMany =
      limits.connectionsMax != 0 &&
      (limits.atConnectionsMax == OverloadPolicy::Refuse || acceptMode == AcceptMode::EveryLoop);
  return refusesMany || limits.connectionsPerAddressMax != 0 || limits.memoryBudget != 0;
}

std::string Scenario::describe() const {
  const auto number = [](const char* name, auto value) {
    return value == 0 ? std::string() : std::string(" ") + name + "=" + std::to_string(value);
  };
  const auto flag = [](const char* name, bool is) { return is ? std::string(" ") + name : ""; };
  std::string text(kThemeNames[static_cast<std::size_t>(theme)]);
  text +=
      number("peers", peers.size()) + number("at-once", peersAtOnce) + number("threads", threads);
  text += flag("dual-stack", listener == FuzzListener::DualStack) +
          flag("unix", listener == FuzzListener::Unix);
  text += flag("every-loop", acceptMode == AcceptMode::EveryLoop);
  text += number("connections-max", limits.connectionsMax);
  text += flag("refuse", limits.atConnectionsMax == OverloadPolicy::Refuse);
  text += number("per-address", limits.connectionsPerAddressMax);
  text += number("budget", limits.memoryBudget) +
          number("output-limit", options.outputLimit % (64 << 20));
  text += number("output-policy", static_cast<int>(options.outputPolicy));
  text += number("input-limit", options.inputLimit % (64 << 20));
  text += number("idle", options.timeouts.idle.milliseconds().count());
  text += number("first-byte", options.timeouts.firstByte.milliseconds().count());
  text += number("write-stall", options.timeouts.writeStall.milliseconds().count());
  text += number("close", options.timeouts.close.milliseconds().count());
  text += flag("filter", isFiltered) + flag("half-close-callback", decidesHalfClose);
  text += flag("write-callbacks", watchesWrites);
  text += number("buffers", proactor.receiveBuffers) +
          number("buffers-max", proactor.receiveBuffersMax);
  text += number("send-faults", calls.sends);
  text += number("accept-faults", calls.accepts) + number("allocation-faults", calls.allocations);
  text += number("ring-passing", ringPassing) + number("ring-fatal", ringFatal);
  text += " ends-by=" + std::string(kEndingNames[static_cast<std::size_t>(ending)]);
  if (endsAfter) text += " ends-after=" + std::to_string(*endsAfter) + "ms";
  return text + flag("ends-while-parked", endsWhileParked) + number("restarts", restarts);
}

std::string_view stepName(PeerStep::Kind kind) noexcept {
  static constexpr std::array<std::string_view, 11> kNames{
      "send", "trickle",    "wait",          "await", "stop reading", "start reading",
      "park", "half-close", "await the end", "close", "reset"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string describeScript(const PeerPlan& plan) {
  std::string text;
  for (const PeerStep& step : plan.steps) {
    if (!text.empty()) text += ", ";
    text += stepName(step.kind);
    if (step.amount != 0) text += " " + std::to_string(step.amount);
  }
  return text;
}

void fillPeerBytes(std::uint64_t key, std::uint64_t place, char* into, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) into[i] = peerByte(key, place + i);
}

// Neither periodic in a power of two nor the same for two peers.
char peerByte(std::uint64_t key, std::uint64_t place) noexcept {
  const std::uint64_t mixed = (place / 8 + key * 0x10001) * 0x9e3779b97f4a7c15;
  return static_cast<char>(mixed >> (56 - 8 * (place % 4)) ^ place);
}

}  // namespace gyre
