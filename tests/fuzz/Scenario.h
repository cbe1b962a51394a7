// Scenario: everything one seed decides: the server, its limits, its conduct, the peers, the
// faults.
//
// Thread  Drawn first, then read by every thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gyre/connection/ConnectionProfile.h"
#include "gyre/proactor/ProactorOptions.h"
#include "gyre/server/ServerLimits.h"
#include "gyre/server/TcpServer.h"
#include "sim/SimRandom.h"

namespace gyre {

enum class FuzzEngine : std::uint8_t {
  Uring,
  Tiny,     // io_uring with 8 submissions, 64 completions, 2 to 4 receive buffers
  Polling,  // io_uring with a kernel thread that polls the submission queue
  Faulty,   // io_uring under RingFaults
  Epoll,
  Sim,
};
inline constexpr std::size_t kFuzzEngines = 6;

std::string_view fuzzEngineName(FuzzEngine engine) noexcept;
std::optional<FuzzEngine> parseFuzzEngine(std::string_view name) noexcept;

// What the server does to one connection.
struct Conduct {
  enum class Answer : std::uint8_t { Echo, Discard, Small, Large, LargeThenEcho };
  enum class Event : std::uint8_t {
    None,
    Shutdown,
    ShutdownWrite,
    ForceClose,
    Throw,
    Pause,  // stopRead(), and startRead() by a timer
    SwitchProfile,
    SetTimeouts,
    StopServer,
    DrainServer,
  };
  static constexpr std::size_t kEvents = 10;

  Answer answer = Answer::Echo;
  bool usesOwnInput = false;      // echoes with send(Buffer&) of the callback's own window
  bool sendsFromOutside = false;  // every send and ending comes from a thread that is no loop
  bool leavesParts = false;       // retrieves a part now and then
  bool pausesAtUp = false;        // reads nothing for the first milliseconds
  bool isRefused = false;         // by the accept filter
  std::size_t greeting = 0;       // bytes sent in the up callback
  std::size_t large = 0;          // bytes of a large answer
  std::size_t largeMax = 0;       // bytes of all large answers
  Event event = Event::None;
  std::size_t eventAt = 0;  // bytes received by then
  std::uint32_t pauseMilliseconds = 0;
};

// One step of a peer's script.
struct PeerStep {
  enum class Kind : std::uint8_t {
    Send,     // so many bytes, in random pieces
    Trickle,  // so many bytes, one at a time
    Wait,     // milliseconds
    Await,    // until so many bytes came on the whole, or the end
    StopReading,
    StartReading,
    Park,  // until the run releases all that are parked
    HalfClose,
    AwaitEnd,
    Close,
    Reset,
  };
  Kind kind;
  std::size_t amount = 0;
};

struct PeerPlan {
  std::vector<PeerStep> steps;
  Conduct conduct;
  int receiveBuffer = 0;           // SO_RCVBUF; the kernel's choice for 0
  std::uint32_t addressGroup = 0;  // peers of one group share an address; 0: it has its own
};

// Out of a thousand calls each, on the threads of the server.
struct CallFaults {
  std::uint32_t sends = 0;        // ENOBUFS, ENOMEM
  std::uint32_t accepts = 0;      // EMFILE, ENFILE, ECONNABORTED, ENOBUFS … (epoll)
  std::uint32_t allocations = 0;  // a callback after which one is refused
  bool any() const { return sends + accepts + allocations > 0; }
};

enum class FuzzListener : std::uint8_t {
  IPv4,
  DualStack,  // [::], to which peers of both families connect
  Unix,       // an abstract name; its streams know no reset
};
enum class FuzzTheme : std::uint8_t { Mixed, Storm, Stalled, Endings };
enum class FuzzEnding : std::uint8_t { Stop, Drain, Destroy };

struct Scenario {
  std::uint64_t seed = 0;
  FuzzEngine engine = FuzzEngine::Uring;
  FuzzTheme theme = FuzzTheme::Mixed;
  ProactorOptions proactor;
  int threads = 0;
  FuzzListener listener = FuzzListener::IPv4;
  AcceptMode acceptMode = AcceptMode::BaseLoop;
  Placement placement = Placement::RoundRobin;
  ConnectionOptions options;
  ServerLimits limits;
  bool isFiltered = false;
  bool decidesHalfClose = false;  // there is a half-close callback
  bool watchesWrites = false;     // write-complete and high-water callbacks
  CallFaults calls;
  std::uint32_t ringPassing = 0;  // of a thousand submissions (Faulty)
  std::uint32_t ringFatal = 0;
  std::vector<PeerPlan> peers;
  std::size_t peersAtOnce = 1;
  FuzzEnding ending = FuzzEnding::Stop;
  // The ending comes so many milliseconds after the beginning; else when all peers are done.
  std::optional<std::uint32_t> endsAfter;
  bool endsWhileParked = false;
  int restarts = 0;  // of the server, on the same listeners

  // Connections may fail for reasons that are neither the peer's nor the server's conduct.
  bool hasFatalFaults() const {
    return calls.sends + calls.accepts + calls.allocations + ringFatal > 0;
  }
  // Clients may be turned away.
  bool mayRefuse() const;
  std::string describe() const;
};

// A peer that asks for four bytes and must get them.
PeerPlan probePlan();
// Its script in words.
std::string describeScript(const PeerPlan& plan);
std::string_view stepName(PeerStep::Kind kind) noexcept;

// What a peer sends at a place of its stream.
char peerByte(std::uint64_t key, std::uint64_t place) noexcept;
void fillPeerBytes(std::uint64_t key, std::uint64_t place, char* into, std::size_t size) noexcept;

}  // namespace gyre
