#include "net/ResolverCore.h"

#include <exception>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"
#include "net/AresChannel.h"

namespace gyre {
namespace {

// 1.2.3.4, ::1, fe80::1%eth0.
std::optional<InetAddress> parseLiteral(const HostPort& name) {
  const std::string port = ":" + std::to_string(name.port);
  const bool isV6 = name.host.find(':') != std::string::npos;
  const auto address = InetAddress::parse(isV6 ? "[" + name.host + "]" + port : name.host + port);
  if (!address || address->isUnix()) return std::nullopt;
  return address;
}

// What an address may be written as, but no name of a host is; and what would be cut short.
bool isName(const std::string& host) {
  return !host.empty() && host != "*" && host.find('\0') == std::string::npos;
}

}  // namespace

std::shared_ptr<ResolverCore> ResolverCore::make(EventLoop* loop, const ResolverOptions& options) {
  loop->assertInLoopThread();
  auto core = std::make_shared<ResolverCore>(loop, options);
  loop->addResident(core);
  return core;
}

ResolverCore::ResolverCore(EventLoop* loop, const ResolverOptions& options)
    : loop_(loop),
      timeout_(options.timeout.limit()),
      channel_(std::make_unique<AresChannel>(
          loop, options,
          [this](std::uint64_t id, ResolveResult result) { answer(id, std::move(result)); })) {}

ResolverCore::~ResolverCore() = default;

ResolveId ResolverCore::resolve(const HostPort& name, ResolveCallback callback) {
  loop_->assertInLoopThread();
  GYRE_CHECK(channel_ != nullptr, "a name was to be resolved after the loop's end");
  // Room for all that can be answered, so that an answer needs no memory.
  answered_.reserve(answered_.size() + queries_.size() + 1);
  const std::uint64_t id = ++lastId_;
  const TimerId timer = loop_->runAfter(timeout_, [this, id] {
    answer(id, {ResolveError::TimedOut, {}});
  });
  try {
    queries_.emplace(id, Query{std::move(callback), timer, {}});
    ask(id, name);
  } catch (...) {
    loop_->cancel(timer);
    queries_.erase(id);
    throw;
  }
  return ResolveId(id);
}

void ResolverCore::ask(std::uint64_t id, const HostPort& name) {
  if (!isName(name.host)) return answer(id, {ResolveError::InvalidName, {}});
  if (const auto literal = parseLiteral(name)) return answer(id, {{}, {*literal}});
  channel_->ask(id, name);
}

void ResolverCore::cancel(ResolveId id) {
  loop_->assertInLoopThread();
  const auto place = queries_.find(static_cast<std::uint64_t>(id));
  if (place == queries_.end()) return;
  loop_->cancel(place->second.timer);
  // Moved out: what the callback has captured may come back here when it dies.
  const Query ending = std::move(place->second);
  queries_.erase(place);
}

// Only noted: c-ares may be on the stack, or the user's own call.
void ResolverCore::answer(std::uint64_t id, ResolveResult result) {
  const auto place = queries_.find(id);
  // Cancelled, or too late: answered by its timeout already.
  if (place == queries_.end() || !place->second.timer.isValid()) return;
  loop_->cancel(std::exchange(place->second.timer, {}));
  place->second.result = std::move(result);
  answered_.push_back(id);
  loop_->markDirty(*this);
}

void ResolverCore::settle() noexcept {
  if (isLoopEnding_) return end();
  // A callback may ask, cancel, and end this: then no query is left to be told.
  for (std::size_t i = 0; i < answered_.size(); ++i) tell(answered_[i]);
  answered_.clear();
}

void ResolverCore::tell(std::uint64_t id) noexcept {
  const auto place = queries_.find(id);
  if (place == queries_.end()) return;
  const Query query = std::move(place->second);
  queries_.erase(place);
  try {
    if (query.callback) query.callback(query.result);
    return;
  } catch (const std::exception& error) {
    logError("the callback of a resolver threw: {}", error.what());
  } catch (...) {
    logError("the callback of a resolver threw something that is no std::exception");
  }
  loop_->proactor().mutableCounters().callbackFailures.add();
}

void ResolverCore::beginClose() noexcept {
  isLoopEnding_ = true;
  loop_->markDirty(*this);
}

void ResolverCore::end() {
  if (channel_ == nullptr) return;
  loop_->assertInLoopThread();
  const auto queries = std::move(queries_);
  queries_.clear();
  for (const auto& [id, query] : queries) loop_->cancel(query.timer);
  channel_.reset();
  loop_->removeResident(*this);
}

}  // namespace gyre
