// NumberOption: options that are numbers, with a complaint that shows what was typed and the range.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gyre {

// Digits; k or m behind them, in any case, is 1024 or its square.
inline std::optional<std::uint64_t> parseCount(std::string_view text) {
  std::uint64_t factor = 1;
  if (text.ends_with('k') || text.ends_with('K')) factor = 1024;
  if (text.ends_with('m') || text.ends_with('M')) factor = 1024 * 1024;
  if (factor > 1) text.remove_suffix(1);
  std::uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || stop != end || count > UINT64_MAX / factor) return std::nullopt;
  return count * factor;
}

inline std::optional<double> parseDecimal(std::string_view text) {
  const bool isPlain = text.find_first_not_of("0123456789.") == std::string_view::npos;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (!isPlain || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <typename Number>
struct NumberRange {
  Number min;
  Number max;
  std::string text;  // how the complaint says it
};

// `store` gets each number that is within the range; given twice, the last one counts.
template <typename Number, typename Parse, typename Store>
CLI::Option* addNumberOption(CLI::App& command, const std::string& name, Parse parse,
                             NumberRange<Number> range, Store store) {
  const auto complaint = [parse, range](const std::string& text) -> std::string {
    const std::optional<Number> number = parse(text);
    if (number && *number >= range.min && *number <= range.max) return "";
    return "\"" + text + "\" is not possible: use " + range.text;
  };
  return command
      .add_option_function<std::string>(
          name, [parse, store](const std::string& text) { store(*parse(text)); })
      ->check(complaint)
      ->take_last();
}

}  // namespace gyre
