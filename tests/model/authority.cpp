// SPDX-License-Identifier: Apache-2.0
#include "tests/model/authority.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <unordered_map>

namespace cb::model {
namespace {

constexpr std::array<const char*, kVariants> kNames = {"rules",
                                                       "naive-takeover",
                                                       "forgetful-tiebreak",
                                                       "published-first",
                                                       "joined-too-early",
                                                       "answer-assumed",
                                                       "alone-before-swap",
                                                       "serves-after-boot",
                                                       "ungated-after-join",
                                                       "hand-over-alone",
                                                       "forced-beside-a-writer",
                                                       "forced-past-register",
                                                       "outdated-not-recorded",
                                                       "adopts-though-outdated",
                                                       "outdated-though-ahead"};

bool begins(const Log& whole, const Log& beginning) {
  return beginning.length <= whole.length &&
         std::equal(beginning.write.begin(), beginning.write.begin() + beginning.length,
                    whole.write.begin());
}

Log first(const Log& log, uint8_t length) {
  Log result;
  result.length = std::min(length, log.length);
  std::copy_n(log.write.begin(), result.length, result.write.begin());
  return result;
}

struct Hash {
  std::size_t operator()(const State& state) const {
    static_assert(std::has_unique_object_representations_v<State>);
    std::array<uint8_t, sizeof(State)> bytes;
    std::memcpy(bytes.data(), &state, sizeof(State));
    uint64_t hash = 1469598103934665603u;
    for (const uint8_t byte : bytes) {
      hash = (hash ^ byte) * 1099511628211u;
    }
    return static_cast<std::size_t>(hash ^ (hash >> 29));
  }
};

class Search {
 public:
  Search(Variant variant, int faults, int epochs, Moves moves)
      : variant_(variant), faults_(faults), epochs_(epochs), moves_(moves) {}

  Verdict run() {
    State start;
    start.node[0].alone = 1;
    start.node[0].epoch = 1;
    start.register_epoch = 1;
    start.register_alone = 1;
    seen_.emplace(start, Step{});
    waiting_.push_back(start);
    while (!waiting_.empty() && !verdict_.violated) {
      from_ = waiting_.front();
      waiting_.pop_front();
      ++verdict_.states;
      for (int id = 0; id < 2 && !verdict_.violated; ++id) {
        moves_of(id);
      }
      if (!verdict_.violated) {
        fault("cut or heal the link", [](State& s) { s.link ^= 1; });
      }
    }
    return verdict_;
  }

 private:
  struct Step {
    State before;
    std::string how;
  };

  template <class Change>
  void move(const std::string& how, Change&& change) {
    if (verdict_.violated) {
      return;
    }
    State next = from_;
    const char* wrong = change(next);
    const bool known = !seen_.emplace(next, Step{from_, how}).second;
    if (wrong != nullptr) {
      verdict_.violated = true;
      verdict_.what = wrong;
      verdict_.trace = {how};
      for (State at = from_;;) {
        const Step& step = seen_.at(at);
        if (step.how.empty()) {
          break;
        }
        verdict_.trace.insert(verdict_.trace.begin(), step.how);
        at = step.before;
      }
      return;
    }
    if (!known) {
      waiting_.push_back(next);
    }
  }
  template <class Change>
  void fault(const std::string& how, Change&& change) {
    if (from_.faults < faults_) {
      move(how, [&](State& s) -> const char* {
        ++s.faults;
        change(s);
        return nullptr;
      });
    }
  }
  template <class Change>
  void quietly(const std::string& how, Change&& change) {
    move(how, [&](State& s) -> const char* {
      change(s);
      return nullptr;
    });
  }

  bool alone_now(const NodeState& n) const {
    const bool asking = variant_ == Variant::AloneBeforeSwap && from_.link == 0;
    return (n.alone != 0 && n.gated == 0) || asking ||
           (variant_ == Variant::NaiveTakeover && from_.link == 0);
  }

  bool may_ask(const NodeState& n, int id) const {
    if (n.outdated != 0) {
      return false;
    }
    if (variant_ == Variant::ForgetfulTiebreak) {
      return true;
    }
    return from_.register_holder == id ||
           (from_.register_alone == 0 && n.in_step != 0 && n.epoch == from_.register_epoch);
  }

