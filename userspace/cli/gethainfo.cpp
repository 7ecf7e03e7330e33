// SPDX-License-Identifier: Apache-2.0
#include "cli/gethainfo.h"

#include "cli/volume_text.h"
#include "config/defaults.h"

namespace cb::cli {
namespace {

constexpr const char* kRule = "-----\n";

std::string title(const std::string& text) { return kRule + text + "\n" + kRule + "\n"; }

std::string bare(const PairView& pair) {
  return pair.addresses.empty() ? "" : pair.addresses_text();
}

// The primary's side of an instance's database has the suffix "s" and a port 100 above.
std::string database_fields(const PairView& pair, const std::string& prefix) {
  const std::string number = std::to_string(pair.instance_number);
  const std::string name = prefix + "os" + number + (pair.primary ? "s" : "");
  const std::int64_t port = 1524 + (pair.instance_number - 3) + (pair.primary ? 100 : 0);
  return "Instance database name: " + name + "\n" +
         "Instance database port: " + std::to_string(port) + "\n" +
         "Dataguard configuration name: dg_" + prefix + number + "\n" +
         "Primary database alias: " + prefix + "op" + number + "s\n";
}

std::string base_block(const StatusView& status) {
  const NodeView& node = status.node;
  std::string address = "Not Applicable for a secondary";
  if (node.primary) {
    const auto instances = status.instances();
    address = instances.empty() ? "" : bare(*instances.front());
  }
  return title("Base high availability configuration for this server") +
         "Server role: " + (node.primary ? "Primary" : "Secondary") + "\n" +
         "Health Monitor IP Address: " + node.hm_address + "\n" + "Virtual IP Address: " + address +
         "\n" + "Version: " + node.version + "\n" + "UDI: " + node.udi + "\n" +
         "Number of paired peers: " + std::to_string(status.pairings.size()) + "\n";
}

std::string peer_block(const PairView& pair, std::size_t number, const std::string& prefix,
                       bool running) {
  std::string text =
      "\n" + title("Peer configuration#: " + std::to_string(number)) +
      "Health Monitor IP Address " + pair.peer_address + "\n" +  // no colon: it never had one
      "Virtual IP Address: " + bare(pair) + "\n" + "Version: " + pair.peer_version + "\n" +
      "UDI: " + pair.peer_udi + "\n" + "Failover type: " + pair.failover_type + "\n" +
      "Failback type: " + pair.failback_type + "\n" +
      "Failover wait time (seconds): " + std::to_string(pair.failover_wait_s) + "\n" +
      database_fields(pair, prefix) + "Direct connect used: " + (pair.direct_used ? "Yes" : "No") +
      "\n";
  if (running) {
    text += std::string("Heartbeat status: ") + (pair.heartbeat_up ? "Up" : "Down") + "\n" +
            "Current state: " + pair.state + "\n";
    // Only where there is a volume: the fields above have their fixed places without it.
    if (const std::string volume = volume_line(pair); !volume.empty()) {
      text += "Data synchronization: " + volume + "\n";
    }
  } else {
    text += "Last shutdown state: " + pair.state + "\n";
  }
  return text;
}

}  // namespace

std::string gethainfo_text(const StatusView& status, bool running) {
  const std::string prefix = status.node.instance_prefix.empty()
                                 ? std::string(config::kInstancePrefix)
                                 : status.node.instance_prefix;
  std::string text = running ? "Health Monitor is running. Retrieving HA related information\n\n"
                             : "Health Monitor is not running. Following information is from the "
                               "last saved configuration\n\n";
  text += base_block(status);
  for (std::size_t i = 0; i < status.pairings.size(); ++i) {
    text += peer_block(status.pairings[i], i + 1, prefix, running);
  }
  return text;
}

}  // namespace cb::cli
