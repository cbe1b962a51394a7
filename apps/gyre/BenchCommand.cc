// gyre bench: a load generator for TCP servers that echo, or answer each request with a fixed
// number of bytes.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "AddressOption.h"
#include "BenchPlan.h"
#include "BenchReport.h"
#include "BenchRun.h"
#include "Commands.h"
#include "EngineOption.h"
#include "HeldSignals.h"
#include "NumberOption.h"
#include "Output.h"

namespace gyre {

namespace {

// What was typed; some of it has no default until all is known.
struct BenchArguments {
  std::string address;
  BenchPlan plan;
  std::optional<std::size_t> replySize;
  bool connects = false;
  bool idles = false;
  bool paces = false;  // --rate
};

constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 30;
constexpr std::size_t kSpareDescriptors = 64;

CLI::Option* addCount(CLI::App& command, const std::string& name, NumberRange<std::uint64_t> range,
                      std::size_t& into) {
  return addNumberOption(command, name, parseCount, std::move(range),
                         [&into](std::uint64_t number) { into = number; });
}

CLI::Option* addSeconds(CLI::App& command, const std::string& name, NumberRange<double> range,
                        double& into) {
  return addNumberOption(command, name, parseDecimal, std::move(range),
                         [&into](double number) { into = number; })
      ->type_name("SECONDS");
}

void addNumbers(CLI::App& command, BenchArguments& arguments) {
  BenchPlan& plan = arguments.plan;
  addCount(command, "--connections", {1, 1'000'000, "1 to 1000000"}, plan.connections)
      ->description("held at the same time (default: 50)")
      ->type_name("N");
  const std::string sizes = "0 to 1024M, where K and M (in any case) are KiB and MiB";
  addCount(command, "--size", {0, kSizeMax, sizes}, plan.size)
      ->description(
          "of a message, as 64, 16K or 1m (KiB, MiB); 0: replies come unasked (default: 64)")
      ->type_name("BYTES");
  addNumberOption(command, "--reply-size", parseCount,
                  NumberRange<std::uint64_t>{0, kSizeMax, sizes},
                  [&arguments](std::uint64_t number) { arguments.replySize = number; })
      ->description("of a reply, in the same forms; 0: none comes (default: an echo)")
      ->type_name("BYTES");
  addCount(command, "--depth", {1, 65536, "1 to 65536"}, plan.depth)
      ->description("messages on their way on each connection (default: 1)")
      ->type_name("N");
  addCount(command, "--threads", {1, 1024, "1 to 1024"}, plan.threads)
      ->description("that share the connections (default: 1)")
      ->type_name("N");
  addSeconds(command, "--duration", {0.01, 86400, "0.01 to 86400 seconds"}, plan.seconds)
      ->description("of the measured window (default: 10)");
  addSeconds(command, "--warmup", {0, 3600, "0 to 3600 seconds"}, plan.warmup)
      ->description("before the window (default: 0.5)");
  addNumberOption(command, "--rate", parseDecimal, NumberRange<double>{0.1, 1e9, "0.1 to 1e9"},
                  [&arguments](double rate) {
                    arguments.plan.rate = rate;
                    arguments.paces = true;
                  })
      ->description(
          "messages per second due in all, whatever the server does; latency counts "
          "from when each was due (default: the next when a reply is here)")
      ->type_name("N");
}

void addFlag(CLI::App& command, const std::string& name, bool& flag, const std::string& help) {
  command.add_flag(name, flag, help)->disable_flag_override();
}

void addFlags(CLI::App& command, BenchArguments& arguments) {
  BenchPlan& plan = arguments.plan;
  addFlag(command, "--connect-per-request", arguments.connects,
          "connect, one message, close; latency counts from the connect");
  addFlag(command, "--idle", arguments.idles, "only hold the connections");
  addFlag(command, "--touch", plan.touchesIdle, "with --idle: one message on each at first");
  addFlag(command, "--check", plan.isChecked, "compare every byte of an echo");
  addFlag(command, "--half-close", plan.halfCloses,
          "at the end FIN behind the last message, then all that is owed must still come");
  addFlag(command, "--json", plan.printsJson, "for programs: one line");
  addFlag(command, "--sync", plan.isHarnessed,
          "for harnesses: print open and closed at the edges of the window");
  command
      .add_option("--count-in", plan.countFile,
                  "for harnesses: keep the number of messages so far in its first 8 bytes")
      ->type_name("FILE");
}

void reject(const std::string& cause) { throw CLI::ValidationError(cause); }

void rejectNonsense(const BenchArguments& arguments) {
  const BenchPlan& plan = arguments.plan;
  if (arguments.address.empty()) reject("an address is needed: HOST:PORT");
  const int modes = int{arguments.connects} + int{arguments.idles} + int{arguments.paces};
  if (modes > 1) reject("--connect-per-request, --idle and --rate exclude each other");
  if (plan.touchesIdle && !arguments.idles) reject("--touch is for --idle");
  const bool asksAndGets = plan.size > 0 && plan.replySize > 0;
  if (plan.size == 0 && plan.replySize == 0) reject("--size and --reply-size are both 0");
  if (!asksAndGets && modes > 0) {
    reject(
        "one-way streams are for no other mode: leave --rate, --connect-per-request and "
        "--idle");
  }
  if (plan.isChecked && plan.size != plan.replySize) {
    reject("--check compares an echo: leave --reply-size");
  }
  if (!plan.countFile.empty() && plan.threads > 1) reject("--count-in wants one thread");
  if (arguments.connects && plan.depth > 1) reject("--connect-per-request sends one message");
}

BenchPlan makePlan(const BenchArguments& arguments) {
  BenchPlan plan = arguments.plan;
  plan.address = connectAddress(arguments.address);
  plan.threads = std::min(plan.threads, plan.connections);
  if (arguments.paces) plan.mode = BenchMode::Open;
  if (arguments.connects) plan.mode = BenchMode::Connect;
  if (arguments.idles) plan.mode = BenchMode::Idle;
  return plan;
}

// Each connection is a descriptor.
void raiseDescriptorLimit(std::size_t connections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= connections + kSpareDescriptors) return;
  throw std::runtime_error(std::to_string(connections) + " connections need more than the " +
                           std::to_string(limit.rlim_cur) +
                           " descriptors this process may have (raise ulimit -Hn)");
}

void bench(const BenchPlan& plan) {
  HeldSignals held({SIGINT, SIGTERM});
  raiseDescriptorLimit(plan.connections);
  const BenchOutcome outcome = BenchRun(plan).run();
  held.release();
  printBenchReport(plan, outcome);
  requirePrinted();
  const std::string complaint = benchComplaint(plan, outcome);
  if (!complaint.empty()) throw std::runtime_error(complaint);
}

}  // namespace

void addBenchCommand(CLI::App& app, int& status) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command = app.add_subcommand("bench", "load a TCP server and measure it");
  command->footer(
      "An option given twice: the last one counts. SIGINT ends the window early. Exit status 1: "
      "the run was not what was asked; what was counted is printed all the same.");
  command
      ->add_option("address", arguments->address,
                   "HOST:PORT (a name or an address), [IPV6]:PORT or unix:PATH")
      ->check(addressComplaint)
      ->type_name("ADDRESS");
  addNumbers(*command, *arguments);
  addFlags(*command, *arguments);
  addEngineOption(*command, arguments->plan.engine);
  command->callback([arguments, &status] {
    arguments->plan.replySize = arguments->replySize.value_or(arguments->plan.size);
    rejectNonsense(*arguments);
    bench(makePlan(*arguments));
    status = 0;
  });
}

}  // namespace gyre