  void moves_of(int id) {
    const std::string who = id == 0 ? "A: " : "B: ";
    const auto self = static_cast<std::size_t>(id);
    const auto other = static_cast<std::size_t>(1 - id);
    const NodeState& n = from_.node[self];
    const NodeState& peer = from_.node[other];
    const bool linked = from_.link != 0;

    if (n.serving != 0 && n.releasing == 0 && from_.writes < kWrites) {
      quietly(who + "writes", [&](State& s) {
        Log& log = s.node[self].log;
        log.write[log.length++] = ++s.writes;
      });
    }
    // Its log becomes a beginning of the writer's, then grows. A writer itself takes nothing.
    if (linked && peer.serving != 0 && n.serving == 0 && n.granted == 0 && !(n.log == peer.log) &&
        peer.epoch >= n.epoch) {
      quietly(who + "takes one more write, or cuts its tail", [&](State& s) {
        NodeState& me = s.node[self];
        me.log = begins(peer.log, me.log) ? first(peer.log, static_cast<uint8_t>(me.log.length + 1))
                                          : common(me.log, peer.log);
        if (me.epoch < peer.epoch || me.alone != 0) {
          me.in_step = me.alone = 0;
        }
      });
    }
    if (linked && n.serving != 0 && begins(n.log, peer.log) && n.peer_has < peer.log.length) {
      quietly(who + "hears what the peer has",
              [&](State& s) { s.node[self].peer_has = s.node[other].log.length; });
    }
    if (n.serving != 0) {
      acknowledge(who, self);
      if (n.releasing == 0) {
        join(who, self, other);
      }
    } else if (moves_.hand_over && (n.planned != 0 || may_begin_together(self, other))) {
      join(who, self, other);
    }
    hand_over(who, self, other);
    force(who, self, other);
    outdate(who, self, other);
    ask_alone(who, id);
    record(who, self);
    fault(who + "crashes and starts again", [&](State& s) {
      NodeState& me = s.node[self];
      const bool on = variant_ == Variant::ServesAfterBoot && (me.alone != 0 || me.in_step != 0);
      me.serving = on && me.serving != 0 ? 1 : 0;
      me.gated = me.planned = me.planned_at = me.joined = me.granted = me.granted_alone = 0;
      me.peer_has = me.releasing = me.peer_outdated = 0;
    });
  }

  static Log common(const Log& a, const Log& b) {
    uint8_t length = 0;
    while (length < a.length && length < b.length && a.write[length] == b.write[length]) {
      ++length;
    }
    return first(a, length);
  }

  void acknowledge(const std::string& who, std::size_t self) {
    const NodeState& n = from_.node[self];
    const uint8_t upto = alone_now(n) ? n.log.length : std::min(n.log.length, n.peer_has);
    const Log said = first(n.log, upto);
    if (begins(from_.acknowledged, said)) {
      return;  // nothing new
    }
    move(who + "acknowledges", [&](State& s) -> const char* {
      if (!begins(said, s.acknowledged)) {
        return "two histories were acknowledged";
      }
      s.acknowledged = said;
      return nullptr;
    });
  }

  // Rule 8: nothing is given away. Both being in step, either may claim by rule 2.
  void hand_over(const std::string& who, std::size_t self, std::size_t other) {
    const NodeState& n = from_.node[self];
    const NodeState& peer = from_.node[other];
    if (!moves_.hand_over || n.serving == 0) {
      return;
    }
    if (n.releasing == 0 && n.in_step != 0 && n.planned == 0 && n.granted == 0) {
      quietly(who + "takes no more writes", [&](State& s) { s.node[self].releasing = 1; });
    }
    const bool on_both = n.in_step != 0 && peer.in_step != 0 && n.epoch == peer.epoch &&
                         n.peer_has == n.log.length && peer.log == n.log;
    if (from_.link != 0 && n.releasing != 0 && on_both) {
      quietly(who + "hands over", [&](State& s) {
        s.node[self].serving = s.node[self].releasing = 0;
        if (variant_ == Variant::HandOverAlone) {
          s.node[other].serving = s.node[other].alone = 1;
          s.node[other].in_step = 0;
        }
      });
    }
  }

