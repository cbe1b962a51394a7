// SimRawEcho: an echo server written against the raw contract, for histories with faults.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <string>

#include "gyre/sim/SimNetwork.h"

namespace gyre {

class SimRawEcho {
 public:
  // Steps its engine as a loop of the network.
  explicit SimRawEcho(SimNetwork& network) : engine_(network.makeProactor("echo")) {
    listener_ = engine_->listen(InetAddress("127.0.0.1:0"), {});
    engine_->accept(accept_, listener_);
    network.addLoop(*engine_, [engine = engine_.get()] { engine->run(kForever); });
  }
  SimRawEcho(const SimRawEcho&) = delete;
  SimRawEcho& operator=(const SimRawEcho&) = delete;
  // REQUIRES: isStopped().
  ~SimRawEcho() { engine_->close(listener_); }

  InetAddress address() const { return engine_->localAddress(listener_); }
  void stop() {
    engine_->cancel(accept_);
    for (auto& [socket, connection] : connections_) connection->abort();
  }
  bool isStopped() const { return connections_.empty() && !accept_.isInFlight(); }
  std::size_t connections() const { return connections_.size(); }
  std::size_t aborted() const { return aborted_; }
  std::size_t served() const { return served_; }
  Proactor& engine() { return *engine_; }

 private:
  class Connection {
   public:
    Connection(SimRawEcho& server, SocketHandle socket) : server_(server), socket_(socket) {
      engine().receive(receive_, socket_);
    }

    void abort() {
      if (std::exchange(isAborted_, true)) return;
      ++server_.aborted_;
      engine().shutdownBoth(socket_);
      engine().cancelAll(socket_);
      joinInFlight();
    }

   private:
    static void handleReceive(IoContext& context, const IoResult& result) noexcept {
      ownerOf<&Connection::receive_>(context).received(result);
    }
    static void handleSend(IoContext& context, const IoResult& result) noexcept {
      ownerOf<&Connection::send_>(context).sent(result);
    }
    Proactor& engine() { return *server_.engine_; }

    void received(const IoResult& result) {
      if (result.more) {
        if (!isAborted_) queued_.append(result.data, result.bytes);
        return submitSend();
      }
      hasEnded_ = true;
      if (result.error != 0 && !isAborted_) return abort();
      joinInFlight();
    }
    // The bytes go out as up to three slices.
    void submitSend() {
      if (isAborted_ || send_.isInFlight() || queued_.empty()) return;
      const std::size_t size = std::min(queued_.size(), kSendBytesMax);
      sending_ = queued_.substr(0, size);
      queued_.erase(0, size);
      std::array<IoSlice, 3> slices;
      std::size_t count = 0;
      for (std::size_t done = 0; done < size; ++count) {
        const std::size_t part = count == 2 ? size - done : (size - done + 1) / 2;
        slices[count] = {sending_.data() + done, part};
        done += part;
      }
      engine().send(send_, socket_, {slices.data(), count});
    }
    void sent(const IoResult& result) {
      EXPECT_TRUE(result.error != 0 || result.bytes == sending_.size());
      sending_.clear();
      if (result.error != 0 && !isAborted_) return abort();
      submitSend();
      joinInFlight();
    }
    // Closes when everything is done. Nothing of this is touched afterwards.
    void joinInFlight() {
      if (receive_.isInFlight() || send_.isInFlight()) return;
      if (!isAborted_ && (!hasEnded_ || !queued_.empty())) return;
      if (!isAborted_) ++server_.served_;
      engine().close(socket_);
      server_.connections_.erase(socket_.value());
    }

    SimRawEcho& server_;
    const SocketHandle socket_;
    IoContext receive_{&handleReceive};
    IoContext send_{&handleSend};
    std::string queued_;
    std::string sending_;
    bool hasEnded_ = false;
    bool isAborted_ = false;
  };

  static void handleAccept(IoContext& context, const IoResult& result) noexcept {
    SimRawEcho& self = ownerOf<&SimRawEcho::accept_>(context);
    if (!result.more) return;
    self.connections_[result.socket.value()] = std::make_unique<Connection>(self, result.socket);
  }

  std::unique_ptr<Proactor> engine_;
  SocketHandle listener_;
  IoContext accept_{&handleAccept};
  std::map<std::int32_t, std::unique_ptr<Connection>> connections_;
  std::size_t aborted_ = 0;
  std::size_t served_ = 0;
};

}  // namespace gyre
