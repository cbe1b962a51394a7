// UniqueFunctionTest: where a callable lives, that it dies once, and what a call passes on.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gyre/base/UniqueFunction.h"

namespace gyre {
namespace {

using Function = UniqueFunction<int(int)>;

static_assert(sizeof(Function) == 64);
static_assert(sizeof(UniqueFunction<void(std::string, std::vector<int>)>) == 64);
static_assert(std::is_nothrow_move_constructible_v<Function>);
static_assert(std::is_nothrow_move_assignable_v<Function>);
static_assert(!std::is_copy_constructible_v<Function> && !std::is_copy_assignable_v<Function>);
static_assert(!std::is_constructible_v<Function, int>, "only callables convert");
static_assert(!std::is_constructible_v<Function, void (*)(std::string)>, "of that signature");
static_assert(!std::is_invocable_v<const Function&, int>, "a call may change the callable");

// What has become of the callables of one test.
struct Tally {
  int alive = 0;
  int moves = 0;
  int heapAllocations = 0;
};
Tally tally;

// Counts its life and its heap memory, and reports where it is stored.
template <std::size_t Size, bool MoveMayThrow = false, std::size_t Alignment = alignof(void*)>
struct alignas(Alignment) Probe {
  Probe() { ++tally.alive; }
  Probe(Probe&& other) noexcept(!MoveMayThrow) : bytes(other.bytes) {
    ++tally.alive;
    ++tally.moves;
  }
  ~Probe() { --tally.alive; }

  static void* operator new(std::size_t size) {
    ++tally.heapAllocations;
    return ::operator new(size);
  }
  static void* operator new(std::size_t size, std::align_val_t alignment) {
    ++tally.heapAllocations;
    return ::operator new(size, alignment);
  }
  static void operator delete(void* memory) { ::operator delete(memory); }
  static void operator delete(void* memory, std::align_val_t alignment) {
    ::operator delete(memory, alignment);
  }

  int operator()(int argument) {
    address = this;
    return argument + bytes[Size - 1];
  }

  std::array<unsigned char, Size> bytes = {};
  inline static const void* address = nullptr;
};

template <class Callable>
bool isStoredInside(Function& function) {
  function(0);
  const auto begin = reinterpret_cast<std::uintptr_t>(&function);
  const auto place = reinterpret_cast<std::uintptr_t>(Callable::address);
  return place >= begin && place + sizeof(Callable) <= begin + sizeof(function);
}

class UniqueFunctionTest : public testing::Test {
 protected:
  void SetUp() override { tally = {}; }
  void TearDown() override { EXPECT_EQ(tally.alive, 0) << "a callable leaked or died twice"; }
};

TEST_F(UniqueFunctionTest, Empty_isFalseAndEqualsNull) {
  Function function;
  const Function null = nullptr;
  EXPECT_FALSE(function);
  EXPECT_FALSE(null);
  EXPECT_TRUE(function == nullptr);
  function = [](int x) { return x; };
  EXPECT_TRUE(function);
  EXPECT_TRUE(function != nullptr);
}

TEST_F(UniqueFunctionTest, NullCallables_makeEmptyOnes) {
  int (*pointer)(int) = nullptr;
  EXPECT_FALSE(Function(pointer));
  EXPECT_FALSE(Function(std::function<int(int)>()));
  EXPECT_FALSE(Function(UniqueFunction<short(long)>()));
  int (std::string::*member)(int) = nullptr;
  EXPECT_FALSE((UniqueFunction<int(std::string&, int)>(member)));
}

int twice(int x) { return 2 * x; }

TEST_F(UniqueFunctionTest, EveryKindOfCallable_isCalled) {
  EXPECT_EQ(Function(twice)(21), 42);
  EXPECT_EQ(Function(&twice)(21), 42);
  EXPECT_EQ(Function(std::function<int(int)>(twice))(21), 42);
  EXPECT_EQ(Function(UniqueFunction<short(long)>([](long x) { return static_cast<short>(x); }))(7),
            7);
  UniqueFunction<std::size_t(const std::string&)> member(&std::string::size);
  EXPECT_EQ(member("four"), 4u);
}

TEST_F(UniqueFunctionTest, UpTo48Bytes_areStoredInside) {
  Function function{Probe<48>()};
  static_assert(sizeof(Probe<48>) == 48);
  EXPECT_TRUE(isStoredInside<Probe<48>>(function));
  EXPECT_EQ(tally.heapAllocations, 0);
  EXPECT_EQ(tally.alive, 1);
}

TEST_F(UniqueFunctionTest, From49Bytes_areOnTheHeap) {
  using Large = Probe<49, false, 1>;
  static_assert(sizeof(Large) == 49);
  Function function{Large()};
  EXPECT_FALSE(isStoredInside<Large>(function));
  EXPECT_EQ(tally.heapAllocations, 1);
}

TEST_F(UniqueFunctionTest, ThrowingMove_isOnTheHeapAndNeverMovedAgain) {
  Function first{Probe<8, true>()};
  const int movesToStore = tally.moves;
  Function second(std::move(first));
  first = std::move(second);
  EXPECT_EQ(tally.heapAllocations, 1);
  EXPECT_EQ(tally.moves, movesToStore);
  EXPECT_EQ(first(3), 3);
}

TEST_F(UniqueFunctionTest, Overaligned_isOnTheHeapAndAligned) {
  using Wide = Probe<8, false, 32>;
  static_assert(sizeof(Wide) <= Function::kInlineSize);
  Function function{Wide()};
  EXPECT_FALSE(isStoredInside<Wide>(function));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Wide::address) % 32, 0u);
}

