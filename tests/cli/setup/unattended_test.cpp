// SPDX-License-Identifier: Apache-2.0
//
// crossbeat setup --answers, in a tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/prng.h"
#include "tests/cli/setup/bed.h"

namespace cb::cli::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Unattended : public testing::Test {
 protected:
  Ran set_up(const std::string& answers, std::vector<std::string> more = {}) {
    tree_.write("answers.toml", answers);
    std::vector<std::string> arguments{"setup", "--answers", tree_.root() + "/answers.toml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_cli(tree_.root(), arguments);
  }
  // A refusal that changed nothing.
  void expect_refused(const std::string& answers, const std::string& why) {
    tree_.write("answers.toml", answers);
    const auto before = tree_.snapshot();
    const Ran ran = set_up(answers);
    EXPECT_EQ(ran.code, 4) << ran.out;
    EXPECT_THAT(ran.err, HasSubstr(why));
    EXPECT_EQ(tree_.snapshot(), before);
  }
  SetupTree tree_;
};

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST_F(Unattended, SetsUpAPrimary) {
  const Ran ran = set_up(kPrimaryAnswers);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(tree_.read("etc/hostname"), "mse1\n");
  EXPECT_THAT(tree_.read("etc/hosts"), HasSubstr("127.0.1.1\tmse1\n"));
  EXPECT_EQ(std::filesystem::read_symlink(tree_.root() + "/etc/localtime"),
            "../usr/share/zoneinfo/UTC");
  EXPECT_EQ(tree_.read("etc/timezone"), "UTC\n");
  EXPECT_THAT(tree_.read("etc/systemd/timesyncd.conf.d/crossbeat.conf"),
              HasSubstr("[Time]\nNTP=10.10.10.10\n"));
  EXPECT_THAT(tree_.read("etc/systemd/network/10-crossbeat-eth0.network"),
              HasSubstr("[Match]\nName=eth0\n\n[Network]\nAddress=10.10.10.12/24\n"
                        "Gateway=10.10.10.1\n"));
  EXPECT_EQ(tree_.read("etc/crossbeat/crossbeat.toml"),
            "# Crossbeat's configuration; see crossbeat.toml(5).\n\n[node]\nrole = \"primary\"\n\n"
            "[network]\ninterface = \"eth0\"\naddress = \"10.10.10.12\"\n"
            "gateway = \"10.10.10.1\"\n\n[virtual]\naddress = \"10.10.10.11/24\"\n");
}

TEST_F(Unattended, SetsUpASecondaryWithACable) {
  const Ran ran = set_up(R"([host]
name = "mse2"
[domain]
name = "example.com"
[ha]
role = "2"
direct_interface = "eth1"
[eth0]
address = "10.10.10.16"
mask = 24
gateway = "10.10.10.1"
[eth1]
address = "1.1.1.2"
mask = "255.0.0.0"
[dns]
servers = ["10.10.10.5", "10.10.10.6"]
)");
  EXPECT_EQ(ran.code, 0) << ran.err;
  const std::string toml = tree_.read("etc/crossbeat/crossbeat.toml");
  EXPECT_THAT(toml, HasSubstr("role = \"secondary\""));
  EXPECT_THAT(toml, HasSubstr("[direct]\ninterface = \"eth1\"\n"));
  EXPECT_THAT(toml, Not(HasSubstr("[virtual]")));
  EXPECT_THAT(tree_.read("etc/systemd/network/10-crossbeat-eth1.network"),
              HasSubstr("Address=1.1.1.2/8\n"));
  EXPECT_THAT(tree_.read("etc/hosts"), HasSubstr("127.0.1.1\tmse2.example.com mse2\n"));
  EXPECT_THAT(tree_.read("etc/resolv.conf"),
              HasSubstr("search example.com\nnameserver 10.10.10.5\nnameserver 10.10.10.6\n"));
}

TEST_F(Unattended, CanRunAgainAndThenChangesNothing) {
  ASSERT_EQ(set_up(kPrimaryAnswers).code, 0);
  const auto first = tree_.snapshot();
  const Ran again = set_up(kPrimaryAnswers);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("Nothing had to be changed"));
  EXPECT_EQ(tree_.snapshot(), first);
}

