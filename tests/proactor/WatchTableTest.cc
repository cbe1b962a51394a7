#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "proactor/epoll/WatchTable.h"

namespace gyre {
namespace {

void ignore(IoContext&, const IoResult&) noexcept {}

TEST(WatchTableTest, Find_neverGrownTo_isNull) {
  WatchTable table;
  EXPECT_EQ(table.find(3), nullptr);
  ASSERT_NE(table.findOrGrow(3), nullptr);
  EXPECT_NE(table.find(3), nullptr);
  EXPECT_EQ(table.find(100'000), nullptr);
}

TEST(WatchTableTest, FindOrGrow_manyMore_movesNoEntry) {
  WatchTable table;
  Watch* first = table.findOrGrow(5);
  first->set(Watch::kListener);
  ASSERT_NE(table.findOrGrow(50'000), nullptr);
  EXPECT_EQ(table.find(5), first);
  EXPECT_TRUE(table.find(5)->has(Watch::kListener));
  EXPECT_TRUE(table.find(50'000)->isIdle());
}

TEST(WatchTableTest, PopWork_isFirstInFirstOutAndHoldsEachOnce) {
  WatchTable table;
  ASSERT_NE(table.findOrGrow(600), nullptr);
  for (const int fd : {7, 600, 3, 7, 600}) table.pushWork(fd);
  EXPECT_EQ(table.workSize(), 3U);
  EXPECT_EQ(table.popWork(), 7);
  table.pushWork(7);
  EXPECT_EQ(table.popWork(), 600);
  EXPECT_EQ(table.popWork(), 3);
  EXPECT_EQ(table.popWork(), 7);
  EXPECT_FALSE(table.hasWork());
}

// Closed while it has work: it keeps its place, once, for whoever gets the number next.
TEST(WatchTableTest, Forget_withWork_keepsTheListWhole) {
  WatchTable table;
  Watch* watch = table.findOrGrow(9);
  watch->set(Watch::kRegistered | Watch::kReadable);
  const std::uint64_t tag = watch->tag(9);
  for (const int fd : {4, 9, 5}) table.pushWork(fd);
  watch->forget();
  table.pushWork(9);
  EXPECT_NE(watch->tag(9), tag);
  EXPECT_FALSE(watch->has(Watch::kRegistered | Watch::kReadable));
  std::vector<int> order;
  while (table.hasWork()) order.push_back(table.popWork());
  EXPECT_EQ(order, (std::vector<int>{4, 9, 5}));
}

TEST(WatchTableTest, Chain_mixedKinds_keepsItsOrder) {
  TransferPool pool;
  IoContext accept(&ignore);
  IoContext read(&ignore);
  IoContext second(&ignore);
  accept.state().kind = IoKind::Accept;
  read.state().kind = IoKind::Read;
  second.state().kind = IoKind::Accept;
  const IoSlice slice{nullptr, 1};
  read.state().block = pool.acquire({&slice, 1});
  OperationChain chain;
  for (IoContext* context : {&accept, &read, &second}) chain.push(*context);
  EXPECT_EQ(chain.size(), 3U);
  second.set(IoContext::kCancelRequested);
  EXPECT_EQ(chain.findCancelled(), &second);
  chain.remove(read);
  EXPECT_EQ(&chain.pop(), &accept);
  EXPECT_EQ(&chain.pop(), &second);
  EXPECT_TRUE(chain.isEmpty());
  pool.release(transferOf(read));
}

// Whatever part of it a call took, what is left is the rest of the same bytes.
TEST(WatchTableTest, Advance_anySteps_leavesTheRest) {
  const std::string bytes = "abcdefghijklmnopqrstuvwxyz";
  const std::array<IoSlice, 5> slices = {{{bytes.data(), 1},
                                          {bytes.data() + 1, 9},
                                          {bytes.data() + 10, 3},
                                          {bytes.data() + 13, 12},
                                          {bytes.data() + 25, 1}}};
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    TransferPool pool;
    Transfer* transfer = pool.acquire(slices);
    ASSERT_NE(transfer, nullptr);
    while (transfer->count > 0) {
      std::string left;
      for (std::uint32_t i = 0; i < transfer->count; ++i) {
        left.append(static_cast<char*>(transfer->slices[i].iov_base), transfer->slices[i].iov_len);
      }
      ASSERT_EQ(left, bytes.substr(transfer->done)) << "steps of " << step;
      transfer->advance(std::min(step, left.size()));
    }
    EXPECT_EQ(transfer->done, bytes.size());
    pool.release(*transfer);
  }
}

TEST(WatchTableTest, TransferPool_released_isUsedAgain) {
  TransferPool pool;
  const std::vector<IoSlice> many(kSendSlicesMax, IoSlice{nullptr, 1});
  for (const std::size_t count : {std::size_t{1}, std::size_t{4}, kSendSlicesMax}) {
    Transfer* first = pool.acquire({many.data(), count});
    pool.release(*first);
    Transfer* second = pool.acquire({many.data(), count});
    EXPECT_EQ(first, second) << count << " slices";
    EXPECT_EQ(second->count, count);
    pool.release(*second);
  }
}

}  // namespace
}  // namespace gyre
