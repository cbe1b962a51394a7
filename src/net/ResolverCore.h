// ResolverCore: the queries of a Resolver: who asked, for how long, and what to tell.
//
// Thread  The loop's.
// Owns    The channel to c-ares, the queries and their timers.
// Ends    By end(); the loop keeps it until the end of the iteration, which a callback may run in.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "gyre/net/ResolveResult.h"

namespace gyre {

class AresChannel;

class ResolverCore final : public LoopResident, public std::enable_shared_from_this<ResolverCore> {
 public:
  static std::shared_ptr<ResolverCore> make(EventLoop* loop, const ResolverOptions& options);
  // Internal: see make().
  ResolverCore(EventLoop* loop, const ResolverOptions& options);
  ~ResolverCore() override;

  ResolveId resolve(const HostPort& name, ResolveCallback callback);
  void cancel(ResolveId query);
  std::size_t pendingCount() const noexcept { return queries_.size(); }
  void end();

  void beginClose() noexcept override;
  void settle() noexcept override;

 private:
  struct Query {
    ResolveCallback callback;
    TimerId timer;
    ResolveResult result;
  };

  void ask(std::uint64_t id, const HostPort& name);
  void answer(std::uint64_t id, ResolveResult result);
  void tell(std::uint64_t id) noexcept;

  EventLoop* const loop_;
  const Duration timeout_;  // kNever: none
  std::unique_ptr<AresChannel> channel_;
  std::unordered_map<std::uint64_t, Query> queries_;
  std::vector<std::uint64_t> answered_;  // to be told by settle(), those cancelled meanwhile not
  std::uint64_t lastId_ = 0;
  bool isLoopEnding_ = false;
};

}  // namespace gyre
