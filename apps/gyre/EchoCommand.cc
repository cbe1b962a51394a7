// gyre echo: sends back whatever it receives.
#include <charconv>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "AddressOption.h"
#include "Commands.h"
#include "EngineOption.h"
#include "HeldSignals.h"
#include "Output.h"
#include "gyre/gyre.h"
#include "gyre/service/ServiceRunner.h"

namespace gyre {
namespace {

// An echo server owes each client what it sent: a client that does not read is not read either.
constexpr std::size_t kOutputLimit = 256 * 1024;

struct EchoOptions {
  std::string listen = "127.0.0.1:7007";
  std::optional<int> threads;
  std::optional<Engine> engine;
  std::optional<double> drainSeconds;  // none: they end at once
};

std::string clientCommand(const InetAddress& bound) {
  if (bound.isUnix()) return "nc -U " + bound.path();
  return "nc " + bound.ip() + " " + std::to_string(bound.port());
}

std::string greeting(TcpServer& server, std::size_t listeners) {
  std::string text = "listening on ";
  for (std::size_t i = 0; i < listeners; ++i) {
    text += (i == 0 ? "" : ", ") + server.listenAddress(i).toString();
  }
  const std::string engine(server.getLoop()->proactor().name());
  return text + "\nengine " + engine + ", " + counted(server.pool().getAllLoops().size(), "loop") +
         "; try: " + clientCommand(server.listenAddress()) + "\n";
}

void serve(const EchoOptions& options) {
  const std::vector<InetAddress> addresses = listenAddresses(options.listen);
  const HeldSignals held({SIGINT, SIGTERM, SIGUSR2});
  ProactorOptions engine = proactorOptions(options.engine);
  if (options.threads) engine.ringsPlanned = static_cast<std::uint32_t>(*options.threads) + 1;
  EventLoop loop(engine);
  TimeSpan drainTime = std::chrono::milliseconds(1);
  if (options.drainSeconds) drainTime = std::chrono::duration<double>(*options.drainSeconds);
  ServiceRunner service(&loop, {.drainTime = drainTime});
  TcpServer server(&loop, addresses.front(), "echo");
  for (std::size_t i = 1; i < addresses.size(); ++i) server.addListener(addresses[i]);
  if (options.threads) server.setThreadNum(*options.threads);
  ConnectionOptions connections;
  connections.outputLimit = kOutputLimit;
  server.setConnectionOptions(connections);
  server.setMessageCallback(
      [](const TcpConnectionPtr& connection, Buffer& in) { connection->send(in); });
  service.add(&server);
  server.start();
  const PrintedBeside greeted(greeting(server, addresses.size()));
  service.run();
}

std::optional<int> parseThreads(const std::string& text) {
  int count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || stop != end) return std::nullopt;
  if (count < 0 || count > EventLoopThreadPool::kThreadsMax) return std::nullopt;
  return count;
}

std::string threadsComplaint(const std::string& text) {
  if (parseThreads(text)) return "";
  return "\"" + text + "\" is no number of threads: use 0 to " +
         std::to_string(EventLoopThreadPool::kThreadsMax);
}

}  // namespace

void addEchoCommand(CLI::App& app, int& status) {
  auto options = std::make_shared<EchoOptions>();
  CLI::App* command = app.add_subcommand("echo", "send back whatever is received");
  command->footer("An option given twice: the last one counts.");
  command
      ->add_option("--listen", options->listen,
                   "HOST:PORT (a name or an address), [IPV6]:PORT or unix:PATH")
      ->check(addressComplaint)
      ->type_name("ADDRESS")
      ->capture_default_str()
      ->take_last();
  command
      ->add_option_function<std::string>(
          "--threads",
          [options](const std::string& text) { options->threads = parseThreads(text); },
          "I/O threads; 0: all on the main loop (default: one per CPU)")
      ->check(threadsComplaint)
      ->type_name("N")
      ->take_last();
  command
      ->add_option("--drain", options->drainSeconds,
                   "seconds that connections may go on after SIGTERM or SIGINT; 0: no limit; a "
                   "second signal stops at once (default: they end at once)")
      ->check(CLI::Range(0.0, 86400.0))
      ->type_name("SECONDS")
      ->take_last();
  addEngineOption(*command, options->engine);
  command->callback([options, &status] {
    serve(*options);
    status = 0;
  });
}

}  // namespace gyre
