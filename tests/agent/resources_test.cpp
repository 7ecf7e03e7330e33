// SPDX-License-Identifier: Apache-2.0
#include "agent/resources.h"

#include <gmock/gmock.h>

#include "tests/base/temporary_folder.h"

namespace cb::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

agent::Resources plenty() {
  agent::Resources r;
  r.memory_total_mb = 8000;
  r.memory_available_mb = 4000;
  r.load = 0.5;
  r.processors = 2;
  r.disk_total_mb = 100'000;
  r.disk_free_mb = 50'000;
  return r;
}

TEST(Resources, AreReadFromTheKernelsTexts) {
  agent::Resources r;
  agent::take_meminfo(r,
                      "MemTotal:        8048576 kB\nMemFree:  1 kB\nMemAvailable:    2048000 kB\n"
                      "nonsense\nHugePages_Total:       0\n");
  agent::take_loadavg(r, "3.25 2.41 1.20 1/345 678\n");
  EXPECT_EQ(r.memory_total_mb, 7859u);
  EXPECT_EQ(r.memory_available_mb, 2000u);
  EXPECT_DOUBLE_EQ(r.load, 3.25);
}

TEST(Resources, OfThisMachineAreThere) {
  const TemporaryFolder folder;
  const auto r = agent::read_resources(folder.path());
  EXPECT_GT(r.memory_available_mb, 0u);
  EXPECT_GE(r.memory_total_mb, r.memory_available_mb);
  EXPECT_GT(r.processors, 0u);
  EXPECT_EQ(r.disk_total_mb, 0u) << "there is no such folder yet";
}

TEST(Resources, EachShortageIsADoubtAndPlentyIsNone) {
  EXPECT_THAT(agent::doubts_about(plenty()), IsEmpty());
  EXPECT_THAT(agent::doubts_about({}), IsEmpty())
      << "what could not be read speaks against nothing";
  auto r = plenty();
  r.memory_available_mb = 700;
  EXPECT_THAT(agent::doubts_about(r),
              ElementsAre(HasSubstr("only 700 MB of memory are left (8 %)")));
  r = plenty();
  r.load = 4.1;
  EXPECT_THAT(agent::doubts_about(r), ElementsAre(HasSubstr("the load is 4.1 on 2 processors")));
  r = plenty();
  r.disk_free_mb = 150;
  EXPECT_THAT(agent::doubts_about(r), ElementsAre(HasSubstr("only 150 MB of disk are left")));
  EXPECT_EQ(agent::to_json(r)["doubts"].size(), 1u);
}

}  // namespace
}  // namespace cb::test
