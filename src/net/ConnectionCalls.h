// ConnectionCalls: how a connection calls what is the user's.
#pragma once

#include <exception>

#include "base/LogFormat.h"
#include "gyre/net/TcpConnection.h"

namespace gyre {

// False when it threw: that aborts the connection, and nothing else.
template <typename Call>
bool TcpConnection::guarded(Call call) noexcept {
  try {
    call();
    return true;
  } catch (const std::bad_alloc&) {
    requestAbort(CloseReason::OutOfMemory, ENOMEM);
  } catch (const std::exception& error) {
    logError("connection {}: a callback threw: {}", id_, error.what());
    requestAbort(CloseReason::CallbackFailed, 0);
  } catch (...) {
    logError("connection {}: a callback threw something that is no std::exception", id_);
    requestAbort(CloseReason::CallbackFailed, 0);
  }
  loop()->proactor().mutableCounters().callbackFailures.add();
  return false;
}

}  // namespace gyre
