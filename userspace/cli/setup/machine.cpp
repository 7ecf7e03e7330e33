// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/machine.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <filesystem>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"

namespace cb::cli::setup {
namespace {

// Asked of the kernel and not of /sys, which may show another network namespace's interfaces.
bool is_ethernet(const std::string& name) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  name.copy(std::begin(request.ifr_name), IFNAMSIZ - 1);
  return socket && ioctl(socket.get(), SIOCGIFHWADDR, &request) == 0 &&
         request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

// Ethernet, and not made of others: no bridge, no bond, no VLAN.
bool is_port(const std::string& name) {
  const std::string folder = "/sys/class/net/" + name;
  std::error_code error;
  return is_ethernet(name) && !std::filesystem::exists(folder + "/bridge", error) &&
         !std::filesystem::exists(folder + "/bonding", error) &&
         !std::filesystem::exists("/proc/net/vlan/" + name, error);
}

class Live final : public Machine {
 public:
  bool is_live() const override { return true; }

  Result<config::MachineFacts> facts() override {
    CB_TRY(facts, config::read_machine_facts());
    std::erase_if(facts.interfaces, [](const auto& found) { return !is_port(found.name); });
    return facts;
  }

  std::optional<bool> gateway_answers(const std::string& address) override {
    const auto ping =
        run_command({"ping", "-c", "1", "-W", "2", "-n", address}, Duration::from_s(4));
    return ping && ping->code <= 1 ? std::optional(ping->code == 0) : std::nullopt;
  }

  std::optional<bool> ntp_enabled() override {
    const auto shown =
        run_command({"timedatectl", "show", "-p", "NTP", "--value"}, Duration::from_s(5));
    return shown && shown->code == 0 ? std::optional(trim(shown->text) == "yes") : std::nullopt;
  }

  bool monitor_runs() override {
    const auto client = Client::connect(socket_path(""), boottime_now() + Duration::from_s(2));
    return client || !means_not_running(client.error());
  }

  Result<> run(const std::vector<std::string>& command) override {
    CB_TRY(output, run_command(command, Duration::from_s(60)));
    if (output.code != 0) {
      return fail(0, command[0] + " ended with " + std::to_string(output.code) +
                         (output.text.empty() ? "" : ": " + std::string(trim(output.text))));
    }
    return {};
  }
};

class Tree final : public Machine {
 public:
  explicit Tree(std::vector<std::string> interfaces) : interfaces_(std::move(interfaces)) {}

  bool is_live() const override { return false; }
  Result<config::MachineFacts> facts() override {
    config::MachineFacts facts;
    facts.host_name = "localhost";  // until the tree has one
    for (const std::string& name : interfaces_) {
      config::MachineFacts::Interface interface;
      interface.name = name;
      interface.up = true;
      interface.carrier = true;
      facts.interfaces.push_back(interface);
    }
    return facts;
  }
  std::optional<bool> gateway_answers(const std::string&) override { return std::nullopt; }
  std::optional<bool> ntp_enabled() override { return std::nullopt; }
  bool monitor_runs() override { return false; }
  Result<> run(const std::vector<std::string>& command) override {
    return fail(0, "nothing is started in a tree: " + command[0]);
  }

 private:
  std::vector<std::string> interfaces_;
};

}  // namespace

std::unique_ptr<Machine> live_machine() { return std::make_unique<Live>(); }

std::unique_ptr<Machine> tree_machine(std::vector<std::string> interfaces) {
  return std::make_unique<Tree>(std::move(interfaces));
}

}  // namespace cb::cli::setup
