#include "sim/SimPoll.h"

#include <poll.h>

namespace gyre {
namespace {

std::uint32_t linkEvents(const SimLink& link, SimSide side) {
  std::uint32_t events = 0;
  const bool isReadShut = link.isReadShut(side);
  const bool isDead = link.isReset(side) || link.connectError() != 0;
  if (link.readable(side) > 0 || isReadShut) events |= POLLIN;
  if (isReadShut) events |= POLLRDHUP;
  if (isDead || (isReadShut && link.isWriteShut(side))) events |= POLLHUP;
  if (link.hasError(side)) events |= POLLERR;
  if (isDead || (link.isConnected(side) && link.room(side) > 0)) events |= POLLOUT;
  return events;
}

}  // namespace

std::uint32_t simPollEvents(const SimSocket& socket, std::uint32_t wanted) {
  std::uint32_t events = 0;
  if (socket.link) {
    events = linkEvents(*socket.link, socket.side);
  } else if (socket.listener) {
    events = socket.listener->backlog.empty() ? 0 : POLLIN;
  } else if (socket.event) {
    events = *socket.event > 0 ? POLLIN | POLLOUT : POLLOUT;
  } else {
    events = POLLOUT | POLLHUP;  // a stream socket that was never connected
  }
  return events & (wanted | POLLERR | POLLHUP);
}

}  // namespace gyre
