// peer_asio: an echo, sink, source or broadcast server on Boost.Asio; built once on epoll, once on
// io_uring.
//
// One thread, and Asio is told so: it takes no locks.
#include <boost/asio.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "PeerOptions.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t kOwnBytes = 64 * 1024;  // of each connection; touched as far as it is used

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, peer::Mode mode)
      : socket_(std::move(socket)), mode_(mode), bytes_(new char[kOwnBytes]) {
    boost::system::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
  }

  ~Connection() { std::erase(members, this); }

  void start() {
    if (mode_ == peer::Mode::Broadcast) members.push_back(this);
    if (mode_ == peer::Mode::Source) {
      write(0, kOwnBytes);
    } else {
      read();
    }
  }

 private:
  // On io_uring a process that is stopped and continued sees its operations interrupted.
  static bool isOver(const boost::system::error_code& error) {
    return error && error != asio::error::interrupted;
  }

  // Each handler keeps the connection alive; when none is left it closes.
  void read() {
    socket_.async_read_some(
        asio::buffer(bytes_.get(), kOwnBytes),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t count) {
          if (isOver(error)) return;
          if (error || self->mode_ == peer::Mode::Sink) return self->read();
          if (self->mode_ == peer::Mode::Broadcast) return self->tellAll(count);
          self->write(0, count);
        });
  }

  void tellAll(std::size_t count) {
    const auto message = std::make_shared<const std::string>(bytes_.get(), count);
    for (Connection* member : members) member->tell(message);
    read();
  }

  // One write at a time; a listener that is still taking one gets the next behind it.
  void tell(const std::shared_ptr<const std::string>& message) {
    letters_.push_back(message);
    if (letters_.size() == 1) writeLetter();
  }

  void writeLetter() {
    asio::async_write(
        socket_, asio::buffer(*letters_.front()),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
          if (error) return;
          self->letters_.erase(self->letters_.begin());
          if (!self->letters_.empty()) self->writeLetter();
        });
  }

  void write(std::size_t from, std::size_t to) {
    asio::async_write(socket_, asio::buffer(bytes_.get() + from, to - from),
                      [self = shared_from_this(), from, to](const boost::system::error_code& error,
                                                            std::size_t count) {
                        if (isOver(error)) return;
                        if (error) return self->write(from + count, to);
                        if (self->mode_ == peer::Mode::Source) return self->write(0, kOwnBytes);
                        self->read();
                      });
  }

  tcp::socket socket_;
  const peer::Mode mode_;
  std::unique_ptr<char[]> bytes_;
  std::vector<std::shared_ptr<const std::string>> letters_;  // on their way out
  static inline std::vector<Connection*> members;            // of a broadcast
};

void acceptAll(tcp::acceptor& acceptor, peer::Mode mode) {
  acceptor.async_accept([&acceptor, mode](boost::system::error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Connection>(std::move(socket), mode)->start();
    acceptAll(acceptor, mode);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const peer::Options options = peer::parse(argc, argv);
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  tcp::acceptor acceptor(context);
  const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), options.port);
  acceptor.open(endpoint.protocol());
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  acceptor.bind(endpoint);
  acceptor.listen(4096);
  peer::announce(acceptor.local_endpoint().port());
  acceptAll(acceptor, options.mode);
  context.run();
  return 0;
}
