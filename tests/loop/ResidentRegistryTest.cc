// ResidentRegistryTest: the registry keeps residents alive exactly as long as they may run.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "loop/ResidentRegistry.h"

namespace gyre {
namespace {

class Resident final : public LoopResident {
 public:
  explicit Resident(const void* group = nullptr) : group_(group) {}
  ~Resident() override {
    if (onDeath) onDeath();
  }
  void beginClose() noexcept override {
    ++closes;
    if (onClose) onClose();
  }
  const void* group() const noexcept override { return group_; }

  int closes = 0;
  std::function<void()> onClose;
  std::function<void()> onDeath;

 private:
  const void* group_;
};

class ResidentRegistryTest : public testing::Test {
 protected:
  std::shared_ptr<Resident> add(const void* group = nullptr) {
    auto resident = std::make_shared<Resident>(group);
    registry_.add(resident);
    return resident;
  }

  ResidentRegistry registry_;
};
using ResidentRegistryDeathTest = ResidentRegistryTest;

TEST_F(ResidentRegistryTest, Add_owns_untilRemovedAndCollected) {
  const std::weak_ptr<Resident> weak = add();
  EXPECT_EQ(registry_.size(), 1U);
  registry_.collect();
  ASSERT_FALSE(weak.expired());
  registry_.remove(*weak.lock());
  EXPECT_EQ(registry_.size(), 0U);
  EXPECT_FALSE(weak.expired()) << "it may be running";
  registry_.collect();
  EXPECT_TRUE(weak.expired());
}

TEST_F(ResidentRegistryTest, Remove_anyOfMany_theOthersStay) {
  for (std::size_t removed = 0; removed < 5; ++removed) {
    std::vector<std::shared_ptr<Resident>> all;
    for (int i = 0; i < 5; ++i) all.push_back(add());
    registry_.remove(*all[removed]);
    registry_.collect();
    EXPECT_EQ(registry_.size(), 4U);
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].use_count(), i == removed ? 1 : 2);
      if (i != removed) registry_.remove(*all[i]);
    }
    registry_.collect();
  }
  EXPECT_EQ(registry_.size(), 0U);
}

TEST_F(ResidentRegistryTest, Add_beforeTheRemovedAreCollected_keepsBothApart) {
  const auto first = add();
  const auto second = add();
  registry_.remove(*first);
  const auto third = add();
  EXPECT_EQ(registry_.size(), 2U);
  registry_.collect();
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_EQ(second.use_count(), 2);
  EXPECT_EQ(third.use_count(), 2);
  registry_.remove(*third);
  registry_.remove(*second);
  registry_.collect();
}

TEST_F(ResidentRegistryTest, Add_againAfterRemove_isANewLife) {
  const auto resident = add();
  registry_.remove(*resident);
  registry_.collect();
  registry_.add(resident);
  EXPECT_EQ(registry_.size(), 1U);
  registry_.remove(*resident);
  registry_.collect();
}

TEST_F(ResidentRegistryTest, BeginClose_group_closesThoseAlone) {
  const int one = 1;
  const int two = 2;
  const auto a = add(&one);
  const auto b = add(&two);
  const auto c = add(&one);
  EXPECT_EQ(registry_.sizeOf(&one), 2U);
  registry_.beginClose(&one);
  EXPECT_EQ(a->closes + c->closes, 2);
  EXPECT_EQ(b->closes, 0);
  registry_.beginClose(nullptr);
  EXPECT_EQ(b->closes, 1);
  EXPECT_EQ(registry_.sizeOf(nullptr), 0U) << "nobody belongs to no group";
}

TEST_F(ResidentRegistryTest, BeginClose_oneAddsAnother_thatIsClosedToo) {
  const auto first = add();
  std::shared_ptr<Resident> added;
  first->onClose = [&] {
    if (!added) added = add();
  };
  registry_.beginClose(nullptr);
  ASSERT_NE(added, nullptr);
  EXPECT_EQ(added->closes, 1);
}

TEST_F(ResidentRegistryTest, Collect_adestructorAddsAndRemoves_isFine) {
  auto first = add();
  const auto second = add();
  std::shared_ptr<Resident> third;
  first->onDeath = [&] {
    registry_.remove(*second);
    third = add();
  };
  registry_.remove(*first);
  first.reset();
  registry_.collect();
  EXPECT_EQ(second.use_count(), 1);
  EXPECT_EQ(third.use_count(), 2);
  EXPECT_EQ(registry_.size(), 1U);
}

TEST_F(ResidentRegistryDeathTest, Add_twice_isCaught) {
  const auto resident = add();
  EXPECT_DEATH(registry_.add(resident), "added twice");
}

TEST_F(ResidentRegistryDeathTest, Remove_twiceOrNeverAdded_isCaught) {
  const auto resident = add();
  registry_.remove(*resident);
  EXPECT_DEATH(registry_.remove(*resident), "not there");
  Resident stranger;
  EXPECT_DEATH(registry_.remove(stranger), "not there");
}

}  // namespace
}  // namespace gyre
