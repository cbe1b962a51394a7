// BufferTest: owned bytes: order, room, growth, limits and preconditions.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "gyre/base/Buffer.h"

namespace gyre {
namespace {

using namespace std::string_view_literals;

static_assert(!std::is_copy_constructible_v<Buffer> && !std::is_copy_assignable_v<Buffer>);
static_assert(sizeof(Buffer) <= 40);

Buffer bufferOf(std::string_view bytes) {
  Buffer buffer;
  buffer.append(bytes);
  return buffer;
}

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  std::iota(bytes.begin(), bytes.end(), '\1');
  return bytes;
}

TEST(BufferTest, Default_ownsNoMemory) {
  Buffer buffer;
  EXPECT_EQ(buffer.capacity(), 0u);
  EXPECT_EQ(buffer.readableBytes(), 0u);
  EXPECT_EQ(buffer.writableBytes(), 0u);
  EXPECT_EQ(buffer.prependableBytes(), 0u);
  EXPECT_EQ(buffer.view(), "");
  EXPECT_TRUE(buffer.span().empty());
  EXPECT_FALSE(buffer.isBorrowed());
}

TEST(BufferTest, NothingWritten_stillOwnsNoMemory) {
  Buffer buffer;
  buffer.append("");
  buffer.append(nullptr, 0);
  buffer.prepend(nullptr, 0);
  buffer.ensureWritableBytes(0);
  EXPECT_EQ(buffer.beginWrite(), nullptr);
  buffer.hasWritten(0);
  buffer.unwrite(0);
  buffer.retrieve(0);
  buffer.retrieveAll();
  buffer.shrink(0);
  buffer.own();
  EXPECT_EQ(buffer.findCRLF(), nullptr);
  EXPECT_EQ(buffer.findEOL(), nullptr);
  EXPECT_EQ(buffer.retrieveAllAsString(), "");
  EXPECT_EQ(buffer.clone().capacity(), 0u);
  EXPECT_EQ(Buffer(std::move(buffer)).capacity(), 0u);
}

TEST(BufferTest, FirstWrite_leavesCheapPrependInFront) {
  const Buffer buffer = bufferOf("x");
  EXPECT_EQ(buffer.prependableBytes(), Buffer::kCheapPrepend);
  EXPECT_EQ(buffer.capacity(), buffer.prependableBytes() + 1 + buffer.writableBytes());
}

TEST(BufferTest, Append_retrieve_keepsOrder) {
  Buffer buffer = bufferOf("hello, ");
  buffer.append("world", 5);
  EXPECT_EQ(buffer.view(), "hello, world");
  buffer.retrieve(7);
  EXPECT_EQ(std::string(buffer.span().begin(), buffer.span().end()), "world");
  EXPECT_EQ(buffer.retrieveAsString(2), "wo");
  buffer.retrieveUntil(buffer.peek() + 1);
  EXPECT_EQ(buffer.retrieveAllAsString(), "ld");
  EXPECT_EQ(buffer.readableBytes(), 0u);
}

TEST(BufferTest, RetrieveToEmpty_givesTheWholeRoomBack) {
  Buffer buffer = bufferOf("abc");
  const std::size_t capacity = buffer.capacity();
  buffer.retrieve(3);
  EXPECT_EQ(buffer.prependableBytes(), Buffer::kCheapPrepend);
  EXPECT_EQ(buffer.writableBytes(), capacity - Buffer::kCheapPrepend);
  buffer.append("abc");
  buffer.retrieveAll();
  EXPECT_EQ(buffer.writableBytes(), capacity - Buffer::kCheapPrepend);
}

TEST(BufferTest, Append_exactlyFull_doesNotGrow_oneMore_doubles) {
  Buffer buffer = bufferOf("x");
  const std::size_t capacity = buffer.capacity();
  const std::string fill = pattern(buffer.writableBytes());
  buffer.append(fill);
  EXPECT_EQ(buffer.capacity(), capacity);
  EXPECT_EQ(buffer.writableBytes(), 0u);
  buffer.append("y");
  EXPECT_EQ(buffer.capacity(), 2 * capacity);
  EXPECT_EQ(buffer.view(), "x" + fill + "y");
}

TEST(BufferTest, Append_moreThanDouble_getsWhatItNeeds) {
  Buffer buffer = bufferOf("x");
  const std::string large = pattern(1'000'000);
  buffer.append(large);
  EXPECT_EQ(buffer.view().substr(1), large);
  EXPECT_LT(buffer.capacity(), 1'001'000u);
}

TEST(BufferTest, Append_roomInFront_movesInsteadOfGrowing) {
  Buffer buffer = bufferOf(pattern(200));
  const std::size_t capacity = buffer.capacity();
  buffer.retrieve(150);
  const std::string more = pattern(buffer.writableBytes() + 150);
  buffer.append(more);
  EXPECT_EQ(buffer.capacity(), capacity);
  EXPECT_EQ(buffer.prependableBytes(), Buffer::kCheapPrepend);
  EXPECT_EQ(buffer.view(), pattern(200).substr(150) + more);
}

TEST(BufferTest, Append_roomInFrontOneByteShort_grows) {
  Buffer buffer = bufferOf(pattern(200));
  const std::size_t capacity = buffer.capacity();
  buffer.retrieve(150);
  const std::string more = pattern(buffer.writableBytes() + 151);
  buffer.append(more);
  EXPECT_EQ(buffer.capacity(), 2 * capacity);
  EXPECT_EQ(buffer.view(), pattern(200).substr(150) + more);
}

// Moving a megabyte for every two bytes consumed would be quadratic in what a peer has sent.
TEST(BufferTest, SmallStepsOnALargeBacklog_moveItSeldom) {
  Buffer buffer;
  buffer.ensureWritableBytes(1'000'000);
  buffer.append(std::string(buffer.writableBytes(), 'x'));
  int moves = 0;
  for (int step = 0; step < 100'000; ++step) {
    buffer.retrieve(2);
    const std::size_t before = buffer.prependableBytes();
    buffer.append("yy");
    moves += buffer.prependableBytes() < before ? 1 : 0;
  }
  EXPECT_LE(moves, 2);
  EXPECT_LE(buffer.capacity(), 2'100'000u);
}

TEST(BufferTest, Append_ofItsOwnBytes_survivesMoveAndGrowth) {
  Buffer growing = bufferOf("seed");
  for (int i = 0; i < 12; ++i) growing.append(growing.view());
  std::string expected = "seed";
  for (int i = 0; i < 12; ++i) expected += expected;
  EXPECT_EQ(growing.view(), expected);

  Buffer moving = bufferOf(pattern(240));
  moving.retrieve(200);
  const std::string rest = pattern(240).substr(200);
  moving.append(moving.view());
  EXPECT_EQ(moving.view(), rest + rest);
  moving.append(moving.view().substr(10, 5));
  EXPECT_EQ(moving.view(), rest + rest + rest.substr(10, 5));
}

TEST(BufferTest, Prepend_ofItsOwnBytes_survivesMoveAndGrowth) {
  Buffer buffer = bufferOf(pattern(40));
  std::string expected = pattern(40);
  for (int i = 0; i < 8; ++i) {
    buffer.prepend(buffer.peek() + 3, buffer.readableBytes() - 3);
    expected = expected.substr(3) + expected;
    ASSERT_EQ(buffer.view(), expected);
  }
}

TEST(BufferTest, Prepend_upToCheapPrepend_needsNoMove) {
  Buffer buffer = bufferOf("body");
  const char* body = buffer.peek();
  buffer.prepend("12345678", Buffer::kCheapPrepend);
  EXPECT_EQ(buffer.view(), "12345678body");
  EXPECT_EQ(buffer.peek() + Buffer::kCheapPrepend, body);
  EXPECT_EQ(buffer.prependableBytes(), 0u);
}

TEST(BufferTest, Prepend_beyondTheRoomInFront_makesRoom) {
  Buffer buffer = bufferOf("body");
  const std::size_t capacity = buffer.capacity();
  buffer.prepend("123456789", 9);
  EXPECT_EQ(buffer.view(), "123456789body");
  EXPECT_EQ(buffer.capacity(), capacity) << "there was room at the back";
  const std::string large = pattern(5000);
  buffer.prepend(large.data(), large.size());
  EXPECT_EQ(buffer.view(), large + "123456789body");
}

TEST(BufferTest, Prepend_onEmpty_works) {
  Buffer buffer;
  buffer.prepend("abc", 3);
  buffer.append("def");
  EXPECT_EQ(buffer.view(), "abcdef");
}

TEST(BufferTest, Integers_areInNetworkOrder) {
  Buffer buffer;
  buffer.appendInt8(0x01);
  buffer.appendInt16(0x0203);
  buffer.appendInt32(0x04050607);
  buffer.appendInt64(0x08090a0b0c0d0e0f);
  EXPECT_EQ(buffer.view(), "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"sv);
}

template <class Integer>
void expectIntegerTrip(Integer value) {
  Buffer buffer;
  const auto append = [&] {
    if constexpr (sizeof(Integer) == 1) buffer.appendInt8(value), buffer.prependInt8(value);
    if constexpr (sizeof(Integer) == 2) buffer.appendInt16(value), buffer.prependInt16(value);
    if constexpr (sizeof(Integer) == 4) buffer.appendInt32(value), buffer.prependInt32(value);
    if constexpr (sizeof(Integer) == 8) buffer.appendInt64(value), buffer.prependInt64(value);
  };
  append();
  const auto takeOne = [&](Integer& peeked, Integer& read) {
    if constexpr (sizeof(Integer) == 1) peeked = buffer.peekInt8(), read = buffer.readInt8();
    if constexpr (sizeof(Integer) == 2) peeked = buffer.peekInt16(), read = buffer.readInt16();
    if constexpr (sizeof(Integer) == 4) peeked = buffer.peekInt32(), read = buffer.readInt32();
    if constexpr (sizeof(Integer) == 8) peeked = buffer.peekInt64(), read = buffer.readInt64();
  };
  for (int i = 0; i < 2; ++i) {
    Integer peeked = 0;
    Integer read = 0;
    takeOne(peeked, read);
    EXPECT_EQ(peeked, value);
    EXPECT_EQ(read, value);
  }
  EXPECT_EQ(buffer.readableBytes(), 0u);
}

TEST(BufferTest, Integers_comeBackAtTheirLimits) {
  const auto trip = []<class Integer>(Integer) {
    using Limits = std::numeric_limits<Integer>;
    for (const Integer value : {Limits::min(), Limits::max(), Integer{-1}, Integer{0}}) {
      expectIntegerTrip<Integer>(value);
    }
  };
  trip(std::int8_t{});
  trip(std::int16_t{});
  trip(std::int32_t{});
  trip(std::int64_t{});
}

TEST(BufferTest, RetrieveIntegers_skipTheirSize) {
  Buffer buffer = bufferOf(pattern(16));
  buffer.retrieveInt8();
  buffer.retrieveInt16();
  buffer.retrieveInt32();
  buffer.retrieveInt64();
  EXPECT_EQ(buffer.view(), "\x10");
}

TEST(BufferTest, FindCRLF_findsTheFirstWholeOne) {
  const Buffer buffer = bufferOf("a\rb\nc\r\r\nd\r\n");
  EXPECT_EQ(buffer.findCRLF() - buffer.peek(), 6);
  EXPECT_EQ(buffer.findCRLF(buffer.peek() + 6) - buffer.peek(), 6);
  EXPECT_EQ(buffer.findCRLF(buffer.peek() + 7) - buffer.peek(), 9);
  EXPECT_EQ(buffer.findCRLF(buffer.peek() + 10), nullptr);
  EXPECT_EQ(buffer.findCRLF(buffer.peek() + 11), nullptr);
}

TEST(BufferTest, FindEOL_findsTheFirst) {
  const Buffer buffer = bufferOf("a\r\nb\n");
  EXPECT_EQ(buffer.findEOL() - buffer.peek(), 2);
  EXPECT_EQ(buffer.findEOL(buffer.peek() + 3) - buffer.peek(), 4);
  EXPECT_EQ(buffer.findEOL(buffer.peek() + 5), nullptr);
}

TEST(BufferTest, Find_looksAtReadableBytesOnly) {
  Buffer buffer = bufferOf("\r\nabc\r\n");
  buffer.unwrite(1);
  buffer.retrieve(1);
  EXPECT_EQ(buffer.view(), "\nabc\r");
  EXPECT_EQ(buffer.findCRLF(), nullptr);
  buffer.retrieve(1);
  EXPECT_EQ(buffer.findEOL(), nullptr);
}

TEST(BufferTest, WriteInPlace_hasWritten_unwrite) {
  Buffer buffer;
  buffer.ensureWritableBytes(1000);
  EXPECT_GE(buffer.writableBytes(), 1000u);
  const std::string bytes = pattern(buffer.writableBytes());
  bytes.copy(buffer.beginWrite(), bytes.size());
  buffer.hasWritten(bytes.size());
  EXPECT_EQ(buffer.view(), bytes);
  EXPECT_EQ(buffer.writableBytes(), 0u);
  buffer.unwrite(bytes.size() - 3);
  EXPECT_EQ(buffer.view(), bytes.substr(0, 3));
  buffer.unwrite(3);
  EXPECT_EQ(buffer.readableBytes(), 0u);
}

TEST(BufferTest, Shrink_leavesExactlyTheReserve) {
  Buffer buffer = bufferOf(pattern(10'000));
  buffer.retrieve(9'990);
  buffer.shrink(20);
  EXPECT_EQ(buffer.view(), pattern(10'000).substr(9'990));
  EXPECT_EQ(buffer.capacity(), Buffer::kCheapPrepend + 10 + 20);
  EXPECT_EQ(buffer.writableBytes(), 20u);
  buffer.shrink(0);
  EXPECT_EQ(buffer.writableBytes(), 0u);
  buffer.retrieveAll();
  buffer.shrink(0);
  EXPECT_EQ(buffer.capacity(), 0u);
  buffer.append("usable again");
  EXPECT_EQ(buffer.view(), "usable again");
}

TEST(BufferTest, MoveAndSwap_handTheMemoryOver) {
  Buffer source = bufferOf("source");
  const char* memory = source.peek();
  Buffer target(std::move(source));
  EXPECT_EQ(target.peek(), memory);
  EXPECT_EQ(source.capacity(), 0u);  // NOLINT(bugprone-use-after-move): specified
  EXPECT_EQ(source.view(), "");
  Buffer other = bufferOf("other");
  other.swap(target);
  EXPECT_EQ(other.peek(), memory);
  EXPECT_EQ(target.view(), "other");
  target = std::move(other);
  EXPECT_EQ(target.view(), "source");
  EXPECT_EQ(other.view(), "");  // NOLINT(bugprone-use-after-move): specified
  Buffer& alias = target;
  target = std::move(alias);
  target.swap(alias);
  EXPECT_EQ(target.view(), "source");
}

TEST(BufferTest, Clone_isIndependent) {
  Buffer buffer = bufferOf("shared?");
  Buffer copy = buffer.clone();
  copy.append("!");
  buffer.retrieveAll();
  EXPECT_EQ(copy.view(), "shared?!");
  EXPECT_FALSE(copy.isBorrowed());
}

TEST(BufferTest, LengthThatCannotExist_throwsAndChangesNothing) {
  Buffer buffer = bufferOf("kept");
  const std::size_t capacity = buffer.capacity();
  volatile std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const std::size_t n : {most - 0, most - 4, most - 12, most / 2, most / 2 - 11}) {
    EXPECT_THROW(buffer.ensureWritableBytes(n), std::length_error) << n;
    EXPECT_THROW(buffer.append("x", n), std::length_error) << n;
    EXPECT_THROW(buffer.prepend("x", n), std::length_error) << n;
    EXPECT_THROW(buffer.shrink(n), std::length_error) << n;
  }
  EXPECT_EQ(buffer.view(), "kept");
  EXPECT_EQ(buffer.capacity(), capacity);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__has_feature)
#define GYRE_TEST_MALLOC_MAY_FAIL
#elif defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define GYRE_TEST_MALLOC_MAY_FAIL
#endif
#endif

#ifdef GYRE_TEST_MALLOC_MAY_FAIL  // a sanitizer's malloc aborts instead
TEST(BufferTest, OutOfMemory_throwsAndChangesNothing) {
  Buffer owned = bufferOf("kept");
  Buffer retrieved = bufferOf("was kept");
  retrieved.retrieve(4);
  Buffer borrowed = Buffer::borrow("kept", 4);
  const std::size_t tooMuch = std::numeric_limits<std::size_t>::max() / 2 - 1000;
  for (Buffer* buffer : {&owned, &retrieved, &borrowed}) {
    const std::size_t capacity = buffer->capacity();
    EXPECT_THROW(buffer->ensureWritableBytes(tooMuch), std::bad_alloc);
    EXPECT_THROW(buffer->append("x", tooMuch), std::bad_alloc);
    EXPECT_THROW(buffer->prepend("x", tooMuch), std::bad_alloc);
    EXPECT_THROW(buffer->shrink(tooMuch), std::bad_alloc);
    EXPECT_EQ(buffer->view(), "kept");
    EXPECT_EQ(buffer->capacity(), capacity);
  }
}
#endif

}  // namespace
}  // namespace gyre
