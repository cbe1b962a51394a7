// BufferBorrowTest: a window on lent bytes: what copies, what does not, and where it ends.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/LentBytes.h"
#include "gyre/base/Buffer.h"

namespace gyre {
namespace {

using namespace std::string_view_literals;
using Against = LentBytes::Against;

Buffer borrow(const LentBytes& lent) { return Buffer::borrow(lent.data(), lent.size()); }

TEST(BufferBorrowTest, Borrowed_isAWindowWithoutMemory) {
  const LentBytes lent("lent bytes", Against::Back);
  const Buffer buffer = borrow(lent);
  EXPECT_TRUE(buffer.isBorrowed());
  EXPECT_EQ(buffer.peek(), lent.data());
  EXPECT_EQ(buffer.view(), "lent bytes");
  EXPECT_EQ(buffer.capacity(), 0u);
  EXPECT_EQ(buffer.writableBytes(), 0u);
  EXPECT_EQ(buffer.prependableBytes(), 0u);
}

TEST(BufferBorrowTest, NothingLent_isAnOrdinaryEmptyBuffer) {
  Buffer buffer = Buffer::borrow(nullptr, 0);
  EXPECT_FALSE(buffer.isBorrowed());
  buffer.append("x");
  EXPECT_EQ(buffer.view(), "x");
}

TEST(BufferBorrowTest, ReadingAndRetrieving_copyNothing) {
  const LentBytes lent("\x01\x02\x03\x04\x05\x06\x07line\r\nrest of it"sv, Against::Back);
  Buffer buffer = borrow(lent);
  EXPECT_EQ(buffer.readInt8(), 0x01);
  EXPECT_EQ(buffer.readInt16(), 0x0203);
  EXPECT_EQ(buffer.readInt32(), 0x04050607);
  EXPECT_EQ(buffer.findEOL(), lent.data() + 12);
  const char* crlf = buffer.findCRLF();
  EXPECT_EQ(crlf, lent.data() + 11);
  buffer.retrieveUntil(crlf);
  buffer.retrieve(2);
  EXPECT_EQ(buffer.retrieveAsString(4), "rest");
  EXPECT_TRUE(buffer.isBorrowed());
  EXPECT_EQ(buffer.peek(), lent.data() + 17);
  EXPECT_EQ(buffer.retrieveAllAsString(), " of it");
  EXPECT_EQ(buffer.capacity(), 0u);
}

// The page before or behind the window cannot be read.
TEST(BufferBorrowTest, Window_isNeverReadOneByteTooFar) {
  for (const std::size_t size : {1u, 2u, 3u, 4u, 7u, 8u, 9u, 4095u, 4096u, 4097u}) {
    for (const Against edge : {Against::Front, Against::Back}) {
      const LentBytes lent(std::string(size, '\r'), edge);
      Buffer buffer = borrow(lent);
      EXPECT_EQ(buffer.findCRLF(), nullptr);
      EXPECT_EQ(buffer.findEOL(), nullptr);
      EXPECT_EQ(buffer.findCRLF(buffer.peek() + size), nullptr);
      EXPECT_EQ(buffer.clone().view(), std::string(size, '\r'));
      buffer.retrieve(size - 1);
      EXPECT_EQ(buffer.readInt8(), '\r');
      EXPECT_EQ(buffer.readableBytes(), 0u);
    }
  }
}

TEST(BufferBorrowTest, LastInteger_isReadFromTheLastBytes) {
  const LentBytes lent("\0\0\0\0\0\0\x12\x34"sv, Against::Back);
  Buffer buffer = borrow(lent);
  EXPECT_EQ(buffer.peekInt64(), 0x1234);
  buffer.retrieve(4);
  EXPECT_EQ(buffer.readInt32(), 0x1234);
}

TEST(BufferBorrowTest, Drained_staysBorrowedUntilWrittenTo) {
  LentBytes lent("all", Against::Back);
  Buffer buffer = borrow(lent);
  buffer.retrieveAll();
  EXPECT_TRUE(buffer.isBorrowed());
  EXPECT_EQ(buffer.peek(), lent.data() + lent.size());
  lent.takeBack();
  buffer.own();
  EXPECT_FALSE(buffer.isBorrowed());
  EXPECT_EQ(buffer.capacity(), 0u) << "nothing was left to copy";
}

struct Writing {
  const char* name;
  std::function<void(Buffer&)> write;
  std::string_view result;
};

TEST(BufferBorrowTest, Writing_copiesFirstAndLeavesTheLentBytesAlone) {
  const std::vector<Writing> writings = {
      {"append", [](Buffer& b) { b.append("!"); }, "bytes!"},
      {"appendInt8", [](Buffer& b) { b.appendInt8('!'); }, "bytes!"},
      {"append itself", [](Buffer& b) { b.append(b.view()); }, "bytesbytes"},
      {"prepend", [](Buffer& b) { b.prepend("my ", 3); }, "my bytes"},
      {"prependInt16", [](Buffer& b) { b.prependInt16(0x6d79); }, "mybytes"},
      {"prepend itself", [](Buffer& b) { b.prepend(b.peek(), 2); }, "bybytes"},
      {"ensureWritableBytes", [](Buffer& b) { b.ensureWritableBytes(1); }, "bytes"},
      {"ensureWritableBytes(0)", [](Buffer& b) { b.ensureWritableBytes(0); }, "bytes"},
      {"beginWrite", [](Buffer& b) { b.beginWrite(); }, "bytes"},
      {"unwrite", [](Buffer& b) { b.unwrite(1); }, "byte"},
      {"shrink", [](Buffer& b) { b.shrink(7); }, "bytes"},
      {"own", [](Buffer& b) { b.own(); }, "bytes"},
  };
  for (const Writing& writing : writings) {
    SCOPED_TRACE(writing.name);
    LentBytes lent("lent bytes", Against::Back);
    Buffer buffer = borrow(lent);
    buffer.retrieve(5);
    writing.write(buffer);
    EXPECT_FALSE(buffer.isBorrowed());
    lent.takeBack();
    EXPECT_EQ(buffer.view(), writing.result);
    EXPECT_GE(buffer.capacity(), buffer.readableBytes());
  }
}

TEST(BufferBorrowTest, NothingWritten_staysBorrowed) {
  const LentBytes lent("lent", Against::Back);
  Buffer buffer = borrow(lent);
  buffer.append("");
  buffer.prepend("", 0);
  buffer.hasWritten(0);
  EXPECT_TRUE(buffer.isBorrowed());
  EXPECT_EQ(buffer.peek(), lent.data());
}

TEST(BufferBorrowTest, Own_takesNoMoreMemoryThanIsLeft) {
  const LentBytes lent(std::string(5000, 'x') + "left", Against::Back);
  Buffer buffer = borrow(lent);
  buffer.retrieve(5000);
  buffer.own();
  EXPECT_EQ(buffer.capacity(), Buffer::kCheapPrepend + 4);
  EXPECT_EQ(buffer.prependableBytes(), Buffer::kCheapPrepend);
  const char* memory = buffer.peek();
  buffer.own();
  EXPECT_EQ(buffer.peek(), memory) << "owned already";
}

// What lies behind the window in the same lent block is not the Buffer's.
TEST(BufferBorrowTest, Append_ofTheNeighbouringLentBytes_takesThem) {
  LentBytes lent("frame1frame2", Against::Back);
  Buffer drained = Buffer::borrow(lent.data(), 6);
  drained.retrieveAll();
  drained.append(lent.data() + 6, 6);
  Buffer overlapping = Buffer::borrow(lent.data(), 6);
  overlapping.append(lent.data() + 3, 9);
  lent.takeBack();
  EXPECT_EQ(drained.view(), "frame2");
  EXPECT_EQ(overlapping.view(), "frame1me1frame2");
}

TEST(BufferBorrowTest, MoveConstruct_copiesAndEmptiesTheSource) {
  LentBytes lent("lent", Against::Back);
  Buffer source = borrow(lent);
  Buffer target(std::move(source));
  lent.takeBack();
  EXPECT_EQ(target.view(), "lent");
  EXPECT_FALSE(target.isBorrowed());
  EXPECT_FALSE(source.isBorrowed());  // NOLINT(bugprone-use-after-move): specified
  EXPECT_EQ(source.readableBytes(), 0u);
  EXPECT_EQ(source.capacity(), 0u);
}

TEST(BufferBorrowTest, MoveAssign_copiesAndEmptiesTheSource) {
  LentBytes lent("lent", Against::Back);
  Buffer source = borrow(lent);
  Buffer target;
  target.append("old");
  target = std::move(source);
  lent.takeBack();
  EXPECT_EQ(target.view(), "lent");
  EXPECT_EQ(source.view(), "");  // NOLINT(bugprone-use-after-move): specified
}

TEST(BufferBorrowTest, MoveAssign_overABorrowed_forgetsTheWindow) {
  LentBytes lent("lent", Against::Back);
  Buffer target = borrow(lent);
  Buffer source;
  source.append("own");
  target = std::move(source);
  lent.takeBack();
  EXPECT_EQ(target.view(), "own");
}

TEST(BufferBorrowTest, MoveAssign_toItself_staysAsItIs) {
  const LentBytes lent("lent", Against::Back);
  Buffer buffer = borrow(lent);
  Buffer& alias = buffer;
  buffer = std::move(alias);
  EXPECT_TRUE(buffer.isBorrowed());
  EXPECT_EQ(buffer.view(), "lent");
}

TEST(BufferBorrowTest, Swap_ownsBothSides) {
  LentBytes lentA("first", Against::Back);
  LentBytes lentB("second", Against::Front);
  Buffer a = borrow(lentA);
  Buffer b = borrow(lentB);
  a.swap(b);
  Buffer empty;
  Buffer c = borrow(lentA);
  c.swap(empty);
  lentA.takeBack();
  lentB.takeBack();
  EXPECT_EQ(a.view(), "second");
  EXPECT_EQ(b.view(), "first");
  EXPECT_EQ(empty.view(), "first");
  EXPECT_EQ(c.view(), "");
}

TEST(BufferBorrowTest, Clone_leavesTheWindowBorrowed) {
  LentBytes lent("lent", Against::Back);
  const Buffer window = borrow(lent);
  const Buffer copy = window.clone();
  EXPECT_TRUE(window.isBorrowed());
  lent.takeBack();
  EXPECT_EQ(copy.view(), "lent");
}

TEST(BufferBorrowTest, InAVector_bufferIsOwned) {
  LentBytes lent("lent", Against::Back);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 5; ++i) buffers.push_back(borrow(lent));
  lent.takeBack();
  for (const Buffer& buffer : buffers) EXPECT_EQ(buffer.view(), "lent");
}

}  // namespace
}  // namespace gyre
