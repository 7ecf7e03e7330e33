// SPDX-License-Identifier: Apache-2.0
//
// What runs on every change: seeds stay clean, those that once failed stay clean for ever, and
// every planted bug is seen: judges that see nothing prove nothing. Thousands of seeds by hand:
// cb_sim_volume --seeds A..B.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/sim_volume/world.h"

namespace cb::sim_volume {
namespace {

std::string failure_of(Options options) {
  World world(options);
  return world.run() ? "" : options.text() + ": " + world.objection();
}

class Seeds : public testing::TestWithParam<uint64_t> {};

TEST_P(Seeds, KeepEveryRule) {
  for (uint64_t seed = GetParam(); seed < GetParam() + 25; ++seed) {
    ASSERT_EQ(failure_of(draw(seed)), "") << "replay: cb_sim_volume --seed " << seed << " -v";
  }
}

INSTANTIATE_TEST_SUITE_P(Volume, Seeds, testing::Range(uint64_t{1}, uint64_t{101}, uint64_t{25}));

TEST(Regressions, SeedsThatOnceFailedStayClean) {
  const char* source = std::getenv("CB_SOURCE_DIR");
  std::ifstream file(std::string(source != nullptr ? source : ".") +
                     "/tests/sim_volume/regressions.txt");
  ASSERT_TRUE(file) << "tests/sim_volume/regressions.txt is not there";
  int seeds = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    std::istringstream words(line);
    uint64_t seed = 0;
    ASSERT_TRUE(words >> seed) << line;
    EXPECT_EQ(failure_of(draw(seed)), "") << line;
    ++seeds;
  }
  EXPECT_GT(seeds, 0);
}

// The copier goes back to what it kept, and that is an exact beginning of the history: the judges
// look at it when it is made, and again when the node begins to serve.
TEST(Forsaken, ACopierWhoseSourceDiesForEverServesTheImageThatItKept) {
  unsigned served = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Options options = forsaken(draw(seed));
    World world(options);
    ASSERT_TRUE(world.run()) << options.text() << ": " << world.objection()
                             << "\nreplay: cb_sim_volume --forsake --seed " << seed << " -v";
    served += world.loss_accepted() ? 1 : 0;
  }
  EXPECT_GE(served, 20u) << "too few runs came to a copy to prove anything";
}

// Under load and faults, and what it finds is always the same image.
TEST(Compared, BothImagesAreOneAtEveryPositionThatIsNamed) {
  uint64_t comparisons = 0;
  for (uint64_t seed = 201; seed <= 210; ++seed) {
    Options options = draw(seed);
    options.compares = true;
    World world(options);
    ASSERT_TRUE(world.run()) << options.text() << ": " << world.objection();
    comparisons += world.comparisons();
  }
  EXPECT_GE(comparisons, 500u) << "too few to prove anything";
}

TEST(Resized, TheVolumeGetsLongerOnBothNodesUnderLoadAndFaults) {
  uint64_t resizes = 0;
  for (uint64_t seed = 301; seed <= 320; ++seed) {
    Options options = draw(seed);
    options.resizes = true;
    World world(options);
    ASSERT_TRUE(world.run()) << options.text() << ": " << world.objection();
    resizes += world.resizes();
  }
  EXPECT_GE(resizes, 40u) << "too few to prove anything";
}

// An answer takes longer than the time after which a fast link's answer would have been given up.
TEST(Slow, APeerWhoseAnswersComeLateGetsIntoStepAllTheSame) {
  for (uint64_t seed = 401; seed <= 420; ++seed) {
    Options options = draw(seed);
    options.slow_ms = 60;
    World world(options);
    EXPECT_TRUE(world.run()) << options.text() << ": " << world.objection();
  }
}

class PlantedBug : public testing::TestWithParam<int> {};

// Bugs that need a rare moment are seen within some hundred seeds; most within a few.
TEST_P(PlantedBug, IsSeen) {
  const auto planted = static_cast<Planted>(GetParam());
  constexpr uint64_t kSeedsMax = 600;
  for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    if (!failure_of(draw(seed, planted)).empty()) {
      RecordProperty("seeds", static_cast<int>(seed));
      return;
    }
  }
  FAIL() << name_of(planted) << " was not seen in " << kSeedsMax << " seeds";
}

std::string bug_name(const testing::TestParamInfo<int>& info) {
  std::string name = name_of(static_cast<Planted>(info.param));
  for (char& letter : name) {
    letter = letter == '-' ? '_' : letter;
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Volume, PlantedBug, testing::Range(1, kPlanted), bug_name);

}  // namespace
}  // namespace cb::sim_volume