TEST_F(Unattended, KeepsWhatElseTheConfigurationSays) {
  tree_.write("etc/crossbeat/crossbeat.toml",
              "# by hand\n[node]\nrole = \"primary\" # ours\n\n[network]\ninterface = \"eth1\"\n"
              "port = 7400\n\n[virtual]\naddress = [\n  \"10.1.1.1/24\",\n]\n\n"
              "[failover]\nwait = \"7s\"\n");
  ASSERT_EQ(set_up(kPrimaryAnswers).code, 0);
  EXPECT_EQ(tree_.read("etc/crossbeat/crossbeat.toml"),
            "# by hand\n[node]\nrole = \"primary\"\n\n[network]\ninterface = \"eth0\"\n"
            "port = 7400\naddress = \"10.10.10.12\"\ngateway = \"10.10.10.1\"\n\n"
            "[virtual]\naddress = \"10.10.10.11/24\"\n\n[failover]\nwait = \"7s\"\n");
}

TEST_F(Unattended, ADryRunShowsAndChangesNothing) {
  tree_.write("answers.toml", kPrimaryAnswers);
  const auto before = tree_.snapshot();
  const Ran ran = set_up(kPrimaryAnswers, {"--dry-run"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("    + mse1\n"));
  EXPECT_THAT(ran.out, HasSubstr("    - mse\n"));
  EXPECT_THAT(ran.out, HasSubstr("A dry run: nothing was changed."));
  EXPECT_EQ(tree_.snapshot(), before);
}

TEST_F(Unattended, TellsEveryProblemAtOnceWithItsLine) {
  tree_.write("answers.toml", "");
  const Ran ran = set_up(
      "[host]\nname = \"1mse\"\n[ha]\nrole = 3\nvirtual_address = \"10.10.10.255\"\n"
      "virtual_mask = \"255.255.255.0\"\n[eth0]\naddress = \"10.10.10.12\"\n"
      "gateway = \"10.99.0.1\"\n[dns]\nservers = \"here\"\n[wrong]\nkey = 1\n");
  EXPECT_EQ(ran.code, 4);
  for (const char* problem :
       {":2: host.name: '1mse' cannot be a host name", ":4: ha.role: please answer 1",
        ":6: ha.virtual_mask: with the mask 255.255.255.0, 10.10.10.255 is the network itself",
        ":9: eth0.gateway: the gateway must be in the subnet", ":11: dns.servers: 'here' is not",
        ":12: there is no section [wrong]"}) {
    EXPECT_THAT(ran.err, HasSubstr(problem));
  }
}

TEST_F(Unattended, RefusesAVirtualAddressThatIsTheOwnOneOrElsewhere) {
  expect_refused(with(kPrimaryAnswers, "virtual_address = \"10.10.10.11\"",
                      "virtual_address = \"10.10.10.12\""),
                 "10.10.10.12 is the virtual address");
  expect_refused(with(kPrimaryAnswers, "virtual_address = \"10.10.10.11\"",
                      "virtual_address = \"10.20.10.11\""),
                 "the virtual address 10.20.10.11 would not be in the subnet of 10.10.10.12");
}

TEST_F(Unattended, RefusesOneInterfaceForBothPurposesAndOneThatIsNotThere) {
  expect_refused(
      with(kPrimaryAnswers, "direct_interface = \"none\"", "direct_interface = \"eth0\""),
      "the cable needs another one");
  expect_refused(with(kPrimaryAnswers, "health_monitor_interface = \"eth0\"",
                      "health_monitor_interface = \"eth9\""),
                 "there is no interface eth9");
}

TEST_F(Unattended, RefusesTwoInterfacesInOneSubnet) {
  expect_refused(std::string(kPrimaryAnswers) +
                     "[eth1]\naddress = \"10.10.10.99\"\nmask = \"255.255.255.0\"\n",
                 "eth0 and eth1 are in one subnet");
}

TEST_F(Unattended, RefusesWhatWouldBreakAPair) {
  ASSERT_EQ(set_up(kPrimaryAnswers).code, 0);
  pair_tree(tree_);
  const std::string guide = "Dissolve the pairing first (crossbeat unpair";
  const std::string answers = kPrimaryAnswers;
  expect_refused(
      with(answers, "virtual_address = \"10.10.10.11\"", "virtual_address = \"10.10.10.14\""),
      "the virtual address cannot be changed from '10.10.10.11' to '10.10.10.14' while "
      "this node is paired with mse2: the pair would break. " +
          guide);
  expect_refused(with(answers, "address = \"10.10.10.12\"", "address = \"10.10.10.15\""),
                 "the health monitor's address cannot be changed");
  expect_refused(with(answers, "direct_interface = \"none\"", "direct_interface = \"eth1\""),
                 "the direct connect interface cannot be changed");
  expect_refused(with(answers, "recovery = false", "recovery = true"), "still has its pairing");
  expect_refused("[ha]\nrole = 2\n", "the role cannot be changed from 'Primary' to 'Secondary'");
  // What a pairing does not stand on may change.
  EXPECT_EQ(set_up(with(answers, "zone = \"UTC\"", "zone = \"Europe/Brussels\"")).code, 0);
  EXPECT_EQ(tree_.read("etc/timezone"), "Europe/Brussels\n");
}

TEST_F(Unattended, WithoutAGatewayArbitrationIsNoneAndIsSaid) {
  const Ran ran = set_up(with(kPrimaryAnswers, "gateway = \"10.10.10.1\"", "gateway = \"none\""));
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("without a gateway a node cannot tell"));
  EXPECT_THAT(ran.out, HasSubstr("failover stays manual"));
  EXPECT_THAT(tree_.read("etc/crossbeat/crossbeat.toml"), HasSubstr("kinds = [\"none\"]"));
}

