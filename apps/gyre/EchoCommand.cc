// gyre echo: sends back whatever it receives.
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "Commands.h"
#include "EngineOption.h"
#include "gyre/gyre.h"
#include "gyre/loop/SignalWatcher.h"

namespace gyre {
namespace {

// An echo server owes each client what it sent: a client that does not read is not read either.
constexpr std::size_t kOutputLimit = 256 * 1024;

struct EchoOptions {
  std::string listen = "127.0.0.1:7007";
  int threads = -1;
  ProactorOptions proactor = defaultProactorOptions();
};

void serve(const EchoOptions& options) {
  const InetAddress address(options.listen);
  ProactorOptions engine = options.proactor;
  if (options.threads >= 0) engine.ringsPlanned = static_cast<std::uint32_t>(options.threads) + 1;
  EventLoop loop(engine);
  SignalWatcher::watch(&loop, {SIGINT, SIGTERM}, [&loop](int) { loop.quit(); });

  TcpServer server(&loop, address, "echo");
  if (options.threads >= 0) server.setThreadNum(options.threads);
  ConnectionOptions connections;
  connections.outputLimit = kOutputLimit;
  server.setConnectionOptions(connections);
  server.setMessageCallback(
      [](const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); });
  server.start();

  const InetAddress bound = server.listenAddress();
  std::printf("listening on %s\n", bound.toString().c_str());
  std::printf("engine %.*s, %zu loops; try: nc %s %u\n",
              static_cast<int>(loop.proactor().name().size()), loop.proactor().name().data(),
              server.pool().getAllLoops().size(), bound.ip().c_str(), bound.port());
  std::fflush(stdout);
  loop.loop();
}

}  // namespace

void addEchoCommand(CLI::App& app, int& status) {
  auto options = std::make_shared<EchoOptions>();
  CLI::App* command = app.add_subcommand("echo", "send back whatever is received");
  command->add_option("--listen", options->listen, "HOST:PORT, [IPV6]:PORT or unix:PATH")
      ->capture_default_str()
      ->take_last();
  command
      ->add_option("--threads", options->threads,
                   "I/O threads; 0: all on the main loop (default: one per CPU)")
      ->check(CLI::Range(0, EventLoopThreadPool::kThreadsMax))
      ->take_last();
  addEngineOption(*command, options->proactor.engine);
  command->callback([options, &status] {
    serve(*options);
    status = 0;
  });
}

}  // namespace gyre
