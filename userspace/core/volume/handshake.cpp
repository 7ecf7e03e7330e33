// SPDX-License-Identifier: Apache-2.0
//
// Who has what, and who follows whom. The follower acts; the other waits to be asked.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

// The peer was given the right to write later than we were, in an epoch of its own.
bool peer_outranks(const State& s) {
  if (s.peer.granted <= s.record.epoch) {
    return false;
  }
  for (const Epoch& epoch : s.peer.epochs) {
    if (epoch.number == s.peer.granted) {
      return epoch.writer != s.record.node;
    }
  }
  return false;
}

bool we_outrank(const State& s) {
  if (s.record.epoch <= s.peer.granted) {
    return false;
  }
  for (const Epoch& epoch : s.record.epochs) {
    if (epoch.number == s.record.epoch) {
      return epoch.writer == s.record.node;
    }
  }
  return false;
}

bool peer_leads(const State& s, const Comparison& c) {
  if (s.peer.standing == Standing::Fresh) {
    return false;
  }
  if (s.record.standing == Standing::Fresh) {
    return true;
  }
  if (s.peer.serving) {
    return !we_outrank(s);
  }
  if (one_history(s)) {
    return c.relation == Relation::Behind;  // one history: the longer one gives, nobody cuts
  }
  // A peer that is worth less has nothing else to give, unless this node's own log is damaged.
  const bool peer_worth =
      s.peer.standing == Standing::Together || s.peer.standing == Standing::Alone;
  const bool own_worth =
      s.record.standing == Standing::Together || s.record.standing == Standing::Alone;
  if (own_worth && !peer_worth && !damaged(s)) {
    return false;
  }
  if (peer_outranks(s)) {
    return true;
  }
  // In step with a plan of the peer's own, or the peer with one of ours: neither outranks the
  // other.
  return !we_outrank(s) && c.relation == Relation::Behind;
}

void decide(Work& w) {
  State& s = w.s;
  if (s.failed || !s.peer.agreed || s.restore != Restore::None) {
    return;
  }
  if (s.stage == Stage::Serving || s.stage == Stage::Releasing) {
    if (peer_outranks(s)) {
      depose(w);
    }
    return;
  }
  if (s.stage == Stage::Promoting && s.claim.step != Claim::Step::None) {
    return;
  }
  const Comparison c = compare(s.record.epochs, s.issued, s.peer.epochs, s.peer.end);
  const bool leads = peer_leads(s, c);
  heard_length(w, leads);
  if (!leads || s.peer.volume_length > s.record.volume_length) {
    return;  // what is longer is followed once there is room for it
  }
  prepare_to_follow(w, c);
}

// What is committed was durable here: a log of the same history that lacks some of it lost it,
// though nothing on the own disk tells.
void notice_damage(Work& w) {
  State& s = w.s;
  const Comparison c = compare(s.record.epochs, s.issued, s.peer.epochs, s.peer.end);
  const bool worth =
      s.record.standing == Standing::Together || s.record.standing == Standing::Alone;
  if (!worth || c.relation != Relation::Behind || s.peer.granted > s.record.epoch ||
      s.peer.committed <= s.issued || s.stage == Stage::Serving || s.stage == Stage::Releasing) {
    return;
  }
  s.damaged_until = std::max(s.damaged_until, s.peer.committed);
  if (s.stage == Stage::Promoting && s.claim.step == Claim::Step::None) {
    s.stage = Stage::Standing;
    w.push(ActionKind::PromoteDone).error = ESTALE;
  }
}

}  // namespace

// Both logs end in the same epoch: it had one writer, so one is a beginning of the other.
bool one_history(const State& s) {
  return !s.record.epochs.empty() && !s.peer.epochs.empty() &&
         s.record.epochs.back().generation == s.peer.epochs.back().generation;
}

void say_hello(Work& w) {
  State& s = w.s;
  if (!s.link) {
    return;
  }
  Message& m = w.say(MessageKind::Hello);
  m.number = ++s.hellos;
  m.end = s.issued;
  m.synced = s.synced;
  m.committed = s.committed;
  m.instance_high = s.record.instance_high;
  m.instance_low = s.record.instance_low;
  m.volume_length = s.record.volume_length;
  const bool writes = s.stage == Stage::Serving;
  m.extent = writes ? s.resizing.to : s.resizing.ready;
  m.digest.low = writes ? 0 : static_cast<uint64_t>(s.resizing.error);
  s.hello_said_serving = m.serving;
  s.hello_said_counter = s.record.counter;
  s.hello_at = w.now + s.settings.resend * 4;
}

void on_hello(Work& w) {
  State& s = w.s;
  const Message& m = *w.event.message;
  if (!s.link || w.event.epochs == nullptr || m.node == s.record.node) {
    return;
  }
  if (m.instance_high != s.record.instance_high || m.instance_low != s.record.instance_low) {
    s.stall = Stall::Unrelated;
    w.push(ActionKind::Stalled).stall = Stall::Unrelated;
    return;
  }
  if (m.session != s.peer.session) {
    forget_link(s);
    s.peer = Peer{};
    s.peer.session = m.session;
    s.follower = Follower{};
    s.following.last_extent = 0;
    say_hello(w);
  }
  if (m.number <= s.peer.hellos) {
    return;  // late
  }
  s.peer.hellos = m.number;
  if (m.to_session != s.session) {
    say_hello(w);
    return;
  }
  const bool first = !s.peer.agreed;
  s.peer.agreed = true;
  s.peer.serving = m.serving;
  s.peer.standing = m.standing;
  s.peer.granted = m.granted;
  s.peer.end = m.end;
  s.peer.committed = m.committed;
  s.peer.volume_length = m.volume_length;
  s.peer.resize_to = m.extent;
  s.peer.resize_error = static_cast<int>(std::min<uint64_t>(m.digest.low, 4095));
  s.peer.epochs = *w.event.epochs;
  notice_damage(w);
  if (first) {
    say_hello(w);
  }
  decide(w);
}

void forget_link(State& s) {
  abandon_claim(s);
  stop_following(s);
  s.follower.active = false;
  s.copying.active = false;
  s.copying.in_flight.clear();
  s.peer.agreed = false;
  s.peer.serving = false;
}

void on_link_up(Work& w) {
  w.s.link = true;
  say_hello(w);
}

void on_link_down(Work& w) {
  w.s.link = false;
  forget_link(w.s);
}

void pump_hello(Work& w) {
  State& s = w.s;
  if (!s.link) {
    s.hello_at = s.hello_at <= w.now ? w.now + s.settings.resend * 4 : s.hello_at;
    return;
  }
  const bool serving = s.stage == Stage::Serving || s.stage == Stage::Releasing;
  if (w.now >= s.hello_at || serving != s.hello_said_serving ||
      s.record.counter != s.hello_said_counter) {
    say_hello(w);
  }
}

}  // namespace cb::core::volume
