// What a FuzzServer does to its connections: answers, endings, pauses.
#include <stdexcept>
#include <utility>

#include "fuzz/CallFaults.h"
#include "fuzz/FuzzFilter.h"
#include "fuzz/FuzzServer.h"

namespace gyre {

void FuzzServer::answer(Ledger& ledger, Buffer& input, std::size_t size) {
  ledger.retrieved(input.view().substr(0, size));
  using Answer = Conduct::Answer;
  const Conduct& conduct = ledger.conduct();
  const bool isLarge = conduct.answer == Answer::Large || conduct.answer == Answer::LargeThenEcho;
  if (isLarge && ledger.mayAnswerLarge()) sendLarge(ledger);
  if (conduct.answer == Answer::Echo || conduct.answer == Answer::LargeThenEcho) {
    return echo(ledger, input, size);
  }
  input.retrieve(size);
  if (conduct.answer == Answer::Discard || isLarge) return;
  send(ledger, std::make_shared<const std::string>(ledger.random().between(1, 100), 's'));
}

// From the window of the callback, which may never be copied on its way out, or from a copy.
void FuzzServer::echo(Ledger& ledger, Buffer& input, std::size_t size) {
  const std::string_view window = input.view().substr(0, size);
  auto bytes = std::make_shared<const std::string>(window);
  if (!ledger.conduct().usesOwnInput || ledger.conduct().sendsFromOutside) {
    input.retrieve(size);
    return send(ledger, std::move(bytes));
  }
  const bool isNoted = ledger.queued(std::move(bytes));
  const bool isWhole = size == input.readableBytes();
  if (isNoted && isWhole && ledger.random().chance(0.7)) {
    const FaultyScope faults;
    return ledger.connection()->send(input);
  }
  if (isNoted) {
    const FaultyScope faults;
    ledger.connection()->send(window);
  }
  input.retrieve(size);
}

void FuzzServer::sendLarge(Ledger& ledger) {
  send(ledger, std::make_shared<const std::string>(ledger.conduct().large, 'L'));
}

void FuzzServer::send(Ledger& ledger, std::shared_ptr<const std::string> bytes) {
  const bool isLarge = bytes->size() > 100'000;
  const std::uint64_t form = isLarge && ledger.random().chance(0.6) ? 2 : ledger.random().below(4);
  if (ledger.conduct().sendsFromOutside && context_.outside != nullptr) {
    return context_.outside->post([&ledger, moved = std::move(bytes), form] {
      if (ledger.queued(moved)) sendNow(ledger, moved, form);
    });
  }
  if (ledger.queued(bytes)) sendNow(ledger, bytes, form);
}

void FuzzServer::sendNow(Ledger& ledger, const std::shared_ptr<const std::string>& bytes,
                         std::uint64_t form) {
  TcpConnection& connection = *ledger.connection();
  Buffer buffer;
  std::string copy;
  if (form == 1) copy = *bytes;
  if (form == 3) buffer.append(*bytes);
  const FaultyScope faults;
  switch (form) {
    case 0: return connection.send(std::string_view(*bytes));
    case 1: return connection.send(std::move(copy));
    case 2: return connection.send(bytes);
    default: return connection.send(buffer);
  }
}

void FuzzServer::doEvent(Ledger& ledger) {
  using Event = Conduct::Event;
  switch (ledger.conduct().event) {
    case Event::None: return;
    case Event::Shutdown: return request(ledger, &TcpConnection::shutdown);
    case Event::ShutdownWrite: return request(ledger, &TcpConnection::shutdownWrite);
    case Event::ForceClose: return request(ledger, &TcpConnection::forceClose);
    case Event::Throw: ledger.willAbort(); throw std::runtime_error("a callback of the fuzzer");
    case Event::Pause: return pause(ledger);
    case Event::SwitchProfile: return ledger.connection()->setProfile(otherProfile_);
    case Event::SetTimeouts: {
      ConnectionTimeouts timeouts = scenario_.options.timeouts;
      timeouts.idle = std::chrono::milliseconds(ledger.random().between(20, 2000));
      return ledger.connection()->setTimeouts(timeouts);
    }
    case Event::StopServer: context_.isEnding = true; return server_->stop();
    case Event::DrainServer:
      context_.isEnding = true;
      return server_->drain(std::chrono::milliseconds(200));
  }
}

// From the thread that sends, so that the order is its own.
void FuzzServer::request(Ledger& ledger, void (TcpConnection::*ending)()) {
  const bool isAbort = ending == &TcpConnection::forceClose;
  const auto ask = [&ledger, ending] {
    ledger.willEnd();
    (ledger.connection().get()->*ending)();
  };
  if (ledger.conduct().sendsFromOutside && context_.outside != nullptr) {
    return context_.outside->post(ask);
  }
  ask();
  if (isAbort && ledger.connection()->connected()) ledger.willAbort();
}

void FuzzServer::pause(Ledger& ledger) {
  ledger.willPause();
  ledger.connection()->stopRead();
  later(ledger, [](Ledger& self) {
    self.willRead();
    self.connection()->startRead();
  });
}

void FuzzServer::later(Ledger& ledger, std::function<void(Ledger&)> call) {
  const auto delay = std::chrono::milliseconds(ledger.conduct().pauseMilliseconds + 1);
  ledger.connection()->loop()->runAfter(delay, [&ledger, call = std::move(call)] {
    const FaultlessScope scope;
    if (!ledger.connection()->disconnected()) call(ledger);
  });
}

}  // namespace gyre
