// SPDX-License-Identifier: Apache-2.0
//
// A tree to set up, and machines to do it on.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cli/setup/machine.h"
#include "config/address.h"
#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {

// A folder of its own, with what a Debian tree has.
class SetupTree {
 public:
  SetupTree() {
    std::string name = std::filesystem::temp_directory_path() / "crossbeat-setup-XXXXXX";
    root_ = mkdtemp(name.data());
    write("etc/hostname", "mse\n");
    write("etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tmse\n");
    write("etc/resolv.conf", "");
    std::filesystem::create_symlink("../usr/share/zoneinfo/America/New_York",
                                    root_ / "etc/localtime");
  }
  ~SetupTree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  SetupTree(const SetupTree&) = delete;
  SetupTree& operator=(const SetupTree&) = delete;

  std::string root() const { return root_.string(); }
  void write(const std::string& below, const std::string& text) const {
    std::filesystem::create_directories((root_ / below).parent_path());
    std::ofstream(root_ / below, std::ios::binary | std::ios::trunc) << text;
  }
  std::string read(const std::string& below) const {
    std::ifstream file(root_ / below);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // Every file with its content, every link with its target: equal snapshots, nothing changed.
  std::map<std::string, std::string> snapshot() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      const std::string name = entry.path().lexically_relative(root_);
      if (entry.is_symlink()) {
        all[name] = "-> " + std::filesystem::read_symlink(entry.path()).string();
      } else {
        all[name] = entry.is_directory() ? "/" : read(name);
      }
    }
    return all;
  }

 private:
  std::filesystem::path root_;
};

// A running machine, as far as the wizard sees one.
class FakeMachine final : public setup::Machine {
 public:
  FakeMachine() {
    facts_.host_name = "mse";
    for (const char* name : {"eth0", "eth1"}) {
      config::MachineFacts::Interface interface;
      interface.name = name;
      interface.up = interface.carrier = true;
      facts_.interfaces.push_back(interface);
    }
    facts_.interfaces[0].addresses = {config::parse_prefix("10.10.10.12/24").value()};
    facts_.interfaces[0].labels = {"eth0"};
    facts_.default_gateway = config::parse_address("10.10.10.1").value();
  }
  bool is_live() const override { return true; }
  Result<config::MachineFacts> facts() override { return facts_; }
  std::optional<bool> gateway_answers(const std::string&) override { return gateway_answers_; }
  std::optional<bool> ntp_enabled() override { return ntp_enabled_; }
  bool monitor_runs() override { return monitor_runs_; }
  Result<> run(const std::vector<std::string>& command) override {
    std::string line;
    for (const std::string& word : command) {
      line += (line.empty() ? "" : " ") + word;
    }
    ran_.push_back(line);
    return failing_.contains(line) ? Result<>(fail(0, line + " failed")) : Result<>();
  }

  config::MachineFacts facts_;
  std::optional<bool> gateway_answers_ = true;
  std::optional<bool> ntp_enabled_ = false;
  bool monitor_runs_ = false;
  std::vector<std::string> ran_;
  std::set<std::string> failing_;
};

// A pairing of the tree's node with mse2, as pairing itself writes it.
inline void pair_tree(const SetupTree& tree) {
  config::Pair pair;
  pair.id = 7;
  pair.primary_hm = config::parse_address("10.10.10.12").value();
  pair.secondary_hm = config::parse_address("10.10.10.13").value();
  pair.virtual_addresses = {config::parse_prefix("10.10.10.11/24").value()};
  pair.peer_name = "mse2";
  pair.failover_wait = Duration::from_s(10);
  pair.key.fill(9);
  ASSERT_TRUE(config::save_pair(tree.root(), pair));
}

inline constexpr const char* kPrimaryAnswers = R"([host]
name = "mse1"
[ha]
role = 1
health_monitor_interface = "eth0"
direct_interface = "none"
virtual_address = "10.10.10.11"
virtual_mask = "255.255.255.0"
recovery = false
[eth0]
address = "10.10.10.12"
mask = "255.255.255.0"
gateway = "10.10.10.1"
[time]
zone = "UTC"
[ntp]
enabled = true
servers = "10.10.10.10"
)";

}  // namespace cb::cli::test
