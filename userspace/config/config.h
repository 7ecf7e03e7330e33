// SPDX-License-Identifier: Apache-2.0
// config.h - text -> ir.h structs -> all errors at once, with line numbers, before any side effect.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/ir.h"
#include "core/types.h"

namespace cb::config {

struct Problem {
  std::string file;
  int line = 0;  // 0: concerns the whole file
  bool warning = false;
  std::string what;          // what is wrong and what to write instead
  std::string text() const;  // "crossbeat.toml:12: error: ..."
};

template <class T>
struct Parsed {
  T value;                        // meaningful when ok()
  std::vector<Problem> problems;  // all of them
  bool ok() const {
    for (const auto& p : problems)
      if (!p.warning) return false;
    return true;
  }
};

// Facts of this machine that defaults and checks need; read by the caller (cli, agent), so that
// parse() has no side effect.
struct MachineFacts {
  std::string host_name;
  std::string machine_id;
  struct Interface {
    std::string name;
    bool up = false;
    bool carrier = false;
    std::vector<Prefix> addresses;
    std::vector<std::string>
        labels;  // of `addresses`, in step; the interface's name when there is none
  };
  std::vector<Interface> interfaces;
  Address default_gateway;
};
Result<MachineFacts> read_machine_facts();

Parsed<Node> parse_node(std::string_view toml, std::string_view file_name,
                        const MachineFacts& machine);
// Every setting as it holds, defaults included: a file that parse_node() reads back to the same
// Node.
std::string node_to_toml(const Node& node);
Parsed<Pair> parse_pair(std::string_view toml, std::string_view file_name);  // without the key
std::string pair_to_toml(const Pair& pair);                                  // without the key

// Reads <root>/etc/crossbeat/crossbeat.toml; missing file is a Problem with the next step.
Parsed<Node> load_node(const std::string& root, const MachineFacts& machine);
// Reads all pairings under <root>/var/lib/crossbeat/pairs/, with their keys; refuses files that
// others can read.
Parsed<std::vector<Pair>> load_pairs(const std::string& root);
Result<> save_pair(const std::string& root, const Pair& pair);  // toml and key, durably, mode 0600
Result<> remove_pair(const std::string& root, const Pair& pair);

// How one link of a pairing is probed: the network link at its base rate beside a direct one, at
// the profile's own when it is the only one. pair == nullptr: as if paired with a node that has
// what this one has.
LinkHeartbeat heartbeat_for(const Node& node, const Pair* pair, core::Link link);

// From the moment a peer falls silent until a link that is probed so is judged silent: at least, at
// most.
Duration detection_least(const LinkHeartbeat& heartbeat, Duration burst_interval);
Duration detection_most(const LinkHeartbeat& heartbeat, Duration burst_interval);
// The least for the network link beside a direct one: its burst begins with the first overdue probe
// of the direct link.
Duration detection_beside(const LinkHeartbeat& direct, const LinkHeartbeat& network,
                          Duration burst_interval);

// The core's settings for one pairing (or for an unpaired node: pair == nullptr).
core::Settings settings_for(const Node& node, const Pair* pair);

// The whole timeline of a failover as text: detect -> wait -> fence -> address -> services, with
// the numbers of this configuration (crossbeat config check prints it).
std::string timeline_text(const Node& node, const Pair* pair);

}  // namespace cb::config
