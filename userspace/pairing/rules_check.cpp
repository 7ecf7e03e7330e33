// SPDX-License-Identifier: Apache-2.0
//
// The rules over two hellos. Their order is the order in which an operator wants to hear of them:
// first who they are, then their addresses, then whether these machines may be a pair.
#include <algorithm>

#include "pairing/licence.h"
#include "pairing/rules.h"

namespace cb::pairing {
namespace {

std::string list_of(const std::vector<config::Prefix>& networks) {
  std::string text;
  for (const config::Prefix& network : networks) {
    text += (text.empty() ? "" : ", ") + network.text();
  }
  return text;
}

Finding check_addresses(const Hello& primary, const Hello& secondary) {
  const config::Address& ours = primary.hm_address;
  const config::Address& theirs = secondary.hm_address;
  if (ours == theirs) {
    return {Refusal::SameNode, ours.text()};
  }
  if (ours.is_v4() != theirs.is_v4()) {
    return {Refusal::AddressFamily, ours.text() + " and " + theirs.text()};
  }
  if (primary.target != theirs) {
    return {Refusal::TargetAddress, "it calls itself " + theirs.text()};
  }
  if (secondary.target != ours) {
    return {Refusal::SourceAddress, secondary.target.text() + " in place of " + ours.text()};
  }
  const bool shared = is_in_any(ours, secondary.networks) && is_in_any(theirs, primary.networks);
  if (!shared || !is_in_any(ours, primary.networks) || !is_in_any(theirs, secondary.networks)) {
    return {Refusal::NotSameSubnet, ours.text() + " in " + list_of(primary.networks) + ", and " +
                                        theirs.text() + " in " + list_of(secondary.networks)};
  }
  return {};
}

Finding check_virtual(const Hello& primary, const Hello& secondary) {
  if (primary.virtual_addresses.empty()) {
    return {Refusal::NoVirtualAddress, ""};
  }
  for (const config::Prefix& virtual_address : primary.virtual_addresses) {
    const config::Address& address = virtual_address.address;
    if (address == primary.hm_address || address == secondary.hm_address) {
      return {Refusal::VirtualIsHealth, address.text()};
    }
    for (const Hello* node : {&primary, &secondary}) {
      if (!is_in_any(address, node->networks)) {
        return {Refusal::VirtualNotInSubnet, address.text() + " is not in " +
                                                 list_of(node->networks) + " of " +
                                                 node->hm_address.text()};
      }
    }
  }
  return {};
}

bool overlap(const WireRange& a, const WireRange& b) {
  return std::max(a.lowest, b.lowest) <= std::min(a.highest, b.highest);
}

// The same on both, but for the time of a rolling upgrade: a pairing that both hold may be renewed
// while their versions differ, as long as they understand each other's heartbeats.
Finding check_versions(const Hello& primary, const Hello& secondary) {
  if (agreed_protocol(primary, secondary) <
      std::max(primary.protocol_min, secondary.protocol_min)) {
    return {Refusal::Protocol, ""};
  }
  if (!overlap(primary.heartbeat, secondary.heartbeat)) {
    return {Refusal::Protocol, "no version of the heartbeat in common"};
  }
  if (is_renewal(primary, secondary)) {
    return {};
  }
  if (primary.version != secondary.version) {
    return {Refusal::SoftwareVersion,
            "the primary runs " + primary.version + ", the secondary " + secondary.version};
  }
  if (shown_version(primary) != shown_version(secondary)) {
    return {Refusal::SoftwareVersion, "the product of the primary has the version " +
                                          shown_version(primary) + ", the secondary's " +
                                          shown_version(secondary)};
  }
  return {};
}

std::vector<std::string> primaries_of(const Hello& primary, const Hello& secondary) {
  std::vector<std::string> models = secondary.others.value_or(Hello::Others{});
  models.push_back(primary.platform.model);
  return models;
}

Finding check_platforms(const Hello& primary, const Hello& secondary, const RuleBook& book) {
  if (!book.platforms_problem.empty()) {
    return {Refusal::PlatformRules, book.platforms_problem};
  }
  const auto pair = config::judge_pair(book.platforms, primary.platform, secondary.platform);
  if (!pair.allowed) {
    return {Refusal::Platform, pair.text};
  }
  const auto together = config::judge_together(book.platforms, secondary.platform.model,
                                               primaries_of(primary, secondary));
  if (!together.allowed) {
    return {Refusal::Together, together.text};
  }
  return {};
}

Activation activation(const Hello& node, const RuleBook& book) {
  return activation_of(node.licence, book.licence, {node.udi, node.platform.model, book.today});
}

Finding check_licences(const Hello& primary, const Hello& secondary, const RuleBook& book) {
  for (const Hello* node : {&primary, &secondary}) {
    if (const Activation found = activation(*node, book); !is_active(found)) {
      return {node == &primary ? Refusal::PrimaryLicence : Refusal::SecondaryLicence,
              node->hm_address.text() + ": " + std::string(text_of(found))};
    }
  }
  return {};
}

std::string cable_text(const Hello& primary, const Hello& secondary) {
  if (primary.direct && secondary.direct) {
    return "the direct link is used";
  }
  const bool shared = secondary.others && !secondary.others->empty();
  if (primary.direct && shared) {
    return "the direct link is not used: the secondary has another primary, and a cable serves "
           "one pairing; this one uses the network";
  }
  return primary.direct || secondary.direct
             ? "the direct link is not used: only one of the nodes has a free one"
             : "there is no direct link";
}

}  // namespace

const std::string& shown_version(const Hello& hello) {
  return hello.product_version.empty() ? hello.version : hello.product_version;
}

std::string activation_text(const Hello& node, const RuleBook& book) {
  return std::string(text_of(activation(node, book)));
}

Finding check_rules(const Hello& primary, const Hello& secondary, const RuleBook& book) {
  if (primary.role != core::Role::Primary) {
    return {Refusal::SelfNotPrimary, ""};
  }
  if (secondary.role != core::Role::Secondary) {
    return {Refusal::PeerNotSecondary, ""};
  }
  if (Finding finding = check_versions(primary, secondary)) {
    return finding;
  }
  if (Finding finding = check_addresses(primary, secondary)) {
    return finding;
  }
  if (Finding finding = check_virtual(primary, secondary)) {
    return finding;
  }
  if (Finding finding = check_platforms(primary, secondary, book)) {
    return finding;
  }
  return check_licences(primary, secondary, book);
}

Finding check_recovery(const Hello& primary, const Hello& secondary) {
  if (secondary.role != core::Role::Secondary) {
    return {Refusal::PeerNotSecondary, ""};
  }
  if (primary.role != core::Role::Primary) {
    return {Refusal::SelfNotPrimary, ""};
  }
  if (agreed_protocol(primary, secondary) <
          std::max(primary.protocol_min, secondary.protocol_min) ||
      !overlap(primary.heartbeat, secondary.heartbeat)) {
    return {Refusal::Protocol, ""};
  }
  if (primary.version != secondary.version) {
    return {Refusal::SoftwareVersion,
            "the primary runs " + primary.version + ", the secondary " + secondary.version};
  }
  return check_addresses(primary, secondary);
}

std::vector<RuleLine> explain_rules(const Hello& primary, const Hello& secondary,
                                    const RuleBook& book) {
  std::vector<RuleLine> lines;
  const auto add = [&](const char* rule, const Finding& finding, std::string fine) {
    const std::string why =
        finding.detail.empty() ? std::string(name_of(finding.refusal)) : finding.detail;
    lines.push_back({rule, !finding, finding ? why : std::move(fine)});
  };
  const bool differ =
      primary.version != secondary.version || shown_version(primary) != shown_version(secondary);
  add("version", check_versions(primary, secondary),
      differ ? shown_version(primary) + " and " + shown_version(secondary) +
                   ": allowed for the time of an upgrade, since both hold this pairing"
             : "both have " + shown_version(primary));
  add("addresses", check_addresses(primary, secondary),
      primary.hm_address.text() + " and " + secondary.hm_address.text() + " are in one subnet");
  add("virtual address", check_virtual(primary, secondary), "in the subnet of both");
  if (!book.platforms_problem.empty()) {
    add("platform", {Refusal::PlatformRules, book.platforms_problem}, "");
  } else {
    const auto pair = config::judge_pair(book.platforms, primary.platform, secondary.platform);
    lines.push_back({"platform", pair.allowed, pair.text});
    const auto together = config::judge_together(book.platforms, secondary.platform.model,
                                                 primaries_of(primary, secondary));
    lines.push_back({"primaries of the secondary", together.allowed, together.text});
  }
  add("activation", check_licences(primary, secondary, book),
      "primary: " + activation_text(primary, book) +
          ", secondary: " + activation_text(secondary, book));
  lines.push_back({"direct link", true, cable_text(primary, secondary)});
  return lines;
}

}  // namespace cb::pairing
