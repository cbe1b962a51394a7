// Commands: what the program can do; each returns the exit status.
#pragma once

#include <CLI/CLI.hpp>

namespace gyre {

// Each adds its subcommand; when it was chosen, `status` holds its exit status after the parse:
// 0 done, 1 the set-up or the run failed. Usage errors are CLI::ParseError: status 2.
void addEchoCommand(CLI::App& app, int& status);
void addBenchCommand(CLI::App& app, int& status);
void addDoctorCommand(CLI::App& app, int& status);

}  // namespace gyre
