// file_transfer: sends a file of any size to each client, with one chunk of it in memory.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "Example.h"
#include "gyre/base/UniqueFd.h"

namespace {

constexpr std::size_t kChunk = 64 * 1024;

gyre::UniqueFd openFile(const std::string& path) {
  gyre::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file) return file;
  throw std::system_error(errno, std::generic_category(),
                          "cannot read " + path + " (name a file that you may read)");
}

// How far a client has come is its context. The file is read on the loop's thread: good for what
// is in the page cache or on a fast disk.
void sendNext(const gyre::TcpConnectionPtr& connection, int file) {
  auto& offset = std::any_cast<off_t&>(connection->context());
  std::string chunk(kChunk, '\0');
  const ssize_t size = ::pread(file, chunk.data(), chunk.size(), offset);
  if (size < 0) return connection->forceCloseWith(errno);  // the close callback may ask for error()
  if (size == 0) return connection->shutdown();
  offset += size;
  chunk.resize(static_cast<std::size_t>(size));
  connection->send(std::move(chunk));  // not copied
}

void serve(example::Arguments& arguments) {
  const std::string path = arguments.text("");
  const gyre::InetAddress address = arguments.address("127.0.0.1:7021");
  const gyre::UniqueFd file = openFile(path);
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "file_transfer");

  server.setConnectionCallback([&file](const gyre::TcpConnectionPtr& connection) {
    if (!connection->connected()) return;
    connection->setContext(off_t{0});
    sendNext(connection, file.get());
  });
  server.setWriteCompleteCallback(
      [&file](const gyre::TcpConnectionPtr& connection) { sendNext(connection, file.get()); });
  // A client that has nothing to say may end its side at once. It still gets the file.
  server.setHalfCloseCallback([](const gyre::TcpConnectionPtr&) {});
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) {
  return example::run(argc, argv, "file_transfer FILE [HOST:PORT]", serve);
}
