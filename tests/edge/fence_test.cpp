// SPDX-License-Identifier: Apache-2.0
#include "edge/fence.h"

#include <cerrno>

#include "base/clock.h"
#include "base/file.h"
#include "drivers/fence/command.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

class FenceTest : public testing::Test {
 protected:
  FenceTest() { hands = std::move(*loop::Hands::start(*loop, {.name = "test-hands", .fifo = {}})); }
  std::pair<int, std::string> fence(const std::string& script,
                                    Duration within = Duration::from_s(10)) {
    edge::FenceEdge edge(
        *loop, std::make_unique<fence::Command>(*loop, *hands,
                                                std::vector<std::string>{"/bin/sh", "-c", script}));
    std::optional<std::pair<int, std::string>> answer;
    edge.start({"10.0.0.1", "node-b", "10.0.0.2", "PeerSilent"}, boottime_now() + within,
               [&](int error, const std::string& text) {
                 EXPECT_FALSE(answer.has_value()) << "answered twice";
                 answer.emplace(error, text);
               });
    EXPECT_TRUE(turn_until(*loop, [&] { return answer.has_value(); }));
    return answer.value_or(std::pair<int, std::string>{-1, ""});
  }

  TemporaryFolder folder;
  std::unique_ptr<loop::Loop> loop = open_loop();
  std::unique_ptr<loop::Hands> hands;
};

TEST_F(FenceTest, SucceedsOnlyWithExitCodeZero) {
  EXPECT_EQ(fence("exit 0").first, 0);
  const auto failed = fence("echo outlet 3 does not answer; exit 1");
  EXPECT_NE(failed.first, 0);
  EXPECT_NE(failed.second.find("outlet 3 does not answer"), std::string::npos) << failed.second;
  EXPECT_NE(fence("kill -9 $$").first, 0);
}

TEST_F(FenceTest, LateIsNotFencedAlsoIfItWouldHaveSucceeded) {
  const auto late = fence("echo working; sleep 1000; exit 0", Duration::from_ms(200));
  EXPECT_EQ(late.first, ETIMEDOUT);
  EXPECT_NE(late.second.find("late"), std::string::npos) << late.second;
}

TEST_F(FenceTest, TheCommandLearnsWhomToFence) {
  EXPECT_EQ(fence("env > " + folder.at("env")).first, 0);
  const std::string text = *read_all(folder.at("env"), 10'000);
  for (const char* line : {"CROSSBEAT_PEER_NAME=node-b\n", "CROSSBEAT_PEER_ADDRESS=10.0.0.2\n",
                           "CROSSBEAT_PAIRING=10.0.0.1\n", "CROSSBEAT_REASON=PeerSilent\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

TEST_F(FenceTest, AMissingCommandIsAFailure) {
  edge::FenceEdge edge(*loop, std::make_unique<fence::Command>(
                                  *loop, *hands, std::vector<std::string>{"/nonexistent/fence"}));
  int result = -1;
  edge.start({}, boottime_now() + Duration::from_s(5),
             [&](int error, const std::string&) { result = error; });
  EXPECT_TRUE(turn_until(*loop, [&] { return result >= 0; }));
  EXPECT_EQ(result, ENOENT);
}

}  // namespace
}  // namespace cb::test
