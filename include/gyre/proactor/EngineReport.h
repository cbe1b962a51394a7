// EngineReport: whether an engine can run here, with which features, and why not.
#pragma once

#include <string>
#include <vector>

#include "gyre/base/Export.h"
#include "gyre/proactor/ProactorOptions.h"

namespace gyre {

struct FeatureReport {
  std::string name;    // as in ProactorOptions::disabledFeatures
  std::string since;   // the kernel that brought it
  std::string effect;  // what it is good for
  bool on = false;
  std::string reason;  // why it is off; empty when on
};

struct EngineReport {
  Engine engine = Engine::Uring;
  bool usable = false;
  int error = 0;      // what refused it: EPERM, ENOSYS, EINVAL, ENOMEM …
  std::string cause;  // empty when usable
  std::string cure;
  RingGrant grant;  // what a ring of the configured size got
  std::vector<FeatureReport> features;
};

// Asks the kernel, once per process for what cannot change, and makes one ring of the size that
// `options` asks for. Any thread.
GYRE_API EngineReport inspectUring(const ProactorOptions& options);
GYRE_API EngineReport inspectEpoll(const ProactorOptions& options);

// What Engine::Auto comes to in this process.
struct EngineChoice {
  Engine engine = Engine::Uring;
  std::string reason;
  std::string cure;  // how to have io_uring; empty when it was chosen
};

// Throws std::system_error when io_uring is short of memory or descriptors: that never chooses
// epoll.
GYRE_API EngineChoice chooseEngine();

}  // namespace gyre
