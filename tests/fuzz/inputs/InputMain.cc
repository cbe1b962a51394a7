// Runs a fuzz target without libFuzzer: over its corpus, and over random changes of it.
//
//   gyre_input_address CORPUS_FOLDER [RUNS [SEED]]
//   gyre_input_address FILE          one input again
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "InputReader.h"
#include "sim/SimRandom.h"

namespace gyre {
namespace {

std::string contentOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

const std::string* playing = nullptr;

// What aborts leaves its input behind.
void keepInput(int) {
  if (std::FILE* file = std::fopen("gyre_input.crash", "wb")) {
    std::fwrite(playing->data(), 1, playing->size(), file);
    std::fclose(file);
    std::fputs("the input is in gyre_input.crash\n", stderr);
  }
  std::signal(SIGABRT, SIG_DFL);
}

void play(const std::string& input) {
  playing = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// One to eight changes: bytes replaced, removed, repeated, or taken from another input.
std::string changed(SimRandom& random, const std::vector<std::string>& corpus) {
  std::string input = corpus[random.below(corpus.size())];
  for (std::uint64_t left = random.between(1, 8); left > 0; --left) {
    const std::size_t place = random.below(input.size() + 1);
    const std::size_t size = random.below(random.chance(0.1) ? 200 : 6);
    const std::string& other = corpus[random.below(corpus.size())];
    switch (random.below(4)) {
      case 0: input.insert(place, 1, static_cast<char>(random.next())); break;
      case 1: input.erase(place, size); break;
      case 2: input.insert(place, input.substr(place, size)); break;
      default: input.insert(place, other, random.below(other.size() + 1), size); break;
    }
  }
  return input;
}

int run(const std::filesystem::path& path, std::uint64_t runs, std::uint64_t seed) {
  if (!std::filesystem::is_directory(path)) {
    play(contentOf(path));
    return 0;
  }
  std::vector<std::string> corpus{""};
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    corpus.push_back(contentOf(entry.path()));
    play(corpus.back());
  }
  std::printf("%zu inputs of the corpus, %llu changed ones from seed %llu\n", corpus.size() - 1,
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  SimRandom random(seed);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::string input = changed(random, corpus);
    play(input);
  }
  return corpus.size() > 1 ? 0 : 1;
}

}  // namespace
}  // namespace gyre

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER [RUNS [SEED]] | FILE\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, &gyre::keepInput);
  const std::uint64_t runs = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  return gyre::run(argv[1], runs, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
}
