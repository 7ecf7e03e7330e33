// SPDX-License-Identifier: Apache-2.0
//
// The simulator under ctest: seeds that must be clean, seeds that once were not, and planted bugs
// that must be seen. Every failure prints its seed and how to replay it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/sim/world.h"

namespace cb::sim {
namespace {

std::string replay(const Options& options) {
  std::string text = "cb_sim --seed " + std::to_string(options.seed);
  if (options.planted != Planted::None) {
    text += std::string(" --planted ") + name_of(options.planted);
  }
  return text + " -v";
}

void expect_clean(uint64_t seed) {
  const Options options = draw(seed);
  World world(options);
  if (!world.run()) {
    ADD_FAILURE() << options.text() << "\n  " << world.objection()
                  << "\n  replay: " << replay(options);
  }
}

// CB_SIM_SEEDS=N runs N seeds in place of 2000; CB_SIM_FIRST=S starts elsewhere (nightly runs).
uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

TEST(Sim, SeedsAreClean) {
  const uint64_t first = from_environment("CB_SIM_FIRST", 1);
  const uint64_t count = from_environment("CB_SIM_SEEDS", 2000);
  std::printf("seeds %llu..%llu\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(first + count - 1));
  int64_t slowest = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const Options options = draw(seed);
    World world(options);
    if (!world.run()) {
      ADD_FAILURE() << options.text() << "\n  " << world.objection()
                    << "\n  replay: " << replay(options);
    }
    slowest = std::max(slowest, world.converged_after());
  }
  std::printf("slowest convergence after a heal: %lld ms\n", static_cast<long long>(slowest / kMs));
}

TEST(Sim, SeedsThatOnceFoundSomethingStayClean) {
  const char* source = std::getenv("CB_SOURCE_DIR");
  std::ifstream file(std::string(source != nullptr ? source : ".") + "/tests/sim/regressions.txt");
  ASSERT_TRUE(file.is_open());
  int seeds = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    expect_clean(std::strtoull(line.c_str(), nullptr, 10));
    ++seeds;
  }
  EXPECT_GT(seeds, 20);
}

TEST(Sim, TheSameSeedGivesTheSameRun) {
  for (const uint64_t seed : {7, 42, 86, 515}) {
    std::string traces[2];
    for (std::string& trace : traces) {
      World world(draw(seed));
      world.keep_trace();
      world.run();
      trace = world.trace();
    }
    EXPECT_EQ(traces[0], traces[1]) << "seed " << seed;
    EXPECT_FALSE(traces[0].empty());
  }
}

// A simulator that sees no planted bug is a decoration.
class PlantedBug : public testing::TestWithParam<int> {};

constexpr uint64_t kSeedsUntilSeen = 1000;

TEST_P(PlantedBug, IsSeenByTheJudges) {
  const auto bug = static_cast<Planted>(GetParam());
  for (uint64_t seed = 1; seed <= kSeedsUntilSeen; ++seed) {
    Options options = draw(seed);
    options.planted = bug;
    World world(options);
    if (!world.run()) {
      std::printf("%s: seen after %llu seeds: %s\n", name_of(bug),
                  static_cast<unsigned long long>(seed), world.objection().c_str());
      return;
    }
  }
  FAIL() << "nobody saw '" << name_of(bug) << "' (" << what_is(bug) << ") in " << kSeedsUntilSeen
         << " seeds";
}

INSTANTIATE_TEST_SUITE_P(Sim, PlantedBug, testing::Range(1, kPlanted),
                         [](const testing::TestParamInfo<int>& bug) {
                           std::string name = name_of(static_cast<Planted>(bug.param));
                           std::string camel;
                           bool upper = true;
                           for (const char c : name) {
                             if (c == '-') {
                               upper = true;
                             } else {
                               camel += upper ? static_cast<char>(c - 'a' + 'A') : c;
                               upper = false;
                             }
                           }
                           return camel;
                         });

}  // namespace
}  // namespace cb::sim
