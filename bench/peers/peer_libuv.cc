// peer_libuv: an echo, sink, source or broadcast server on libuv, written as its users write for
// speed.
//
// One receive buffer for all connections; what uv_try_write could not send is copied and written
// later, and until then the connection is not read.
#include <arpa/inet.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "PeerOptions.h"

namespace {

struct Connection {
  uv_tcp_t handle{};
  uv_write_t write{};
  uv_shutdown_t shutdown{};
  std::vector<char> pending;
  bool endOfStream = false;
};

peer::Options options;
uv_loop_t* loop = nullptr;
std::array<char, peer::kBufferBytes> buffer;
std::vector<Connection*> members;  // of a broadcast

uv_stream_t* streamOf(Connection& c) { return reinterpret_cast<uv_stream_t*>(&c.handle); }

void closeConnection(Connection& c) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&c.handle);
  if (uv_is_closing(handle) != 0) return;
  std::erase(members, &c);
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<Connection*>(closed->data); });
}

void finish(Connection& c) {
  uv_shutdown(&c.shutdown, streamOf(c), [](uv_shutdown_t* request, int) {
    closeConnection(*static_cast<Connection*>(request->handle->data));
  });
}

void readOn(Connection& c);

void handleWritten(uv_write_t* request, int status) {
  auto& c = *static_cast<Connection*>(request->handle->data);
  if (status < 0) return closeConnection(c);
  c.pending.clear();
  if (c.endOfStream) return finish(c);
  readOn(c);
}

void writeLater(Connection& c, const char* data, std::size_t size) {
  c.pending.assign(data, data + size);
  uv_read_stop(streamOf(c));
  const uv_buf_t rest = uv_buf_init(c.pending.data(), static_cast<unsigned>(size));
  uv_write(&c.write, streamOf(c), &rest, 1, handleWritten);
}

struct Letter {
  uv_write_t write{};
  std::string text;
};

// What does not go out at once is copied: a slow listener.
void tellAll(const char* data, std::size_t size) {
  const uv_buf_t all = uv_buf_init(const_cast<char*>(data), static_cast<unsigned>(size));
  for (Connection* c : members) {
    const int sent = std::max(uv_try_write(streamOf(*c), &all, 1), 0);
    if (static_cast<std::size_t>(sent) == size) continue;
    auto* letter = new Letter;
    letter->text.assign(data + sent, data + size);
    letter->write.data = letter;
    const uv_buf_t rest =
        uv_buf_init(letter->text.data(), static_cast<unsigned>(letter->text.size()));
    uv_write(&letter->write, streamOf(*c), &rest, 1,
             [](uv_write_t* request, int) { delete static_cast<Letter*>(request->data); });
  }
}

void handleRead(uv_stream_t* stream, ssize_t count, const uv_buf_t* chunk) {
  auto& c = *static_cast<Connection*>(stream->data);
  if (count == 0) return;
  if (count == UV_EOF) {
    c.endOfStream = true;
    return finish(c);
  }
  if (count < 0) return closeConnection(c);
  if (options.mode == peer::Mode::Sink) return;
  if (options.mode == peer::Mode::Broadcast) {
    return tellAll(chunk->base, static_cast<std::size_t>(count));
  }
  const uv_buf_t all = uv_buf_init(chunk->base, static_cast<unsigned>(count));
  int sent = uv_try_write(stream, &all, 1);
  if (sent < 0 && sent != UV_EAGAIN) return closeConnection(c);
  if (sent < 0) sent = 0;
  if (sent < count) writeLater(c, chunk->base + sent, static_cast<std::size_t>(count - sent));
}

void readOn(Connection& c) {
  uv_read_start(
      streamOf(c),
      [](uv_handle_t*, std::size_t, uv_buf_t* chunk) {
        *chunk = uv_buf_init(buffer.data(), static_cast<unsigned>(buffer.size()));
      },
      handleRead);
}

void pour(Connection& c) {
  const uv_buf_t all = uv_buf_init(buffer.data(), static_cast<unsigned>(buffer.size()));
  uv_write(&c.write, streamOf(c), &all, 1, [](uv_write_t* request, int status) {
    auto& written = *static_cast<Connection*>(request->handle->data);
    if (status < 0) return closeConnection(written);
    pour(written);
  });
}

void handleConnection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* c = new Connection;
  uv_tcp_init(loop, &c->handle);
  c->handle.data = c;
  if (uv_accept(listener, streamOf(*c)) < 0) return closeConnection(*c);
  uv_tcp_nodelay(&c->handle, 1);
  if (options.mode == peer::Mode::Source) return pour(*c);
  if (options.mode == peer::Mode::Broadcast) members.push_back(c);
  readOn(*c);
}

}  // namespace

int main(int argc, char** argv) {
  options = peer::parse(argc, argv);
  loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", options.port, &address);
  uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0);
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, handleConnection) < 0) {
    peer::die("uv_listen");
  }
  int length = sizeof address;
  uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&address), &length);
  peer::announce(ntohs(address.sin_port));
  return uv_run(loop, UV_RUN_DEFAULT);
}
