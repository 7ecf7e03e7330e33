// SPDX-License-Identifier: Apache-2.0
//
// Where a secondary can be. Each place is reached by events alone, as tests/core does it.
#include "tests/table/stories.h"
#include "tests/table/table.h"

namespace cb::table {
namespace {

using namespace core;

Settings usual() { return usual_settings(Role::Secondary); }

Settings with_volume() {
  Settings s = usual();
  s.has_volume = true;
  return s;
}

Driver asking(const Settings& settings) {
  Driver d(settings);
  d.start();
  d.finish_ladder();
  return d;
}

Driver taking_over(const Settings& settings = usual()) {
  Driver d = secondary_standing_by(settings);
  d.fall_silent();
  if (d.asked_for(ActionKind::Arbitrate)) {
    d.decide(Verdict::Granted);
  }
  d.live(5_ms);
  settle(d);
  return d;
}

Driver in_command(const Settings& settings = usual()) {
  Driver d = taking_over(settings);
  d.finish_ladder();
  return d;
}

// In command, and the primary is back.
Driver with_primary_back(const Settings& settings = usual(), bool behind = false) {
  Driver d = in_command(settings);
  d.pass(5_s);
  PeerFacts back = peer_facts(Role::Primary, 0, d.state.term);
  back.command_term = 2;
  if (behind) {
    back.flags &= ~static_cast<uint32_t>(CB_FACT_ELIGIBLE | CB_FACT_IN_STEP);
  }
  d.meet(back);
  d.finish_ladder();
  d.live(61_s);
  settle(d);
  return d;
}

Driver gave_back() {
  Driver d = with_primary_back();
  d.step(EventKind::OperatorFailback);
  d.finish_ladder();
  return d;
}

void starting(std::vector<Place>& out) {
  out.push_back({"started, and nothing heard yet", asking(usual())});
  Driver d = asking(usual());
  d.step(EventKind::PeerSilent);
  d.live(20_s);
  out.push_back({"nobody reachable, and no proof that the peer has not served", d});
  Settings unpaired = usual();
  unpaired.paired = false;
  out.push_back({"not paired", asking(unpaired)});
}

void standing_by(std::vector<Place>& out) {
  out.push_back({"ready", secondary_standing_by()});
  Driver d = asking(usual());
  d.meet(peer_facts(Role::Primary, 2));
  settle(d);
  out.push_back({"restarted a moment ago: may have granted in an earlier life", d});
  d = secondary_standing_by();
  d.step(EventKind::NetworkDown);
  out.push_back({"its own network is lost", d});
  d = secondary_standing_by(with_volume());
  d.step(EventKind::VolumeFellBehind);
  settle(d);
  out.push_back({"data is being brought into step", d});
  d = secondary_standing_by();
  d.step(EventKind::PeerMonitorStale);
  settle(d);
  out.push_back({"the peer's monitor is past its grace: takes over from it", d});
  Settings manual = usual();
  manual.automatic_failover = false;
  d = secondary_standing_by(manual);
  out.push_back({"ready, and failover is manual", d});
  d = secondary_standing_by();
  d.step(EventKind::ShutdownRequested, false);
  settle(d);
  out.push_back({"being stopped: grants until the peer no longer needs it", d});
  d = secondary_standing_by();
  d.hear(peer_facts(Role::Primary, 2));
  d.step(EventKind::OperatorSwitchover);
  out.push_back({"an operator asked for command here: asks the peer for it", d});
}

void silent_peer(std::vector<Place>& out) {
  Driver d = secondary_standing_by();
  d.pass(5_ms);
  d.step(EventKind::PeerSuspect);
  out.push_back({"probes are overdue: arbitration is asked ahead", d});
  d = secondary_standing_by();
  d.fall_silent();
  out.push_back({"the peer is silent, arbitration is asked", d});
  Driver granted = d;
  granted.decide(Verdict::Granted);
  out.push_back({"... and grants; the verdict is being confirmed", granted});
  d.decide(Verdict::Isolated);
  out.push_back({"the peer is silent, and it is we who are cut off", d});
  for (int i = 0; i < 600 && d.state.sub != SubState::OperatorNeeded; ++i) {
    d.live(100_ms);
    if (d.asked_for(ActionKind::Arbitrate)) {
      d.decide(Verdict::Isolated);
    }
  }
  settle(d);
  out.push_back({"... until failover_wait was over: given up", d});
  Settings manual = usual();
  manual.automatic_failover = false;
  d = taking_over(manual);
  out.push_back({"the peer is down, and failover is manual", d});
  d.step(EventKind::OperatorFailover);
  out.push_back({"... and an operator said failover: arbitration is asked anew", d});
}

void moving(std::vector<Place>& out) {
  Driver d = taking_over();
  out.push_back({"takes over: the term is being claimed", d});
  d.answer(ActionKind::ClaimTerm);
  out.push_back({"takes over: the peer's last lease is being waited out", d});
  d.answer(ActionKind::CloseLease);
  d.answer(ActionKind::AddAddress);
  settle(d);
  out.push_back({"takes over: the guard is open, clients are served", d});
  Settings fenced = usual();
  fenced.arbitration = kArbitrateFence;
  fenced.has_fence = true;
  d = taking_over(fenced);
  d.answer(ActionKind::ClaimTerm);
  out.push_back({"takes over: the peer is being fenced", d});
  d = secondary_standing_by();
  PeerFacts leaving = peer_facts(Role::Primary, 2);
  leaving.intent = CB_INTENT_HAND_OVER;
  leaving.state = StateName::FailoverInvoked;
  leaving.flags |= CB_FACT_ON_REQUEST;
  d.hear(leaving);
  settle(d);
  out.push_back({"a switchover: the primary is going down for us", d});
  leaving.flags = (leaving.flags & ~static_cast<uint32_t>(CB_FACT_SERVING)) | CB_FACT_RELEASED;
  d.hear(leaving);
  settle(d);
  out.push_back({"a switchover: the primary released, takes command", d});
}

void commanding(std::vector<Place>& out) {
  out.push_back({"solo after a failover, the primary is down", in_command()});
  out.push_back({"the primary is back and stands by", with_primary_back()});
  Driver d = with_primary_back(with_volume(), true);
  out.push_back({"the primary is back, its data is behind", d});
  d.step(EventKind::OperatorFailback);
  settle(d);
  out.push_back({"a failback: data returns while we serve", d});
  d = with_primary_back();
  d.step(EventKind::OperatorFailback);
  settle(d);
  out.push_back({"a failback: stopping services, still serving", d});
  d = gave_back();
  out.push_back({"a failback: released, the primary may take it", d});
  d.live(6_s);
  settle(d);
  out.push_back({"a failback: the primary did not take it, takes command back", d});
}

void afterwards(std::vector<Place>& out) {
  Driver d = gave_back();
  d.hear(peer_facts(Role::Primary, 6));
  settle(d);
  out.push_back({"gave command back", d});
  Driver behind = with_primary_back(with_volume());
  behind.step(EventKind::VolumeInStep);
  behind.finish_ladder();
  behind.step(EventKind::OperatorFailback);
  behind.finish_ladder();
  behind.hear(peer_facts(Role::Primary, 6));
  settle(behind);
  out.push_back({"gave command back, not yet in step", behind});
  d = secondary_standing_by();
  PeerFacts stopped = peer_facts(Role::Primary, 0, 2);
  stopped.command_term = 2;
  stopped.intent = CB_INTENT_GOODBYE;
  d.hear(stopped);
  settle(d);
  out.push_back({"the primary was stopped on purpose and still answers", d});
  d.fall_silent();
  settle(d);
  out.push_back({"the primary was stopped on purpose and is gone", d});
}

}  // namespace

std::vector<Place> secondary_places() {
  std::vector<Place> out;
  starting(out);
  standing_by(out);
  silent_peer(out);
  moving(out);
  commanding(out);
  afterwards(out);
  return out;
}

}  // namespace cb::table
