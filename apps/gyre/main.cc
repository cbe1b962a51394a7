// gyre: shows the library off: an echo server, and a doctor that says what this machine can do.
#include <cstdio>
#include <exception>

#include "Commands.h"

namespace {

constexpr int kUsageError = 2;
constexpr int kSetupFailed = 1;

int run(int argc, char** argv) {
  CLI::App app{"TCP servers over io_uring, one ring per thread"};
  app.name("gyre");
  app.set_version_flag("--version", GYRE_VERSION);
  app.require_subcommand(1);
  int status = 0;
  gyre::addEchoCommand(app, status);
  gyre::addDoctorCommand(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "gyre: %s (gyre --help lists what there is)\n", error.what());
    return kUsageError;
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gyre: %s\n", error.what());
    return kSetupFailed;
  }
}
