// peer_libevent: an echo, sink, source or broadcast server on libevent's bufferevents.
//
// Input moves to the output without a copy. Single reads and writes may be as large as the other
// peers' (libevent 2.1 itself reads at most 4 KiB at a time).
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "PeerOptions.h"

namespace {

peer::Options options;
std::array<char, peer::kBufferBytes> zeros;
std::vector<bufferevent*> members;  // of a broadcast

std::size_t unsent(bufferevent* b) { return evbuffer_get_length(bufferevent_get_output(b)); }

void forget(bufferevent* b) {
  std::erase(members, b);
  bufferevent_free(b);
}

void tellAll(evbuffer* input) {
  const std::size_t size = evbuffer_get_length(input);
  const unsigned char* data = evbuffer_pullup(input, -1);
  for (bufferevent* member : members) bufferevent_write(member, data, size);
  evbuffer_drain(input, size);
}

void handleRead(bufferevent* b, void*) {
  evbuffer* input = bufferevent_get_input(b);
  if (options.mode == peer::Mode::Broadcast) return tellAll(input);
  if (options.mode == peer::Mode::Sink) {
    evbuffer_drain(input, evbuffer_get_length(input));
    return;
  }
  evbuffer_add_buffer(bufferevent_get_output(b), input);
  if (unsent(b) > peer::kOutputMax) bufferevent_disable(b, EV_READ);
}

void handleWritten(bufferevent* b, void*) {
  if (options.mode == peer::Mode::Source) {
    evbuffer_add_reference(bufferevent_get_output(b), zeros.data(), zeros.size(), nullptr, nullptr);
    return;
  }
  if ((bufferevent_get_enabled(b) & EV_READ) == 0) bufferevent_enable(b, EV_READ);
}

// The peer has sent its FIN, and all it was owed has been sent.
void handleLastWritten(bufferevent* b, void*) {
  shutdown(bufferevent_getfd(b), SHUT_WR);
  forget(b);
}

void handleEvent(bufferevent* b, short events, void*) {
  if ((events & BEV_EVENT_EOF) == 0 || (events & BEV_EVENT_ERROR) != 0) return forget(b);
  if (unsent(b) == 0) return handleLastWritten(b, nullptr);
  bufferevent_disable(b, EV_READ);
  bufferevent_setcb(
      b, nullptr, handleLastWritten, [](bufferevent* failed, short, void*) { forget(failed); },
      nullptr);
}

void handleConnection(evconnlistener* listener, evutil_socket_t fd, sockaddr*, int, void*) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  bufferevent* b =
      bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_set_max_single_read(b, peer::kBufferBytes);
  bufferevent_set_max_single_write(b, peer::kBufferBytes);
  bufferevent_setcb(b, handleRead, handleWritten, handleEvent, nullptr);
  bufferevent_enable(b, EV_READ | EV_WRITE);
  if (options.mode == peer::Mode::Source) handleWritten(b, nullptr);
  if (options.mode == peer::Mode::Broadcast) members.push_back(b);
}

}  // namespace

int main(int argc, char** argv) {
  options = peer::parse(argc, argv);
  event_base* base = event_base_new();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  evconnlistener* listener = evconnlistener_new_bind(
      base, handleConnection, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096,
      reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (listener == nullptr) peer::die("evconnlistener_new_bind");
  socklen_t length = sizeof address;
  getsockname(evconnlistener_get_fd(listener), reinterpret_cast<sockaddr*>(&address), &length);
  peer::announce(ntohs(address.sin_port));
  return event_base_dispatch(base);
}
