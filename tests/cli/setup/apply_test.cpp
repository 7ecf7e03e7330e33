// SPDX-License-Identifier: Apache-2.0
//
// All or nothing, on a machine that runs programs.
#include "cli/setup/apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/setup/answer_file.h"
#include "cli/setup/toml_edit.h"
#include "tests/cli/setup/bed.h"

namespace cb::cli::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Applying : public testing::Test {
 protected:
  Result<setup::Plan> plan(const std::string& answers) {
    auto current = setup::read_current(tree_.root(), machine_);
    if (!current) {
      return current.error();
    }
    current_ = *current;
    setup::Draft draft;
    draft.answers = current_.answers;
    draft.current = &current_;
    draft.machine = &machine_;
    const auto answered =
        setup::answer_from(answers, "answers.toml", setup::questions(current_), draft);
    EXPECT_THAT(answered.problems, testing::IsEmpty());
    doubts_ = answered.doubts;
    return setup::make_plan(draft);
  }
  SetupTree tree_;
  FakeMachine machine_;
  setup::Current current_;
  std::vector<std::string> doubts_;
};

TEST_F(Applying, RunsTheSystemsOwnProgramsInOrder) {
  const auto planned = plan(kPrimaryAnswers);
  ASSERT_TRUE(planned) << to_text(planned.error());
  const auto applied = setup::apply(*planned, tree_.root(), machine_);
  ASSERT_TRUE(applied) << to_text(applied.error());
  EXPECT_THAT(machine_.ran_,
              ElementsAre("hostnamectl set-hostname mse1",
                          "systemctl enable --now systemd-networkd.service", "networkctl reload",
                          "timedatectl set-timezone UTC", "timedatectl set-ntp true",
                          "systemctl restart systemd-timesyncd.service"));
  for (const auto& [name, content] : tree_.snapshot()) {
    EXPECT_EQ(name.find(".crossbeat-"), std::string::npos) << name << " was left behind";
  }
}

TEST_F(Applying, AProgramThatFailsPutsEverythingBack) {
  machine_.failing_ = {"timedatectl set-ntp true"};
  const auto before = tree_.snapshot();
  const auto planned = plan(kPrimaryAnswers);
  ASSERT_TRUE(planned);
  const auto applied = setup::apply(*planned, tree_.root(), machine_);
  ASSERT_FALSE(applied);
  EXPECT_THAT(to_text(applied.error()), HasSubstr("everything was put back"));
  const auto after = tree_.snapshot();
  for (const auto& [name, content] : before) {
    EXPECT_TRUE(after.contains(name) && after.at(name) == content) << name;
  }
  for (const auto& [name, content] : after) {
    // Folders, and the lock, may stay.
    EXPECT_TRUE(before.contains(name) || content == "/" || name.ends_with("setup.lock")) << name;
  }
  EXPECT_EQ(machine_.ran_.back(), "hostnamectl set-hostname mse");
  EXPECT_THAT(machine_.ran_, testing::Contains("timedatectl set-timezone America/New_York"));
}

TEST_F(Applying, AnInterfaceThatWasTakenDownComesUpAgainAsItWas) {
  tree_.write("etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n");
  machine_.failing_ = {"timedatectl set-timezone UTC"};
  const auto planned = plan(kPrimaryAnswers);
  ASSERT_TRUE(planned);
  ASSERT_FALSE(setup::apply(*planned, tree_.root(), machine_));
  EXPECT_EQ(tree_.read("etc/network/interfaces"), "auto eth0\niface eth0 inet dhcp\n");
  EXPECT_THAT(machine_.ran_, ElementsAre("hostnamectl set-hostname mse1", "ifdown --force eth0",
                                         "ifup --force eth0", "timedatectl set-timezone UTC",
                                         "ifdown --force eth0", "ifup --force eth0",
                                         "hostnamectl set-hostname mse"));
}

TEST_F(Applying, AFileThatCannotBeWrittenChangesNothing) {
  tree_.write("etc/crossbeat", "a file where a folder is needed");
  const auto planned = plan(kPrimaryAnswers);
  ASSERT_TRUE(planned) << to_text(planned.error());
  const auto before = tree_.snapshot();
  const auto applied = setup::apply(*planned, tree_.root(), machine_);
  ASSERT_FALSE(applied);
  EXPECT_THAT(to_text(applied.error()), HasSubstr("nothing was changed"));
  EXPECT_TRUE(machine_.ran_.empty());
  EXPECT_EQ(tree_.read("etc/hosts"), before.at("etc/hosts"));
}

