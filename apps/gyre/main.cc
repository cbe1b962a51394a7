// gyre: shows the library off: an echo server, a load generator, and a doctor that says what this
// machine can do.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>

#include "Commands.h"
#include "HelpFormatter.h"
#include "Output.h"

namespace {

constexpr int kUsageError = 2;
constexpr int kSetupFailed = 1;

// A standard descriptor that is closed would become the first socket's, and what is printed would
// go to a client. Open for reading, it is taken, and writing to it still fails.
void occupyStandardDescriptors() {
  int fd = ::open("/dev/null", O_RDONLY);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDONLY);
  if (fd >= 0) ::close(fd);
}

// One line, whatever was typed.
void complain(std::string text) {
  const auto isControl = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  std::replace_if(text.begin(), text.end(), isControl, '?');
  std::fprintf(stderr, "gyre: %s\n", text.c_str());
}

int rejectUsage(const CLI::App& app, const std::string& cause) {
  std::string command = app.get_name();
  for (const CLI::App* chosen : app.get_subcommands()) command += " " + chosen->get_name();
  complain(cause + " (" + command + " --help lists what there is)");
  return kUsageError;
}

int run(int argc, char** argv) {
  CLI::App app{"TCP servers over io_uring, one ring per thread"};
  app.name("gyre");
  app.formatter(std::make_shared<gyre::HelpFormatter>());  // the commands inherit it
  app.set_version_flag("--version", GYRE_VERSION);
  app.require_subcommand(0, 1);
  int status = 0;
  gyre::addEchoCommand(app, status);
  gyre::addBenchCommand(app, status);
  gyre::addDoctorCommand(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    const int done = app.exit(success);
    gyre::requirePrinted();
    return done;
  } catch (const CLI::ParseError& error) {
    return rejectUsage(app, error.what());
  }
  if (app.get_subcommands().empty()) {
    return rejectUsage(app, "a command is needed: echo, bench or doctor");
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  occupyStandardDescriptors();
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads the output may leave
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    complain(error.what());
    return kSetupFailed;
  }
}
