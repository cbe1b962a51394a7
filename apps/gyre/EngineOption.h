// EngineOption: the option --engine, the same for every command.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>

#include "gyre/proactor/ProactorOptions.h"

namespace gyre {

// When it is given, GYRE_ENGINE is not looked at; given twice, the last one counts.
inline void addEngineOption(CLI::App& command, std::optional<Engine>& engine) {
  static const std::map<std::string, Engine> kEngines = {
      {"auto", Engine::Auto}, {"uring", Engine::Uring}, {"epoll", Engine::Epoll}};
  const auto complaint = [](const std::string& name) -> std::string {
    if (kEngines.count(name) != 0) return "";
    return "\"" + name + "\" is no engine: use auto, uring or epoll";
  };
  command
      .add_option_function<std::string>(
          "--engine", [&engine](const std::string& name) { engine = kEngines.at(name); },
          "auto, uring or epoll (default: GYRE_ENGINE, else auto)")
      ->check(complaint)
      ->type_name("ENGINE")
      ->take_last();
}

inline ProactorOptions proactorOptions(const std::optional<Engine>& engine) {
  if (!engine) return defaultProactorOptions();
  ProactorOptions options;
  options.engine = *engine;
  return options;
}

}  // namespace gyre
