// NameResolver: what turns the name of a server into addresses, for a TcpClient.
//
// gyre/names/Resolver.h is one, over c-ares; a service registry can be another.
//
// Thread  The loop's.
// Ends    Before its loop, and after the clients that it was given to.
#pragma once

#include "gyre/base/Export.h"
#include "gyre/client/ResolveResult.h"

namespace gyre {

class EventLoop;

class GYRE_API NameResolver {
 public:
  NameResolver() = default;
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;
  virtual ~NameResolver();

  // Runs the callback as addresses come, the last time with ResolveResult::isLast; never inside
  // this call. May throw std::bad_alloc: then nothing was asked.
  virtual ResolveId resolveEach(const HostPort& name, ResolveCallback callback) = 0;
  // The callback does not run any more. Nothing when the last was told.
  virtual void cancel(ResolveId query) = 0;
  // Any thread.
  virtual EventLoop* getLoop() const noexcept = 0;
};

}  // namespace gyre
