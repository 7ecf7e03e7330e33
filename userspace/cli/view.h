// SPDX-License-Identifier: Apache-2.0
//
// The status JSON as the command line understands it: what gethainfo, the status page and the
// waiting for a move all read. Anything may be missing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/json.h"

namespace cb::cli {

struct LinkView {
  std::string link;  // "direct" or "network"
  std::string interface;
  std::string state;  // "answers", "silent", "unknown"
  std::optional<double> rtt_p50_us;
  std::optional<double> rtt_p99_us;
  std::optional<double> age_ms;
  std::int64_t unanswered = 0;
};

struct PairView {
  bool paired = false;  // false: the instance of a primary that serves alone
  std::string pairing;
  bool primary = true;
  std::string peer_name;  // its address when it has no name
  std::string peer_address;
  std::string peer_version;
  std::string peer_udi;
  std::vector<std::string> addresses;  // "10.0.0.11/24"
  std::string failover_type = "Manual";
  std::string failback_type = "Manual";
  std::int64_t failover_wait_s = 0;
  std::int64_t instance_number = 3;
  bool direct_used = false;
  std::string state;      // one of the nine names
  std::string sub_state;  // "peer-silent-manual"; lower case whatever was sent
  std::string sub_state_text;
  std::string reason;  // "operator-failover"
  std::string reason_text;
  std::optional<double> since_ms;
  std::int64_t term = 0;
  bool serving = false;
  bool solo = false;
  std::string guard;
  std::optional<double> lease_ms;
  bool heartbeat_up = false;
  std::string peer_state;
  std::string peer_sub_state;
  std::optional<double> peer_age_ms;
  bool peer_monitor_stale = false;  // its kernel answers, its monitor does not run
  bool unknown_at_peer = false;     // it was reached, and has no such pairing
  std::vector<LinkView> links;
  std::string profile;
  std::optional<double> detection_us;
  bool in_step = false;
  std::optional<std::int64_t> progress_permille;
  bool automatic = false;
  bool automatic_off = false;
  bool maintenance = false;
  std::string maintenance_until;  // empty: until an operator ends it
  bool stale = false;
  bool ledger_failed = false;
  Json witness;  // null: none is configured
  Json volume;   // null: none
  Json last_failover;
  Json services;

  std::string addresses_text() const;  // "10.0.0.11, 10.0.0.12", without masks
  // What the volume's process was refused, as a sentence; empty: nothing.
  std::string memory_trouble() const;
};

struct NodeView {
  std::string name;
  bool primary = true;
  std::string version;
  std::string udi;
  std::string hm_address;
  std::string network_interface;
  std::string direct_interface;
  std::string instance_prefix;  // empty: not told
  std::int64_t pid = 0;
  std::string session;
  std::optional<double> uptime_s;
  std::string probe_scheduling;
  std::optional<double> lateness_p99_us;
  std::string xdp_mode;
  std::string gateway;  // empty: none
  bool gateway_answers = true;
  std::vector<std::string> warnings;
  std::vector<std::string> doubts;  // what the machine lacks for a takeover
};

struct StatusView {
  NodeView node;
  std::vector<PairView> pairings;
  std::optional<PairView> unpaired;
  std::string saved_at_wall;  // not empty: from the file, not from a running monitor

  // All instances: the pairings, or the unpaired one.
  std::vector<const PairView*> instances() const;
};

// What ends that. The standby goes first, a node in command hands over before it stops.
inline constexpr char kMemoryRemedy[] =
    "run the monitor by its systemd unit, which grants CAP_SYS_RESOURCE and LimitMEMLOCK=infinity "
    "(a container has to be allowed them too), and give the volume a new process: systemctl "
    "restart crossbeat, on the standby first; a node in command hands over before it stops";

StatusView view_of(const Json& status);

// "PeerSilentManual", "peer_silent_manual" and "peer-silent-manual" are one.
std::string kebab(std::string_view name);

// Is this the state of a node that holds command, or that is about to settle?
bool is_in_command(std::string_view state);
bool is_moving(std::string_view sub_state);

}  // namespace cb::cli
