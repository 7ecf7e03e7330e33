// SPDX-License-Identifier: Apache-2.0
//
// The events that are fed at every place. A column is left out only where it cannot come (the
// answer to a question that was not asked), and then the kind has another that can.
#include <algorithm>

#include "tests/table/peer_columns.h"
#include "tests/table/stories.h"
#include "tests/table/table.h"

namespace cb::table {
namespace {

using namespace core;

constexpr ActionId kNobodys = 999'999;
constexpr int kIoError = 5;

struct Making {
  const Driver& node;
  std::vector<Column> out;

  void add(EventKind kind, const std::string& what, std::function<void(Driver&)> feed) {
    const std::string name(name_of(kind));
    out.push_back({kind, what.empty() ? name : name + ": " + what, std::move(feed)});
  }
  void plain(EventKind kind) {
    add(kind, "", [kind](Driver& d) { d.step(kind); });
  }
  void with(EventKind kind, const std::string& what, bool on, bool force) {
    add(kind, what, [kind, on, force](Driver& d) {
      Event e;
      e.kind = kind;
      e.on = on;
      e.force = force;
      d.step(e);
    });
  }
};

bool same_to_see(const Driver& a, const Driver& b) {
  return a.log.size() == b.log.size() && a.where() == b.where() &&
         a.state.reason == b.state.reason && a.facts() == b.facts() &&
         guard_of(a.state) == guard_of(b.state) && grant_us_of(a.state) == grant_us_of(b.state);
}

// Lives through timers until one does something; an hour is for ever.
Duration until_a_timer_acts(Driver& d) {
  const Driver before = d;
  const Instant end = d.now + 3600_s;
  while (same_to_see(d, before) && next_deadline(d.state) <= end) {
    d.now = next_deadline(d.state);
    d.step(EventKind::Tick);
  }
  return d.now - before.now;
}

std::string text_of_span(Duration span) {
  const int64_t us = span.as_us();
  if (us >= 1'000'000 && us % 1'000'000 == 0) {
    return std::to_string(us / 1'000'000) + " s";
  }
  return std::to_string((us + 999) / 1000) + " ms";
}

void beginning_and_time(Making& m) {
  m.add(EventKind::Started, "", [](Driver& d) { d.start(); });
  Driver probe = m.node;
  const Duration span = until_a_timer_acts(probe);
  if (same_to_see(probe, m.node)) {
    m.plain(EventKind::Tick);
  } else {
    m.add(EventKind::Tick, "after " + text_of_span(span), [](Driver& d) { until_a_timer_acts(d); });
  }
  m.add(EventKind::SelfStalled, "and nothing new is heard", [](Driver& d) {
    Event e;
    e.kind = EventKind::SelfStalled;
    e.span = 300_ms;
    d.pass(300_ms);
    d.step(e);
    if (next_deadline(d.state) <= d.now) {
      d.step(EventKind::Tick);  // at once: see State::unweighed
    }
  });
}

void peer(Making& m) {
  const bool answers = m.node.state.peer_answers;
  for (const Word& word : words_of_peer(m.node)) {
    if (answers) {
      m.add(EventKind::PeerHeard, word.what, [word](Driver& d) {
        d.pass(1_ms);
        d.hear(word.facts);
      });
    } else {
      m.add(EventKind::PeerAnswered, word.what, [word](Driver& d) {
        d.pass(1_ms);
        d.meet(word.facts);
      });
    }
  }
  if (answers) {
    m.plain(EventKind::PeerAnswered);
  } else {
    const Word word = words_of_peer(m.node).front();
    m.add(EventKind::PeerHeard, "a first frame, not yet an answer", [word](Driver& d) {
      d.pass(1_ms);
      d.hear(word.facts);
    });
  }
  m.plain(EventKind::PeerMonitorStale);
  m.plain(EventKind::PeerMonitorFresh);
}

void links_and_silence(Making& m) {
  for (const EventKind kind : {EventKind::LinkSilent, EventKind::LinkAnswered}) {
    for (const Link which : {Link::Direct, Link::Network}) {
      m.add(kind, std::string(name_of(which)), [kind, which](Driver& d) { link(d, kind, which); });
    }
  }
  m.plain(EventKind::PeerSuspect);
  if (m.node.state.peer_silent) {
    m.plain(EventKind::PeerSilent);
    return;
  }
  m.add(EventKind::PeerSilent, "", [](Driver& d) { d.fall_silent(); });
  Driver probe = m.node;
  probe.fall_silent();
  if (!probe.asked_for(ActionKind::Arbitrate)) {
    return;
  }
  for (const Verdict verdict : {Verdict::Granted, Verdict::Isolated, Verdict::Defended,
                                Verdict::Refused, Verdict::Unavailable}) {
    m.add(EventKind::PeerSilent, "arbitration says " + std::string(name_of(verdict)),
          [verdict](Driver& d) {
            d.fall_silent();
            d.decide(verdict);
            d.live(5_ms);
          });
  }
  m.add(EventKind::PeerSilent, "arbitration does not answer", [](Driver& d) {
    d.fall_silent();
    d.live(1100_ms);
  });
}

// Every rung works; a peer that answers hears of our term and says so.
void walk(Driver& d) {
  for (int i = 0; i < 40 && d.state.ladder != Ladder::None; ++i) {
    d.finish_ladder();
    if (d.state.ladder != Ladder::None && d.state.peer_answers) {
      PeerFacts knows = d.state.peer;
      knows.term = std::max(knows.term, d.facts().term);
      d.hear(knows);
    }
    d.live(1_ms);
  }
}

void answers(Making& m) {
  if (m.node.asked_for(ActionKind::Arbitrate)) {
    for (const Verdict verdict : {Verdict::Granted, Verdict::Isolated, Verdict::Defended,
                                  Verdict::Refused, Verdict::Unavailable}) {
      m.add(EventKind::ArbitrationDone, std::string(name_of(verdict)), [verdict](Driver& d) {
        d.decide(verdict);
        d.live(5_ms);
      });
    }
  }
  m.add(EventKind::ArbitrationDone, "to a question that was withdrawn", [](Driver& d) {
    Event e;
    e.kind = EventKind::ArbitrationDone;
    e.action = kNobodys;
    e.verdict = Verdict::Granted;
    d.step(e);
  });
  const auto both = [&m](ActionId id, const std::string& what) {
    m.add(EventKind::ActionDone, what + " done", [id](Driver& d) { d.answer_id(id); });
    m.add(EventKind::ActionDone, what + " failed", [id](Driver& d) { d.answer_id(id, kIoError); });
  };
  for (const Action& action : m.node.log) {
    if (action.id == m.node.state.rung_action || action.id == m.node.state.persist) {
      both(action.id, std::string(name_of(action.kind)));
    }
  }
  if (m.node.state.ladder != Ladder::None) {
    m.add(EventKind::ActionDone, "each to the end of the ladder", [](Driver& d) { walk(d); });
  }
  m.add(EventKind::ActionDone, "of a ladder that was left", [](Driver& d) {
    Event e;
    e.kind = EventKind::ActionDone;
    e.action = kNobodys;
    e.action_kind = ActionKind::OpenGuard;
    d.step(e);
  });
}

void ourselves(Making& m) {
  for (const EventKind kind : {EventKind::ServicesUp, EventKind::ServicesDown, EventKind::NetworkUp,
                               EventKind::NetworkDown, EventKind::VolumeInStep,
                               EventKind::VolumeFellBehind, EventKind::VolumeFailed}) {
    m.plain(kind);
  }
  m.add(EventKind::VolumeProgress, "", [](Driver& d) {
    Event e;
    e.kind = EventKind::VolumeProgress;
    e.value = 420;
    d.step(e);
  });
  m.plain(EventKind::AddressConflict);
}

void operators(Making& m) {
  for (const EventKind kind : {EventKind::OperatorSwitchover, EventKind::OperatorFailover,
                               EventKind::OperatorFailback, EventKind::OperatorUnpair}) {
    m.with(kind, "", false, false);
    m.with(kind, "force", false, true);
  }
  m.with(EventKind::OperatorMaintenance, "on", true, false);
  m.with(EventKind::OperatorMaintenance, "off", false, false);
  for (const EventKind kind : {EventKind::OperatorFailoverType, EventKind::OperatorFailbackType}) {
    m.with(kind, "automatic", true, false);
    m.with(kind, "manual", false, false);
  }
  m.with(EventKind::ShutdownRequested, "stop", false, false);
  m.with(EventKind::ShutdownRequested, "restart", true, false);
}

}  // namespace

std::vector<Column> columns_at(const Driver& node) {
  Making m{node, {}};
  beginning_and_time(m);
  peer(m);
  links_and_silence(m);
  answers(m);
  ourselves(m);
  operators(m);
  return m.out;
}

}  // namespace cb::table
