// DescriptorPressureTest: engines that wait for a descriptor hear of a close, wherever it was.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "proactor/DescriptorPressure.h"
#include "proactor/epoll/EpollProactor.h"

namespace gyre {
namespace {

class DescriptorPressureTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& proactor : {&first_, &second_}) (*proactor)->run(kNoWait);
  }

  // True when a wake() made run() return long before its deadline.
  static bool wasWoken(Proactor& proactor) {
    const TimePoint start = proactor.now();
    proactor.run(start + std::chrono::milliseconds(200));
    return proactor.now() - start < std::chrono::milliseconds(150);
  }

  std::unique_ptr<Proactor> first_ = makeEpollProactor({});
  std::unique_ptr<Proactor> second_ = makeEpollProactor({});
};

TEST_F(DescriptorPressureTest, Notify_nobodyWaits_wakesNobody) {
  DescriptorWaiter waiter(*first_);
  notifyDescriptorReleased();
  EXPECT_FALSE(wasWoken(*first_));
  waiter.start();
  EXPECT_FALSE(waiter.takeReleased()) << "that close came before";
}

TEST_F(DescriptorPressureTest, Notify_waiting_isTakenOnceAndWakes) {
  DescriptorWaiter waiter(*first_);
  waiter.start();
  notifyDescriptorReleased();
  EXPECT_TRUE(wasWoken(*first_));
  EXPECT_TRUE(waiter.takeReleased());
  EXPECT_FALSE(waiter.takeReleased());
}

TEST_F(DescriptorPressureTest, Notify_severalWait_allAreTold) {
  DescriptorWaiter one(*first_);
  DescriptorWaiter two(*second_);
  one.start();
  two.start();
  one.start();  // again: still one entry
  notifyDescriptorReleased();
  EXPECT_TRUE(one.takeReleased());
  EXPECT_TRUE(two.takeReleased());
  EXPECT_TRUE(wasWoken(*second_));
}

TEST_F(DescriptorPressureTest, Notify_afterStop_isNotHeard) {
  DescriptorWaiter waiter(*first_);
  waiter.start();
  waiter.stop();
  waiter.stop();
  notifyDescriptorReleased();
  EXPECT_FALSE(waiter.takeReleased());
  EXPECT_FALSE(wasWoken(*first_));
}

TEST_F(DescriptorPressureTest, Stop_forgetsWhatWasNotTaken) {
  DescriptorWaiter waiter(*first_);
  waiter.start();
  notifyDescriptorReleased();
  waiter.stop();
  waiter.start();
  EXPECT_FALSE(waiter.takeReleased());
}

TEST_F(DescriptorPressureTest, Destructor_inTheMiddleOfTheList_theOthersAreStillTold) {
  DescriptorWaiter one(*first_);
  std::optional<DescriptorWaiter> two(*second_);
  DescriptorWaiter three(*first_);
  one.start();
  two->start();
  three.start();
  two.reset();
  notifyDescriptorReleased();
  EXPECT_TRUE(one.takeReleased());
  EXPECT_TRUE(three.takeReleased());
}

TEST_F(DescriptorPressureTest, Close_onAnotherThreadsEngine_isHeard) {
  DescriptorWaiter waiter(*first_);
  waiter.start();
  std::thread([] {
    const std::unique_ptr<Proactor> proactor = makeEpollProactor({});
    proactor->close(proactor->socket(AF_INET));
  }).join();
  EXPECT_TRUE(waiter.takeReleased());
  EXPECT_TRUE(wasWoken(*first_));
}

}  // namespace
}  // namespace gyre
