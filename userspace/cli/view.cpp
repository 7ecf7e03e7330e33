// SPDX-License-Identifier: Apache-2.0
#include "cli/view.h"

#include <algorithm>
#include <array>

namespace cb::cli {
namespace {

LinkView link_of(const Json& json) {
  LinkView link;
  link.link = text_at(json, "link", "?");
  link.interface = text_at(json, "interface", "?");
  link.state = text_at(json, "state", "unknown");
  link.rtt_p50_us = number_at(at(json, "rtt_us"), "p50");
  link.rtt_p99_us = number_at(at(json, "rtt_us"), "p99");
  link.age_ms = number_at(json, "age_ms");
  link.unanswered = whole_at(json, "unanswered").value_or(0);
  return link;
}

PairView pair_of(const Json& json, bool paired) {
  PairView pair;
  pair.paired = paired;
  pair.pairing = text_at(json, "pairing");
  pair.primary = text_at(json, "self_role", "Primary") == "Primary";
  const Json& peer = at(json, "peer");
  pair.peer_address = text_at(peer, "hm_address");
  pair.peer_name = text_at(peer, "name", pair.peer_address);
  if (pair.peer_name.empty()) {
    pair.peer_name = pair.peer_address.empty() ? "the peer" : pair.peer_address;
  }
  pair.peer_version = text_at(peer, "version");
  pair.peer_udi = text_at(peer, "udi");
  pair.addresses = texts_at(json, "virtual_addresses");
  pair.failover_type = text_at(json, "failover_type", "Manual");
  pair.failback_type = text_at(json, "failback_type", "Manual");
  pair.failover_wait_s = whole_at(json, "failover_wait_s").value_or(0);
  pair.instance_number = whole_at(json, "instance_number").value_or(3);
  pair.direct_used = flag_at(json, "direct_used");
  pair.state = text_at(json, "state", "TERMINATED");
  pair.sub_state = kebab(text_at(json, "sub_state", "none"));
  pair.sub_state_text = text_at(json, "sub_state_text");
  pair.reason = kebab(text_at(json, "reason", "none"));
  pair.reason_text = text_at(json, "reason_text");
  pair.since_ms = number_at(json, "since_ms");
  pair.term = whole_at(json, "term").value_or(0);
  pair.serving = flag_at(json, "serving");
  pair.solo = flag_at(json, "solo");
  pair.guard = text_at(json, "guard");
  pair.lease_ms = number_at(json, "lease_ms");
  pair.heartbeat_up = text_at(json, "heartbeat") == "Up";
  pair.peer_state = text_at(json, "peer_state");
  pair.peer_sub_state = kebab(text_at(json, "peer_sub_state"));
  pair.peer_age_ms = number_at(json, "peer_age_ms");
  pair.peer_monitor_stale = flag_at(json, "peer_monitor_stale");
  pair.unknown_at_peer = flag_at(json, "unknown_at_peer");
  if (const Json& links = at(json, "links"); links.is_array()) {
    for (const Json& link : links) {
      pair.links.push_back(link_of(link));
    }
  }
  pair.profile = text_at(at(json, "profile"), "name");
  pair.detection_us = number_at(at(json, "profile"), "detection_us");
  pair.in_step = flag_at(json, "in_step");
  pair.progress_permille = whole_at(json, "progress_permille");
  pair.automatic = flag_at(json, "automatic");
  pair.automatic_off = flag_at(json, "automatic_off");
  pair.maintenance = flag_at(json, "maintenance");
  pair.maintenance_until = text_at(json, "maintenance_until_wall");
  pair.stale = flag_at(json, "stale");
  pair.ledger_failed = flag_at(json, "ledger_failed");
  pair.witness = at(json, "witness");
  pair.volume = at(json, "volume");
  pair.last_failover = at(json, "last_failover");
  pair.services = at(json, "services");
  return pair;
}

}  // namespace

std::string PairView::addresses_text() const {
  std::string text;
  for (const std::string& address : addresses) {
    text += (text.empty() ? "" : ", ") + address.substr(0, address.find('/'));
  }
  return text.empty() ? "the virtual address" : text;
}

std::string PairView::memory_trouble() const {
  if (!flag_at(volume, "running")) {
    return "";
  }
  const Json& memory = at(volume, "memory");
  if (!flag_at(memory, "io_flusher", true)) {
    return "writes can deadlock when memory is short: the volume's process was refused "
           "PR_SET_IO_FLUSHER";
  }
  return flag_at(memory, "locked", true) ? ""
                                         : "writes may stall when memory is short: the volume's "
                                           "process may not lock its memory";
}

std::vector<const PairView*> StatusView::instances() const {
  std::vector<const PairView*> result;
  for (const PairView& pair : pairings) {
    result.push_back(&pair);
  }
  if (unpaired) {
    result.push_back(&*unpaired);
  }
  return result;
}

StatusView view_of(const Json& status) {
  StatusView view;
  const Json& node = at(status, "node");
  view.node.name = text_at(node, "name", "this node");
  view.node.primary = text_at(node, "role", "Primary") == "Primary";
  view.node.version = text_at(node, "version");
  view.node.udi = text_at(node, "udi");
  view.node.hm_address = text_at(node, "hm_address");
  view.node.network_interface = text_at(node, "network_interface");
  view.node.direct_interface = text_at(node, "direct_interface");
  view.node.instance_prefix = text_at(node, "instance_prefix");
  view.node.pid = whole_at(node, "pid").value_or(0);
  const Json& session = at(node, "session");
  view.node.session = session.is_null() ? "" : to_line(session);
  view.node.uptime_s = number_at(node, "uptime_s");
  view.node.probe_scheduling = text_at(at(node, "scheduling"), "probe");
  view.node.lateness_p99_us = number_at(at(node, "lateness_us"), "p99");
  view.node.xdp_mode = text_at(node, "xdp_mode");
  view.node.gateway = text_at(node, "gateway");
  view.node.gateway_answers = flag_at(node, "gateway_answers", true);
  view.node.warnings = texts_at(node, "warnings");
  for (const std::string& doubt : texts_at(at(node, "resources"), "doubts")) {
    if (!doubt.starts_with("the load ")) {  // that one comes and goes; a drill tells it
      view.node.doubts.push_back(doubt);
    }
  }
  if (const Json& pairings = at(status, "pairings"); pairings.is_array()) {
    for (const Json& pair : pairings) {
      view.pairings.push_back(pair_of(pair, true));
    }
  }
  if (const Json& unpaired = at(status, "unpaired"); unpaired.is_object()) {
    view.unpaired = pair_of(unpaired, false);
  }
  view.saved_at_wall = text_at(status, "saved_at_wall");
  return view;
}

std::string kebab(std::string_view name) {
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c >= 'A' && c <= 'Z') {
      if (i > 0 && result.back() != '-') {
        result += '-';
      }
      result += static_cast<char>(c - 'A' + 'a');
    } else {
      result += c == '_' || c == ' ' ? '-' : c;
    }
  }
  return result;
}

bool is_in_command(std::string_view state) {
  return state == "PRIMARY_ACTIVE" || state == "FAILOVER_ACTIVE" || state == "FAILBACK_COMPLETE";
}

bool is_moving(std::string_view sub_state) {
  constexpr std::array<std::string_view, 6> kMoving = {"starting",   "arbitrating",  "going-up",
                                                       "going-down", "handing-over", "stopping"};
  return std::find(kMoving.begin(), kMoving.end(), sub_state) != kMoving.end();
}

}  // namespace cb::cli