template <class Callable>
class UniqueFunctionPlaceTest : public UniqueFunctionTest {};
using Places = testing::Types<Probe<8>, Probe<48>, Probe<200>, Probe<8, true>>;
TYPED_TEST_SUITE(UniqueFunctionPlaceTest, Places);

TYPED_TEST(UniqueFunctionPlaceTest, MoveConstruct_keepsContentAndEmptiesSource) {
  TypeParam callable;
  callable.bytes.back() = 5;
  Function source{std::move(callable)};
  Function target(std::move(source));
  EXPECT_FALSE(source);  // NOLINT(bugprone-use-after-move): specified
  EXPECT_EQ(target(10), 15);
  EXPECT_EQ(tally.alive, 2) << "the local one and the stored one";
}

TYPED_TEST(UniqueFunctionPlaceTest, MoveAssign_destroysWhatWasThere) {
  Function target{TypeParam()};
  Function source{TypeParam()};
  EXPECT_EQ(tally.alive, 2);
  target = std::move(source);
  EXPECT_EQ(tally.alive, 1);
  EXPECT_FALSE(source);  // NOLINT(bugprone-use-after-move): specified
  EXPECT_EQ(target(1), 1);
}

TYPED_TEST(UniqueFunctionPlaceTest, MoveAssign_toItself_keepsIt) {
  Function function{TypeParam()};
  Function& alias = function;
  function = std::move(alias);
  EXPECT_EQ(tally.alive, 1);
  EXPECT_EQ(function(1), 1);
}

TYPED_TEST(UniqueFunctionPlaceTest, MoveAssign_fromEmpty_empties) {
  Function function{TypeParam()};
  function = Function();
  EXPECT_FALSE(function);
  EXPECT_EQ(tally.alive, 0);
}

TYPED_TEST(UniqueFunctionPlaceTest, AssignNull_destroys) {
  Function function{TypeParam()};
  function = nullptr;
  EXPECT_FALSE(function);
  EXPECT_EQ(tally.alive, 0);
}

