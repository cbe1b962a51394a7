#include "service/LaunchRecord.h"

#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <string_view>

namespace gyre {
namespace {

constexpr const char* kSelf = "/proc/self/exe";

// $PWD where that is true: it keeps a symbolic link that the user went through.
std::string workingDirectory() {
  const std::unique_ptr<char, void (*)(void*)> name(::get_current_dir_name(), &std::free);
  return name == nullptr || *name != '/' ? std::string() : std::string(name.get());
}

bool isThisProgram(const std::string& path) {
  struct stat self {};
  struct stat other {};
  return ::stat(kSelf, &self) == 0 && ::stat(path.c_str(), &other) == 0 &&
         self.st_dev == other.st_dev && self.st_ino == other.st_ino;
}

std::string executedFile() {
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink(kSelf, path.data(), path.size() - 1);
  std::string_view text(path.data(), length < 0 ? 0 : static_cast<std::size_t>(length));
  constexpr std::string_view kDeleted = " (deleted)";
  if (text.ends_with(kDeleted)) text.remove_suffix(kDeleted.size());
  return std::string(text);
}

// What execve was given: the shell has looked it up in PATH, and whoever calls execve may choose
// argv[0] freely. It does not count where it named an open descriptor (fexecve).
std::string programPath(const std::string& directory) {
  const auto* given = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  std::string path = given == nullptr ? "" : given;
  if (path.empty() || path.starts_with("/proc/") || path.starts_with("/dev/fd/")) {
    return executedFile();
  }
  if (!path.starts_with('/')) path = directory + "/" + path;
  return isThisProgram(path) ? path : executedFile();
}

LaunchRecord recordLaunch() noexcept {
  LaunchRecord record;
  try {
    record.directory = workingDirectory();
    record.program = programPath(record.directory);
    std::ifstream commandLine("/proc/self/cmdline", std::ios::binary);
    for (std::string text; std::getline(commandLine, text, '\0');) record.arguments.push_back(text);
  } catch (const std::exception&) {  // without memory before main: there is no starting anew
    record.program.clear();
  }
  return record;
}

const LaunchRecord atStart = recordLaunch();

}  // namespace

const LaunchRecord& launchRecord() noexcept { return atStart; }

}  // namespace gyre
