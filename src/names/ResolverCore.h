// ResolverCore: the queries of a Resolver: who asked, for how long, and what to tell.
//
// Thread  The loop's.
// Owns    The channel to c-ares, the queries and their timers.
// Ends    By end(); the loop keeps it until the end of the iteration, which a callback may run in.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gyre/loop/EventLoop.h"
#include "gyre/names/ResolverOptions.h"
#include "names/FamilyAnswers.h"

namespace gyre {

class AresChannel;

// How often the callback runs: see Resolver::resolve and resolveEach.
enum class ResolveMode : std::uint8_t { Once, Each };

class ResolverCore final : public LoopResident, public std::enable_shared_from_this<ResolverCore> {
 public:
  static std::shared_ptr<ResolverCore> make(EventLoop* loop, const ResolverOptions& options);
  // Internal: see make().
  ResolverCore(EventLoop* loop, const ResolverOptions& options);
  ~ResolverCore() override;

  ResolveId resolve(const HostPort& name, ResolveCallback callback, ResolveMode mode);
  void cancel(ResolveId query);
  std::size_t pendingCount() const noexcept { return queries_.size(); }
  void end();
  EventLoop* loop() const noexcept { return loop_; }

  void beginClose() noexcept override;
  void settle() noexcept override;

 private:
  struct Query {
    ResolveCallback callback;
    ResolveMode mode;
    std::uint16_t port;
    FamilyAnswers answers;
    std::vector<std::string> names = {};  // to be tried, absolute
    std::uint64_t round = 0;              // the one at hand, of names
    TimePoint due = kForever;             // of the whole query
    TimerId timer = {};                   // for that, or for the other family
    bool isNoted = false;                 // settle() will look at it
  };

  void begin(std::uint64_t id, Query& query, const HostPort& name);
  bool answerWithoutServer(Query& query, const HostPort& name);
  void ask(std::uint64_t id, Query& query);
  void answer(std::uint64_t id, std::uint64_t round, AddressFamily family, FamilyAnswer found);
  void consider(std::uint64_t id, Query& query);
  void note(std::uint64_t id, Query& query) noexcept;
  void setTimer(std::uint64_t id, Query& query, TimePoint due);
  void stopTimer(Query& query);
  void handleTimer(std::uint64_t id);
  void settleQuery(std::uint64_t id) noexcept;
  void tell(std::uint64_t id, Query& query) noexcept;
  void call(ResolveCallback& callback, const ResolveResult& result) noexcept;

  EventLoop* const loop_;
  const Duration timeout_;  // kNever: none
  const AddressFamily family_;
  std::unique_ptr<AresChannel> channel_;
  std::unordered_map<std::uint64_t, Query> queries_;
  std::vector<std::uint64_t> noted_;     // for settle(); those cancelled meanwhile are passed over
  std::vector<std::uint64_t> settling_;  // by the settle() that runs
  std::uint64_t lastId_ = 0;
  bool isLoopEnding_ = false;
};

}  // namespace gyre
