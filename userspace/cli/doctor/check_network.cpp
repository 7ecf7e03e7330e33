// SPDX-License-Identifier: Apache-2.0
//
// The two interfaces, and who else has a hand in them.
#include <algorithm>

#include "base/text.h"
#include "cli/doctor/check.h"
#include "cli/view.h"

namespace cb::cli::doctor {
namespace {

std::vector<std::string> used(const Probe& probe) {
  std::vector<std::string> names;
  for (const std::string& name :
       {probe.configured().node.network_interface, probe.configured().node.direct_interface}) {
    if (!name.empty()) {
      names.push_back(name);
    }
  }
  return names;
}

const config::MachineFacts::Interface* find(const config::MachineFacts& machine,
                                            const std::string& name) {
  for (const auto& interface : machine.interfaces) {
    if (interface.name == name) {
      return &interface;
    }
  }
  return nullptr;
}

bool is_on(const std::string& features, const std::string& name) {
  const auto at = features.find(name + ": on");
  return at != std::string::npos;
}

void note_unknown(const Probe& probe, Report& report) {
  if (used(probe).empty()) {
    report.skipped("no interface is configured");
  }
}

void tell_mtu(const Probe& probe, const std::string& name, Report& report) {
  const std::string text(trim(probe.read("/sys/class/net/" + name + "/mtu").value_or("")));
  const auto mtu = parse_number(text);
  if (!mtu) {
    report.note("the MTU of " + name + " cannot be read");
  } else if (*mtu < 1280) {
    report.problem("the MTU of " + name + " is " + text + ", too small for pairing and data",
                   "ip link set " + name + " mtu 1500, on both nodes, and where it is configured");
  } else if (name == probe.configured().node.direct_interface && *mtu < 9000) {
    report.note("the MTU of the direct link is " + text +
                "; with 9000 on both ends data moves "
                "faster");
  } else {
    report.fine("the MTU of " + name + " is " + text);
  }
}

const char* const kNetworkdFolder = "/etc/systemd/network";

// The .network files of an interface.
std::vector<std::string> networkd_files(const Probe& probe, const std::string& interface) {
  std::vector<std::string> files;
  for (const std::string& name : probe.names_in(kNetworkdFolder)) {
    const std::string path = std::string(kNetworkdFolder) + "/" + name;
    if (name.ends_with(".network") &&
        probe.read(path).value_or("").find("Name=" + interface) != std::string::npos) {
      files.push_back(path);
    }
  }
  return files;
}

// It, or what lies beside it for it.
bool keeps_addresses(const Probe& probe, const std::string& file) {
  const auto keeps = [&](const std::string& path) {
    const std::string text = probe.read(path).value_or("");
    return text.find("KeepConfiguration=static") != std::string::npos ||
           text.find("KeepConfiguration=yes") != std::string::npos;
  };
  const std::vector<std::string> beside = probe.names_in(file + ".d");
  return keeps(file) || std::any_of(beside.begin(), beside.end(), [&](const std::string& name) {
           return name.ends_with(".conf") && keeps(file + ".d/" + name);
         });
}

}  // namespace

void check_interfaces(const Probe& probe, Report& report) {
  note_unknown(probe, report);
  const config::MachineFacts machine = probe.machine();
  const config::Node& node = probe.configured().node;
  for (const std::string& name : used(probe)) {
    const auto* interface = find(machine, name);
    if (interface == nullptr) {
      report.problem("the interface " + name + " is not there",
                     "check its driver and its name (ip link); to use another: crossbeat setup");
      continue;
    }
    if (!interface->up || !interface->carrier) {
      report.problem("the interface " + name + (interface->up ? " has no carrier" : " is down"),
                     interface->up ? "plug its cable in; look at the other end"
                                   : "ip link set " + name + " up, and see who took it down");
      continue;
    }
    const bool has = std::any_of(
        interface->addresses.begin(), interface->addresses.end(),
        [&](const config::Prefix& prefix) { return prefix.address == node.hm_address; });
    if (name == node.network_interface && !has) {
      report.problem(
          "the health monitor's address " + node.hm_address.text() + " is not on " + name,
          "bring it back (ip address add), and run crossbeat setup so that it stays");
      continue;
    }
    report.fine("the interface " + name + " is up");
  }
}

void check_mtu(const Probe& probe, Report& report) {
  note_unknown(probe, report);
  for (const std::string& name : used(probe)) {
    tell_mtu(probe, name, report);
  }
}

void check_offloads(const Probe& probe, Report& report) {
  note_unknown(probe, report);
  for (const std::string& name : used(probe)) {
    const auto features = probe.run({"ethtool", "-k", name});
    if (!features || features->code != 0) {
      report.note("the offloads of " + name + " cannot be read (ethtool)");
      continue;
    }
    bool fine = true;
    if (is_on(features->text, "large-receive-offload")) {
      fine = false;
      report.warning("large-receive-offload is on at " + name +
                         ": it keeps native XDP away and "
                         "holds heartbeats back",
                     "ethtool -K " + name + " lro off");
    }
    const auto pauses = probe.run({"ethtool", "-c", name});
    if (pauses && pauses->code == 0 && pauses->text.find("Adaptive RX: on") != std::string::npos) {
      fine = false;
      report.note("interrupts of " + name +
                      " are put together as they come (adaptive-rx), which "
                      "makes heartbeats slower now and then",
                  "with the profile fast: ethtool -C " + name + " adaptive-rx off rx-usecs 0");
    }
    const auto saving = probe.run({"ethtool", "--show-eee", name});
    if (saving && saving->code == 0 &&
        saving->text.find("EEE status: enabled") != std::string::npos) {
      fine = false;
      report.warning("energy-efficient Ethernet is on at " + name +
                         ": waking the link up costs "
                         "more than a heartbeat takes",
                     "ethtool --set-eee " + name + " eee off");
    }
    if (fine) {
      report.fine("the offloads of " + name + " do no harm");
    }
  }
}

void check_xdp(const Probe& probe, Report& report) {
  if (!probe.asked().status) {
    report.skipped("the monitor tells nothing");
    return;
  }
  const StatusView view = view_of(*probe.asked().status);
  for (const std::string& warning : view.node.warnings) {
    report.warning(warning, "find out who does it; see docs/operations.md");
  }
  if (view.node.xdp_mode == "generic" &&
      probe.configured().node.xdp_mode != config::Node::XdpMode::Generic) {
    report.note(
        "heartbeats on the direct link are answered in XDP's generic mode, which copies every long "
        "packet of the data beside them",
        "set xdp = \"auto\" in [direct] and stop and start Crossbeat: then a tc program answers");
  } else if (view.node.xdp_mode == "tc") {
    report.fine("heartbeats are answered by a tc program");
  } else {
    report.fine(view.node.xdp_mode == "none" || view.node.xdp_mode.empty()
                    ? "there is no direct link to answer on"
                    : "heartbeats are answered in XDP's " + view.node.xdp_mode + " mode");
  }
}

void check_network_manager(const Probe& probe, Report& report) {
  const std::string wants = "/etc/systemd/system/multi-user.target.wants/";
  const std::string& name = probe.configured().node.network_interface;
  if (name.empty()) {
    report.skipped("no interface is configured");
    return;
  }
  bool fine = true;
  if (probe.is_there(wants + "systemd-networkd.service")) {
    for (const std::string& file : networkd_files(probe, name)) {
      if (keeps_addresses(probe, file)) {
        continue;
      }
      fine = false;
      const std::string folder = probe.real(file + ".d");
      report.warning(
          "systemd-networkd takes the virtual address away from " + name +
              " whenever it is restarted, because of " + probe.real(file),
          "let it keep what it did not set: KeepConfiguration=static below [Network], in "
          "that file or beside it",
          {{"mkdir -p " + folder},
           {"printf '[Network]\\nKeepConfiguration=static\\n' > " + folder + "/crossbeat.conf"},
           {"networkctl reload"}});
    }
  }
  if (probe.is_there(wants + "NetworkManager.service")) {
    const std::string profile =
        "/etc/NetworkManager/system-connections/crossbeat-" + name + ".nmconnection";
    bool unmanaged = false;
    for (const std::string& file : probe.names_in("/etc/NetworkManager/conf.d")) {
      const std::string text = probe.read("/etc/NetworkManager/conf.d/" + file).value_or("");
      unmanaged = unmanaged || (text.find("unmanaged-devices") != std::string::npos &&
                                text.find(name) != std::string::npos);
    }
    if (!probe.is_there(profile) && !unmanaged) {
      fine = false;
      report.warning("NetworkManager may set " + name + " up anew, and take its addresses away",
                     "run crossbeat setup, which gives it a connection of its own; or declare " +
                         name + " unmanaged in /etc/NetworkManager/conf.d");
    }
  }
  if (fine) {
    report.fine("nobody is known to take addresses away from " + name);
  }
}

void check_left_over_address(const Probe& probe, Report& report) {
  if (!probe.asked().status) {
    report.skipped("the monitor tells nothing");
    return;
  }
  const StatusView view = view_of(*probe.asked().status);
  const config::MachineFacts machine = probe.machine();
  bool fine = true;
  for (const PairView* pair : view.instances()) {
    for (const std::string& address : pair->addresses) {
      for (const auto& interface : machine.interfaces) {
        const bool there =
            std::any_of(interface.addresses.begin(), interface.addresses.end(),
                        [&](const config::Prefix& prefix) { return prefix.text() == address; });
        if (there && !pair->serving) {
          fine = false;
          report.problem("the virtual address " + address + " is on " + interface.name +
                             ", but this node does not serve",
                         "/usr/lib/crossbeat/vip-remove " + address + " " + interface.name +
                             ", and see which configuration adds it");
        }
      }
    }
  }
  if (fine) {
    report.fine("no virtual address is where it should not be");
  }
}

}  // namespace cb::cli::doctor
