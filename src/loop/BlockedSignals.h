// BlockedSignals: what SignalWatcher has blocked in this process, for childSignalMask().
#pragma once

#include <csignal>

namespace gyre {

// Any thread. `blocked` are now blocked; those that are in `before` had been already.
void noteBlockedSignals(const sigset_t& blocked, const sigset_t& before) noexcept;

}  // namespace gyre
