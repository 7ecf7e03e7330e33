// SPDX-License-Identifier: Apache-2.0
#include "agent/peer_view.h"

namespace cb::agent {
namespace {

core::PeerFacts facts_from(const cb_peer_facts& said, uint64_t boot) {
  core::PeerFacts facts;
  facts.boot = boot;
  facts.session = said.session;
  facts.term = said.term;
  facts.command_term = said.command_term;
  facts.position = said.position;
  facts.flags = said.flags;
  // Numbers from the wire become names only when they are ones that we know; a newer peer may have
  // more.
  facts.state = said.state < core::kStateNames ? static_cast<core::StateName>(said.state)
                                               : core::StateName::Terminated;
  facts.role = said.role == 0 ? core::Role::Primary : core::Role::Secondary;
  facts.sub_state = said.sub_state <= static_cast<uint8_t>(core::SubState::OperatorNeeded)
                        ? static_cast<core::SubState>(said.sub_state)
                        : core::SubState::None;
  facts.intent = said.intent;
  facts.progress_permille = said.progress_permille;
  facts.wanted_grant_us = said.wanted_grant_us;
  facts.grants = said.grant_us > 0;
  facts.unanswered = {said.unanswered[0], said.unanswered[1]};
  facts.received = Instant::from_ns(static_cast<int64_t>(said.received_ns));
  return facts;
}

}  // namespace

int64_t wall_offset_here(const cb_peer_facts& said) {
  // Unsigned: what comes from the wire may be anything.
  return static_cast<int64_t>(said.wall_offset_ns + said.stamp_ns - said.received_ns);
}

PeerNews read_peer(const edge::Kernel& kernel, unsigned slot) {
  PeerNews news;
  for (unsigned link = 0; link < CB_LINKS; ++link) {
    const uint64_t boot = CB_READ_ONCE(kernel.paths()[slot * CB_LINKS + link].peer_boot);
    if (boot == 0) {
      continue;
    }
    const auto said = kernel.read_peer(slot, link);
    if (!said) {
      news.busy = true;
      continue;
    }
    if (static_cast<int64_t>(said->received_ns) <= news.facts.received.as_ns()) {
      continue;
    }
    news.facts = facts_from(*said, boot);
    news.monitor_age = Duration::from_us(said->monitor_age_us);
    news.grant_us = said->grant_us;
    news.wall_offset_ns = wall_offset_here(*said);
  }
  return news;
}

bool same_facts(const core::PeerFacts& a, const core::PeerFacts& b) {
  core::PeerFacts left = a;
  left.received = b.received;
  return left == b;
}

LinkViews read_links(const edge::Kernel& kernel, unsigned slot,
                     const std::array<bool, core::kLinks>& configured,
                     const std::array<bool, core::kLinks>& carrier) {
  LinkViews views;
  for (size_t link = 0; link < views.size(); ++link) {
    const size_t index = slot * CB_LINKS + link;
    const cb_path& path = kernel.paths()[index];
    const cb_probes& probes = kernel.probes()[index];
    core::LinkView& view = views[link];
    view.configured = configured[link];
    view.carrier = carrier[link];
    // The answers first: a probe sent between the two reads is then only younger than what we know,
    // never overdue.
    view.sent_sequence = CB_READ_ONCE(probes.sequence);
    view.answered_sequence = CB_READ_ONCE(path.answered_sequence);
    view.frame_at = Instant::from_ns(static_cast<int64_t>(CB_READ_ONCE(path.frame_ns)));
    view.sent_ns =
        std::span<const uint64_t>(reinterpret_cast<const uint64_t*>(probes.sent_ns), CB_PROBE_RING);
  }
  return views;
}

}  // namespace cb::agent
