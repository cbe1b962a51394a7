// HelpFormatter: help that fits the terminal: COLUMNS, else the terminal's width, else 80.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace gyre {

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

}  // namespace gyre
