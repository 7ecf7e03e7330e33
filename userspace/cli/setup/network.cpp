// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/network.h"

#include <algorithm>

#include "base/text.h"
#include "cli/setup/check.h"

namespace cb::cli::setup {
namespace {

constexpr const char* kWritten =
    "# Written by crossbeat setup; run it again rather than edit this.\n";

std::string prefix_of(const Port& port) {
  return port.address + "/" + std::to_string(mask_length(port.mask).value_or(24));
}

// Something of this interface changed among the files since there were `before` of them.
bool changed(const Draft& draft, const Plan& plan, std::size_t before) {
  return draft.current->live && plan.files.size() != before;
}

class Networkd final : public NetworkApplier {
 public:
  const char* name() const override { return "systemd-networkd"; }
  bool brings_name_servers(const Draft& draft) const override {
    return is_there(draft, "/etc/systemd/system/multi-user.target.wants/systemd-resolved.service");
  }
  void plan(const Draft& draft, const PortPlan& port, Plan& plan) const override {
    std::string text = kWritten + ("[Match]\nName=" + port.port.name) +
                       "\n\n[Network]\nAddress=" + prefix_of(port.port) + "\n";
    text += port.gateway.empty() ? "" : "Gateway=" + port.gateway + "\n";
    for (const std::string& server : port.dns) {
      text += "DNS=" + server + "\n";
    }
    text += port.domain.empty() ? "" : "Domains=" + port.domain + "\n";
    // Or a restart of networkd would take the virtual address away from under the monitor.
    text += "KeepConfiguration=static\nLinkLocalAddressing=ipv6\n";
    const std::size_t before = plan.files.size();
    write_unless_same(draft, plan,
                      "/etc/systemd/network/10-crossbeat-" + port.port.name + ".network", text);
    const std::string wants =
        "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service";
    if (!is_there(draft, wants) && !draft.current->live) {
      link_unless_same(draft, plan, wants, "/lib/systemd/system/systemd-networkd.service");
    }
    if (changed(draft, plan, before)) {
      const std::vector<std::string> enable{"systemctl", "enable", "--now",
                                            "systemd-networkd.service"};
      const bool planned = std::any_of(plan.commands.begin(), plan.commands.end(),
                                       [&](const CommandStep& step) { return step.run == enable; });
      if (!is_there(draft, wants) && !planned) {
        plan.commands.push_back(
            {enable, {"systemctl", "disable", "--now", "systemd-networkd.service"}});
      }
      // Sets the interfaces of every changed file up anew.
      const std::vector<std::string> reload{"networkctl", "reload"};
      std::erase_if(plan.commands, [&](const CommandStep& step) { return step.run == reload; });
      plan.commands.push_back({reload, reload});
    }
  }
};

// /etc/network/interfaces without what it says of one interface.
std::string without_interface(const std::string& text, const std::string& name) {
  std::string kept;
  bool ours = false;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = words_of(std::string(line));
    const std::string first = words.empty() ? "" : words[0];
    const bool begins = first == "iface" || first == "auto" || first.starts_with("allow-") ||
                        first == "mapping" || first.starts_with("source") ||
                        first == "no-auto-down";
    if (begins) {
      ours = first == "iface" && words.size() > 1 && words[1] == name;
    }
    if (ours) {
      continue;
    }
    const bool names_it = (first == "auto" || first.starts_with("allow-")) &&
                          std::find(words.begin(), words.end(), name) != words.end();
    if (names_it) {  // "auto lo eth0" stays "auto lo"
      if (words.size() > 2) {
        std::vector<std::string> others = words;
        std::erase(others, name);
        kept += joined(others, " ") + "\n";
      }
      continue;
    }
    kept += std::string(line) + "\n";
  }
  while (kept.ends_with("\n\n")) {
    kept.pop_back();
  }
  return kept;
}

class Ifupdown final : public NetworkApplier {
 public:
  const char* name() const override { return "ifupdown"; }
  bool brings_name_servers(const Draft&) const override { return false; }
  void plan(const Draft& draft, const PortPlan& port, Plan& plan) const override {
    const std::string main = "/etc/network/interfaces";
    const auto planned = std::find_if(plan.files.begin(), plan.files.end(),
                                      [&](const FileChange& file) { return file.path == main; });
    const std::string now =
        planned != plan.files.end() ? planned->content : content_of(draft, main);
    std::string rest = without_interface(now, port.port.name);
    if (rest.find("interfaces.d/") == std::string::npos) {
      rest = "source /etc/network/interfaces.d/*\n\n" + rest;
    }
    const std::size_t before = plan.files.size();
    if (planned != plan.files.end()) {
      planned->content = rest;
    } else if (rest != now) {
      write_unless_same(draft, plan, main, rest);
    }
    std::string text = kWritten + ("auto " + port.port.name) + "\niface " + port.port.name +
                       " inet static\n    address " + prefix_of(port.port) + "\n";
    text += port.gateway.empty() ? "" : "    gateway " + port.gateway + "\n";
    write_unless_same(draft, plan, "/etc/network/interfaces.d/crossbeat-" + port.port.name, text);
    if (changed(draft, plan, before)) {
      // Undone from the last to the first: down as it is now, up as it was before.
      plan.commands.push_back(
          {{"ifdown", "--force", port.port.name}, {"ifup", "--force", port.port.name}});
      plan.commands.push_back(
          {{"ifup", "--force", port.port.name}, {"ifdown", "--force", port.port.name}});
    }
  }
};

class NetworkManager final : public NetworkApplier {
 public:
  const char* name() const override { return "NetworkManager"; }
  bool brings_name_servers(const Draft&) const override { return true; }
  void plan(const Draft& draft, const PortPlan& port, Plan& plan) const override {
    const std::string id = "crossbeat-" + port.port.name;
    std::string text =
        kWritten + ("[connection]\nid=" + id) +
        "\ntype=ethernet\ninterface-name=" + port.port.name +
        "\nautoconnect-priority=100\n\n[ipv4]\nmethod=manual\naddress1=" + prefix_of(port.port) +
        (port.gateway.empty() ? "" : "," + port.gateway) + "\n";
    text += port.dns.empty() ? "" : "dns=" + joined(port.dns, ";") + ";\n";
    text += port.domain.empty() ? "" : "dns-search=" + port.domain + ";\n";
    text += "\n[ipv6]\nmethod=link-local\n";
    const std::size_t before = plan.files.size();
    // NetworkManager reads nothing that others can read.
    write_unless_same(draft, plan, "/etc/NetworkManager/system-connections/" + id + ".nmconnection",
                      text, 0600);
    if (changed(draft, plan, before)) {
      plan.commands.push_back(
          {{"nmcli", "connection", "reload"}, {"nmcli", "connection", "reload"}});
      plan.commands.push_back({{"nmcli", "connection", "up", id}, {}});
    }
  }
};

bool is_enabled(const Draft& draft, const std::string& unit) {
  return is_there(draft, "/etc/systemd/system/multi-user.target.wants/" + unit);
}

bool ifupdown_names_one(const Draft& draft) {
  const std::string text = content_of(draft, "/etc/network/interfaces");
  for (const Port& port : draft.answers.ports) {
    if (is_there(draft, "/etc/network/interfaces.d/crossbeat-" + port.name)) {
      return true;
    }
    for (const std::string_view line : split(text, '\n')) {
      const auto words = words_of(std::string(line));
      if (words.size() > 1 && words[0] == "iface" && words[1] == port.name) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::unique_ptr<NetworkApplier> networkd() { return std::make_unique<Networkd>(); }
std::unique_ptr<NetworkApplier> ifupdown() { return std::make_unique<Ifupdown>(); }
std::unique_ptr<NetworkApplier> network_manager() { return std::make_unique<NetworkManager>(); }

std::unique_ptr<NetworkApplier> network_in_charge(const Draft& draft) {
  if (ifupdown_names_one(draft)) {
    return ifupdown();
  }
  if (is_enabled(draft, "NetworkManager.service")) {
    return network_manager();
  }
  if (!is_enabled(draft, "systemd-networkd.service") &&
      is_there(draft, "/etc/network/interfaces")) {
    return ifupdown();
  }
  return networkd();
}

void plan_network(const Draft& draft, Plan& plan) {
  const Answers& answers = draft.answers;
  const bool dns = !is_skipped(draft.choices, "dns");
  const auto applier = network_in_charge(draft);
  bool any = false;
  for (std::size_t i = 0; i < answers.ports.size(); ++i) {
    const Port& port = answers.ports[i];
    // The name servers stand with the first interface; new ones write its file anew.
    const bool for_dns = i == 0 && dns && applier->brings_name_servers(draft);
    if ((is_skipped(draft.choices, port.name) && !for_dns) || port.address.empty()) {
      continue;
    }
    PortPlan wanted{port, "", {}, ""};
    if (i == 0) {
      wanted = {port, answers.gateway,
                applier->brings_name_servers(draft) ? answers.dns : std::vector<std::string>{},
                answers.domain};
    }
    const std::size_t before = plan.files.size() + plan.commands.size();
    applier->plan(draft, wanted, plan);
    any = any || plan.files.size() + plan.commands.size() != before;
  }
  if (dns && !applier->brings_name_servers(draft)) {
    std::string text = kWritten;
    text += answers.domain.empty() ? "" : "search " + answers.domain + "\n";
    for (const std::string& server : answers.dns) {
      text += "nameserver " + server + "\n";
    }
    write_unless_same(draft, plan, "/etc/resolv.conf", text);
  }
  if (any) {
    plan.notes.push_back(std::string("the interfaces of this machine are in the hands of ") +
                         applier->name());
  }
}

}  // namespace cb::cli::setup
