#include "names/ResolverCore.h"

#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <new>
#include <utility>

#include "base/LogFormat.h"
#include "gyre/base/Check.h"
#include "names/AresChannel.h"
#include "names/SearchList.h"

namespace gyre {
namespace {

// RFC 8305, section 3: the Resolution Delay.
constexpr std::chrono::milliseconds kOtherFamilyDelay{50};

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
      family_(options.family),
      channel_(std::make_unique<AresChannel>(
          loop, options, [this](const AresChannel::Question& question, FamilyAnswer found) {
            answer(question.query, question.round, question.family, std::move(found));
          })) {}

ResolverCore::~ResolverCore() = default;

ResolveId ResolverCore::resolve(const HostPort& name, ResolveCallback callback, ResolveMode mode) {
  loop_->assertInLoopThread();
  GYRE_CHECK(channel_ != nullptr, "a name was to be resolved after the loop's end");
  // Room for all that can be noted, so that an answer needs no memory.
  for (auto* ids : {&noted_, &settling_}) {
    ids->reserve(noted_.size() + settling_.size() + queries_.size() + 1);
  }
  const std::uint64_t id = ++lastId_;
  const auto place =
      queries_.emplace(id, Query{std::move(callback), mode, name.port, FamilyAnswers(family_)});
  Query& query = place.first->second;
  try {
    begin(id, query, name);
  } catch (...) {
    stopTimer(query);
    queries_.erase(id);
    throw;
  }
  return ResolveId(id);
}

void ResolverCore::begin(std::uint64_t id, Query& query, const HostPort& name) {
  if (answerWithoutServer(query, name)) return note(id, query);
  query.names = channel_->searchList().namesOf(name.host);
  query.due = addSaturated(loop_->now(), timeout_);
  setTimer(id, query, query.due);
  ask(id, query);
}

bool ResolverCore::answerWithoutServer(Query& query, const HostPort& name) {
  std::vector<InetAddress> found;
  if (!isName(name.host)) {
    query.answers.giveUp(ResolveError::InvalidName);
    return true;
  }
  if (const auto literal = parseLiteral(name)) {
    found = {*literal};
  } else if (isLocalhost(name.host)) {
    found = {InetAddress::loopbackV6(name.port), InetAddress::loopback(name.port)};
  } else {
    found = channel_->lookUpHosts(name, family_);
    if (found.empty()) return false;
  }
  for (const AddressFamily family : {AddressFamily::V4, AddressFamily::V6}) {
    FamilyAnswer its;
    const sa_family_t number = family == AddressFamily::V4 ? AF_INET : AF_INET6;
    std::copy_if(found.begin(), found.end(), std::back_inserter(its.addresses),
                 [number](const InetAddress& address) { return address.family() == number; });
    if (its.addresses.empty()) its.error = ResolveError::NotFound;
    query.answers.add(family, std::move(its));
  }
  return true;
}

// The questions are independent. An answer may come inside this call.
void ResolverCore::ask(std::uint64_t id, Query& query) {
  const std::uint64_t round = query.round;
  const std::string& name = query.names[round];
  for (const AddressFamily family : {AddressFamily::V6, AddressFamily::V4}) {
    if (!query.answers.isAwaited(family)) continue;
    channel_->ask({id, round, family, query.port}, name);
  }
}

void ResolverCore::cancel(ResolveId id) {
  loop_->assertInLoopThread();
  const auto place = queries_.find(static_cast<std::uint64_t>(id));
  if (place == queries_.end()) return;
  stopTimer(place->second);
  // Moved out: what the callback has captured may come back here when it dies.
  const Query ending = std::move(place->second);
  queries_.erase(place);
}

// Only noted: c-ares may be on the stack, or the user's own call.
void ResolverCore::answer(std::uint64_t id, std::uint64_t round, AddressFamily family,
                          FamilyAnswer found) {
  const auto place = queries_.find(id);
  // Cancelled, or too late: told without it.
  if (place == queries_.end()) return;
  Query& query = place->second;
  if (query.round != round || !query.answers.isAwaited(family)) return;
  query.answers.add(family, std::move(found));
  consider(id, query);
}

// Tells what is enough, at once or after the time that the other family is given.
void ResolverCore::consider(std::uint64_t id, Query& query) {
  if (query.answers.isComplete()) return note(id, query);
  if (!query.answers.isEnough()) return;
  const bool startsNow = query.mode == ResolveMode::Each && query.answers.hasAddresses() &&
                         !query.answers.isAwaited(AddressFamily::V6);
  if (startsNow) return note(id, query);
  try {
    setTimer(id, query, std::min(query.due, loop_->now() + kOtherFamilyDelay));
  } catch (const std::bad_alloc&) {
    query.answers.giveUp(ResolveError::OutOfMemory);
    note(id, query);
  }
}

void ResolverCore::note(std::uint64_t id, Query& query) noexcept {
  if (!std::exchange(query.isNoted, true)) noted_.push_back(id);
  loop_->markDirty(*this);
}

// --- Time

// Replaces the one that was set. May throw std::bad_alloc: then there is none.
void ResolverCore::setTimer(std::uint64_t id, Query& query, TimePoint due) {
  stopTimer(query);
  if (due != kForever) query.timer = loop_->runAt(due, [this, id] { handleTimer(id); });
}

void ResolverCore::stopTimer(Query& query) {
  if (query.timer.isValid()) loop_->cancel(std::exchange(query.timer, {}));
}

// The other family's time is over, or that of the whole query.
void ResolverCore::handleTimer(std::uint64_t id) {
  Query& query = queries_.find(id)->second;
  query.timer = {};
  const bool isOver = loop_->now() >= query.due;
  const bool goesOn = query.mode == ResolveMode::Each && query.answers.hasAddresses() && !isOver;
  if (!goesOn) query.answers.giveUp(isOver ? ResolveError::TimedOut : ResolveError::NotFound);
  note(id, query);
}

// --- Telling

void ResolverCore::settle() noexcept {
  if (isLoopEnding_) return end();
  // A callback may ask, cancel, and end this: then no query is left to be told.
  settling_.swap(noted_);
  for (std::size_t i = 0; i < settling_.size(); ++i) settleQuery(settling_[i]);
  settling_.clear();
}

void ResolverCore::settleQuery(std::uint64_t id) noexcept {
  const auto place = queries_.find(id);
  if (place == queries_.end()) return;
  Query& query = place->second;
  query.isNoted = false;
  if (!query.answers.isNotFound() || query.round + 1 >= query.names.size()) return tell(id, query);
  ++query.round;
  query.answers.restart();
  try {
    setTimer(id, query, query.due);
    ask(id, query);
  } catch (const std::bad_alloc&) {
    query.answers.giveUp(ResolveError::OutOfMemory);
    note(id, query);
  }
}

void ResolverCore::tell(std::uint64_t id, Query& query) noexcept {
  ResolveResult result;
  try {
    result = query.answers.take();
    if (!result.isLast) setTimer(id, query, query.due);
  } catch (const std::bad_alloc&) {
    result.isLast = true;
    if (result.addresses.empty()) result.error = ResolveError::OutOfMemory;
  }
  // Moved out: it may cancel this query.
  ResolveCallback callback = std::move(query.callback);
  if (result.isLast) {
    stopTimer(query);
    queries_.erase(id);
    return call(callback, result);
  }
  call(callback, result);
  const auto place = queries_.find(id);
  if (place != queries_.end()) place->second.callback = std::move(callback);
}

void ResolverCore::call(ResolveCallback& callback, const ResolveResult& result) noexcept {
  try {
    if (callback) callback(result);
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
