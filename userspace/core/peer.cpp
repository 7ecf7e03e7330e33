// SPDX-License-Identifier: Apache-2.0
//
// What the peer is, and how news of it and of ourselves come into the state.
#include <algorithm>

#include "bpf/crossbeat_wire.h"
#include "core/arbitration.h"
#include "core/ladder.h"
#include "core/step.h"
#include "core/work.h"

namespace cb::core {
namespace {

bool said(const PeerFacts& facts, uint32_t fact) noexcept { return (facts.flags & fact) != 0; }

// The peer served without us: whatever our volume thinks, our data is behind until it is in step
// again.
void mark_stale(Work& w) noexcept {
  State& s = w.s;
  s.stale = true;
  s.in_step = false;
  s.resync_asked = false;
  report(w, Report::MarkedStale, 0, Reason::StaleData);
}

void learn_staleness(Work& w, const PeerFacts& before) noexcept {
  State& s = w.s;
  const bool news = before.boot != s.peer.boot || before.received <= s.facts_after ||
                    !said(before, CB_FACT_PEER_STALE);
  if (s.settings.has_volume && said(s.peer, CB_FACT_PEER_STALE) && news && !s.in_command &&
      !s.stale) {
    mark_stale(w);
  }
}

// Something of the peer was heard. Whether it answers is the detector's to say; until then the peer
// is neither silent nor answering, and nothing is decided on a silence that is over.
void break_silence(State& s) noexcept {
  s.peer_silent = false;
  s.silent_since = Instant::never();
}

void absorb_facts(Work& w) noexcept {
  State& s = w.s;
  const PeerFacts& facts = w.e.peer;
  if (facts.boot == 0) {
    return;
  }
  s.heard_at = w.now;
  if (s.peer_silent && facts.received > s.facts_after) {
    break_silence(s);
  }
  // term 0: its monitor has not begun. The other two are a broken pairing: nothing it says can be
  // used.
  if (facts.term == 0 || facts.role == s.settings.role ||
      std::max(facts.term, facts.command_term) >= kTermMax) {
    return;
  }
  const PeerFacts before = s.peer;
  s.peer = facts;
  s.term = std::max({s.term, facts.term, facts.command_term});
  learn_staleness(w, before);
  if (before.progress_permille != facts.progress_permille) {
    s.progress_at = w.now;
  }
  if (!said(facts, CB_FACT_RESTARTING)) {
    s.peer_restart_until = Instant{};
  } else if (!said(before, CB_FACT_RESTARTING) || before.session != facts.session) {
    const uint32_t wanted = std::min(facts.wanted_grant_us, CB_GRANT_US_MAX);
    s.peer_restart_until = w.now + Duration::from_us(wanted);
  }
  if (facts.intent != CB_INTENT_WANT_COMMAND) {
    s.refused_peer = false;
  }
}

void absorb_suspicion(Work& w) noexcept { w.s.peer_suspect = true; }

void absorb_silence(Work& w) noexcept {
  State& s = w.s;
  s.peer_suspect = true;
  s.peer_answers = false;
  if (!s.peer_silent) {
    s.peer_silent = true;
    s.silent_since = w.now;
    s.facts_after = w.now;
    report(w, Report::HeartbeatsDown);
    if (peer_may_get_ahead(s) && !s.stale) {
      mark_stale(w);
    }
  }
}

// Also the end of a suspicion that never became silence.
void absorb_answer(Work& w) noexcept {
  State& s = w.s;
  if (!s.peer_answers) {
    report(w, Report::HeartbeatsUp);
    s.resync_asked = false;  // whatever was under way was cut off
  }
  s.peer_suspect = false;
  s.peer_silent = false;
  s.peer_answers = true;
  s.silent_since = Instant::never();
  s.give_up_at = Instant::never();
  s.failover_wanted = false;
  s.mid_move = false;
  s.heard_at = w.now;
}

void absorb_volume(Work& w) noexcept {
  State& s = w.s;
  if (w.e.kind == EventKind::VolumeInStep) {
    s.in_step = true;
    s.volume_ok = true;
    s.resync_asked = false;
    s.progress_permille = 1000;
    s.position = std::max(s.position, w.e.value);
    // In step with somebody who serves or with nobody: only the first makes old data new.
    if (!s.in_command && (s.peer_answers || !s.stale)) {
      s.stale = false;
    }
  } else if (w.e.kind == EventKind::VolumeFellBehind) {
    s.in_step = s.in_step && s.in_command && !s.volume_ok;
    s.resync_asked = false;
  } else if (w.e.kind == EventKind::VolumeProgress) {
    const auto permille = static_cast<uint16_t>(std::min<uint64_t>(w.e.value, 1000));
    if (permille != s.progress_permille) {
      s.progress_at = w.now;
    }
    s.progress_permille = permille;
  } else if (w.e.kind == EventKind::VolumeFailed) {
    s.volume_ok = false;
    // Nothing is acknowledged any more: a standby that was in step has everything, and stays so.
    s.in_step = s.in_step && s.in_command;
    s.resync_asked = false;
  }
}

void absorb_verdict(Work& w) noexcept {
  Question& q = w.s.question;
  if (q.id == 0 || w.e.action != q.id) {
    return;  // of a question that was withdrawn
  }
  q.id = 0;
  q.overdue_at = Instant::never();
  q.answered = true;
  q.verdict = w.e.verdict;
  q.answered_at = w.now;
  q.ask_again_at = w.now + ask_again_after(w.s.settings);
  // Without its answer nobody knows: it may have granted.
  const bool maybe = w.e.verdict == Verdict::Granted || w.e.verdict == Verdict::Unavailable;
  if (maybe && needs_witness(w.s)) {
    w.s.witness_held = true;
  }
  report(w, Report::ArbitrationSaid, static_cast<uint64_t>(w.e.verdict));
}

void absorb_stall(Work& w) noexcept {
  State& s = w.s;
  report(w, Report::SelfStalled, static_cast<uint64_t>(std::max<int64_t>(w.e.span.as_us(), 0)));
  // Whatever was asked or answered before, we have not listened since: ask anew, count anew.
  if (s.question.id != 0 || s.question.answered) {
    drop_question(w);
  }
  s.resync_asked = false;  // what was under way may have been cut off without a word
}

}  // namespace

bool peer_says(const State& s, uint32_t fact) noexcept {
  return s.peer.boot != 0 && said(s.peer, fact);
}

bool peer_may_get_ahead(const State& s) noexcept {
  return s.settings.has_volume && !s.in_command && peer_says(s, CB_FACT_SERVING) &&
         peer_says(s, CB_FACT_PEER_STALE);
}

bool peer_is_present(const State& s) noexcept {
  return s.peer_answers && s.peer.boot != 0 && s.peer.received > s.facts_after;
}

PeerIs peer_is(const State& s) noexcept {
  if (!s.peer_answers) {
    return s.peer_silent ? PeerIs::Silent : PeerIs::Unknown;
  }
  if (!peer_is_present(s)) {
    return PeerIs::Unknown;
  }
  if (said(s.peer, CB_FACT_UNPAIRING)) {
    return PeerIs::Unpairing;
  }
  const bool goodbye = s.peer.intent == CB_INTENT_GOODBYE;
  const bool hand_over = s.peer.intent == CB_INTENT_HAND_OVER;
  if (said(s.peer, CB_FACT_SERVING)) {
    if (s.peer.term < s.command_term && !s.in_command) {
      return PeerIs::Outdated;
    }
    const bool leaving = hand_over && !s.peer_monitor_stale;
    return goodbye ? PeerIs::Stopping : leaving ? PeerIs::Leaving : PeerIs::Serving;
  }
  if (goodbye) {
    return PeerIs::Goodbye;
  }
  if (hand_over && said(s.peer, CB_FACT_RELEASED)) {
    return PeerIs::Released;
  }
  if (s.peer_monitor_stale) {
    return PeerIs::Idle;  // whatever it was about to do, it is not doing it
  }
  if (hand_over) {
    return PeerIs::Leaving;
  }
  return s.peer.sub_state == SubState::GoingUp ? PeerIs::Climbing : PeerIs::Idle;
}

bool wants_facts_again(const State& s, Instant received) noexcept {
  return s.peer.boot != 0 && s.peer.received <= s.facts_after && received > s.facts_after;
}

bool is_serving(const State& s) noexcept { return s.in_command; }

bool is_climbing(const State& s) noexcept { return s.ladder == Ladder::Up && !s.in_command; }

void absorb(Work& w) noexcept {
  State& s = w.s;
  switch (w.e.kind) {
    case EventKind::Started:
    case EventKind::Tick: break;
    case EventKind::PeerHeard: absorb_facts(w); break;
    case EventKind::LinkSilent:
      s.link_answers[static_cast<size_t>(w.e.link)] = false;
      report(w, Report::LinkDown, static_cast<uint64_t>(w.e.link));
      start(w, ActionKind::Burst, Duration{});
      break;
    case EventKind::LinkAnswered:
      s.link_answers[static_cast<size_t>(w.e.link)] = true;
      break_silence(s);
      report(w, Report::LinkUp, static_cast<uint64_t>(w.e.link));
      break;
    case EventKind::PeerSuspect: absorb_suspicion(w); break;
    case EventKind::PeerSilent: absorb_silence(w); break;
    case EventKind::PeerAnswered: absorb_answer(w); break;
    case EventKind::PeerMonitorStale: s.peer_monitor_stale = true; break;
    case EventKind::PeerMonitorFresh:
      s.peer_monitor_stale = false;
      s.failover_wanted = s.failover_wanted && s.peer_silent;
      break;
    case EventKind::SelfStalled: absorb_stall(w); break;
    case EventKind::ArbitrationDone: absorb_verdict(w); break;
    case EventKind::ActionDone:
      if (s.persist != 0 && w.e.action == s.persist) {
        on_persisted(w);
      }
      break;
    case EventKind::ServicesUp:
      s.services_ok = true;
      s.forgive_at = Instant::never();
      break;
    case EventKind::ServicesDown:
      // A standby's are down because they should be.
      s.services_ok = s.services_ok && !s.in_command && s.ladder != Ladder::Up;
      break;
    case EventKind::NetworkUp: s.network_ok = true; break;
    case EventKind::NetworkDown: s.network_ok = false; break;
    case EventKind::VolumeInStep:
    case EventKind::VolumeFellBehind:
    case EventKind::VolumeProgress:
    case EventKind::VolumeFailed: absorb_volume(w); break;
    case EventKind::OperatorMaintenance:
      if (s.maintenance != w.e.on) {
        report(w, w.e.on ? Report::MaintenanceOn : Report::MaintenanceOff);
        s.automatic_off = false;
        s.moves = {};
      }
      s.maintenance = w.e.on;
      s.maintenance_until_wall_s = w.e.on ? w.e.value : 0;
      break;
    case EventKind::OperatorFailoverType:
      s.settings.automatic_failover = w.e.on;
      s.automatic_off = false;
      s.moves = {};
      break;
    case EventKind::OperatorFailbackType:
      s.settings.automatic_failback = w.e.on;
      s.automatic_off = false;
      s.moves = {};
      break;
    case EventKind::AddressConflict:
    case EventKind::OperatorSwitchover:
    case EventKind::OperatorFailover:
    case EventKind::OperatorFailback:
    case EventKind::OperatorUnpair:
    case EventKind::ShutdownRequested: break;
  }
  // Nothing is in step with nobody's data: without a volume the question does not arise.
  if (!s.settings.has_volume) {
    s.in_step = true;
    s.stale = false;
  }
  if (peer_says(s, CB_FACT_RESTARTING)) {
    s.long_grants_until = w.now + kLongestGrant;
  }
  // What makes a node in command go without our lease, and nothing else.
  const bool behind = s.settings.has_volume && (s.stale || !s.in_step);
  if (behind || s.in_command || !is_automatic(s)) {
    s.ready_since = Instant::never();
  } else if (s.ready_since.is_never()) {
    s.ready_since = w.now;
  }
  const bool good = peer_is_present(s) && why_peer_not_eligible(s) == Reason::None;
  if (!good) {
    s.peer_good_since = Instant::never();
  } else if (s.peer_good_since.is_never()) {
    s.peer_good_since = w.now;
  }
  if (!s.forgive_at.is_never() && w.now >= s.forgive_at) {
    s.forgive_at = Instant::never();
    s.services_ok = true;
  }
  if (!s.retry_at.is_never() && w.now >= s.retry_at) {
    s.retry_at = Instant::never();
  }
}

}  // namespace cb::core
