// SimPeer: plays the script of a SimClient on its end of a simulated connection.
//
// Thread  The one that steps the network. It acts from events only.
// Owns    Its end of one connection at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "gyre/sim/SimPace.h"
#include "sim/SimFabric.h"

namespace gyre {

struct SimStep {
  enum class Kind : std::uint8_t {
    Connect,
    Send,
    AwaitBytes,
    AwaitEnd,
    HalfClose,
    Close,
    Reset,
    Stall,
    Resume,
    Wait,
    Call,
  };

  Kind kind;
  InetAddress address = {};
  std::string bytes = {};
  std::size_t count = 0;  // AwaitBytes: in all; Send: of bytes, taken already
  SimPace pace = {};
  Duration duration = {};
  std::function<void()> call = {};
  bool begun = false;
  TimePoint until = {};  // Wait, and between the pieces of a Send: not before
};

class SimPeer final : public SimWatcher {
 public:
  using BytesCallback = std::function<void(std::string_view bytes)>;

  SimPeer(SimFabric& fabric, std::string name);
  SimPeer(const SimPeer&) = delete;
  SimPeer& operator=(const SimPeer&) = delete;
  ~SimPeer();

  void append(SimStep step);
  void linkChanged() override { schedule(world_.now()); }

  struct Observed {
    int connectError = 0;
    bool connected = false;
    bool ended = false;
    bool reset = false;
    std::uint64_t bytesReceived = 0;
    std::uint64_t bytesSent = 0;
    InetAddress localAddress;
    std::string received;
  };
  const Observed& observed() const noexcept { return observed_; }
  const std::string& name() const noexcept { return name_; }
  bool isFinished() const noexcept { return steps_.empty(); }
  bool hasResetServer() const noexcept { return last_ && last_->isReset(SimSide::Acceptor); }
  void setReadPace(SimPace pace);
  void setBytesCallback(BytesCallback callback) { onBytes_ = std::move(callback); }

 private:
  // Runs act() then, unless this has died by then.
  void schedule(TimePoint at);
  void act();
  void observe();
  void readSome();
  enum class Outcome : std::uint8_t { Done, Waits, Impossible };

  void playScript();
  Outcome play(SimStep& step);
  Outcome playConnect();
  Outcome playSend(SimStep& step);
  Outcome playAwaitBytes(const SimStep& step);
  Outcome playAwaitEnd();
  Outcome playHalfClose();
  Outcome playReset();
  Outcome playWait(const SimStep& step);
  Outcome setStalled(bool stalled);
  void begin(SimStep& step);
  bool canSend() const;
  void drop();
  void note(std::string_view what, std::size_t amount = 0);

  SimFabric& fabric_;
  SimWorld& world_;
  const std::string name_;
  std::shared_ptr<SimLink> link_;
  std::shared_ptr<SimLink> last_;  // the same, also when it has been closed here
  std::deque<SimStep> steps_;
  Observed observed_;
  BytesCallback onBytes_;
  SimPace readPace_;
  TimePoint readAt_{};             // not before
  std::set<TimePoint> scheduled_;  // when act() will run
  bool stalled_ = false;
  std::shared_ptr<SimPeer*> self_;  // null pointee once dead: for events
};

}  // namespace gyre
