// SPDX-License-Identifier: Apache-2.0
#include "agent/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cb::agent::test {
namespace {

using core::StateName;
using core::SubState;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kData =
    "Database started successfully. Starting framework and services .....";

class ConsoleTest : public testing::Test {
 protected:
  ConsoleTest() {
    state_.ledger_known = true;
    console_.starting();
    console_.running();
    said_.clear();
  }
  void look() { console_.look({&state_}); }
  void serves() {
    state_.name = StateName::PrimaryActive;
    state_.in_command = true;
  }

  core::State state_;
  std::vector<std::string> said_;
  Console console_{"MSE", [this](const std::string& line) { said_.push_back(line); }};
};

TEST(Console, SaysTheStagesOfAStartInTheirOrder) {
  std::vector<std::string> said;
  Console console("MSE", [&said](const std::string& line) { said.push_back(line); });
  core::State state;
  console.look({&state});  // nothing runs yet
  console.starting();
  console.running();
  console.look({&state});  // nothing is known of it yet
  state.ledger_known = true;
  state.name = StateName::PrimaryActive;
  state.in_command = true;
  state.ladder = core::Ladder::Up;
  console.look({&state});  // its services are being started
  EXPECT_EQ(said.back(), kData);
  state.ladder = core::Ladder::None;
  console.look({&state});
  console.look({&state});
  console.stopping();
  EXPECT_THAT(
      said,
      ElementsAre("Starting MSE Platform", "Starting Health Monitor, Waiting to check the status.",
                  "Health Monitor successfully started", "Starting Admin process...",
                  "Started Admin process.", "Starting database .....", kData,
                  "Framework and services successfully started", "Stopping MSE Platform"));
}

TEST_F(ConsoleTest, WaitsForTheVolume) {
  serves();
  state_.settings.has_volume = true;
  state_.volume_ok = false;
  look();
  EXPECT_THAT(said_, IsEmpty());
  state_.volume_ok = true;
  look();
  EXPECT_THAT(said_, ElementsAre(kData, "Framework and services successfully started"));
}

TEST_F(ConsoleTest, AStandbySaysThatItIsDormantOnceThePeerServes) {
  state_.name = StateName::Terminated;
  state_.sub = SubState::WaitingForPeer;
  look();
  EXPECT_THAT(said_, ElementsAre(kData));
  state_.name = StateName::SecondaryActive;
  state_.sub = SubState::NotReady;
  look();
  EXPECT_THAT(
      said_, ElementsAre(kData, "Framework and services are in DORMANT mode: this node stands by"));
}

TEST_F(ConsoleTest, NeverCallsFailedServicesStarted) {
  serves();
  state_.services_ok = false;
  look();
  EXPECT_THAT(
      said_, ElementsAre(kData, "Framework and services did not all start; see: crossbeat status"));
}

TEST_F(ConsoleTest, WaitsForEveryPairing) {
  core::State other;
  serves();
  console_.look({&state_, &other});
  EXPECT_THAT(said_, IsEmpty());
  other.ledger_known = true;
  other.name = StateName::SecondaryActive;
  console_.look({&state_, &other});
  EXPECT_THAT(said_, ElementsAre(kData, "Framework and services successfully started"));
}

}  // namespace
}  // namespace cb::agent::test
