// SPDX-License-Identifier: Apache-2.0
//
// How a node comes by the right to acknowledge. Alone: the register is changed first, then our
// record, then the rule. Together: first acknowledgements wait for the peer, then the peer records
// the epoch, then the register, then our record. The other order lets two nodes acknowledge.
#include <algorithm>
#include <cerrno>

#include "core/volume/work.h"

namespace cb::core::volume {
namespace {

Generation draw(State& s) {
  const uint64_t count = ++s.drawn;
  const uint64_t words[] = {s.seed.high, s.seed.low, s.session, count, s.record.node};
  std::array<std::byte, sizeof(words)> bytes;
  Put put(bytes);
  for (const uint64_t word : words) {
    put(word);
  }
  const Digest mixed = chain({s.seed.low, count}, bytes);
  return {mixed.high | 1, mixed.low};
}

// Above every number heard of, and even for one node, odd for the other: two plans never share one.
uint64_t next_number(const State& s) {
  uint64_t highest =
      std::max({s.record.epoch, s.wanted.epoch, s.peer.granted, s.claim.wanted.epoch});
  for (const Epochs* epochs : {&s.wanted.epochs, &s.peer.epochs}) {
    if (!epochs->empty()) {
      highest = std::max(highest, epochs->back().number);
    }
  }
  const uint64_t next = highest + 1;
  return next % 2 == s.record.node ? next : next + 1;
}

// Epochs that were learned from the peer and begin behind the end of our log are no part of it.
void forget_unreached(State& s) {
  Epochs& epochs = s.wanted.epochs;
  while (!epochs.empty() && epochs.back().start > s.issued) {
    epochs.erase_at(epochs.size() - 1);
  }
}

void read_register(Work& w) {
  w.s.claim.step = Claim::Step::Reading;
  w.s.claim.retry_at = Instant::never();
  w.push(ActionKind::ReadRegister);
}

void wait_for_register(Work& w) {
  w.s.claim.step = Claim::Step::Waiting;
  w.s.claim.retry_at = w.now + w.s.settings.register_retry;
}

void begin_alone(Work& w) {
  State& s = w.s;
  s.alone_wanted = false;
  s.claim = Claim{};
  read_register(w);
}

void begin_together(Work& w) {
  State& s = w.s;
  const uint64_t used = s.claim.wanted.epoch;  // a number that was proposed is not proposed again
  s.claim = Claim{};
  s.claim.wanted.epoch = used;
  s.claim.together = true;
  s.claim.step = Claim::Step::Planning;
  s.gated = true;
  s.held = true;
}

bool registered_for_us(const State& s, const Register& seen) {
  if (seen.holder == s.record.node) {
    return true;  // nobody but the holder can have acknowledged what we lack
  }
  return seen.kind == Kind::Together && s.record.standing == Standing::Together &&
         s.record.epoch == seen.epoch;
}

void judge_register(Work& w, const Register& seen) {
  State& s = w.s;
  Claim& claim = s.claim;
  const bool proposed = !claim.wanted.generation.none();
  if (proposed && seen == claim.wanted) {
    claim.step = Claim::Step::Recording;  // it took place; the answer was lost
    return;
  }
  if (s.stage == Stage::Releasing && !claim.together) {
    s.claim = Claim{};  // it did not take place, and who hands over has no use for it
    return;
  }
  if (!registered_for_us(s, seen)) {
    if (seen.epoch > s.record.epoch) {
      depose(w);
    }
    refuse_promotion(w, ESTALE);
    return;
  }
  if (claim.together && seen.epoch >= claim.planned.number) {
    s.claim = Claim{};  // overtaken: plan again, with a higher number
    return;
  }
  if (!proposed || claim.wanted.epoch <= seen.epoch) {
    claim.wanted.kind = claim.together ? Kind::Together : Kind::Alone;
    claim.wanted.holder = s.record.node;
    if (claim.together) {
      claim.wanted.epoch = claim.planned.number;
      claim.wanted.generation = claim.planned.generation;
    } else {
      claim.wanted.epoch = std::max(claim.wanted.epoch, seen.epoch);
      claim.wanted.epoch = next_number(s);
      claim.wanted.generation = draw(s);
    }
  }
  claim.step = Claim::Step::Swapping;
  Action& action = w.push(ActionKind::SwapRegister);
  action.expected = seen;
  action.wanted = claim.wanted;
}

// The peer stands by, in step with the same history: the two can begin together.
bool can_begin_together(const State& s, Relation& relation) {
  if (!s.link || !s.peer.agreed || s.peer.serving || s.alone_wanted ||
      s.record.standing != Standing::Together || s.peer.standing != Standing::Together ||
      s.peer.granted != s.record.epoch) {
    return false;
  }
  relation = compare(s.record.epochs, s.issued, s.peer.epochs, s.peer.end).relation;
  return relation == Relation::Equal || relation == Relation::Behind ||
         (relation == Relation::Ahead && s.peer.end >= s.record.tail);
}

// What the peer has more of the same history comes first: it may be what our own disk lost.
bool has_more_for_us(const State& s) {
  return s.link && s.peer.agreed && !s.peer.serving && !s.alone_wanted && one_history(s) &&
         s.peer.standing != Standing::Fresh &&
         compare(s.record.epochs, s.issued, s.peer.epochs, s.peer.end).relation == Relation::Behind;
}

void decide_promotion(Work& w) {
  State& s = w.s;
  if (s.link && !s.peer.agreed && !s.alone_wanted && w.now < s.promote_at) {
    return;  // its Hello is on the way
  }
  if (has_more_for_us(s)) {
    return;
  }
  Relation relation = Relation::Unrelated;
  if (can_begin_together(s, relation)) {
    if (relation != Relation::Behind) {
      stop_following(s);
      begin_together(w);
    }
    return;  // Behind: what the peer has more comes first
  }
  stop_following(s);
  begin_alone(w);
}

// Whoever keeps the register does not let us write alone, and the peer, of which nothing was heard
// when we asked, has come: together there is nothing to be let. Had the register been changed all
// the same, it names us, and nothing was acknowledged on it.
bool may_ask_together(const State& s) {
  Relation relation = Relation::Unrelated;
  return s.stage == Stage::Promoting && !s.claim.together &&
         (has_more_for_us(s) || can_begin_together(s, relation));
}

void plan(Work& w) {
  State& s = w.s;
  Claim& claim = s.claim;
  if (claim.planned.generation.none()) {
    // The epoch begins where the log is durable, so that its beginning is never lost again.
    if (!settled(s) || s.record_outstanding) {
      return;
    }
    claim.planned = epoch_from_here(s);
    forget_unreached(s);
    add(s.wanted.epochs, claim.planned);
    return;
  }
  if (find(s.record.epochs, claim.planned.generation) == nullptr) {
    return;
  }
  s.held = false;
  if (claim.abandoned) {
    s.claim = Claim{};
    return;
  }
  claim.step = Claim::Step::Joining;
  claim.retry_at = w.now;
  claim.give_up_at = w.now + s.settings.resend * 40;
}

void join(Work& w) {
  State& s = w.s;
  if (w.now < s.claim.retry_at) {
    return;
  }
  if (w.now >= s.claim.give_up_at) {
    // It hears us and does not join. A writer waits until it asks to follow, or until it may be
    // alone; a node that is being promoted asks to be alone.
    s.alone_wanted = s.alone_wanted || s.stage == Stage::Promoting;
    s.claim = Claim{};
    // Nor is it a follower then, be it that its disk failed: it follows again when it asks again.
    // Asking it for ever would let nobody acknowledge, with a peer that seems to be there.
    s.follower.active = false;
    return;
  }
  s.claim.retry_at = w.now + s.settings.resend;
  Message& m = w.say(MessageKind::Join);
  m.epoch = s.claim.planned;
  m.position = s.claim.planned.start;
  m.digest = s.claim.planned.digest;
}

void record_grant(Work& w) {
  State& s = w.s;
  Claim& claim = s.claim;
  if (!claim.together && claim.planned.generation.none()) {
    s.held = true;
    if (!settled(s) || s.record_outstanding) {
      return;
    }
    claim.planned = {claim.wanted.epoch, claim.wanted.generation, s.issued, s.issued_digest,
                     s.record.node};
    forget_unreached(s);
    add(s.wanted.epochs, claim.planned);
  }
  s.wanted.standing = claim.together ? Standing::Together : Standing::Alone;
  s.wanted.epoch = claim.wanted.epoch;
  if (s.record.epoch != claim.wanted.epoch || s.record.standing != s.wanted.standing) {
    return;
  }
  s.claim = Claim{};
  s.held = false;
  s.gated = false;
  if (s.stage == Stage::Promoting) {
    s.stage = Stage::Serving;
    w.push(ActionKind::PromoteDone);
  }
}

}  // namespace

void refuse_promotion(Work& w, int error) {
  State& s = w.s;
  s.claim = Claim{};
  s.held = false;
  if (s.stage == Stage::Promoting) {
    s.stage = Stage::Standing;
    w.push(ActionKind::PromoteDone).error = error;
  }
}

Epoch epoch_from_here(State& s) {
  Epoch epoch;
  epoch.number = next_number(s);
  epoch.generation = draw(s);
  epoch.start = s.issued;
  epoch.digest = s.issued_digest;
  epoch.writer = s.record.node;
  return epoch;
}

// The link went. What is being recorded is waited for: batches behind it belong to it.
void abandon_claim(State& s) {
  Claim& claim = s.claim;
  if (claim.step == Claim::Step::Planning && !claim.planned.generation.none()) {
    claim.abandoned = true;
  } else if (claim.step == Claim::Step::Planning || claim.step == Claim::Step::Joining) {
    claim = Claim{};
    s.held = false;
  }
}

namespace {

// Whatever it lacks, what is here was so at one instant.
bool is_image(const State& s) {
  return s.started && !s.failed && !damaged(s) && s.record.copying == 0 && s.wanted.copying == 0 &&
         s.record.standing != Standing::Fresh;
}

}  // namespace

void on_promote(Work& w) {
  State& s = w.s;
  if (s.stage == Stage::Serving || s.stage == Stage::Releasing) {
    if (s.stage == Stage::Releasing) {
      w.push(ActionKind::DemoteDone).error = ECANCELED;
    }
    s.stage = Stage::Serving;  // nothing was given away yet
    w.push(ActionKind::PromoteDone);
    return;
  }
  const bool behind = w.event.accept_loss && (is_image(s) || can_restore(s));
  if (!eligible(s) && !behind) {
    w.push(ActionKind::PromoteDone).error = s.failed ? EIO : ESTALE;
    return;
  }
  if (!eligible(s) && !is_image(s)) {
    begin_restore(w);
  }
  s.stage = Stage::Promoting;
  s.following.joining = false;
  s.promote_at = w.now + s.settings.resend * 4;
}

void on_demote(Work& w) {
  State& s = w.s;
  if (s.stage == Stage::Serving && w.event.hand_over) {
    s.stage = Stage::Releasing;
    return;
  }
  if (s.stage == Stage::Standing) {
    w.push(ActionKind::DemoteDone);
    return;
  }
  if (w.event.hand_over && s.stage == Stage::Releasing) {
    return;
  }
  const bool promoting = s.stage == Stage::Promoting;
  drop_front_end(w, ESHUTDOWN);
  s.stage = Stage::Standing;
  s.alone_wanted = false;
  if (promoting) {
    w.push(ActionKind::PromoteDone).error = ECANCELED;
  }
  w.push(ActionKind::DemoteDone);
}

void on_go_alone(Work& w) {
  State& s = w.s;
  if (s.failed || s.settings.mode == Mode::Strict) {
    return;
  }
  if (s.stage == Stage::Promoting || (s.stage == Stage::Serving && !acknowledges_alone(s))) {
    s.alone_wanted = true;
    abandon_claim(s);
  }
}

void on_register_read(Work& w) {
  if (w.s.claim.step != Claim::Step::Reading) {
    return;
  }
  if (w.event.error != 0) {
    Claim& claim = w.s.claim;
    const bool proposed = !claim.wanted.generation.none();
    if (w.s.stage == Stage::Releasing && !claim.together && !proposed) {
      claim = Claim{};  // nothing was asked for that could take place later
      return;
    }
    wait_for_register(w);
    return;
  }
  judge_register(w, w.event.seen);
}

void on_register_swapped(Work& w) {
  if (w.s.claim.step != Claim::Step::Swapping) {
    return;
  }
  if (w.event.error == 0 && w.event.granted) {
    w.s.claim.step = Claim::Step::Recording;
    return;
  }
  // Refused, or nobody knows: what it holds now decides, never what was hoped for.
  if (w.event.error != 0) {
    wait_for_register(w);
  } else {
    read_register(w);
  }
}

void on_joined(Work& w) {
  State& s = w.s;
  if (s.claim.step == Claim::Step::Joining &&
      w.event.message->epoch.generation == s.claim.planned.generation) {
    s.peer.standing = Standing::Together;
    s.peer.granted = s.claim.planned.number;
    read_register(w);
  }
}

void depose(Work& w) {
  State& s = w.s;
  const bool wrote = s.stage == Stage::Serving || s.stage == Stage::Releasing;
  if (s.stage == Stage::Releasing) {
    w.push(ActionKind::DemoteDone).error = ESTALE;
  }
  drop_front_end(w, EIO);
  if (wrote) {
    s.stage = Stage::Standing;
    w.push(ActionKind::Deposed);
  }
  s.alone_wanted = false;
  s.claim = Claim{};
  s.held = false;
  s.wanted.standing = Standing::Outdated;
}

void pump_claim(Work& w) {
  State& s = w.s;
  if (s.stage == Stage::Standing && s.claim.step != Claim::Step::None) {
    // Demoted in the middle. A plan that is being recorded stays in the list; it grants nothing.
    if (s.claim.step == Claim::Step::Planning && !s.claim.planned.generation.none()) {
      s.claim.abandoned = true;
      plan(w);
      return;
    }
    if (s.claim.step != Claim::Step::Recording) {
      s.claim = Claim{};
      s.held = false;
    }
  }
  if (s.claim.step == Claim::Step::None) {
    if (s.stage == Stage::Serving && s.alone_wanted) {
      begin_alone(w);
    } else if (s.stage == Stage::Promoting && s.restore == Restore::None) {
      decide_promotion(w);
    } else if (s.stage == Stage::Serving && ready_to_join(s)) {
      begin_together(w);
    }
  }
  switch (s.claim.step) {
    case Claim::Step::None: break;
    case Claim::Step::Planning: plan(w); break;
    case Claim::Step::Joining: join(w); break;
    case Claim::Step::Reading: break;
    case Claim::Step::Waiting:
      if (w.now < s.claim.retry_at) {
        break;
      }
      if (may_ask_together(s)) {
        s.claim.step = Claim::Step::None;
        decide_promotion(w);
      } else {
        read_register(w);
      }
      break;
    case Claim::Step::Swapping: break;
    case Claim::Step::Recording: record_grant(w); break;
  }
}

}  // namespace cb::core::volume
