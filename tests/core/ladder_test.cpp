// SPDX-License-Identifier: Apache-2.0
#include "core/ladder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/driver.h"

namespace cb::core {
namespace {

std::vector<ActionKind> walked(const Settings& settings, Goal goal,
                               SoloBasis solo = SoloBasis::None) {
  State s;
  s.settings = settings;
  s.goal = goal;
  s.solo = solo;
  std::vector<ActionKind> kinds;
  for (uint8_t at = next_rung(s, 0); at < rungs_of(s).size();
       at = next_rung(s, static_cast<uint8_t>(at + 1))) {
    kinds.push_back(rungs_of(s)[at].kind);
  }
  return kinds;
}

size_t place(const std::vector<ActionKind>& kinds, ActionKind kind) {
  return static_cast<size_t>(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin());
}

constexpr Goal kUpGoals[] = {Goal::TakeOver, Goal::TakeHandOver, Goal::TakeBack, Goal::ColdStart};

TEST(Ladder, TheTermIsClaimedAndTheOldLeaseClosedBeforeTheAddress) {
  for (const bool address_last : {false, true}) {
    Settings settings = usual_settings(Role::Secondary);
    settings.address_last = address_last;
    settings.has_volume = true;
    for (const Goal goal : kUpGoals) {
      const auto kinds = walked(settings, goal, SoloBasis::Arbitration);
      EXPECT_EQ(place(kinds, ActionKind::ClaimTerm), 0u);
      EXPECT_LT(place(kinds, ActionKind::CloseLease), place(kinds, ActionKind::AddAddress));
      EXPECT_LT(place(kinds, ActionKind::AddAddress), place(kinds, ActionKind::OpenGuard));
      EXPECT_LT(place(kinds, ActionKind::OpenGuard), place(kinds, ActionKind::Announce));
      EXPECT_LT(place(kinds, ActionKind::PromoteVolume), place(kinds, ActionKind::MountVolume));
      EXPECT_LT(place(kinds, ActionKind::MountVolume), place(kinds, ActionKind::StartServices));
      EXPECT_EQ(place(kinds, ActionKind::StartServices) < place(kinds, ActionKind::AddAddress),
                address_last);
    }
  }
}

TEST(Ladder, APeerThatMayLiveIsFencedBeforeTheLeaseIsClosed) {
  Settings settings = fenced_settings(Role::Secondary);
  const auto kinds = walked(settings, Goal::TakeOver, SoloBasis::Arbitration);
  EXPECT_LT(place(kinds, ActionKind::ClaimTerm), place(kinds, ActionKind::Fence));
  EXPECT_LT(place(kinds, ActionKind::Fence), place(kinds, ActionKind::CloseLease));
  EXPECT_EQ(place(walked(settings, Goal::ColdStart, SoloBasis::Proof), ActionKind::Fence), 1u);
}

TEST(Ladder, APeerThatReleasedCommandIsNotFenced) {
  Settings settings = fenced_settings(Role::Secondary);
  for (const Goal goal : {Goal::TakeHandOver, Goal::TakeBack, Goal::ColdStart}) {
    const auto kinds = walked(settings, goal);
    EXPECT_EQ(place(kinds, ActionKind::Fence), kinds.size());
  }
}

TEST(Ladder, AnUnpairedPrimaryHasNoLeaseToClose) {
  Settings settings = usual_settings(Role::Primary);
  settings.paired = false;
  const auto kinds = walked(settings, Goal::ColdStart, SoloBasis::Unpaired);
  EXPECT_EQ(place(kinds, ActionKind::CloseLease), kinds.size());
}

TEST(Ladder, GoingDownInOrderKeepsTheAddressUntilDataIsLetGo) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  for (const Goal goal : {Goal::HandOver, Goal::Stop}) {
    const auto kinds = walked(settings, goal);
    const std::vector<ActionKind> expected = {ActionKind::StopServices, ActionKind::UnmountVolume,
                                              ActionKind::DemoteVolume, ActionKind::CloseGuard,
                                              ActionKind::RemoveAddress};
    EXPECT_EQ(kinds, expected);
  }
}

TEST(Ladder, WhoYieldsClosesTheGuardBeforeEverythingElse) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_volume = true;
  for (const Goal goal : {Goal::Yield, Goal::CleanUp, Goal::Unpair}) {
    const auto kinds = walked(settings, goal);
    EXPECT_EQ(place(kinds, ActionKind::CloseGuard), 0u);
    EXPECT_EQ(place(kinds, ActionKind::RemoveAddress), 1u);
    EXPECT_EQ(kinds.size(), 5u);
  }
}

TEST(Ladder, WhatIsNotConfiguredIsNotWalked) {
  Settings settings = usual_settings(Role::Primary);
  settings.has_services = false;
  settings.has_volume = false;
  const auto kinds = walked(settings, Goal::ColdStart);
  const std::vector<ActionKind> expected = {ActionKind::ClaimTerm, ActionKind::CloseLease,
                                            ActionKind::AddAddress, ActionKind::OpenGuard,
                                            ActionKind::Announce};
  EXPECT_EQ(kinds, expected);
}

TEST(Ladder, ARestartRepeatsOnlyWhatCanBeRepeated) {
  const auto kinds = walked(usual_settings(Role::Primary), Goal::Resume);
  EXPECT_EQ(place(kinds, ActionKind::ClaimTerm), kinds.size());
  EXPECT_EQ(place(kinds, ActionKind::Fence), kinds.size());
  EXPECT_LT(place(kinds, ActionKind::AddAddress), kinds.size());
  EXPECT_LT(place(kinds, ActionKind::StartServices), kinds.size());
}

}  // namespace
}  // namespace cb::core