TEST_F(Unattended, WritesTheFilesOfWhoeverHasTheInterfacesInHand) {
  tree_.write("etc/network/interfaces",
              "auto lo eth0\niface lo inet loopback\n\niface eth0 inet dhcp\n    metric 5\n");
  ASSERT_EQ(set_up(kPrimaryAnswers).code, 0);
  EXPECT_EQ(tree_.read("etc/network/interfaces"),
            "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n");
  EXPECT_THAT(tree_.read("etc/network/interfaces.d/crossbeat-eth0"),
              HasSubstr("auto eth0\niface eth0 inet static\n    address 10.10.10.12/24\n"
                        "    gateway 10.10.10.1\n"));
}

TEST_F(Unattended, WritesAKeyfileForNetworkManagerThatOthersCannotRead) {
  std::filesystem::create_directories(tree_.root() + "/etc/systemd/system/multi-user.target.wants");
  std::filesystem::create_symlink(
      "/lib/systemd/system/NetworkManager.service",
      tree_.root() + "/etc/systemd/system/multi-user.target.wants/NetworkManager.service");
  ASSERT_EQ(set_up(std::string(kPrimaryAnswers) + "[dns]\nservers = \"10.10.10.5\"\n").code, 0);
  const std::string below = "etc/NetworkManager/system-connections/crossbeat-eth0.nmconnection";
  EXPECT_THAT(tree_.read(below),
              HasSubstr("address1=10.10.10.12/24,10.10.10.1\ndns=10.10.10.5;\n"));
  EXPECT_EQ(std::filesystem::status(tree_.root() + "/" + below).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(tree_.read("etc/resolv.conf"), "");
}

TEST_F(Unattended, DamagedFilesChangeNothingOrAreTakenAsAWhole) {
  const auto before = tree_.snapshot();
  Prng prng(20260131);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string text = kPrimaryAnswers;
    for (std::uint64_t damage = prng.below(4) + 1; damage > 0; --damage) {
      const auto at = static_cast<std::size_t>(prng.below(text.size()));
      switch (prng.below(3)) {
        case 0: text[at] = static_cast<char>(prng.below(256)); break;
        case 1: text.erase(at, static_cast<std::size_t>(prng.below(20))); break;
        default: text.insert(at, text.substr(static_cast<std::size_t>(prng.below(text.size())), 9));
      }
    }
    const Ran ran = set_up(text, {"--dry-run"});
    ASSERT_TRUE(ran.code == 0 || (ran.code == 4 && !ran.err.empty())) << ran.code << "\n" << text;
    refused += ran.code == 4 ? 1 : 0;
    for (const char c : ran.out + ran.err) {
      ASSERT_TRUE(c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20) << text;
    }
  }
  EXPECT_GT(refused, 100);
  std::filesystem::remove(tree_.root() + "/answers.toml");
  EXPECT_EQ(tree_.snapshot(), before);
}

TEST_F(Unattended, JsonNamesTheFiles) {
  tree_.write("answers.toml", kPrimaryAnswers);
  const Ran ran = set_up(kPrimaryAnswers, {"--json"});
  const auto reply = parse_object(ran.out);
  ASSERT_TRUE(reply) << ran.out;
  EXPECT_TRUE(flag_at(*reply, "applied"));
  EXPECT_THAT(texts_at(*reply, "files"), testing::Contains("/etc/crossbeat/crossbeat.toml"));
}

}  // namespace
}  // namespace cb::cli::test
