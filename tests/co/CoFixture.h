// CoFixture: runs tasks on a loop of the test's thread. co_await never stands in a test's macro:
// g++ 12 miscompiles some of what those expand to.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "gyre/co.h"
#include "support/LoopFixture.h"

namespace gyre::co {

// Counts its living copies: what a frame holds must go with it, once.
class Token {
 public:
  explicit Token(int& living) noexcept : living_(&living) { ++*living_; }
  Token(const Token& other) noexcept : living_(other.living_) { ++*living_; }
  Token& operator=(const Token&) = delete;
  ~Token() { --*living_; }

 private:
  int* living_;
};

class CoFixture : public LoopFixture {
 protected:
  // What comes of a task.
  template <typename T>
  Result<T> run(Task<T> task) {
    Result<T> result;
    bool hasEnded = false;
    const auto drive = [&](Task<T> inner) -> Task<> {
      result = co_await asResult(std::move(inner));
      hasEnded = true;
    };
    const auto spawned = spawn(&loop(), drive(std::move(task)));
    EXPECT_TRUE(runUntil([&] { return hasEnded; }));
    return result;
  }
  // The text of what a task threw.
  template <typename T>
  static std::string errorOf(const Result<T>& result) {
    try {
      if (result.error() != nullptr) std::rethrow_exception(result.error());
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }
};

}  // namespace gyre::co
