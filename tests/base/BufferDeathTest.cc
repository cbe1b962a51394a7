// BufferDeathTest: each precondition of Buffer, one byte beyond it, in both modes.
#include <gtest/gtest.h>

#include <string_view>

#include "gyre/base/Buffer.h"

namespace gyre {
namespace {

class BufferDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    owned.append("abc");
  }

  Buffer owned;
  Buffer borrowed = Buffer::borrow("abc", 3);
};

TEST_F(BufferDeathTest, RetrieveMoreThanReadable_aborts) {
  EXPECT_DEATH(owned.retrieve(4), "retrieve: n <= readableBytes");
  EXPECT_DEATH(borrowed.retrieve(4), "retrieve: n <= readableBytes");
  EXPECT_DEATH(Buffer().retrieve(1), "retrieve: n <= readableBytes");
  EXPECT_DEATH(owned.retrieveAsString(4), "retrieveAsString: n <= readableBytes");
}

TEST_F(BufferDeathTest, RetrieveUntilOutside_aborts) {
  const char* const begin = owned.peek();
  EXPECT_DEATH(owned.retrieveUntil(begin + 4), "retrieveUntil: end is in");
  EXPECT_DEATH(owned.retrieveUntil(begin - 1), "retrieveUntil: end is in");
  EXPECT_DEATH(owned.retrieveUntil(nullptr), "retrieveUntil: end is in");
  EXPECT_DEATH(borrowed.retrieveUntil(begin), "retrieveUntil: end is in");
}

TEST_F(BufferDeathTest, FindFromOutside_aborts) {
  const char* const begin = owned.peek();
  EXPECT_DEATH(owned.findCRLF(begin + 4), "findCRLF: start is in");
  EXPECT_DEATH(owned.findCRLF(begin - 1), "findCRLF: start is in");
  EXPECT_DEATH(owned.findEOL(begin + 4), "findEOL: start is in");
  EXPECT_DEATH(borrowed.findEOL(begin), "findEOL: start is in");
}

TEST_F(BufferDeathTest, IntegerThatIsNotAllThere_aborts) {
  EXPECT_DEATH(Buffer().peekInt8(), "holds the integer");
  EXPECT_DEATH(owned.readInt32(), "holds the integer");
  EXPECT_DEATH(borrowed.peekInt32(), "holds the integer");
  EXPECT_DEATH(owned.peekInt64(), "holds the integer");
  EXPECT_DEATH(owned.retrieveInt64(), "retrieve: n <= readableBytes");
  owned.retrieve(2);
  EXPECT_EQ(owned.peekInt8(), 'c');
  EXPECT_DEATH(owned.peekInt16(), "holds the integer");
}

TEST_F(BufferDeathTest, HasWrittenMoreThanThereWasRoom_aborts) {
  EXPECT_DEATH(owned.hasWritten(owned.writableBytes() + 1), "hasWritten: n <= writableBytes");
  EXPECT_DEATH(borrowed.hasWritten(1), "hasWritten: n <= writableBytes");
  EXPECT_DEATH(Buffer().hasWritten(1), "hasWritten: n <= writableBytes");
}

TEST_F(BufferDeathTest, UnwriteMoreThanReadable_aborts) {
  EXPECT_DEATH(owned.unwrite(4), "unwrite: n <= readableBytes");
  EXPECT_DEATH(borrowed.unwrite(4), "unwrite: n <= readableBytes");
}

}  // namespace
}  // namespace gyre
