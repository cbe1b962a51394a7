// UringFeatures: what this kernel's io_uring can do and may do, found out once per process.
//
// Found by feature bits, by the register probe and by a preflight on a socket pair; by version only
// where a range of kernels is known to be wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gyre/proactor/EngineReport.h"
#include "gyre/proactor/ProactorOptions.h"

namespace gyre {

// What the engine uses beyond its floor of Linux 6.1.
struct UringFeatures {
  bool noSqArray = false;
  bool noIowait = false;
  bool registeredRing = false;
  bool multishotAccept = false;
  bool acceptDontWait = false;
};

struct UringSupport {
  int error = 0;  // 0: usable; else what set-up or preflight said
  std::string cause;
  std::string cure;
  UringFeatures available;
};

// Asked once, on first use. ENOMEM and EMFILE are reported each time anew: they pass.
UringSupport uringSupport();
// The same, but asks for memory again for a while: that of rings closed a moment ago, by the
// predecessor of a restart perhaps, is still charged.
UringSupport uringSupportPatiently();

// What is available and not switched off by the options or by GYRE_DISABLE.
UringFeatures enabledFeatures(const UringFeatures& available, const ProactorOptions& options);
std::vector<FeatureReport> describeFeatures(const UringFeatures& available,
                                            const ProactorOptions& options);

// Why io_uring answers `error` at set-up here, and what to do.
struct Refusal {
  std::string cause;
  std::string cure;
};
Refusal explainRefusal(int error);

// True when the running kernel is in [first, last), each "major.minor".
bool isKernelBetween(int firstMajor, int firstMinor, int lastMajor, int lastMinor);

}  // namespace gyre
