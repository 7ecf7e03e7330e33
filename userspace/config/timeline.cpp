// SPDX-License-Identifier: Apache-2.0
//
// The whole failover in words and numbers, from the configuration alone, for an operator who wants
// to know what he has bought before he needs it.
#include <algorithm>
#include <string>

#include "base/text.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/duration.h"
#include "core/lease.h"

namespace cb::config {
namespace {

std::string row(std::string_view name, const std::string& text) {
  std::string line = "  " + std::string(name);
  line.resize(std::max<std::size_t>(line.size() + 1, 18), ' ');
  return line + text + "\n";
}

std::string span_text(Duration least, Duration most) {
  return least == most ? to_text(most) : to_text(least) + " to " + to_text(most);
}

std::string probing_text(const LinkHeartbeat& heartbeat) {
  return "every " + duration_text(heartbeat.interval) + ", answer within " +
         duration_text(heartbeat.answer_within) + ", silent after " +
         std::to_string(heartbeat.probes_lost) + " unanswered in a row";
}

struct Plan {
  const Node& node;
  core::Settings settings;
  LinkHeartbeat direct{};
  LinkHeartbeat network{};
  bool has_direct = false;
  Duration detect_least{};
  Duration detect_most{};
  Duration grant{};
};

Plan plan_of(const Node& node, const Pair* pair) {
  Plan plan{.node = node, .settings = settings_for(node, pair)};
  plan.has_direct = !node.direct_interface.empty() && (pair == nullptr || pair->direct);
  plan.direct = heartbeat_for(node, pair, core::Link::Direct);
  plan.network = heartbeat_for(node, pair, core::Link::Network);
  LinkHeartbeat deciding = plan.has_direct ? plan.direct : plan.network;
  const Duration burst_interval = node.heartbeat.burst_interval;
  plan.detect_least = detection_least(deciding, burst_interval);
  if (plan.has_direct) {
    plan.detect_least =
        std::max(plan.detect_least, detection_beside(plan.direct, plan.network, burst_interval));
  }
  plan.detect_most = plan.detect_least + deciding.interval;
  plan.grant = Duration::from_us(plan.settings.grant_us);
  return plan;
}

std::string heartbeats(const Plan& plan) {
  std::string text =
      "Heartbeats (profile " + std::string(name_of(plan.node.heartbeat.profile)) + ")\n";
  if (plan.has_direct) {
    text += row("direct link", plan.node.direct_interface + ": " + probing_text(plan.direct));
    text += row("network link", plan.node.network_interface + ": " + probing_text(plan.network));
    text += row("", "in a burst every " + duration_text(plan.node.heartbeat.burst_interval) +
                        " while the direct link is suspect or silent");
  } else {
    text += row("network link", plan.node.network_interface + ": " + probing_text(plan.network));
    text +=
        row("", "there is no direct link: a fault of this one network is a silence of the peer");
  }
  return text;
}

std::string right_to_serve(const Plan& plan) {
  return "The right to serve\n" +
         row("grant", to_text(plan.grant) +
                          " with every frame of the standby; the node in command closes its address"
                          " when it is over") +
         row("monitor", "a monitor that does not run for " +
                            duration_text(plan.node.heartbeat.monitor_grace) +
                            " closes the address too, in the kernel");
}

std::string verdicts(const Plan& plan) {
  const uint8_t kinds = plan.settings.arbitration;
  std::string text;
  if ((kinds & core::kArbitrateGateway) != 0) {
    text += row("", "the gateway answers and nobody defends the virtual address: take over");
    text += row(
        "", "the gateway does not answer: this node is cut off; it stays closed and asks again");
    text += row("", "somebody defends the virtual address: the peer lives; no takeover, ask again");
  }
  if ((kinds & core::kArbitrateWitness) != 0) {
    const std::string who = "the witness " + plan.node.witness_address.text();
    text += row("", who + " grants: take over; it has granted to the peer: no takeover, ask again");
    text += row("", who + " does not answer: no takeover, and nobody goes on alone; ask again");
  }
  if ((kinds & core::kArbitrateFence) != 0) {
    text +=
        row("", "the fence command succeeds: take over; it fails or is late: no takeover, alarm");
  }
  if ((kinds & core::kArbitrateNone) != 0) {
    text += row("", plan.node.accept_no_arbitration_risk
                        ? "nobody is asked: two nodes that lose sight of each other may BOTH serve "
                          "(the risk was accepted)"
                        : "nobody is asked: only an operator starts a takeover");
  }
  return text;
}

std::string kinds_text(const Node& node) {
  std::string text;
  for (const std::string& kind : node.arbitration) {
    text += (text.empty() ? "" : ", ") + kind;
  }
  return text;
}

std::string services_text(const Node& node) {
  std::string text;
  for (const Service& service : node.services) {
    if (service.enabled) {
      text += (text.empty() ? "" : ", then ") + service.name + " (within " +
              duration_text(service.start_within) + ")";
    }
  }
  return text.empty() ? "none configured" : text;
}

std::string failover(const Plan& plan) {
  const bool fence = plan.settings.has_fence;
  const bool automatic = plan.settings.automatic_failover;
  // A grant counts from the last frame that was heard of the peer; its end is awaited after the
  // verdict.
  const bool asks_gateway = (plan.settings.arbitration & core::kArbitrateGateway) != 0;
  const Duration verdict = plan.detect_least + (asks_gateway ? plan.node.defend_wait : Duration{});
  const Duration lease = core::lease_closed_at(Instant{} + plan.grant, plan.grant) - Instant{};
  const Duration rest = std::max(Duration{}, lease - verdict);
  std::string text =
      "Failover after a power-off (" + std::string(automatic ? "automatic" : "manual") + ")\n";
  text +=
      row("detect", span_text(plan.detect_least, plan.detect_most) + " until all links are silent");
  text += row("arbitrate",
              kinds_text(plan.node) + "; at most " + to_text(plan.settings.arbitration_deadline) +
                  ((plan.settings.arbitration & core::kArbitrateGateway) != 0
                       ? ", as a rule one round trip plus " + to_text(plan.node.defend_wait)
                       : "") +
                  ((plan.settings.arbitration & core::kArbitrateWitness) != 0
                       ? "; then the witness, a round trip and a write to its disk"
                       : ""));
  text += verdicts(plan);
  text +=
      row("wait", automatic
                      ? "none when the verdict is clear; an undecided silence is waited out for " +
                            to_text(plan.settings.failover_wait)
                      : "for an operator: crossbeat failover");
  text += row("lease", rest == Duration{}
                           ? "no wait: the last grant to the peer ends " + to_text(lease) +
                                 " after its last frame, before the verdict"
                           : "at most " + to_text(rest) + " until the last grant to the peer ends");
  text += row("fence", fence ? plan.node.fence_command.front() + ", at most " +
                                   to_text(plan.settings.fence_deadline)
                             : "none configured");
  const std::string address = "well under 1 ms, then announced at " + [&] {
    std::string list;
    for (const Duration at : plan.node.announce_schedule) {
      list += (list.empty() ? "" : ", ") + duration_text(at);
    }
    return list + " and every " + duration_text(plan.node.announce_refresh);
  }();
  if (plan.settings.address_last) {
    text += row("services", services_text(plan.node));
    text += row("address", "after the services; " + address);
  } else {
    text += row("address", address);
    text += row("services", services_text(plan.node));
  }
  if (automatic) {
    const Duration least = verdict;
    const Duration most = verdict + (plan.detect_most - plan.detect_least) + rest + 1_ms;
    text +=
        row("in all", "the address is back after " + span_text(least, most) +
                          (fence ? ", plus the fence command" : "") +
                          (plan.settings.address_last ? ", plus the start of the services" : ""));
  }
  return text;
}

std::string other_faults(const Plan& plan) {
  std::string text = "Other faults\n";
  text += row("hung monitor",
              "a takeover " + to_text(plan.node.heartbeat.monitor_grace) + " after it stopped");
  text += row("graceful stop", "no takeover: the peer says goodbye, or hands over first");
  text += row("start", "a node that finds nobody waits " + to_text(plan.settings.wait_for_peer) +
                           ", then serves only if its ledger proves that the peer cannot have");
  text += row("and back", std::string(plan.settings.automatic_failback ? "automatic" : "manual") +
                              " failback, not before " + to_text(plan.settings.hold_down) +
                              " and data in step");
  if ((plan.settings.arbitration & core::kArbitrateWitness) != 0) {
    text += row("witness down", "while the nodes see each other: an alarm after " +
                                    to_text(plan.node.witness_deadline) + ", and nothing else");
  }
  text += row("flapping",
              std::to_string(plan.settings.automatic_moves_max) + " automatic moves within " +
                  duration_text(plan.settings.automatic_moves_window) + " turn automatic mode off");
  return text;
}

}  // namespace

std::string timeline_text(const Node& node, const Pair* pair) {
  const Plan plan = plan_of(node, pair);
  return heartbeats(plan) + "\n" + right_to_serve(plan) + "\n" + failover(plan) + "\n" +
         other_faults(plan);
}

}  // namespace cb::config
