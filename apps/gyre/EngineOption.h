// EngineOption: the option --engine, the same for every command.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "gyre/proactor/ProactorOptions.h"

namespace gyre {

inline void addEngineOption(CLI::App& command, Engine& engine) {
  static const std::map<std::string, Engine> kEngines = {
      {"auto", Engine::Auto}, {"uring", Engine::Uring}, {"epoll", Engine::Epoll}};
  command
      .add_option_function<std::string>(
          "--engine", [&engine](const std::string& name) { engine = kEngines.at(name); },
          "auto, uring or epoll (default: GYRE_ENGINE, else auto)")
      ->check(CLI::IsMember(kEngines))
      ->take_last();
}

}  // namespace gyre
