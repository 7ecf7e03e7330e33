// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "config/config.h"
#include "config/defaults.h"
#include "core/lease.h"

namespace cb::config {
namespace {

bool uses_direct(const Node& node, const Pair* pair) {
  return !node.direct_interface.empty() && (pair == nullptr || pair->direct);
}

uint8_t arbitration_bits(const Node& node) {
  unsigned bits = 0;
  for (const std::string& kind : node.arbitration) {
    if (kind == "gateway") {
      bits |= core::kArbitrateGateway;
    } else if (kind == "witness") {
      bits |= core::kArbitrateWitness;
    } else if (kind == "fence") {
      bits |= core::kArbitrateFence;
    } else if (kind == "none") {
      bits |= core::kArbitrateNone;
    }
  }
  return static_cast<uint8_t>(bits);
}

// All services one after the other, the slower way.
Duration all_services(const Node& node) {
  Duration start;
  Duration stop;
  for (const Service& service : node.services) {
    if (service.enabled) {
      start += service.start_within;
      stop += service.stop_within;
    }
  }
  return std::max(start, stop);
}

}  // namespace

LinkHeartbeat heartbeat_for(const Node& node, const Pair* pair, core::Link link) {
  if (link == core::Link::Network && uses_direct(node, pair)) {
    return node.heartbeat.network;
  }
  return node.heartbeat.direct;
}

// The peer dies just before it answers, or just after: the first unanswered probe left then, or one
// interval later. It is noticed when its answer is due; the others follow in a burst.
Duration detection_least(const LinkHeartbeat& heartbeat, Duration burst_interval) {
  const Duration steady =
      heartbeat.interval * (heartbeat.probes_lost - 1) + heartbeat.answer_within;
  const Duration burst = heartbeat.answer_within * 2 + burst_interval * (heartbeat.probes_lost - 2);
  return std::min(steady, burst);
}

Duration detection_most(const LinkHeartbeat& heartbeat, Duration burst_interval) {
  return detection_least(heartbeat, burst_interval) + heartbeat.interval;
}

Duration detection_beside(const LinkHeartbeat& direct, const LinkHeartbeat& network,
                          Duration burst_interval) {
  return direct.answer_within + burst_interval * (network.probes_lost - 1) + network.answer_within;
}

core::Settings settings_for(const Node& node, const Pair* pair) {
  core::Settings settings;
  settings.role = pair != nullptr ? pair->self_role : node.role;
  settings.paired = pair != nullptr;
  settings.automatic_failover =
      pair != nullptr ? pair->automatic_failover : node.automatic_failover;
  settings.automatic_failback =
      pair != nullptr ? pair->automatic_failback : node.automatic_failback;
  settings.direct_link = uses_direct(node, pair);
  settings.arbitration = arbitration_bits(node);
  // A pairing's setting may come from the other node or from an operator; it must not bring in what
  // this node's configuration would refuse.
  if (settings.arbitration == core::kArbitrateNone && !node.accept_no_arbitration_risk) {
    settings.automatic_failover = false;
  }
  settings.has_fence = (settings.arbitration & core::kArbitrateFence) != 0;
  // A primary that was paired before it had a volume pairs again before anything is replicated.
  settings.has_volume = pair != nullptr ? pair->volume.has_value() : node.volume.has_value();
  settings.volume_deadline = settings.has_volume ? kVolumeDeadline : Duration{};
  settings.address_last = node.address_last;
  settings.has_services = std::any_of(node.services.begin(), node.services.end(),
                                      [](const Service& service) { return service.enabled; });
  const LinkHeartbeat& fastest = node.heartbeat.direct;
  // Arbitration is asked with the first overdue probe, beside the rest of the proof, so it hides no
  // wait for a longer grant: what covers the holder against late probes is paid for by the client.
  const Duration grant =
      std::min(core::grant_for(detection_most(fastest, node.heartbeat.burst_interval)) + kLateProbe,
               kLongestGrant);
  settings.grant_us = static_cast<uint32_t>(grant.as_us());
  settings.failover_wait = pair != nullptr ? pair->failover_wait : node.failover_wait;
  settings.wait_for_peer = std::max(node.wait_for_peer, kLongestGrant);
  settings.hold_down = node.hold_down;
  settings.action_deadline = kActionDeadline;
  settings.service_deadline = std::max(all_services(node), kActionDeadline);
  settings.fence_deadline = node.fence_deadline;
  settings.arbitration_deadline = node.arbitration_deadline;
  settings.hand_over_deadline =
      kHandOverDeadline +
      (node.address_last ? settings.service_deadline + settings.volume_deadline * 2 : Duration{});
  // The verdict itself waits defend_wait after the gateway's answer, and probes leave in a burst
  // meanwhile (the agent sees to that): had the network just healed, they would have been answered
  // by then.
  settings.confirm = Duration::from_us(1);
  settings.planned_restart_grant = node.planned_restart_grant;
  settings.automatic_moves_max = node.automatic_moves_max;
  settings.automatic_moves_window = node.automatic_moves_window;
  return settings;
}

}  // namespace cb::config
