// Tunnel: two connections on one loop, each of which sends what the other receives.
//
// An end that does not take what it is sent stops the other from being read. The end of a stream
// is passed on by itself. When one end has closed gracefully the other does; a reset, and whatever
// else cut its stream short, resets the other: nobody takes a part for the whole.
#pragma once

#include <any>
#include <functional>
#include <memory>

#include "gyre/gyre.h"

namespace example {

// The context of both ends. Each holds the other: closing lets go of that.
struct Tunnel {
  gyre::TcpConnectionPtr other;             // null while it is being connected to
  std::shared_ptr<gyre::TcpClient> client;  // what is unsent needs it: it lasts as long as its end
};

inline gyre::TcpConnectionPtr otherEnd(const gyre::TcpConnectionPtr& end) {
  const auto* tunnel = std::any_cast<Tunnel>(&end->context());
  return tunnel == nullptr ? nullptr : tunnel->other;
}

inline bool hasEndedWhole(const gyre::TcpConnection& end) {
  const gyre::CloseReason reason = end.closeReason();
  return end.error() == 0 &&
         (reason == gyre::CloseReason::PeerClosed || reason == gyre::CloseReason::Shutdown);
}

// False while there is no other end: the bytes are left where they are.
inline bool forward(const gyre::TcpConnectionPtr& end, gyre::Buffer& in) {
  const auto other = otherEnd(end);
  if (other) other->send(in);
  return other != nullptr;
}

// For the TcpServer and for each TcpClient.
template <typename Ends>
void setTunnelCallbacks(Ends& ends) {
  constexpr std::size_t kHighWater = 256 * 1024;
  ends.setMessageCallback(forward);
  ends.setHighWaterMarkCallback(
      [](const gyre::TcpConnectionPtr& end, std::size_t) {
        if (const auto other = otherEnd(end)) other->stopRead();
      },
      kHighWater);
  ends.setWriteCompleteCallback([](const gyre::TcpConnectionPtr& end) {
    if (const auto other = otherEnd(end)) other->startRead();
  });
  ends.setHalfCloseCallback([](const gyre::TcpConnectionPtr& end) {
    if (const auto other = otherEnd(end)) return other->shutdownWrite();
    end->shutdown();
  });
  ends.setCloseCallback([](const gyre::TcpConnectionPtr& end) {
    const auto other = otherEnd(end);
    if (other) hasEndedWhole(*end) ? other->shutdown() : other->abort();
  });
}

// Connects a client that was made on the loop of `front`, which is not read meanwhile. Then
// onOpen(true) may say something to it, and the tunnel is open; after onOpen(false) it is closed.
inline void openTunnel(const gyre::TcpConnectionPtr& front,
                       const std::shared_ptr<gyre::TcpClient>& client,
                       std::function<void(bool)> onOpen) {
  front->stopRead();
  front->setContext(Tunnel{nullptr, client});
  setTunnelCallbacks(*client);
  gyre::ConnectOptions options;
  options.backoff.attempts = 1;
  client->setConnectOptions(options);
  // Without owning anything: its context keeps the client for as long as `front` lives.
  const std::weak_ptr<gyre::TcpConnection> weakFront = front;
  const std::weak_ptr<gyre::TcpClient> weakClient = client;
  client->setConnectionCallback([=](const gyre::TcpConnectionPtr& back) {
    const auto end = weakFront.lock();
    if (!back->connected() || !end) return;
    end->setContext(Tunnel{back, weakClient.lock()});
    back->setContext(Tunnel{end, weakClient.lock()});
    onOpen(true);
    end->startRead();
  });
  client->setConnectFailedCallback([=](const gyre::ConnectFailure& failure) {
    if (failure.retryAfter) return;  // another address of the name is tried
    onOpen(false);
    if (const auto end = weakFront.lock()) end->shutdown();
  });
  client->connect();
}

}  // namespace example
