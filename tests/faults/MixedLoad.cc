#include "MixedLoad.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace gyre {

MixedLoad::MixedLoad(const InetAddress& server, const MixedLoadOptions& options)
    : server_(server), options_(options), random_(options.seed), clients_(options.clients) {}

char MixedLoad::byteAt(const Client& client, std::size_t position) {
  return static_cast<char>((client.pattern + position * 131 + position / 251) & 0xff);
}

void MixedLoad::connect(Client& client) {
  client.fd.reset(::socket(server_.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(client.fd.get(), server_.sockaddrPtr(), server_.length()) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect");
  }
  ::fcntl(client.fd.get(), F_SETFL, O_NONBLOCK);
  client.pattern = random_();
  client.total = 1 + random_() % options_.bytesMax;
  client.leave = random_() % 10 == 0 ? Leave::Reset : Leave::HalfClose;
}

MixedLoadResult MixedLoad::run() {
  for (Client& client : clients_) connect(client);
  const auto deadline = std::chrono::steady_clock::now() + options_.limit;
  while (std::chrono::steady_clock::now() < deadline) {
    std::vector<pollfd> polled;
    std::vector<Client*> owners;
    for (Client& client : clients_) {
      if (client.isDone) continue;
      const bool writes = client.sent < client.total;
      polled.push_back(
          {client.fd.get(), static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN), 0});
      owners.push_back(&client);
    }
    if (polled.empty()) return result_;
    ::poll(polled.data(), polled.size(), 100);
    for (std::size_t i = 0; i < polled.size(); ++i) step(*owners[i], polled[i].revents);
  }
  for (const Client& client : clients_) result_.unfinished += client.isDone ? 0 : 1;
  return result_;
}

void MixedLoad::step(Client& client, short events) {
  if ((events & POLLOUT) != 0 && client.sent < client.total) write(client);
  if (!client.isDone && (events & (POLLIN | POLLHUP | POLLERR)) != 0) read(client);
}

void MixedLoad::write(Client& client) {
  std::array<char, 16 * 1024> chunk;
  const std::size_t wanted = 1 + random_() % chunk.size();
  const std::size_t count = std::min(wanted, client.total - client.sent);
  for (std::size_t i = 0; i < count; ++i) chunk[i] = byteAt(client, client.sent + i);
  const ssize_t sent = ::send(client.fd.get(), chunk.data(), count, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN ? void() : end(client, false);
  client.sent += static_cast<std::size_t>(sent);
  if (client.leave == Leave::Reset && client.sent > client.total / 2) {
    const linger now{1, 0};
    ::setsockopt(client.fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client.fd.reset();
    client.isDone = true;
    ++result_.deserted;
  } else if (client.sent == client.total) {
    ::shutdown(client.fd.get(), SHUT_WR);
  }
}

void MixedLoad::read(Client& client) {
  std::array<char, 16 * 1024> chunk;
  const ssize_t got = ::recv(client.fd.get(), chunk.data(), chunk.size(), 0);
  if (got < 0) return errno == EAGAIN ? void() : end(client, false);
  if (got == 0) return end(client, client.received == client.total);
  for (ssize_t i = 0; i < got; ++i, ++client.received) {
    const bool isRight = client.received < client.sent &&
                         chunk[static_cast<std::size_t>(i)] == byteAt(client, client.received);
    if (isRight) continue;
    ++result_.wrong;
    client.isDone = true;
    return;
  }
}

void MixedLoad::end(Client& client, bool isClean) {
  client.isDone = true;
  client.fd.reset();
  ++(isClean ? result_.complete : result_.cutShort);
}

}  // namespace gyre
