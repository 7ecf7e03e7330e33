// SPDX-License-Identifier: Apache-2.0
//
// The witness and the way to it: the rule of the product (core/witness), a network that loses and
// delays, a service that is down, slow, or restarted with nothing but its disk, and nodes that ask
// again as the product's edge does (userspace/edge/witness.cpp). A number stands for a session and
// the number in it: both only grow.
#include "tests/sim/world.h"

namespace cb::sim {
namespace {

using core::witness::Operation;
using core::witness::Result;

constexpr int64_t kAskAgain = 10 * kMs;

}  // namespace

void World::ask_witness(int index, int slot, const core::Action& action, int64_t deadline) {
  Wish wanted;
  wanted.request.operation = Operation::Grant;
  wanted.request.term = action.term;
  wanted.action = action;
  wanted.deadline = deadline;
  wish(index, slot, wanted);
}

void World::release_witness(int index, int slot) {
  Wish wanted;
  wanted.request.operation = Operation::Release;
  wanted.deadline = kNever;
  wish(index, slot, wanted);
}

void World::wish(int index, int slot, Wish wanted) {
  Machine& m = machine(index);
  Slot& s = m.slots[static_cast<size_t>(slot)];
  Pairing& p = pairings_[static_cast<size_t>(s.pairing)];
  wanted.request.node = index == p.primary ? 0 : 1;
  wanted.number = ++p.asked[wanted.request.node];
  s.wish = wanted;
  tell_witness(index, slot, m.life, wanted.number);
}

void World::tell_witness(int index, int slot, uint64_t life, uint64_t number) {
  Machine& m = machine(index);
  Slot& s = m.slots[static_cast<size_t>(slot)];
  if (m.life != life || !m.powered || s.wish.number != number) {
    return;
  }
  const bool runs = m.monitor && !m.frozen && !m.stopped && !m.loop_stalled;
  if (runs && now() >= s.wish.deadline) {
    const core::Action action = s.wish.action;
    s.wish = Wish{};
    verdict(index, slot, life, action,
            options_.planted == Planted::AnswerAssumed ? core::Verdict::Granted
                                                       : core::Verdict::Unavailable);
    return;
  }
  if (runs && !m.out_cut &&
      !witness_prng_.chance(static_cast<uint64_t>(healed_ ? 0 : options_.loss_permille), 1000)) {
    // Now and then one is held up on its way, for longer than anybody waits for its answer.
    const bool late = !healed_ && witness_prng_.chance(1, 20);
    const int64_t at = now() + (late ? witness_prng_.between(10 * kMs, 2 * kSecond)
                                     : witness_prng_.between(100'000, 2 * kMs));
    queue_.call(at, [this, index, slot, life, witness_life = witness_life_, sent = s.wish] {
      witness_hears(index, slot, life, witness_life, sent);
    });
  }
  queue_.call(now() + kAskAgain,
              [this, index, slot, life, number] { tell_witness(index, slot, life, number); });
}

void World::witness_hears(int index, int slot, uint64_t life, uint64_t witness_life,
                          const Wish& sent) {
  if (!witness_up_ || witness_life != witness_life_) {
    return;  // of a session that nobody knows any more
  }
  Pairing& p =
      pairings_[static_cast<size_t>(machine(index).slots[static_cast<size_t>(slot)].pairing)];
  const auto node = sent.request.node;
  if (sent.number < p.newest[node] && options_.planted != Planted::WitnessUnordered) {
    return;
  }
  if (sent.number != p.newest[node]) {
    p.newest[node] = sent.number;
    p.answered[node] = core::witness::apply(p.record, sent.request).result;
    tell("witness: %c %s, %s", 'A' + index,
         sent.request.operation == Operation::Grant ? "asks" : "gives back",
         p.answered[node] == Result::Done ? "done" : "refused");
  }
  if (witness_loses_answers_) {
    return;
  }
  const int64_t at = now() + (witness_slow_ ? witness_prng_.between(5 * kMs, 100 * kMs)
                                            : witness_prng_.between(100'000, 2 * kMs));
  queue_.call(at, [this, index, slot, life, number = sent.number, result = p.answered[node]] {
    witness_answers(index, slot, life, number, result);
  });
}

void World::witness_answers(int index, int slot, uint64_t life, uint64_t number, Result result) {
  Machine& m = machine(index);
  Slot& s = m.slots[static_cast<size_t>(slot)];
  if (m.life != life || !m.powered || m.in_cut || s.wish.number != number) {
    return;
  }
  if (m.frozen || m.stopped || m.loop_stalled) {  // it lies in the socket
    queue_.call(now() + kMs, [this, index, slot, life, number, result] {
      witness_answers(index, slot, life, number, result);
    });
    return;
  }
  const Wish answered = s.wish;
  s.wish = Wish{};
  if (answered.request.operation == Operation::Grant) {
    verdict(index, slot, life, answered.action,
            result == Result::Done ? core::Verdict::Granted : core::Verdict::Refused);
  }
}

void World::next_witness_fault() {
  if (!options_.witness_faults) {
    return;
  }
  const int64_t at = now() + witness_prng_.between(100 * kMs, 2 * options_.fault_gap.as_ns());
  queue_.call(at, [this] {
    if (healed_) {
      return;
    }
    const int64_t end = now() + witness_prng_.between(20 * kMs, 3 * kSecond);
    switch (witness_prng_.below(4)) {
      case 0:  // dies; comes back with what its disk holds
        tell("witness: dies");
        witness_up_ = false;
        break;
      case 1: witness_slow_ = true; break;
      case 2: witness_loses_answers_ = true; break;
      default: break;  // restarted at once
    }
    queue_.call(end, [this] {
      witness_up_ = true;
      witness_slow_ = witness_loses_answers_ = false;
      ++witness_life_;
      for (Pairing& p : pairings_) {
        p.newest[0] = p.newest[1] = 0;
        if (options_.planted == Planted::WitnessForgets) {
          p.record = core::witness::Record{.met = 3};
        }
      }
    });
    next_witness_fault();
  });
}

}  // namespace cb::sim
