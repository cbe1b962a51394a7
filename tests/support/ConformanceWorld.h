// ConformanceWorld: what surrounds an engine under test: how it is made, and who is on the other
// side of its sockets. Plain sockets for the kernel's engines, scripted clients for a simulated
// one.
//
// Thread  The test's. Nothing here waits: the test runs the engine until what it expects is there.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "gyre/proactor/Proactor.h"

namespace gyre {

// The far side of a connection. Its destructor closes it.
class ConformancePeer {
 public:
  virtual ~ConformancePeer() = default;

  // How many of the bytes the network took: not all when the near side does not read.
  virtual std::size_t sendSome(std::string_view bytes) = 0;
  // Appends what has arrived, at most `limit` bytes. False when nothing had.
  virtual bool receiveSome(std::string& into, std::size_t limit) = 0;
  // True once the near side's FIN was received, after all data.
  virtual bool hasEnded() const = 0;
  // What the connection broke with, as far as receiveSome has met it; 0 when it did not.
  virtual int error() const = 0;
  // Ends its own sending.
  virtual void halfClose() = 0;
  // RST instead of FIN; what it has not read is dropped.
  virtual void reset() = 0;
  virtual void close() = 0;
};

struct ConformanceLink {
  SocketHandle near;
  std::unique_ptr<ConformancePeer> far;
};

class ConformanceWorld {
 public:
  virtual ~ConformanceWorld() = default;

  // May throw what the engine throws.
  virtual std::unique_ptr<Proactor> makeProactor() = 0;

  // A connected TCP socket. `bufferBytes` is asked for as the size of the near side's send buffer
  // and the far side's receive buffer; 0 leaves them as they are.
  virtual ConformanceLink link(Proactor& proactor, int bufferBytes) = 0;
  // A client of a listener of the engine.
  virtual std::unique_ptr<ConformancePeer> connectTo(const InetAddress& address) = 0;
  // Takes the client that connected to acceptingAddress(); null when there is none yet.
  virtual std::unique_ptr<ConformancePeer> takeClient() = 0;
  virtual InetAddress acceptingAddress() = 0;
  // Where nobody listens.
  virtual InetAddress refusingAddress() = 0;
  // Where a connect goes on for a long time.
  virtual InetAddress silentAddress() = 0;
  // A unix socket whose backlog is full, until takeFromFullUnix() takes one out of it.
  virtual InetAddress fullUnixAddress() = 0;
  virtual void takeFromFullUnix() = 0;
};

// One way to build an engine; the parameter of every conformance test.
struct ConformanceEngine {
  std::string name;
  std::function<std::unique_ptr<ConformanceWorld>()> makeWorld;
  // Why it cannot run here; empty when it can.
  std::function<std::string()> refusal = [] { return std::string(); };

  friend std::ostream& operator<<(std::ostream& out, const ConformanceEngine& engine) {
    return out << engine.name;
  }
};

// Bytes that tell where in the stream they belong: no message size hides a shifted stream.
std::string patternBytes(std::size_t size, std::size_t offset = 0);

}  // namespace gyre
