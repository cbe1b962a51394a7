#include "gyre/codec/FrameReader.h"

#include <atomic>
#include <cerrno>
#include <memory>

#include "base/LogFormat.h"
#include "gyre/connection/TcpConnection.h"

namespace gyre {
namespace {

class FrameReader {
 public:
  FrameReader(FrameDecoder decoder, FrameCallback onFrame, BadFrameCallback onBadFrame)
      : decoder_(std::move(decoder)),
        onFrame_(std::move(onFrame)),
        onBadFrame_(std::move(onBadFrame)) {}

  void read(const TcpConnectionPtr& connection, Buffer& in) const {
    const ConnectionProfile* profile = &connection->profile();
    Turn turn(*connection);
    std::size_t searched = takeSearched(*connection);
    while (in.readableBytes() != 0) {
      if (turn.left == 0) return connection->offerAgain();
      const FrameResult result = decoder_(in.view(), searched);
      searched = 0;
      if (result.status != FrameStatus::Complete) return stop(connection, in, result);
      --turn.left;
      deliver(connection, in, result);
      if (!connection->connected() || !connection->isReading()) return;
      if (&connection->profile() != profile) return;
    }
  }

 private:
  // What is left of the iteration's frames; the connection's again at the end, also of a throw.
  struct Turn {
    explicit Turn(TcpConnection& owner) noexcept : connection(owner), left(owner.framesLeft()) {}
    ~Turn() { connection.setFramesLeft(left); }

    TcpConnection& connection;
    std::uint16_t left;
  };

  static std::uint64_t nextId() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
  }

  // The frame leaves the buffer when the callback has returned or thrown: until then it is a
  // window.
  void deliver(const TcpConnectionPtr& connection, Buffer& in, const FrameResult& result) const {
    struct Retrieval {
      Buffer& in;
      std::size_t bytes;
      ~Retrieval() { in.retrieve(bytes); }
    } const retrieval{in, result.consumed};
    onFrame_(connection, result.frame);
  }

  // There is no frame at the front.
  void stop(const TcpConnectionPtr& connection, Buffer& in, const FrameResult& result) const {
    if (result.status == FrameStatus::Incomplete) return wait(connection, in, result.searched);
    refuse(connection, in, result.status);
  }

  void wait(const TcpConnectionPtr& connection, Buffer& in, std::size_t searched) const {
    // Reading pauses above the limit, so the rest of the frame would never come.
    if (in.readableBytes() > connection->profile().options.inputLimit) {
      return refuse(connection, in, FrameStatus::TooLong);
    }
    if (searched != 0) connection->setFrameProgress({id_, searched});
  }

  void refuse(const TcpConnectionPtr& connection, Buffer& in, FrameStatus why) const {
    logInfo("connection {} of {} from {}: {}", connection->id(), connection->profile().name,
            connection->peerAddress(), describe(why));
    in.retrieveAll();
    if (onBadFrame_) onBadFrame_(connection, why);
    if (!connection->connected()) return;
    connection->forceCloseWith(why == FrameStatus::TooLong ? EMSGSIZE : EBADMSG);
  }

  std::size_t takeSearched(TcpConnection& connection) const {
    const FrameProgress progress = connection.frameProgress();
    if (progress.searched == 0) return 0;
    connection.setFrameProgress({});
    // What another codec has searched says nothing.
    return progress.reader == id_ ? progress.searched : 0;
  }

  const std::uint64_t id_ = nextId();
  const FrameDecoder decoder_;
  const FrameCallback onFrame_;
  const BadFrameCallback onBadFrame_;
};

}  // namespace

MessageCallback framedBy(FrameDecoder decoder, FrameCallback onFrame, BadFrameCallback onBadFrame) {
  auto reader = std::make_shared<const FrameReader>(std::move(decoder), std::move(onFrame),
                                                    std::move(onBadFrame));
  return [reader = std::move(reader)](const TcpConnectionPtr& connection, Buffer& in) {
    reader->read(connection, in);
  };
}

}  // namespace gyre