  bool may_begin_together(std::size_t self, std::size_t other) const {
    const NodeState& n = from_.node[self];
    const NodeState& peer = from_.node[other];
    return n.in_step != 0 && peer.in_step != 0 && n.epoch == peer.epoch && peer.serving == 0 &&
           n.epoch == from_.register_epoch && from_.register_alone == 0 && begins(n.log, peer.log);
  }

  // The other is dead, an operator says, and what it alone had is given up. The register is told.
  void force(const std::string& who, std::size_t self, std::size_t other) {
    const NodeState& n = from_.node[self];
    const NodeState& peer = from_.node[other];
    const bool dead = peer.serving == 0 && peer.granted == 0 && peer.planned == 0;
    if (!moves_.force || n.serving != 0 || n.granted != 0 || next_epoch() > epochs_ ||
        (!dead && variant_ != Variant::ForcedBesideAWriter)) {
      return;
    }
    fault(who + "is forced by an operator", [&](State& s) {
      NodeState& me = s.node[self];
      me.planned = me.joined = me.planned_at = me.outdated = 0;
      me.granted = next_epoch();
      me.granted_alone = 1;
      if (variant_ != Variant::ForcedPastRegister) {
        s.register_epoch = me.granted;
        s.register_alone = 1;
        s.register_holder = static_cast<uint8_t>(self);
      }
      s.acknowledged = common(s.acknowledged, me.log);
    });
  }

  // The other way to be alone: the peer durably gives up its right to take over, and says so on any
  // path. The register keeps naming the writer.
  void outdate(const std::string& who, std::size_t self, std::size_t other) {
    const NodeState& n = from_.node[self];
    const NodeState& peer = from_.node[other];
    if (!moves_.outdate) {
      return;
    }
    // Only who is in step in the writer's own epoch: it may have served alone since.
    const bool beside =
        (n.in_step != 0 && n.epoch == peer.epoch) || variant_ == Variant::OutdatedThoughAhead;
    if (beside && n.serving == 0 && n.granted == 0 && n.planned == 0 && peer.serving != 0 &&
        peer.alone == 0 && peer.in_step != 0 && peer.peer_outdated == 0) {
      quietly(who + "records that it is outdated, and says so", [&](State& s) {
        NodeState& me = s.node[self];
        if (variant_ != Variant::OutdatedNotRecorded) {
          me.in_step = me.alone = 0;
          me.outdated = variant_ == Variant::AdoptsThoughOutdated ? 0 : 1;
        }
        s.node[other].peer_outdated = 1;
      });
    }
    if (n.serving != 0 && n.peer_outdated != 0 && n.alone == 0 && n.planned == 0 &&
        n.granted == 0) {
      quietly(who + "records that it is alone: the peer is outdated", [&](State& s) {
        NodeState& me = s.node[self];
        me.alone = 1;
        me.in_step = me.gated = me.peer_outdated = 0;
      });
    }
  }

  // Gate, plan, the peer records, the register, own record.
  void join(const std::string& who, std::size_t self, std::size_t other) {
    const NodeState& n = from_.node[self];
    const NodeState& peer = from_.node[other];
    const bool together = n.in_step != 0 && peer.in_step != 0 && n.epoch == peer.epoch;
    const bool promoted = n.serving == 0;  // by rule 8: both are together, and it begins anew
    if (from_.link != 0 && n.planned == 0 && n.granted == 0 && (!together || promoted) &&
        peer.serving == 0 && next_epoch() <= epochs_) {
      quietly(who + "closes the gate and plans an epoch together", [&](State& s) {
        NodeState& me = s.node[self];
        me.gated = variant_ != Variant::PublishedFirst;
        me.planned = next_epoch();
        me.planned_at = me.log.length;
        me.joined = 0;
      });
    }
    const bool has_all = begins(n.log, peer.log) && peer.log.length >= n.planned_at;
    if (from_.link != 0 && n.planned != 0 && n.joined == 0 && peer.serving == 0 &&
        peer.granted == 0 && peer.epoch < n.planned &&
        (has_all || variant_ == Variant::JoinedTooEarly)) {
      quietly(who + "the peer records that it is in step", [&](State& s) {
        s.node[other].in_step = 1;
        s.node[other].alone = s.node[other].outdated = 0;
        s.node[other].epoch = n.planned;
        s.node[self].peer_outdated = 0;
      });
    }
    if (from_.link != 0 && n.planned != 0 && n.joined == 0 && peer.epoch == n.planned &&
        peer.in_step != 0) {
      quietly(who + "hears that the peer joined", [&](State& s) { s.node[self].joined = 1; });
    }
    if (n.planned != 0 && n.joined != 0 && n.granted == 0 && may_ask(n, static_cast<int>(self)) &&
        from_.register_epoch < n.planned) {
      swap(who + "swaps the register to together", self, n.planned, 0);
    }
    if (from_.link == 0 && n.planned != 0 && n.granted == 0) {
      quietly(who + "gives the plan up", [&](State& s) {
        NodeState& me = s.node[self];
        me.planned = me.joined = me.planned_at = 0;
        me.gated = variant_ == Variant::UngatedAfterJoin ? 0 : me.gated;
      });
    }
  }

