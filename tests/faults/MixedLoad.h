// MixedLoad: clients that send patterns of random sizes at once, check every byte that comes back,
// and leave in different ways.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gyre/base/InetAddress.h"
#include "gyre/base/UniqueFd.h"

namespace gyre {

struct MixedLoadOptions {
  std::size_t clients = 120;
  std::size_t bytesMax = 256 * 1024;
  std::uint64_t seed = 1;
  std::chrono::seconds limit{20};
};

struct MixedLoadResult {
  std::size_t complete = 0;    // every byte came back, then the end
  std::size_t cutShort = 0;    // the connection ended early; what came was right
  std::size_t wrong = 0;       // a byte differed, or one too many came
  std::size_t unfinished = 0;  // the time was up
  std::size_t deserted = 0;    // clients that reset on purpose
};

class MixedLoad {
 public:
  MixedLoad(const InetAddress& server, const MixedLoadOptions& options);
  MixedLoadResult run();

 private:
  enum class Leave { HalfClose, Reset };
  struct Client {
    UniqueFd fd;
    std::uint64_t pattern = 0;
    std::size_t total = 0;
    std::size_t sent = 0;
    std::size_t received = 0;
    Leave leave = Leave::HalfClose;
    bool isDone = false;
  };

  static char byteAt(const Client& client, std::size_t position);
  void connect(Client& client);
  void step(Client& client, short events);
  void write(Client& client);
  void read(Client& client);
  void end(Client& client, bool isClean);

  const InetAddress server_;
  const MixedLoadOptions options_;
  std::mt19937_64 random_;
  std::vector<Client> clients_;
  MixedLoadResult result_;
};

}  // namespace gyre