TEST_F(Applying, AMachineThatDiedHalfwayGetsItsOldFilesBack) {
  const auto planned = plan(kPrimaryAnswers);
  ASSERT_TRUE(planned);
  const auto before = tree_.snapshot();
  // As the death after the first rename leaves the tree.
  class Dies final : public setup::Machine {
   public:
    explicit Dies(const SetupTree& tree) : tree_(tree) {}
    bool is_live() const override { return true; }
    Result<config::MachineFacts> facts() override { return config::MachineFacts{}; }
    std::optional<bool> gateway_answers(const std::string&) override { return true; }
    std::optional<bool> ntp_enabled() override { return std::nullopt; }
    bool monitor_runs() override { return false; }
    Result<> run(const std::vector<std::string>&) override {
      seen_ = tree_.snapshot();
      return fail(0, "enough was seen");
    }
    const SetupTree& tree_;
    std::map<std::string, std::string> seen_;
  } dies(tree_);
  ASSERT_FALSE(setup::apply(*planned, tree_.root(), dies));
  ASSERT_TRUE(dies.seen_.contains("var/lib/crossbeat/setup.journal"));
  ASSERT_TRUE(dies.seen_.at("etc/hosts") != before.at("etc/hosts"));
  for (const auto& [name, content] : dies.seen_) {
    if (content != "/" && !content.starts_with("-> ")) {
      tree_.write(name, content);
    }
  }
  const auto recovered = setup::recover(tree_.root());
  ASSERT_TRUE(recovered) << to_text(recovered.error());
  EXPECT_TRUE(*recovered);
  EXPECT_EQ(tree_.read("etc/hosts"), before.at("etc/hosts"));
  EXPECT_FALSE(tree_.snapshot().contains("etc/crossbeat/crossbeat.toml"));
  EXPECT_FALSE(*setup::recover(tree_.root()));
}

TEST_F(Applying, TheRoleDoesNotChangeWhileTheMonitorRuns) {
  tree_.write("etc/crossbeat/crossbeat.toml",
              "[node]\nrole = \"secondary\"\n[network]\ninterface = \"eth0\"\n");
  machine_.monitor_runs_ = true;
  auto current = setup::read_current(tree_.root(), machine_);
  ASSERT_TRUE(current);
  setup::Draft draft;
  draft.answers = current->answers;
  draft.current = &*current;
  draft.machine = &machine_;
  const auto answered = setup::answer_from(kPrimaryAnswers, "a", setup::questions(*current), draft);
  ASSERT_EQ(answered.problems.size(), 1u);
  EXPECT_THAT(answered.problems[0], HasSubstr("systemctl stop crossbeat"));
}

TEST_F(Applying, AnInterfaceWithoutCarrierAndAGatewayThatIsSilentAreDoubts) {
  machine_.facts_.interfaces[0].carrier = false;
  machine_.gateway_answers_ = false;
  ASSERT_TRUE(plan(kPrimaryAnswers));
  EXPECT_THAT(doubts_, ElementsAre(HasSubstr("eth0 has no carrier"),
                                   HasSubstr("the gateway 10.10.10.1 does not answer")));
}

TEST_F(Applying, TakesTheDefaultsFromTheMachine) {
  machine_.ntp_enabled_ = true;
  const auto current = setup::read_current(tree_.root(), machine_);
  ASSERT_TRUE(current);
  EXPECT_EQ(current->answers.host_name, "mse");
  EXPECT_EQ(current->answers.ports[0].address, "10.10.10.12");
  EXPECT_EQ(current->answers.ports[0].mask, "255.255.255.0");
  EXPECT_EQ(current->answers.gateway, "10.10.10.1");
  EXPECT_EQ(current->answers.timezone, "America/New_York");
  EXPECT_TRUE(current->answers.ntp);
}

TEST(TomlEdit, ChangesOneKeyAndNothingElse) {
  const std::string text =
      "top = 1 # [a]\n[a] # first\nx = [ # list ]\n  \"]\",\n]\ny = 2\n\n[[a.b]]\nx = 3\n";
  EXPECT_EQ(setup::with_key(text, "a", "x", "9"),
            "top = 1 # [a]\n[a] # first\nx = 9\ny = 2\n\n[[a.b]]\nx = 3\n");
  EXPECT_EQ(setup::with_key(text, "a", "z", "9"),
            "top = 1 # [a]\n[a] # first\nx = [ # list ]\n  \"]\",\n]\ny = 2\nz = 9\n\n[[a.b]]\nx = "
            "3\n");
  EXPECT_EQ(setup::with_key("", "c", "k", "\"v\""), "[c]\nk = \"v\"\n");
  EXPECT_EQ(setup::without_key(text, "a", "y"),
            "top = 1 # [a]\n[a] # first\nx = [ # list ]\n  \"]\",\n]\n\n[[a.b]]\nx = 3\n");
  EXPECT_EQ(setup::without_key(text, "q", "y"), text);
}

}  // namespace
}  // namespace cb::cli::test
