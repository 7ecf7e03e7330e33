// SPDX-License-Identifier: Apache-2.0
//
// crossbeat.toml as the answers want it. What else stands in the file stays; the result is read as
// the monitor would read it, on the machine as it will be, before anything is written.
#include "base/text.h"
#include "cli/setup/check.h"
#include "cli/setup/plan.h"
#include "cli/setup/toml_edit.h"
#include "config/address.h"
#include "config/quote.h"

namespace cb::cli::setup {
namespace {

constexpr const char* kNodeFile = "/etc/crossbeat/crossbeat.toml";

using config::quoted;

// The machine after the plan was applied.
config::MachineFacts machine_after(const Draft& draft) {
  config::MachineFacts facts = draft.current->facts;
  if (!draft.answers.host_name.empty()) {
    facts.host_name = draft.answers.host_name;
  }
  for (auto& interface : facts.interfaces) {
    const Port* port = draft.answers.port(interface.name);
    const auto address = parse_ipv4(port == nullptr ? "" : port->address);
    if (!address) {
      continue;
    }
    const config::Prefix prefix{config::address_of(*address), mask_length(port->mask).value_or(24)};
    std::vector<config::Prefix> addresses{prefix};
    std::vector<std::string> labels{interface.name};
    for (std::size_t i = 0; i < interface.addresses.size(); ++i) {
      const bool replaced =
          interface.addresses[i].address.is_v4() && interface.labels[i] == interface.name;
      if (!replaced) {
        addresses.push_back(interface.addresses[i]);
        labels.push_back(interface.labels[i]);
      }
    }
    interface.addresses = addresses;
    interface.labels = labels;
  }
  facts.default_gateway = {};
  if (const auto gateway = parse_ipv4(draft.answers.gateway)) {
    facts.default_gateway = config::address_of(*gateway);
  }
  return facts;
}

std::string edited(const Draft& draft, std::string toml) {
  const Answers& answers = draft.answers;
  if (!is_skipped(draft.choices, "ha")) {
    toml = with_key(toml, "node", "role", quoted(answers.secondary ? "secondary" : "primary"));
    toml = with_key(toml, "network", "interface", quoted(answers.hm_interface));
    toml = answers.direct_interface == "none"
               ? without_key(toml, "direct", "interface")
               : with_key(toml, "direct", "interface", quoted(answers.direct_interface));
    toml = answers.secondary
               ? without_key(without_key(toml, "virtual", "address"), "virtual", "label")
               : with_key(toml, "virtual", "address",
                          quoted(answers.virtual_address + "/" +
                                 std::to_string(mask_length(answers.virtual_mask).value_or(24))));
  }
  const Port* hm = answers.port(answers.hm_interface);
  if (hm != nullptr && !hm->address.empty()) {
    toml = with_key(toml, "network", "address", quoted(hm->address));
    const bool inside =
        !answers.gateway.empty() && is_same_subnet(hm->address, answers.gateway, hm->mask);
    toml = with_key(toml, "network", "gateway", quoted(inside ? answers.gateway : "none"));
    if (!inside) {  // nobody can be asked; the file may name a fence instead
      const auto node = config::parse_node(toml, kNodeFile, machine_after(draft));
      const bool asks = !node.value.arbitration.empty() && node.value.arbitration[0] == "gateway";
      toml = asks && node.value.arbitration.size() == 1 && !node.value.automatic_failover
                 ? with_key(toml, "arbitration", "kinds", "[\"none\"]")
                 : toml;
    }
  }
  return toml;
}

}  // namespace

Result<> plan_node(const Draft& draft, Plan& plan) {
  const bool ha = !is_skipped(draft.choices, "ha");
  const bool hm_moves = !is_skipped(draft.choices, draft.answers.hm_interface) ||
                        !is_skipped(draft.choices, draft.answers.ports.front().name);
  if (!ha && !(draft.current->configured && hm_moves)) {
    return {};
  }
  if (draft.answers.gateway.empty()) {
    plan.notes.emplace_back(
        "without a gateway this node cannot tell whether it is cut off: arbitration is none, and "
        "failover stays manual, until [arbitration] in crossbeat.toml says otherwise");
  }
  const std::string before = content_of(draft, kNodeFile);
  const std::string after =
      edited(draft, trim(before).empty() ? "# Crossbeat's configuration; see crossbeat.toml(5).\n"
                                         : before);
  const auto node = config::parse_node(after, kNodeFile, machine_after(draft));
  for (const config::Problem& problem : node.problems) {
    if (!problem.warning) {
      return fail(0, "the configuration would be refused: " + problem.text());
    }
    plan.notes.push_back(problem.text());
  }
  const std::size_t files = plan.files.size();
  write_unless_same(draft, plan, kNodeFile, after);
  if (draft.answers.recovery) {
    plan.notes.emplace_back(
        "recovery mode: do not start the monitor yet. On the secondary, which may serve on: "
        "crossbeat pairing-code; then here: crossbeat recover --from ADDRESS-OF-THE-SECONDARY, "
        "and systemctl start crossbeat");
  } else if (plan.files.size() != files) {
    plan.notes.emplace_back(
        draft.current->monitor_runs
            ? "the monitor takes the new configuration up with: crossbeat restart"
            : "start the monitor with: systemctl enable --now crossbeat");
  }
  return {};
}

}  // namespace cb::cli::setup
