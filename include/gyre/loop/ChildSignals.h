// ChildSignals: the signals that a child process should not find blocked.
//
// SignalWatcher blocks what it watches, and exec(2) keeps what is blocked: a child that is started
// by fork or posix_spawn would never receive SIGTERM. With posix_spawn:
//
//   const sigset_t mask = gyre::childSignalMask();
//   posix_spawnattr_setsigmask(&attributes, &mask);
//   posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
//
// With fork and exec: gyre::restoreSignalsInChild() between them. Where neither can be had (popen,
// system), a shell such as `env --default-signal --block-signal= COMMAND` does the same.
//
// Thread  Any.
#pragma once

#include <csignal>

#include "gyre/base/Export.h"

namespace gyre {

// The mask of the calling thread without what a SignalWatcher of this process has blocked. A signal
// that was blocked before it was watched stays in it.
GYRE_API sigset_t childSignalMask() noexcept;
// Sets that mask. Async-signal-safe, as everything between fork and exec has to be.
GYRE_API void restoreSignalsInChild() noexcept;

}  // namespace gyre
