#include "fuzz/FuzzOptions.h"

#include <getopt.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sstream>

namespace gyre {
namespace {

constexpr const char* kHelp =
    "usage: gyre_fuzz [options]\n"
    "Plays random servers against random peers and checks every byte and every ending.\n\n"
    "  --engine NAME[,NAME…]  uring tiny polling faulty epoll sim; all of them unless said\n"
    "  --seed N               the first seed; `now`: one that moves on (1)\n"
    "  --runs N               plays so many seeds; 0: as many as the time allows (0)\n"
    "  --seconds N            begins no further seed after that time (60)\n"
    "  --jobs N               processes that play at the same time (1)\n"
    "  --keep-going           goes on with the next seed after a failure\n"
    "  --threads N            threads of the server, instead of what the seed says\n"
    "  --peers N              plays the first N peers of a scenario only\n"
    "  --verbose              says each scenario before it is played\n\n"
    "One seed alone: gyre_fuzz --engine NAME --seed N --runs 1 --verbose\n";

[[noreturn]] void complain(const std::string& what) {
  std::fprintf(stderr, "gyre_fuzz: %s (--help lists the options)\n", what.c_str());
  std::exit(2);
}

std::uint64_t numberOf(const char* option, const char* text) {
  char* end = nullptr;
  const std::uint64_t number = std::strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0') complain(std::string(option) + " takes a number: " + text);
  return number;
}

std::uint64_t seedOf(const char* text) {
  if (std::string_view(text) != "now") return numberOf("--seed", text);
  return static_cast<std::uint64_t>(std::time(nullptr)) * 1000;
}

std::vector<FuzzEngine> enginesOf(const std::string& names) {
  std::vector<FuzzEngine> engines;
  std::istringstream stream(names);
  for (std::string name; std::getline(stream, name, ',');) {
    const auto engine = parseFuzzEngine(name);
    if (!engine) complain("no such engine: " + name);
    engines.push_back(*engine);
  }
  return engines;
}

void take(FuzzOptions& options, int option, const char* text) {
  switch (option) {
    case 'e': options.engines = enginesOf(text); return;
    case 's': options.firstSeed = seedOf(text); return;
    case 'r': options.runs = numberOf("--runs", text); return;
    case 't': options.seconds = std::chrono::seconds(numberOf("--seconds", text)); return;
    case 'j': options.jobs = static_cast<int>(numberOf("--jobs", text)); return;
    case 'k': options.isKeepGoing = true; return;
    case 'v': options.isVerbose = true; return;
    case 'n': options.threads = static_cast<int>(numberOf("--threads", text)); return;
    case 'p': options.peersMax = numberOf("--peers", text); return;
    case 'h': std::fputs(kHelp, stdout); std::exit(0);
    default: complain("unknown option");
  }
}

}  // namespace

FuzzOptions parseFuzzOptions(int argc, char** argv) {
  static constexpr std::array<option, 11> kOptions{{{"engine", required_argument, nullptr, 'e'},
                                                    {"seed", required_argument, nullptr, 's'},
                                                    {"runs", required_argument, nullptr, 'r'},
                                                    {"seconds", required_argument, nullptr, 't'},
                                                    {"jobs", required_argument, nullptr, 'j'},
                                                    {"keep-going", no_argument, nullptr, 'k'},
                                                    {"verbose", no_argument, nullptr, 'v'},
                                                    {"threads", required_argument, nullptr, 'n'},
                                                    {"peers", required_argument, nullptr, 'p'},
                                                    {"help", no_argument, nullptr, 'h'},
                                                    {nullptr, 0, nullptr, 0}}};
  FuzzOptions options;
  opterr = 0;
  for (int found = 0; (found = ::getopt_long(argc, argv, "", kOptions.data(), nullptr)) != -1;) {
    take(options, found, optarg);
  }
  if (optind < argc) complain(std::string("what is ") + argv[optind]);
  if (options.engines.empty()) options.engines = enginesOf("uring,tiny,polling,faulty,epoll");
  if (options.jobs < 1) complain("--jobs is 1 at least");
  return options;
}

}  // namespace gyre
