#include "HelpFormatter.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace gyre {
namespace {

constexpr std::size_t kColumnsDefault = 80;
constexpr std::size_t kColumnsMin = 40;
// Of what an option does; where it would leave less room than this, it begins on the next line.
constexpr std::size_t kTextMin = 24;
constexpr std::size_t kNarrowIndent = 6;

std::size_t terminalColumns() {
  std::size_t columns = 0;
  if (const char* text = std::getenv("COLUMNS")) {
    std::from_chars(text, text + std::strlen(text), columns);
  }
  winsize size{};
  if (columns == 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  return columns == 0 ? kColumnsDefault : std::max(columns, kColumnsMin);
}

// The words of `text` behind `head`, broken at `columns` and continued at `indent`.
std::string wrap(std::string head, const std::string& text, std::size_t indent,
                 std::size_t columns) {
  std::istringstream words(text);
  std::string out;
  std::string line = std::move(head);
  bool isFirst = true;
  for (std::string word; words >> word; isFirst = false) {
    if (!isFirst && line.size() + 1 + word.size() > columns) {
      out += line + "\n";
      line.assign(indent, ' ');
      isFirst = true;
    }
    line += isFirst ? word : " " + word;
  }
  return out + line;
}

// A line of CLI11's: the name of an option or a command and, from `column` on, what it does; or
// plain text.
std::string wrapLine(const std::string& line, std::size_t column, std::size_t columns) {
  if (line.size() <= columns) return line;
  const bool isOption = line.starts_with("  ") && line.size() > column && line[column - 1] == ' ';
  if (!isOption) return wrap("", line, 0, columns);
  if (columns >= column + kTextMin) {
    return wrap(line.substr(0, column), line.substr(column), column, columns);
  }
  const std::size_t end = line.find_last_not_of(' ', column - 1);
  const bool hasName = end != std::string::npos && end < column;
  const std::string name = hasName ? line.substr(0, end + 1) + "\n" : "";
  return name + wrap(std::string(kNarrowIndent, ' '), line.substr(column), kNarrowIndent, columns);
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  const std::size_t columns = terminalColumns();
  std::istringstream lines(CLI::Formatter::make_help(app, std::move(name), mode));
  std::string help;
  for (std::string line; std::getline(lines, line);) {
    help += wrapLine(line, get_column_width(), columns) + "\n";
  }
  return help;
}

}  // namespace gyre
