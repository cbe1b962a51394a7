#include "support/ConformanceLoop.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace gyre {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kStep{1};

}  // namespace

// --- ConformanceLoop

ConformanceLoop::~ConformanceLoop() {
  EXPECT_EQ(proactor_->operationsInFlight(), 0U);
  EXPECT_EQ(ended_, started_) << "each operation has exactly one terminal completion";
  for (std::size_t kind = 0; kind < kIoKinds; ++kind) {
    EXPECT_EQ(counters().completions[kind].get(), handled_[kind]) << "of IoKind " << kind;
  }
}

void ConformanceLoop::run(TimePoint deadline) {
  running_ = true;
  proactor_->run(deadline);
  running_ = false;
}

bool ConformanceLoop::runUntil(const std::function<bool()>& isDone) {
  const TimePoint limit = proactor_->now() + kPatience;
  while (!isDone()) {
    const TimePoint now = proactor_->now();
    if (now >= limit) return false;
    run(now + kStep);
  }
  return true;
}

void ConformanceLoop::settle() {
  for (int i = 0; i < 8; ++i) run(kNoWait);
}

std::string ConformanceLoop::receiveAll(ConformancePeer& peer, std::size_t size) {
  std::string bytes;
  EXPECT_TRUE(runUntil([&] {
    while (bytes.size() < size && peer.receiveSome(bytes, size - bytes.size())) {
    }
    return bytes.size() == size || peer.hasEnded() || peer.error() != 0;
  })) << "the peer got only "
      << bytes.size();
  return bytes;
}

std::string ConformanceLoop::receiveToEnd(ConformancePeer& peer) {
  std::string bytes;
  EXPECT_TRUE(runUntil([&] {
    while (peer.receiveSome(bytes, 65536)) {
    }
    return peer.hasEnded() || peer.error() != 0;
  })) << "no end was seen after "
      << bytes.size();
  return bytes;
}

bool ConformanceLoop::sendAll(ConformancePeer& peer, std::string_view bytes) {
  return runUntil([&] {
    bytes.remove_prefix(peer.sendSome(bytes));
    return bytes.empty();
  });
}

void ConformanceLoop::cancel(ConformanceOperation& operation) {
  const VerbScope scope(*this);
  proactor_->cancel(operation.context_);
}

void ConformanceLoop::cancelAll(SocketHandle socket) {
  const VerbScope scope(*this);
  proactor_->cancelAll(socket);
}

void ConformanceLoop::enterHandler(IoKind kind) {
  EXPECT_TRUE(running_) << "a handler ran outside run()";
  EXPECT_EQ(verbs_, 0) << "a handler ran inside a verb";
  EXPECT_EQ(handlers_, 0) << "a handler ran inside another";
  ++handlers_;
  ++handled_[static_cast<std::size_t>(kind)];
}

// --- ConformanceOperation

ConformanceOperation::~ConformanceOperation() {
  if (!isInFlight()) return;
  onCompletion = nullptr;
  loop_.cancel(*this);
  EXPECT_TRUE(loop_.runUntil([this] { return !isInFlight(); })) << "a cancel did not end it";
}

void ConformanceOperation::begin() {
  ++loop_.started_;
  isOwedEnd_ = true;
}

void ConformanceOperation::accept(SocketHandle listener) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().accept(context_, listener);
}

void ConformanceOperation::acceptShared(SocketHandle listener) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().acceptShared(context_, listener);
}

void ConformanceOperation::receive(SocketHandle socket) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().receive(context_, socket);
}

void ConformanceOperation::receiveInto(SocketHandle socket, std::span<char> into) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().receiveInto(context_, socket, into);
}

void ConformanceOperation::send(SocketHandle socket, std::string_view bytes) {
  const IoSlice slice{bytes.data(), bytes.size()};
  send(socket, {&slice, 1});
}

void ConformanceOperation::send(SocketHandle socket, std::span<const IoSlice> slices) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().send(context_, socket, slices);
}

void ConformanceOperation::connect(SocketHandle socket, const InetAddress& to) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().connect(context_, socket, to);
}

void ConformanceOperation::poll(SocketHandle handle, std::uint32_t events) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().poll(context_, handle, events);
}

void ConformanceOperation::read(SocketHandle handle, std::span<char> into) {
  const ConformanceLoop::VerbScope scope(loop_);
  begin();
  loop_.proactor().read(context_, handle, into);
}

ConformanceOperation::Completion ConformanceOperation::join() {
  EXPECT_TRUE(loop_.runUntil([this] { return hasEnded(); })) << "no terminal completion came";
  return told_.empty() ? Completion() : told_.back();
}

void ConformanceOperation::handle(IoContext& context, const IoResult& result) noexcept {
  auto& operation = ownerOf<&ConformanceOperation::context_>(context);
  ConformanceLoop& loop = operation.loop_;
  loop.enterHandler(context.kind());
  operation.note(result);
  // By value: it may destroy the operation.
  if (const auto onCompletion = operation.onCompletion) onCompletion(result);
  loop.leaveHandler();
}

void ConformanceOperation::note(const IoResult& result) {
  EXPECT_TRUE(isOwedEnd_) << "a completion came after the terminal one";
  EXPECT_EQ(context_.isInFlight(), result.more);
  if (result.more) {
    EXPECT_EQ(result.error, 0) << "only a terminal completion carries an error";
  } else {
    isOwedEnd_ = false;
    ++loop_.ended_;
  }
  told_.push_back({result.more, result.error, result.bytes, result.socket, result.events});
  if (result.data != nullptr) data_.append(result.data, result.bytes);
}

// --- ConformanceSocket

void ConformanceSocket::close() {
  if (handle_.isValid()) loop_->proactor().close(release());
}

}  // namespace gyre
