// SPDX-License-Identifier: Apache-2.0
//
// The table is what the core does, it is complete, and no operator is left without an answer.
#include "tests/table/table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace cb::table {
namespace {

using namespace core;

std::string path_of(const std::string& name) {
  const char* top = std::getenv("CB_SOURCE_DIR");
  return (top != nullptr ? std::string(top) + "/" : std::string()) + name;
}

std::string read(const std::string& name) {
  std::ifstream in(path_of(name));
  EXPECT_TRUE(in) << path_of(name) << ": run from the top of the sources, or set CB_SOURCE_DIR";
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The first line that differs says more than two whole texts.
void expect_same(const std::string& is, const std::string& should, const std::string& how) {
  if (is == should) {
    return;
  }
  std::stringstream a(is);
  std::stringstream b(should);
  std::string x;
  std::string y;
  for (int line = 1; line < 100'000; ++line) {
    const bool more_a = static_cast<bool>(std::getline(a, x));
    const bool more_b = static_cast<bool>(std::getline(b, y));
    if (x != y || more_a != more_b) {
      ADD_FAILURE() << "line " << line << "\n  the file has  " << (more_a ? x : "(its end)")
                    << "\n  the core does " << (more_b ? y : "(its end)")
                    << "\nIf the core is right, renew it and read the difference: " << how;
      return;
    }
  }
}

TEST(StateTable, IsWhatTheCoreDoes) {
  expect_same(read("tests/table/state_table.md"), full_table(),
              "build/dev/tests/cb_table > tests/table/state_table.md");
}

TEST(StateTable, TheOneInTheDocumentationIsToo) {
  const std::string text = read("docs/state-machine.md");
  const std::string should = with_table(text, condensed_table());
  ASSERT_FALSE(should.empty()) << "docs/state-machine.md has lost its markers";
  expect_same(text, should, "build/dev/tests/cb_table --into docs/state-machine.md");
}

TEST(StateTable, EveryStateAndEveryEventIsInIt) {
  EXPECT_EQ(name_of(static_cast<StateName>(kStateNames)), "UNKNOWN") << "kStateNames is too small";
  EXPECT_EQ(name_of(static_cast<EventKind>(kEventKinds)), "unknown") << "kEventKinds is too small";
  std::set<std::pair<int, int>> there;
  for (const Place& place : all_places()) {
    for (const Column& column : columns_at(place.node)) {
      there.emplace(static_cast<int>(place.node.state.name), static_cast<int>(column.kind));
    }
  }
  for (int name = 0; name < kStateNames; ++name) {
    for (int kind = 0; kind < kEventKinds; ++kind) {
      EXPECT_TRUE(there.contains({name, kind})) << name_of(static_cast<StateName>(name)) << " on "
                                                << name_of(static_cast<EventKind>(kind));
    }
  }
}

TEST(StateTable, EverySubStateIsAPlaceOfItsOwn) {
  std::set<SubState> there;
  for (const Place& place : all_places()) {
    there.insert(place.node.state.sub);
  }
  for (int sub = 0; name_of(static_cast<SubState>(sub)) != "unknown"; ++sub) {
    EXPECT_TRUE(there.contains(static_cast<SubState>(sub))) << name_of(static_cast<SubState>(sub));
  }
}

TEST(StateTable, BothRolesAreInEveryStateThatIsForBoth) {
  std::set<std::pair<StateName, Role>> there;
  for (const Place& place : all_places()) {
    there.emplace(place.node.state.name, place.node.state.settings.role);
  }
  for (const StateName name : {StateName::Terminated, StateName::FailoverInvoked,
                               StateName::FailbackActive, StateName::GracefulShutdown}) {
    for (const Role role : {Role::Primary, Role::Secondary}) {
      EXPECT_TRUE(there.contains({name, role})) << name_of(name) << " " << name_of(role);
    }
  }
}

// A wish to move that is neither done, nor begun, nor refused would leave an operator waiting at
// night.
TEST(StateTable, NoOperatorIsLeftWithoutAnAnswer) {
  for (const Place& place : all_places()) {
    if (place.node.state.intent == CB_INTENT_WANT_COMMAND) {
      continue;  // asked already, and the answer is on its way
    }
    for (const Column& column : columns_at(place.node)) {
      const bool asks = column.kind == EventKind::OperatorSwitchover ||
                        column.kind == EventKind::OperatorFailover ||
                        column.kind == EventKind::OperatorFailback ||
                        column.kind == EventKind::OperatorUnpair;
      EXPECT_FALSE(asks && cell_of(place, column).silent)
          << column.event << " at " << place.node.where() << ", " << place.what;
    }
  }
}

}  // namespace
}  // namespace cb::table
