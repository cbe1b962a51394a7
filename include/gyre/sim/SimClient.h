// SimClient: a scripted peer in a simulated network: what it does, step by step, and what it saw.
//
// The steps happen one after the other, each when the one before is done, while the network is
// stepped. Reading goes on beside them, unless stalled. A step that has become impossible, because
// the connection failed, was reset or closed, ends the script.
//
// Thread  The thread that steps the network. Callbacks run inside SimNetwork::step.
// Owns    Its end of one connection at a time.
// Borrows The SimNetwork.
// Ends    Closes what is open, as the end of a process does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gyre/base/Export.h"
#include "gyre/base/InetAddress.h"
#include "gyre/proactor/Proactor.h"
#include "gyre/sim/SimNetwork.h"
#include "gyre/sim/SimPace.h"

namespace gyre {

class SimPeer;
struct SimStep;

class GYRE_API SimClient {
 public:
  using BytesCallback = std::function<void(std::string_view bytes)>;
  using Call = std::function<void(SimClient& client)>;

  SimClient(SimNetwork& network, std::string name);
  SimClient(const SimClient&) = delete;
  SimClient& operator=(const SimClient&) = delete;
  ~SimClient();

  // --- Script: each appends a step.

  // Done when connected. After a close it may connect again.
  SimClient& connect(const InetAddress& to);
  // Done when the network has taken all: the peer's window may hold it back.
  SimClient& send(std::string bytes, SimPace pace = {});
  // Done when so many bytes have been read on this connection, counted from its beginning.
  SimClient& awaitBytes(std::size_t total);
  // Done when the peer has ended its stream, or the connection is gone: this does not end the
  // script.
  SimClient& awaitEnd();
  // Ends the stream to the peer; reading goes on.
  SimClient& halfClose();
  // Closes. Unread bytes make it a reset, and the peer loses what it has not read.
  SimClient& close();
  // Closes with a reset (SO_LINGER 0).
  SimClient& reset();
  // Stops reading, and takes it up again.
  SimClient& stall();
  SimClient& resume();
  SimClient& wait(Duration duration);
  // Calls a function, which may append steps.
  SimClient& then(Call call);

  // --- At once

  SimClient& setReadPace(SimPace pace);
  // Bytes go there instead of received().
  SimClient& setBytesCallback(BytesCallback callback);

  // --- Observation, of the last connection

  // Every step was done, or the script ended because one was impossible.
  bool isFinished() const noexcept;
  bool isConnected() const noexcept;
  // 0 or why the last connect failed: ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EHOSTUNREACH, or
  // ECONNRESET when it was lost at once.
  int connectError() const noexcept;
  // The peer ended its stream and everything was read.
  bool hasEnded() const noexcept;
  // The connection was lost (ECONNRESET, or ETIMEDOUT when the network swallowed it).
  bool wasReset() const noexcept;
  // A reset has arrived at the server's end, whoever sent it: what was on its way there is lost.
  bool hasResetServer() const noexcept;
  const std::string& received() const noexcept;
  // Bytes read; bytes the network took.
  std::uint64_t bytesReceived() const noexcept;
  std::uint64_t bytesSent() const noexcept;
  InetAddress localAddress() const noexcept;
  const std::string& name() const noexcept;

 private:
  SimClient& append(SimStep&& step);

  std::unique_ptr<SimPeer> peer_;
};

}  // namespace gyre