  uint8_t next_epoch() const {
    return static_cast<uint8_t>(
        1 + std::max({from_.register_epoch, from_.node[0].epoch, from_.node[1].epoch,
                      from_.node[0].planned, from_.node[1].planned}));
  }

  // Going on alone, and being promoted, are one: the register decides.
  void ask_alone(const std::string& who, int id) {
    const auto self = static_cast<std::size_t>(id);
    const NodeState& n = from_.node[self];
    if (n.serving == 0 && variant_ == Variant::NaiveTakeover && from_.link == 0 && n.in_step != 0) {
      serve(who + "takes over, since the link is gone", self, 1, n.epoch);
      return;
    }
    const bool wants = n.granted == 0 && (n.serving == 0 || n.alone == 0 || n.gated != 0);
    if (wants && may_ask(n, id) && next_epoch() <= epochs_ &&
        (n.serving == 0 || n.planned == 0 || from_.link == 0)) {
      swap(who + "swaps the register to alone", self, next_epoch(), 1);
    }
    // The answer was lost: it is read, and found to name this node.
    if (n.granted == 0 && n.outdated == 0 && from_.register_holder == id &&
        from_.register_alone != 0 && from_.register_epoch > n.epoch) {
      quietly(who + "reads that the register names it", [&](State& s) {
        s.node[self].granted = s.register_epoch;
        s.node[self].granted_alone = 1;
      });
    }
  }

  void swap(const std::string& how, std::size_t self, uint8_t epoch, uint8_t alone) {
    const auto change = [&](State& s) {
      s.register_epoch = epoch;
      s.register_alone = alone;
      s.register_holder = static_cast<uint8_t>(self);
    };
    move(how, [&](State& s) -> const char* {
      change(s);
      s.node[self].granted = epoch;
      s.node[self].granted_alone = alone;
      return begins(s.node[self].log, s.acknowledged)
                 ? nullptr
                 : "the register names a node without what was acknowledged";
    });
    fault(how + ", and the answer is lost", change);
    if (variant_ == Variant::AnswerAssumed) {
      fault(how + " in vain, and takes the silence for a yes", [&](State& s) {
        s.node[self].granted = epoch;
        s.node[self].granted_alone = alone;
      });
    }
  }

  void record(const std::string& who, std::size_t self) {
    const NodeState& n = from_.node[self];
    if (n.granted != 0) {
      serve(who + "records the grant and serves", self, n.granted_alone, n.granted);
    }
  }

  void serve(const std::string& how, std::size_t self, uint8_t alone, uint8_t epoch) {
    move(how, [&](State& s) -> const char* {
      NodeState& me = s.node[self];
      me.alone = alone;
      me.in_step = alone != 0 ? 0 : 1;
      me.epoch = epoch;
      me.serving = 1;
      me.gated = me.granted = me.granted_alone = me.planned = me.planned_at = me.joined = 0;
      // A grant to be together that is recorded late acknowledges nothing by itself.
      return alone == 0 || begins(me.log, s.acknowledged)
                 ? nullptr
                 : "it serves alone without what was acknowledged";
    });
  }

  Variant variant_;
  int faults_;
  int epochs_;
  Moves moves_;
  State from_;
  std::unordered_map<State, Step, Hash> seen_;
  std::deque<State> waiting_;
  Verdict verdict_;
};

}  // namespace

const char* name_of(Variant variant) { return kNames[static_cast<std::size_t>(variant)]; }

Verdict search(Variant variant, int faults, int epochs, Moves moves) {
  return Search(variant, faults, epochs, moves).run();
}

}  // namespace cb::model
