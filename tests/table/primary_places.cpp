// SPDX-License-Identifier: Apache-2.0
//
// Where a primary can be. Each place is reached by events alone, as tests/core does it.
#include "tests/table/stories.h"
#include "tests/table/table.h"

namespace cb::table {
namespace {

using namespace core;

Settings usual() { return usual_settings(Role::Primary); }

// In command under the lease of a ready standby, with older terms behind it.
Driver holder(const Settings& settings = usual()) {
  LedgerRecord ledger;
  ledger.term = 10;
  Driver d = primary_in_command(settings, ledger);
  const PeerFacts standby = d.state.peer;
  d.live(20_s);  // long enough for the grants of an earlier life to be over
  d.hear(standby);
  settle(d);
  return d;
}

Driver asking(const Settings& settings, const LedgerRecord& ledger = {}) {
  Driver d(settings);
  d.start(ledger);
  d.finish_ladder();
  return d;
}

LedgerRecord alone_before() {
  LedgerRecord r;
  r.term = r.command_term = 4;
  r.reserved_term = 300;
  r.state = StateName::PrimaryActive;
  r.in_command = r.solo = r.peer_stale = true;
  return r;
}

Driver standing_by(const Settings& settings, Duration since_start = 20_s) {
  Driver d = asking(settings);
  d.meet(peer_facts(Role::Secondary, 5));
  if (settings.has_volume) {
    d.step(EventKind::VolumeInStep);
  }
  d.finish_ladder();
  d.live(since_start);
  d.hear(peer_facts(Role::Secondary, 5));
  settle(d);
  return d;
}

Driver handing_over() {
  Driver d = holder();
  d.step(EventKind::OperatorSwitchover);
  d.finish_ladder();
  return d;
}

PeerFacts in_failback(uint8_t intent) {
  PeerFacts f = peer_facts(Role::Secondary, 5);
  f.state = StateName::FailbackActive;
  f.intent = intent;
  return f;
}

Driver failback(int steps) {
  Settings settings = usual();
  settings.has_volume = true;
  Driver d = standing_by(settings);
  d.hear(in_failback(CB_INTENT_NONE));
  if (steps > 0) {
    d.hear(in_failback(CB_INTENT_HAND_OVER));
  }
  if (steps > 1) {
    PeerFacts released = in_failback(CB_INTENT_HAND_OVER);
    released.flags = (released.flags & ~static_cast<uint32_t>(CB_FACT_SERVING)) | CB_FACT_RELEASED;
    d.hear(released);
    for (int i = 0; steps > 2 && i < 4; ++i) {
      d.finish_ladder();
      released.term = d.facts().term;
      d.hear(released);
    }
  }
  if (steps > 2) {
    PeerFacts behind = peer_facts(Role::Secondary, 0, d.state.term);
    behind.command_term = 5;
    behind.state = StateName::SecondaryAlone;
    behind.sub_state = SubState::Synchronizing;
    behind.flags &= ~static_cast<uint32_t>(CB_FACT_IN_STEP | CB_FACT_ELIGIBLE);
    d.hear(behind);
  }
  settle(d);
  return d;
}

void starting(std::vector<Place>& out) {
  out.push_back({"the monitor has not read its ledger yet", Driver(usual())});
  Driver d(usual());
  d.start();
  out.push_back({"just started: clears away whatever an earlier life left standing", d});
  out.push_back({"started, and nothing heard yet", asking(usual())});
  d = asking(usual());
  d.step(EventKind::PeerSilent);
  d.live(20_s);
  out.push_back({"nobody reachable, and no proof that the peer has not served", d});
  d = asking(usual(), alone_before());
  d.step(EventKind::PeerSilent);
  d.live(16_s);
  settle(d);
  out.push_back({"nobody reachable; the ledger proves it, and arbitration is asked", d});
  d.decide(Verdict::Defended);
  out.push_back({"... and arbitration says no", d});
  d = asking(usual());
  d.meet(starting_peer(Role::Secondary));
  settle(d);
  out.push_back({"cold start of both: takes command under the peer's lease", d});
  d = asking(usual(), alone_before());
  d.step(EventKind::PeerSilent);
  d.live(16_s);
  d.decide(Verdict::Granted);
  d.live(5_ms);
  settle(d);
  out.push_back({"cold start alone, on the ledger's proof", d});
}

void in_command(std::vector<Place>& out) {
  out.push_back({"under the lease of a ready standby", holder()});
  Driver d = holder();
  link(d, EventKind::LinkSilent, Link::Direct);
  out.push_back({"one link is silent", d});
  d = holder();
  d.step(EventKind::ServicesDown);
  out.push_back({"its services are down, the standby could take over", d});
  d = holder();
  PeerFacts peer = peer_facts(Role::Secondary, 0, d.state.term);
  peer.flags &= ~static_cast<uint32_t>(CB_FACT_FAILOVER_AUTO);
  d.hear(peer);
  settle(d);
  out.push_back({"solo, since the standby would not take over by itself", d});
  d = holder();
  d.pass(5_ms);
  d.step(EventKind::PeerSuspect);
  out.push_back({"probes are overdue: arbitration is asked ahead", d});
  d = holder();
  d.fall_silent();
  out.push_back({"the standby is silent, arbitration is asked", d});
  d.decide(Verdict::Isolated);
  out.push_back({"the standby is silent, and it is we who are cut off", d});
  d = holder();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  settle(d);
  out.push_back({"solo: the standby is down by arbitration", d});
  d = holder();
  peer = peer_facts(Role::Secondary, 0, d.state.term);
  peer.intent = CB_INTENT_GOODBYE;
  d.hear(peer);
  settle(d);
  d.fall_silent();
  settle(d);
  out.push_back({"solo: the standby was stopped on purpose", d});
  Settings fenced = usual();
  fenced.arbitration = kArbitrateFence;
  fenced.has_fence = true;
  d = holder(fenced);
  d.fall_silent();
  settle(d);
  out.push_back({"the standby is silent and is being fenced", d});
  Settings volume = usual();
  volume.has_volume = true;
  d = holder(volume);
  d.step(EventKind::VolumeFellBehind);
  settle(d);
  out.push_back({"the standby's data is behind", d});
  Settings unpaired = usual();
  unpaired.paired = false;
  d = asking(unpaired);
  out.push_back({"not paired", d});
}

void ending(std::vector<Place>& out) {
  Driver d = holder();
  d.step(EventKind::ShutdownRequested, false);
  settle(d);
  out.push_back({"being stopped: going down", d});
  d.finish_ladder();
  out.push_back({"being stopped: waits until the peer has heard it", d});
  d = holder();
  d.step(EventKind::ShutdownRequested, true);
  out.push_back({"a planned restart: waits for the long grant", d});
  d = holder();
  d.step(EventKind::OperatorUnpair);
  settle(d);
  out.push_back({"the pairing is being removed", d});
}

void moving(std::vector<Place>& out) {
  Driver d = holder();
  d.step(EventKind::OperatorSwitchover);
  settle(d);
  out.push_back({"a switchover: stopping services, still serving", d});
  d = handing_over();
  out.push_back({"released: the peer may take it", d});
  d.live(6_s);
  settle(d);
  out.push_back({"the peer did not take it in time: takes command back", d});
  out.push_back({"the secondary prepares a failback", failback(0)});
  out.push_back({"the secondary is going down for us", failback(1)});
  out.push_back({"the secondary released: takes command", failback(2)});
  out.push_back({"in command again, the secondary not yet in step", failback(3)});
}

void not_in_command(std::vector<Place>& out) {
  Driver d = holder();
  d.hear(peer_facts(Role::Secondary, 15));
  settle(d);
  out.push_back({"the peer serves in a newer term: going down", d});
  d = holder();
  d.fall_silent();
  d.decide(Verdict::Granted);
  d.live(5_ms);
  settle(d);
  d.hear(peer_facts(Role::Secondary, 15));
  settle(d);
  out.push_back({"both served solo, ours is the older term: going down", d});
  out.push_back({"stands by, and could take over", standing_by(usual())});
  out.push_back({"stands by, restarted a moment ago", standing_by(usual(), 1_s)});
  d = standing_by(usual());
  d.fall_silent();
  out.push_back({"stands by, the peer is silent, arbitration is asked", d});
  d.decide(Verdict::Granted);
  d.live(5_ms);
  settle(d);
  out.push_back({"takes over from the silent secondary", d});
  d = handing_over();
  d.fall_silent();
  settle(d);
  out.push_back({"released, and then the peer fell silent: it may have taken it", d});
  d = standing_by(usual());
  PeerFacts peer = peer_facts(Role::Secondary, 5);
  peer.intent = CB_INTENT_GOODBYE;
  peer.flags &= ~static_cast<uint32_t>(CB_FACT_SERVING);
  d.hear(peer);
  settle(d);
  out.push_back({"the secondary in command was stopped on purpose", d});
}

}  // namespace

std::vector<Place> primary_places() {
  std::vector<Place> out;
  starting(out);
  in_command(out);
  ending(out);
  moving(out);
  not_in_command(out);
  return out;
}

}  // namespace cb::table