TYPED_TEST(UniqueFunctionPlaceTest, InAGrowingVector_everyCallableSurvives) {
  std::vector<Function> functions;
  for (unsigned char i = 0; i < 100; ++i) {
    TypeParam callable;
    callable.bytes.back() = i;
    functions.emplace_back(std::move(callable));
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(functions[static_cast<std::size_t>(i)](0), i);
  EXPECT_EQ(tally.alive, 100);
}

TEST_F(UniqueFunctionTest, MoveOnlyCapturesAndArguments_passThrough) {
  UniqueFunction<std::unique_ptr<int>(std::unique_ptr<int>)> add =
      [captured = std::make_unique<int>(40)](std::unique_ptr<int> more) {
        return std::make_unique<int>(*captured + *more);
      };
  EXPECT_EQ(*add(std::make_unique<int>(2)), 42);
}

TEST_F(UniqueFunctionTest, ReferenceArgumentsAndResults_areNotCopied) {
  UniqueFunction<std::string&(std::string&)> same = [](std::string& text) -> std::string& {
    text += "!";
    return text;
  };
  std::string text = "here";
  EXPECT_EQ(&same(text), &text);
  EXPECT_EQ(text, "here!");
}

TEST_F(UniqueFunctionTest, ValueArgument_isMovedNotCopied) {
  struct Counted {
    Counted() = default;
    Counted(const Counted& other) : copies(other.copies + 1) {}
    Counted(Counted&& other) noexcept : copies(other.copies) {}
    int copies = 0;
  };
  UniqueFunction<int(Counted)> copies = [](Counted argument) { return argument.copies; };
  EXPECT_EQ(copies(Counted()), 0);
}

TEST_F(UniqueFunctionTest, VoidSignature_dropsTheResult) {
  int calls = 0;
  UniqueFunction<void()> function = [&calls] { return ++calls; };
  function();
  EXPECT_EQ(calls, 1);
}

TEST_F(UniqueFunctionTest, StateOfTheCallable_staysBetweenCalls) {
  UniqueFunction<int()> next = [count = 0]() mutable { return ++count; };
  next();
  UniqueFunction<int()> moved(std::move(next));
  EXPECT_EQ(moved(), 2);
}

TEST_F(UniqueFunctionTest, Throwing_passesThroughAndStaysCallable) {
  Function function = [](int x) { return x < 0 ? throw std::runtime_error("negative") : x; };
  EXPECT_THROW(function(-1), std::runtime_error);
  EXPECT_EQ(function(1), 1);
}

TEST_F(UniqueFunctionTest, CopyOfTheCallableThrows_nothingLeaks) {
  struct Throwing {
    Throwing() = default;
    Throwing(const Throwing&) { throw std::runtime_error("copy"); }
    int operator()(int x) const { return x; }
    std::array<char, 100> large = {};
    Probe<8> member;
  };
  const Throwing callable;
  EXPECT_THROW(Function{callable}, std::runtime_error);
}

TEST_F(UniqueFunctionTest, DestructorOfTheCallable_seesTheHolderEmpty) {
  struct LooksBack {
    LooksBack(UniqueFunction<void()>* h, bool* s) : holder(h), sawEmpty(s) {}
    LooksBack(LooksBack&& other) noexcept
        : holder(std::exchange(other.holder, nullptr)), sawEmpty(other.sawEmpty) {}
    ~LooksBack() {
      if (holder != nullptr) *sawEmpty = !*holder;
    }
    void operator()() const {}
    UniqueFunction<void()>* holder;
    bool* sawEmpty;
  };
  bool sawEmpty = false;
  UniqueFunction<void()> function;
  function = LooksBack(&function, &sawEmpty);
  function = nullptr;
  EXPECT_TRUE(sawEmpty);
}

class UniqueFunctionDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(UniqueFunctionDeathTest, CallOfEmpty_aborts) {
  Function function;
  EXPECT_DEATH(function(1), "an empty UniqueFunction was called");
  function = twice;
  const Function taken(std::move(function));
  EXPECT_DEATH(function(1),
               "an empty UniqueFunction was called");  // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace gyre
