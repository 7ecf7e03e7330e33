// SPDX-License-Identifier: Apache-2.0
#include "agent/volume_register.h"

#include <cerrno>
#include <utility>

namespace cb::agent {

using core::volume::Kind;
using core::volume::Node;
using core::volume::Standing;
using core::witness::Result;
using edge::KeptRegister;
using edge::WitnessAnswer;

namespace {

// The newest register that this node knows of. An epoch's number says whose it is: even ones are
// the primary's.
Register known_of(const RightFacts& facts) {
  const bool worth = facts.standing == Standing::Together || facts.standing == Standing::Alone;
  if (facts.kept && (!worth || facts.kept->epoch >= facts.epoch)) {
    return *facts.kept;
  }
  if (!worth) {
    return {};
  }
  const Kind kind = facts.standing == Standing::Alone ? Kind::Alone : Kind::Together;
  return {facts.epoch, {}, kind, static_cast<Node>(facts.epoch % 2)};
}

}  // namespace

RightFacts VolumeRegister::facts(const Own& own) const {
  const auto kept = ways_.kept();
  return {self_, own.standing, own.epoch, kept ? std::optional(kept->value) : std::nullopt};
}

// Before its first answer the witness knows nothing of this pairing, and may not even be enrolled:
// a primary that is paired in full service must not stop for that.
bool VolumeRegister::is_witnessed() const {
  if (!ways_.read) {
    return false;
  }
  const auto kept = ways_.kept();
  return (kept && kept->witness == ways_.pairing) || !core::witness::is_learning(ways_.heard());
}

bool VolumeRegister::may_ask() const {
  return ways_.state().in_command || ways_.state().holds_data;
}

bool VolumeRegister::overrides() const {
  return ways_.state().solo == core::SoloBasis::Forced && (ways_.accepts_loss() || overridden_);
}

// To the holder: what it was granted before its witness was first asked, or by one that lost it.
bool VolumeRegister::was_granted_more_than(const Register& seen) const {
  const auto kept = ways_.kept();
  return kept && kept->value.holder == self_ && kept->value.epoch > seen.epoch;
}

// ---- reading

void VolumeRegister::read(const Own& own, OnRead done) {
  if (!is_witnessed()) {
    read_own(own, done);
    return;
  }
  if (!may_ask()) {
    done(EAGAIN, {});
    return;
  }
  ways_.read(leash_.guard([this, own, done = std::move(done)](const WitnessAnswer& answer) {
    if (answer.result == Result::Done) {
      on_seen(answer.record.volume, done);
    } else if (overrides()) {
      // The operator knows that nobody else will serve; the witness hears of it when it answers.
      read_own(own, [this, done](int error, const Register& seen) {
        if (error == 0) {
          overridden_ = Overridden{seen, std::nullopt};
        }
        done(error, seen);
      });
    } else {
      done(EAGAIN, {});
    }
  }));
}

void VolumeRegister::read_own(const Own& own, const OnRead& done) {
  const auto now = register_now(ways_.state(), facts(own));
  done(now ? 0 : EAGAIN, now.value_or(Register{}));
}

void VolumeRegister::on_seen(const Register& seen, OnRead done) {
  if (!was_granted_more_than(seen)) {
    say(seen, done);
    return;
  }
  const Register granted = ways_.kept()->value;
  ways_.swap(seen, granted, leash_.guard([this, granted, done](const WitnessAnswer& answer) {
    if (answer.result == Result::Done) {
      say(granted, done);
    } else {
      done(EAGAIN, {});  // somebody else was faster, or nobody knows: it is read again
    }
  }));
}

void VolumeRegister::say(const Register& seen, const OnRead& done) {
  if (!may_ask()) {
    done(EAGAIN, {});  // deposed while the witness was asked
    return;
  }
  Register told = seen;
  if (seen.holder != self_ && overrides()) {
    told.kind = Kind::Alone;
    told.holder = self_;
    overridden_ = Overridden{told, seen};
  }
  const auto kept = ways_.kept();
  const bool marked = kept && kept->witness == ways_.pairing;
  if (marked && (seen.holder != self_ || kept->value == seen)) {
    done(0, told);
    return;
  }
  // Ours, granted by an answer that was lost; or the first answer of this witness.
  const Register value = seen.holder == self_ || !kept ? seen : kept->value;
  ways_.keep({value, ways_.pairing}, leash_.guard([told, done](int error) {
    done(error, error == 0 ? told : Register{});
  }));
}

// ---- swapping

void VolumeRegister::swap(const Own& own, const Register& expected, const Register& wanted,
                          OnSwapped done) {
  const bool unseen = overridden_ && !overridden_->at_witness && overridden_->told == expected;
  if (!is_witnessed() || (unseen && overrides())) {
    swap_own(own, expected, wanted, std::move(done));
    return;
  }
  const bool lied = overridden_ && overridden_->at_witness && overridden_->told == expected;
  if (lied && !overrides()) {
    done(EAGAIN, false);
    return;
  }
  const Register real = lied ? *overridden_->at_witness : expected;
  // The witness keeps two from being granted the same; what this node may ask for at all is what it
  // may without one.
  const bool allowed = wanted.kind == Kind::Together || core::may_acknowledge_alone(ways_.state());
  if (!may_ask() || !allowed || wanted.holder != self_ || wanted.epoch <= real.epoch) {
    done(EAGAIN, false);
    return;
  }
  ways_.swap(real, wanted,
             leash_.guard([this, wanted, done = std::move(done)](const WitnessAnswer& answer) {
               on_swapped(wanted, answer, done);
             }));
}

void VolumeRegister::swap_own(const Own& own, const Register& expected, const Register& wanted,
                              OnSwapped done) {
  const Right right = judge_swap(ways_.state(), facts(own), expected, wanted);
  if (right != Right::Granted) {
    done(right == Right::Refused ? 0 : EAGAIN, false);
    return;
  }
  const auto kept = ways_.kept();
  ways_.keep({wanted, kept ? kept->witness : 0},
             [done = std::move(done)](int error) { done(error, error == 0); });
}

void VolumeRegister::on_swapped(const Register& wanted, const WitnessAnswer& answer,
                                OnSwapped done) {
  if (answer.result == Result::Refused) {
    done(0, false);
    return;
  }
  if (answer.result != Result::Done) {
    done(EAGAIN, false);
    return;
  }
  // Known here before anything is acknowledged under it, should the witness lose its memory.
  ways_.keep({wanted, ways_.pairing},
             [done = std::move(done)](int error) { done(error, error == 0); });
}

// ---- what the witness should know

void VolumeRegister::look(const Own& own) {
  if (ways_.state().solo != core::SoloBasis::Forced) {
    overridden_.reset();
  }
  if (!ways_.read) {
    return;
  }
  ways_.know(known_of(facts(own)));
  const core::witness::Record heard = ways_.heard();
  if (core::witness::is_learning(heard)) {
    return;
  }
  const auto kept = ways_.kept();
  if (!kept || kept->witness != ways_.pairing) {
    ways_.keep({kept ? kept->value : Register{}, ways_.pairing},
               [](int) {});  // ignored: the next look finds it missing still
    return;
  }
  if (!raising_ && ways_.state().in_command && was_granted_more_than(heard.volume)) {
    raising_ = true;
    ways_.swap(heard.volume, kept->value,
               leash_.guard([this](const WitnessAnswer&) { raising_ = false; }));
  }
}

}  // namespace cb::agent
