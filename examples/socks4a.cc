// socks4a: connects clients to whatever address or name they ask for.
//
// Request  4, 1, port (2 bytes), IPv4 address (4 bytes), user, 0; and after an address 0.0.0.x,
// which
//          stands for a name: the name, 0.
// Answer   0, 90 (connected) or 91 (not), 6 bytes without meaning.
#include <chrono>

#include "Example.h"
#include "Tunnel.h"
#include "gyre/names/Resolver.h"

namespace {

constexpr std::size_t kHeader = 8;
constexpr std::size_t kRequestMax = 1024;

enum class Parsed { Whole, Partial, Bad };

struct Request {
  gyre::HostPort target;
  std::size_t size = 0;
};

Parsed parse(std::string_view in, Request& request) {
  const auto byteAt = [in](std::size_t i) { return static_cast<unsigned char>(in[i]); };
  const Parsed unended = in.size() > kRequestMax ? Parsed::Bad : Parsed::Partial;
  if (in.size() < kHeader) return unended;
  if (byteAt(0) != 4 || byteAt(1) != 1) return Parsed::Bad;
  const std::size_t userEnd = in.find('\0', kHeader);
  if (userEnd == in.npos) return unended;
  request.target.port = static_cast<std::uint16_t>(byteAt(2) << 8 | byteAt(3));
  request.size = userEnd + 1;
  if (byteAt(4) != 0 || byteAt(5) != 0 || byteAt(6) != 0 || byteAt(7) == 0) {
    for (std::size_t i = 4; i < kHeader; ++i) {
      request.target.host += (i > 4 ? "." : "") + std::to_string(byteAt(i));
    }
    return Parsed::Whole;
  }
  const std::size_t hostEnd = in.find('\0', request.size);
  if (hostEnd == in.npos) return unended;
  request.target.host = in.substr(request.size, hostEnd - request.size);
  request.size = hostEnd + 1;
  return Parsed::Whole;
}

void answer(const gyre::TcpConnectionPtr& front, bool isGranted) {
  front->send(std::string{'\0', static_cast<char>(isGranted ? 90 : 91)} + std::string(6, '\0'));
}

void handleRequest(const gyre::TcpConnectionPtr& front, gyre::Buffer& in,
                   const std::shared_ptr<gyre::Resolver>& resolver) {
  Request request;
  switch (parse(in.view(), request)) {
    case Parsed::Partial: return;  // it comes again, with more
    case Parsed::Bad: answer(front, false); return front->shutdown();
    case Parsed::Whole: in.retrieve(request.size);
  }
  auto client =
      std::make_shared<gyre::TcpClient>(front->loop(), resolver.get(), request.target, "socks4a");
  const std::weak_ptr<gyre::TcpConnection> weak = front;
  // The resolver has to outlive the client, whose callbacks keep it.
  example::openTunnel(front, client, [weak, resolver](bool isOpen) {
    if (const auto end = weak.lock()) answer(end, isOpen);
  });
}

void serve(example::Arguments& arguments) {
  const gyre::InetAddress address = arguments.address("127.0.0.1:1080");
  gyre::EventLoop loop;
  example::quitOnSignal(loop);
  gyre::TcpServer server(&loop, address, "socks4a");
  server.setThreadNum(0);  // a resolver belongs to one loop: here to the only one
  const auto resolver = std::make_shared<gyre::Resolver>(&loop);
  gyre::ConnectionOptions options;
  options.timeouts.firstByte = std::chrono::seconds(10);  // who asks for nothing does not stay
  server.setConnectionOptions(options);
  example::setTunnelCallbacks(server);
  server.setMessageCallback([resolver](const gyre::TcpConnectionPtr& front, gyre::Buffer& in) {
    if (!example::forward(front, in)) handleRequest(front, in, resolver);
  });
  server.start();
  example::announce(server);
  loop.loop();
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "socks4a [HOST:PORT]", serve); }
