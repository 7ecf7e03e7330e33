// SPDX-License-Identifier: Apache-2.0
#include "config/validate.h"

#include <algorithm>

#include "config/address.h"
#include "config/defaults.h"
#include "config/duration.h"
#include "config/suggest.h"

namespace cb::config {
namespace {

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > 63 || name.front() == '-' || name.back() == '-') {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

std::string addresses_text(const MachineFacts::Interface& interface) {
  std::string text;
  for (const Prefix& prefix : interface.addresses) {
    text += (text.empty() ? "" : ", ") + prefix.text();
  }
  return text.empty() ? "none" : text;
}

class Validator {
 public:
  Validator(const Node& node, const MachineFacts& machine, Notes& notes)
      : node_(node), machine_(machine), notes_(notes) {}

  void run() {
    names();
    network();
    direct();
    virtual_addresses();
    label();
    heartbeat();
    arbitration();
    announce();
  }

 private:
  // An error about a key, once: nothing more is said about a key that is already broken.
  void error(const std::string& path, const std::string& what) {
    if (!notes_.is_broken(path)) {
      notes_.set_broken(path);
      notes_.error(notes_.line_of(path), what);
    }
  }
  void warning(const std::string& path, const std::string& what) {
    notes_.warning(notes_.line_of(path), what);
  }

  void names() {
    if (!is_name(node_.name)) {
      error("node.name",
            "'" + node_.name +
                "' cannot be a node's name: use at most 63 letters, digits, dashes and "
                "dots, and write it as name = \"mse1\" in [node]");
    }
    if (!is_name(node_.instance_prefix) || node_.instance_prefix.size() > 16) {
      error("instance.prefix", "the prefix must be 1 to 16 letters, digits or dashes");
    }
  }

  const MachineFacts::Interface* existing(const std::string& path, const std::string& name) {
    const auto* interface = find_interface(machine_, name);
    if (interface == nullptr) {
      std::vector<std::string> known;
      for (const auto& i : machine_.interfaces) {
        known.push_back(i.name);
      }
      error(path, "the interface '" + name + "' does not exist on this machine; there is " +
                      (known.empty() ? "none" : alternatives(known)) + suggestion(name, known));
    } else if (!interface->up) {
      warning(path, name + " is down; bring it up: ip link set " + name + " up");
    } else if (!interface->carrier) {
      warning(path, name + " has no carrier; is its cable plugged in?");
    }
    return interface;
  }

  void network() {
    if (notes_.is_broken("network.interface")) {
      return;
    }
    const auto* interface = existing("network.interface", node_.network_interface);
    if (interface == nullptr || notes_.is_broken("network.address")) {
      return;
    }
    if (is_zero(node_.hm_address)) {
      error("network.address", node_.network_interface +
                                   " has no IPv4 address for the health monitor; give it one, "
                                   "outside of Crossbeat");
      return;
    }
    if (!node_.hm_address.is_v4()) {
      error("network.address",
            "the health monitor's own address must be IPv4 (virtual addresses may be IPv6)");
      return;
    }
    length_ = subnet_length(*interface, node_.hm_address);
    const bool there =
        std::any_of(interface->addresses.begin(), interface->addresses.end(),
                    [&](const Prefix& prefix) { return prefix.address == node_.hm_address; });
    if (!there) {
      length_ = -1;
      error("network.address", node_.hm_address.text() + " is not an address of " +
                                   node_.network_interface + ", which has " +
                                   addresses_text(*interface) +
                                   "; write one of these, or leave address out");
      return;
    }
    gateway();
  }

  void gateway() {
    if (notes_.is_broken("network.gateway") || is_zero(node_.gateway)) {
      return;
    }
    if (!same_subnet(node_.gateway, node_.hm_address, length_)) {
      error("network.gateway", "the gateway " + node_.gateway.text() + " is not in the subnet of " +
                                   Prefix{node_.hm_address, length_}.text() + " on " +
                                   node_.network_interface +
                                   "; write the router of that subnet, or gateway = \"none\"");
    } else if (node_.gateway == node_.hm_address || is_virtual(node_.gateway)) {
      error("network.gateway", "the gateway " + node_.gateway.text() +
                                   " is this pair's own address; write the router of the subnet");
    }
  }

  bool is_virtual(const Address& address) const {
    return std::any_of(node_.virtual_addresses.begin(), node_.virtual_addresses.end(),
                       [&](const Prefix& prefix) { return prefix.address == address; });
  }

  void direct() {
    if (node_.direct_interface.empty() || notes_.is_broken("direct.interface")) {
      return;
    }
    if (node_.direct_interface == node_.network_interface) {
      error("direct.interface", "the direct link needs an interface of its own; " +
                                    node_.direct_interface + " is the health monitor's");
      return;
    }
    existing("direct.interface", node_.direct_interface);
  }

  void virtual_addresses() {
    if (notes_.is_broken("virtual.address") || notes_.is_broken("node.role")) {
      return;
    }
    if (node_.role == core::Role::Secondary) {
      if (!node_.virtual_addresses.empty()) {
        error("virtual.address",
              "a secondary has no virtual address of its own: it learns each primary's at pairing; "
              "remove this line");
      }
      return;
    }
    if (node_.virtual_addresses.empty()) {
      error("virtual.address",
            "the primary's virtual address is missing; write address = \"10.10.10.11/24\" in "
            "[virtual]");
      return;
    }
    if (node_.virtual_addresses.size() > CB_ADDRESSES_MAX) {
      error("virtual.address",
            "there are more than " + std::to_string(CB_ADDRESSES_MAX) + " virtual addresses");
      return;
    }
    for (std::size_t i = 0; i < node_.virtual_addresses.size(); ++i) {
      const Prefix& prefix = node_.virtual_addresses[i];
      const auto before = node_.virtual_addresses.begin();
      if (std::any_of(before, before + static_cast<std::ptrdiff_t>(i),
                      [&](const Prefix& p) { return p.address == prefix.address; })) {
        notes_.error(notes_.line_of("virtual.address"),
                     "the virtual address " + prefix.address.text() + " is written twice");
      } else {
        virtual_address(prefix);
      }
    }
  }

  void virtual_address(const Prefix& prefix) {
    const int line = notes_.line_of("virtual.address");
    const std::string name = "the virtual address " + prefix.address.text();
    if (!is_host_address(prefix.address)) {
      notes_.error(line,
                   name + " cannot belong to a machine; write an unused address of the subnet");
      return;
    }
    if (prefix.address == node_.hm_address) {
      notes_.error(line, name + " is the health monitor's own address; the two must be different");
      return;
    }
    const auto* interface = find_interface(machine_, node_.network_interface);
    if (interface == nullptr || length_ < 0) {
      return;  // said already
    }
    const int length = prefix.address.is_v4() ? length_ : subnet_length(*interface, prefix.address);
    if (prefix.address.is_v4() && !same_subnet(prefix.address, node_.hm_address, length)) {
      notes_.error(line, name + " is not in the subnet of the health monitor's address " +
                             Prefix{node_.hm_address, length_}.text() +
                             "; both must be in one subnet (layer-2 redundancy)");
      return;
    }
    if (!prefix.address.is_v4() && length < 0) {
      notes_.error(line, name + " is in no subnet of " + node_.network_interface + ", which has " +
                             addresses_text(*interface) + "; both must be in one subnet");
      return;
    }
    if (is_subnet_edge(prefix.address, length)) {
      notes_.error(line, name + " is the subnet's network or broadcast address");
      return;
    }
    const int host = prefix.address.is_v4() ? 32 : 128;
    if (prefix.length >= 0 && prefix.length != length && prefix.length != host) {
      notes_.warning(line, name + " has the mask /" + std::to_string(prefix.length) + ", but " +
                               node_.network_interface + " has /" + std::to_string(length));
    }
    not_there_already(prefix, line);
  }

  // Our own doing is recognised by its label: the monitor may be restarting while it serves.
  void not_there_already(const Prefix& prefix, int line) {
    for (const auto& interface : machine_.interfaces) {
      for (std::size_t i = 0; i < interface.addresses.size(); ++i) {
        if (!(interface.addresses[i].address == prefix.address)) {
          continue;
        }
        const std::string what = "the virtual address " + prefix.address.text() + " is on " +
                                 interface.name + " already";
        const bool labels_tell =
            prefix.address.is_v4() && node_.address_label != node_.network_interface;
        const bool ours = interface.name == node_.network_interface &&
                          i < interface.labels.size() && interface.labels[i] == node_.address_label;
        if (interface.name == node_.network_interface && (ours || !labels_tell)) {
          if (!labels_tell) {
            notes_.warning(line, what +
                                     "; if Crossbeat did not add it, remove it from the system's "
                                     "network configuration");
          }
        } else {
          notes_.error(line, what +
                                 ", and Crossbeat did not add it; remove it from the system's "
                                 "network configuration, or both nodes will answer for it");
        }
      }
    }
  }

  void label() {
    const std::string& label = node_.address_label;
    if (notes_.is_broken("virtual.label") || label.empty()) {
      return;
    }
    if (label.size() > kLabelMax) {
      error("virtual.label", "the label '" + label + "' is longer than " +
                                 std::to_string(kLabelMax) + " characters");
    } else if (label != node_.network_interface &&
               !label.starts_with(node_.network_interface + ":")) {
      error("virtual.label", "the label '" + label + "' must begin with the interface's name: \"" +
                                 node_.network_interface + ":1\"");
    }
  }

  void heartbeat() {
    const Heartbeat& heartbeat = node_.heartbeat;
    const LinkHeartbeat& direct = heartbeat.direct;
    if (heartbeat.network.interval < direct.interval) {
      error("heartbeat.network_interval",
            "the network link's base interval must not be shorter than interval (" +
                duration_text(direct.interval) + ")");
    }
    if (heartbeat.burst_interval > heartbeat.network.interval) {
      error("heartbeat.burst_interval",
            "a burst must not be slower than the network link's base interval (" +
                duration_text(heartbeat.network.interval) + ")");
    }
    // The right to serve lasts at most the longest grant, and each heartbeat renews it.
    if (direct.interval * 2 + direct.answer_within > kLongestGrant) {
      error(
          notes_.is_given("heartbeat.interval") ? "heartbeat.interval" : "heartbeat.answer_within",
          "with a heartbeat every " + duration_text(direct.interval) + " and " +
              duration_text(direct.answer_within) +
              " for its answer, one lost answer would end the right to serve, which lasts at "
              "most " +
              duration_text(kLongestGrant) + "; write a shorter interval or answer_within");
    }
    if (direct.answer_within > direct.interval * 10) {
      warning("heartbeat.answer_within",
              "answer_within is more than ten times the interval: silence is noticed late, only "
              "after " +
                  duration_text(detection_most(direct, heartbeat.burst_interval)));
    }
    if (heartbeat.monitor_grace < direct.interval * 2) {
      error("heartbeat.monitor_grace", "monitor_grace must be at least two intervals (" +
                                           duration_text(direct.interval * 2) + ")");
    }
  }

  void arbitration() {
    if (notes_.is_broken("arbitration.kinds")) {
      return;
    }
    static const std::vector<std::string> kKnown = {"gateway", "witness", "fence", "none"};
    const auto& kinds = node_.arbitration;
    if (kinds.empty()) {
      error("arbitration.kinds",
            "the list is empty; write kinds = [\"gateway\"] (or [\"none\"], with failover = "
            "\"manual\")");
      return;
    }
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (std::find(kKnown.begin(), kKnown.end(), kinds[i]) == kKnown.end()) {
        error("arbitration.kinds", "'" + kinds[i] + "' is not known; write " +
                                       alternatives(kKnown) + suggestion(kinds[i], kKnown));
        return;
      }
      if (std::count(kinds.begin(), kinds.end(), kinds[i]) > 1) {
        error("arbitration.kinds", "'" + kinds[i] + "' is written twice");
        return;
      }
    }
    const auto has = [&](std::string_view kind) {
      return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    };
    witness(has("witness"));
    if (has("none") && kinds.size() > 1) {
      error("arbitration.kinds", "\"none\" cannot be combined with others; remove it, or them");
    } else if (has("none") && node_.automatic_failover && !node_.accept_no_arbitration_risk) {
      error(
          "arbitration.kinds",
          "with \"none\" two nodes that lose sight of each other may both serve; write failover = "
          "\"manual\", another kind, or accept_no_arbitration_risk = true if you accept that");
    }
    if (has("gateway") && is_zero(node_.gateway) && !notes_.is_broken("network.gateway") &&
        !notes_.is_broken("network.interface") && !notes_.is_broken("network.address")) {
      error(notes_.is_given("arbitration.kinds") ? "arbitration.kinds" : "network.gateway",
            "\"gateway\" needs a gateway, and there is none in the subnet of " +
                node_.network_interface + "; write gateway = \"...\" in [network]");
    }
    fence(has("fence"));
    if (node_.defend_wait >= node_.arbitration_deadline) {
      error("arbitration.defend_wait", "must be shorter than the deadline of the whole question (" +
                                           duration_text(node_.arbitration_deadline) + ")");
    }
  }

  void witness(bool wanted) {
    if (notes_.is_broken("witness.address")) {
      return;
    }
    const bool named = !is_zero(node_.witness_address);
    const auto is_own = [&](const Address& address) {
      return address == node_.hm_address ||
             std::any_of(node_.virtual_addresses.begin(), node_.virtual_addresses.end(),
                         [&](const Prefix& prefix) { return prefix.address == address; });
    };
    if (wanted && !named) {
      error("arbitration.kinds",
            "\"witness\" needs one; write address = \"...\" in [witness], the machine on which "
            "crossbeat-witness runs");
    } else if (named && !wanted) {
      warning("witness.address",
              "the witness is never asked: \"witness\" is not among the kinds of [arbitration]");
    } else if (named && is_own(node_.witness_address)) {
      error("witness.address",
            "this node cannot be its own witness; it must run on a third machine");
    }
  }

  void fence(bool wanted) {
    const auto& command = node_.fence_command;
    if (notes_.is_broken("fence.command")) {
      return;
    }
    if (wanted && command.empty()) {
      error("fence.command",
            "\"fence\" needs a command; write command = [\"/full/path\", \"argument\"] in [fence]");
    } else if (!command.empty() && !command.front().starts_with('/')) {
      error("fence.command",
            "'" + command.front() +
                "' is not a full path; nothing is looked up, and no shell is used");
    } else if (!command.empty() && !wanted) {
      warning("fence.command",
              "the command is never run: \"fence\" is not among the kinds of [arbitration]");
    }
  }

  void announce() {
    const auto& schedule = node_.announce_schedule;
    if (notes_.is_broken("announce.schedule")) {
      return;
    }
    if (schedule.empty() || schedule.size() > 32) {
      error("announce.schedule", "needs 1 to 32 entries");
    } else if (!std::is_sorted(schedule.begin(), schedule.end())) {
      error("announce.schedule", "must be in rising order: each entry counts from the takeover");
    } else if (schedule.front() > 100_ms) {
      warning("announce.schedule",
              "the first announcement is late: the network's switches send to "
              "the old node until then; begin with \"0s\"");
    }
  }

  const Node& node_;
  const MachineFacts& machine_;
  Notes& notes_;
  int length_ = -1;  // of the health monitor's subnet
};

}  // namespace

void validate(const Node& node, const MachineFacts& machine, Notes& notes) {
  Validator(node, machine, notes).run();
}

}  // namespace cb::config
