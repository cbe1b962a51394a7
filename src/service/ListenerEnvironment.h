// ListenerEnvironment: which sockets systemd, or the process before, passed to this one.
//
// Thread  The main thread, before any other is started: it changes the environment.
#pragma once

#include "server/InheritedListeners.h"

namespace gyre {

// Takes the variables out of the environment. Throws std::system_error when it names descriptors
// that are none. REQUIRES: no other thread runs.
void readInheritedListeners(InheritedListeners& into);

}  // namespace gyre
