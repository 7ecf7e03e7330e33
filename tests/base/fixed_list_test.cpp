// SPDX-License-Identifier: Apache-2.0
#include "base/fixed_list.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.h"

namespace cb {
namespace {

using List = FixedList<int, 3>;

static_assert(std::is_trivially_copyable_v<List>);
static_assert(List{1, 2}.size() == 2);

TEST(FixedList, KeepsTheOrderOfPushing) {
  List list;
  list.push(5);
  list.push(3);
  EXPECT_EQ((std::vector<int>(list.begin(), list.end())), (std::vector<int>{5, 3}));
  EXPECT_EQ(list.front(), 5);
  EXPECT_EQ(list.back(), 3);
  EXPECT_TRUE(list.contains(3));
  EXPECT_FALSE(list.contains(0));
}

TEST(FixedList, TryPushRefusesTheOneTooMany) {
  List list{1, 2, 3};
  EXPECT_FALSE(list.try_push(4));
  EXPECT_EQ(list, (List{1, 2, 3}));
}

TEST(FixedList, VacatedPlacesKeepNothingOfWhatTheyHeld) {
  List used{7, 8, 9};
  used.erase_at(0);
  used.erase_at(1);
  EXPECT_EQ(used, List{8});
  EXPECT_EQ((std::vector<int>(used.data(), used.data() + 3)), (std::vector<int>{8, 0, 0}));
  used.clear();
  EXPECT_EQ(used, List{});
  EXPECT_EQ((std::vector<int>(used.data(), used.data() + 3)), (std::vector<int>{0, 0, 0}));
}

TEST(FixedList, AgreesWithAVectorOverRandomDeeds) {
  Prng prng(1);
  FixedList<std::uint64_t, 8> list;
  std::vector<std::uint64_t> model;
  for (int deed = 0; deed < 10'000; ++deed) {
    const auto value = prng.below(100);
    if (prng.chance(1, 50)) {
      list.clear();
      model.clear();
    } else if (prng.chance(1, 2) && !model.empty()) {
      const auto index = prng.below(model.size());
      list.erase_at(index);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(index));
    } else if (list.try_push(value)) {
      model.push_back(value);
    } else {
      ASSERT_EQ(model.size(), list.kCapacity);
    }
    ASSERT_EQ((std::vector<std::uint64_t>(list.begin(), list.end())), model);
  }
}

TEST(FixedListDeath, GoingPastItsEndIsABug) {
  List list{1, 2, 3};
  EXPECT_DEATH(list.push(4), "the list is full");
  EXPECT_DEATH((void)list[3], "index < size_");
  EXPECT_DEATH((void)List{}.back(), "index < size_");
}

}  // namespace
}  // namespace cb
