// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_volume/world.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "tests/sim_volume/node.h"

namespace cb::sim_volume {
namespace {

constexpr Duration kFaultsFor = Duration::from_s(6);
constexpr Duration kQuiet = Duration::from_s(1);
constexpr Duration kConverged = Duration::from_s(20);

}  // namespace

World::World(const Options& drawn)
    : options(drawn),
      prng(drawn.seed),
      judge(Node::kVolumeBlocks),
      now_(Instant::from_ns(1'000'000'000)),
      compare_prng_(drawn.seed + 7) {
  if (options.planted == Planted::Async) {
    options.mode = volume::Mode::Async;
  }
  for (int id = 0; id < 2; ++id) {
    nodes_[static_cast<std::size_t>(id)] = std::make_unique<Node>(*this, id);
  }
}

World::~World() = default;

void World::at(Duration later, std::function<void()> what) {
  tasks_.push({now_ + later, ++order_, std::move(what)});
}

void World::log(const char* format, ...) {
  if (!options.verbose) {
    return;
  }
  std::printf("%9.3f ms  ", static_cast<double>(now_.as_ns() - 1'000'000'000) / 1e6);
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
}

void World::send(const Packet& packet) {
  if (!reaches(packet.from) || (!healed_ && prng.chance(options.loss, 1000))) {
    return;
  }
  const int copies = !healed_ && prng.chance(options.doubles, 1000) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const int64_t jitter = healed_ ? 50 : options.jitter_us;
    Duration delay = Duration::from_ms(options.slow_ms) +
                     Duration::from_us(10 + prng.between(int64_t{0}, jitter));
    if (!healed_ && i > 0 && prng.chance(1, 4)) {
      delay = delay + Duration::from_ms(prng.between(int64_t{1}, int64_t{400}));  // a late double
    }
    Instant& last = arrived_[static_cast<std::size_t>(packet.from)];
    if (i == 0 && (healed_ || !prng.chance(options.disorder, 1000))) {
      delay = std::max(delay, last - now_);
      last = now_ + delay;
    }
    at(delay, [this, packet] {
      if (reaches(packet.from)) {
        node(1 - packet.from).deliver(packet);
      }
    });
  }
}

// What the register holds is durable before it answers; the answer may be lost.
void World::read_register(int id) {
  const bool lost = options.register_faults && !healed_ && prng.chance(1, 6);
  at(Duration::from_us(prng.between(int64_t{200}, int64_t{5000})), [this, id, lost] {
    const volume::Register held = register_;
    at(Duration::from_us(100), [this, id, lost, held] {
      node(id).event(
          {.kind = volume::EventKind::RegisterRead, .error = lost ? ETIMEDOUT : 0, .seen = held});
    });
  });
}

void World::swap_register(int id, const volume::Register& expected,
                          const volume::Register& wanted) {
  const bool faulty = options.register_faults && !healed_;
  const bool lost_before = faulty && prng.chance(1, 10);
  const bool lost_after = faulty && prng.chance(1, 5);
  at(Duration::from_us(prng.between(int64_t{200}, int64_t{5000})),
     [this, id, expected, wanted, lost_before, lost_after] {
       bool granted = false;
       if (!lost_before) {
         granted = register_ == expected || options.planted == Planted::EpochUnchecked;
         if (granted) {
           register_before_ = register_;
           register_ = wanted;
           log("register: epoch %llu %s, holder %s", static_cast<unsigned long long>(wanted.epoch),
               wanted.kind == volume::Kind::Alone ? "alone" : "together",
               wanted.holder == 0 ? "A" : "B");
         }
       }
       const bool lost = lost_before || lost_after;
       const bool assumed = lost && options.planted == Planted::LostReplyAssumed;
       at(Duration::from_us(100), [this, id, granted, lost, assumed] {
         node(id).event({.kind = volume::EventKind::RegisterSwapped,
                         .error = lost && !assumed ? ETIMEDOUT : 0,
                         .granted = granted || assumed});
       });
     });
}

void World::check(const Node& changed) {
  // D4: whoever would be promoted now holds everything that was acknowledged. A media fault may be
  // unknown until the log is read again.
  const volume::State& s = changed.state();
  if (options.media || loss_accepted() || !changed.up() || !volume::eligible(s) ||
      options.mode == volume::Mode::Async) {
    return;
  }
  const bool named = register_.holder == s.record.node;
  const bool together = register_.kind == volume::Kind::Together &&
                        s.record.standing == volume::Standing::Together &&
                        s.record.epoch == register_.epoch;
  if (!named && !together) {
    return;
  }
  if (!judge.contains(s.issued_digest, judge.acknowledged_digest(),
                      judge.acknowledged_position())) {
    judge.object("D4: " + changed.name() + " may take over without " +
                 std::to_string(judge.acknowledged_position() / volume::kBlock) +
                 " acknowledged blocks; it has " + std::to_string(s.issued / volume::kBlock));
  }
}

void World::start(int id, Duration later) {
  at(later, [this, id] {
    if (node(id).up() || (loss_accepted() && id != forsaken_)) {
      return;
    }
    node(id).start();
    at(Duration::from_ms(prng.between(int64_t{1}, int64_t{20})), [this, id] {
      if (!cut_[0] && !cut_[1]) {
        node(id).link(true);
      }
    });
  });
}

void World::link_changed() {
  const bool up = !cut_[0] && !cut_[1];
  log("link %s", up ? "up" : "cut");
  for (int id = 0; id < 2; ++id) {
    at(Duration::from_ms(prng.between(int64_t{1}, int64_t{40})),
       [this, id] { node(id).link(!cut_[0] && !cut_[1]); });
  }
}

void World::media_fault() {
  const bool both = node(0).up() && node(1).up();
  if (careful_ || !both || register_.kind != volume::Kind::Together) {
    return;
  }
  const int serving = node(0).serving() ? 0 : node(1).serving() ? 1 : -1;
  if (serving < 0 || !volume::acknowledges_alone(node(serving).state())) {
    if (serving < 0 || !node(serving).state().in_step_said ||
        node(serving).state().record.epoch != register_.epoch) {
      return;
    }
    const int victim = static_cast<int>(prng.below(2));
    careful_ = true;
    careful_until_ = now_ + 1_s;
    node(victim).power_off();
    node(victim).rot();
    start(victim, Duration::from_ms(prng.between(int64_t{5}, int64_t{300})));
  }
}

void World::faults() {
  if (healed_ || !judge.fine()) {
    return;
  }
  if (options.media && prng.chance(1, 20)) {
    media_fault();
  }
  if (careful_) {
    const int serving = node(0).serving() ? 0 : node(1).serving() ? 1 : -1;
    if (serving >= 0 && now_ > careful_until_ && node(1 - serving).up()) {
      const volume::State& s = node(serving).state();
      careful_ = !s.in_step_said || !node(1 - serving).state().in_step_said ||
                 s.follower.synced < s.committed;
    }
  }
  if (options.cuts && prng.chance(1, 40)) {
    const bool cut = cut_[0] || cut_[1];
    if (cut) {
      cut_ = {};
    } else if (options.one_way && prng.chance(1, 2)) {
      cut_[prng.below(2)] = true;
    } else {
      cut_ = {true, true};
    }
    link_changed();
  }
  const int id = static_cast<int>(prng.below(2));
  const Duration rest = Duration::from_ms(prng.between(int64_t{5}, int64_t{400}));
  if (options.kills && node(id).up() && prng.chance(1, 60)) {
    node(id).kill();
    start(id, rest);
  }
  if (options.power && node(id).up() && prng.chance(1, 80)) {
    node(id).power_off();
    start(id, rest);
    if (options.both_power && prng.chance(1, 3) && node(1 - id).up()) {
      node(1 - id).power_off();
      start(1 - id, Duration::from_ms(prng.between(int64_t{5}, int64_t{400})));
    }
  }
  if (options.long_absence_ms > 0 && !away_ && node(id).up() && !node(id).serving() &&
      !options.media && prng.chance(1, 60)) {
    away_ = true;
    node(id).power_off();
    log("%s stays away", node(id).name().c_str());
    start(id, Duration::from_ms(options.long_absence_ms));
    at(Duration::from_ms(options.long_absence_ms * 2), [this] { away_ = false; });
  }
  if (options.planted == Planted::ForgetfulRegister && prng.chance(1, 200)) {
    register_ = register_before_;
  }
}

// The monitors' orders. The register is what keeps wrong ones from doing harm.
void World::orders() {
  for (int id = 0; id < 2; ++id) {
    Node& n = node(id);
    if (n.failed()) {
      n.kill();
      start(id, Duration::from_ms(prng.between(int64_t{5}, int64_t{100})));
    }
  }
  sane_orders();
  if (healed_) {
    return;
  }
  const int id = static_cast<int>(prng.below(2));
  Node& n = node(id);
  if (options.wrong_monitor && n.up()) {
    if (prng.chance(1, 50)) {
      n.event({.kind = volume::EventKind::GoAlone});
    }
    if (prng.chance(1, 60)) {
      n.event({.kind = volume::EventKind::Promote});
    }
    if (prng.chance(1, 150)) {
      n.event({.kind = volume::EventKind::Demote});
    }
  }
  if (options.discards && n.up() && n.state().stage == volume::Stage::Standing &&
      node(1 - id).serving() && register_.holder == 1 - id && prng.chance(1, 60)) {
    log("%s: its copy is given up", n.name().c_str());
    n.event({.kind = volume::EventKind::Discard});
  }
  if (options.moves && n.serving() && !careful_ && prng.chance(1, 30)) {
    log("hand over from %s", n.name().c_str());
    n.demoted = false;
    n.event({.kind = volume::EventKind::Demote, .hand_over = true});
    order_at_ = now_ + 500_ms;
  }
}

void World::sane_orders() {
  const bool linked = !cut_[0] && !cut_[1];
  for (int id = 0; id < 2; ++id) {
    Node& n = node(id);
    Node& peer = node(1 - id);
    if (n.up() && n.state().stage == volume::Stage::Releasing && now_ > order_at_) {
      n.event({.kind = volume::EventKind::Promote});
    }
    const bool gone = !linked || !peer.up();
    if ((n.serving() || n.promoting()) && gone && !careful_ && now_ > alone_asked_ + 60_ms) {
      alone_asked_ = now_;
      n.event({.kind = volume::EventKind::GoAlone});
    }
    // The standby hears nothing either, and wants to take over: the register decides.
    if (gone && n.up() && n.state().stage == volume::Stage::Standing && !careful_ &&
        prng.chance(1, 6)) {
      n.event({.kind = volume::EventKind::Promote});
    }
  }
  for (int id = 0; id < 2; ++id) {
    const Node& n = node(id);
    if (n.up() && n.state().stage != volume::Stage::Standing) {
      return;
    }
  }
  const int first = prng.chance(3, 4) ? register_.holder : 1 - register_.holder;
  const int demoted = node(0).demoted ? 0 : node(1).demoted ? 1 : -1;
  const int chosen = demoted >= 0 ? 1 - demoted : first;
  if (careful_ && (!node(0).up() || !node(1).up() || !node(chosen).state().peer.agreed)) {
    return;
  }
  if (node(chosen).up()) {
    node(0).demoted = node(1).demoted = false;
    node(chosen).event({.kind = volume::EventKind::Promote});
  }
}

void World::heal() {
  if (loss_accepted()) {
    return;
  }
  log("everything heals");
  healed_ = true;
  cut_ = {};
  link_changed();
  for (int id = 0; id < 2; ++id) {
    start(id, 50_ms);
  }
}

// The end of a run: a copy is under way, its source dies and never comes back.
void World::forsake() {
  for (int id = 0; id < 2 && forsaken_ < 0; ++id) {
    const volume::State& s = node(id).state();
    if (node(id).up() && !s.failed && s.record.copying != 0 && s.kept && node(1 - id).up() &&
        prng.chance(1, 4)) {
      forsaken_ = id;
      log("%s dies for ever in the middle of a copy", node(1 - id).name().c_str());
      node(1 - id).power_off();
      node(id).link(false);
      register_.kind = volume::Kind::Alone;
      register_.holder = static_cast<volume::Node>(id);
    }
  }
}

void World::order_the_forsaken() {
  Node& n = node(forsaken_);
  if (n.up() && (n.failed() || (forsaken_faults_ < 8 && prng.chance(1, 3)))) {
    ++forsaken_faults_;
    if (n.failed() || prng.chance(1, 2)) {
      n.kill();
    } else {
      n.power_off();
    }
  }
  if (!n.up()) {
    start(forsaken_, Duration::from_ms(prng.between(int64_t{1}, int64_t{50})));
  } else if (n.state().stage == volume::Stage::Standing) {
    n.event({.kind = volume::EventKind::Promote, .accept_loss = true});
  }
}

bool World::converged() {
  const int serving = node(0).serving() ? 0 : node(1).serving() ? 1 : -1;
  if (serving < 0) {
    return false;
  }
  const volume::State& s = node(serving).state();
  return node(1 - serving).up() && s.in_step_said && node(1 - serving).state().in_step_said &&
         node(serving).writes_idle() && s.follower.synced == s.issued;
}

bool World::run() {
  volume::Record record;
  record.instance_high = 0x1234;
  record.instance_low = options.seed;
  record.ring_length = options.ring_blocks * volume::kBlock;
  record.volume_length =
      Node::kVolumeBlocks * volume::kBlock / (options.resizes ? 4 : 1);  // of what the disks have
  volume::Record second = record;
  second.node = 1;
  second.standing = volume::Standing::Fresh;
  record.standing = volume::Standing::Alone;
  record.epoch = 2;
  record.epochs.push({2, {1, 2}, 0, {}, 0});
  register_ = register_before_ = {2, {1, 2}, volume::Kind::Alone, 0};
  node(0).format(record);
  node(1).format(second);
  start(0, 1_ms);
  start(1,
        options.fresh_peer ? Duration::from_ms(prng.between(int64_t{200}, int64_t{1500})) : 2_ms);

  const Instant heal_at = now_ + kFaultsFor;
  std::function<void()> every_order = [&] {
    if (loss_accepted()) {
      order_the_forsaken();
    } else {
      orders();
      if (options.forsake) {
        forsake();
      }
    }
    at(Duration::from_ms(prng.between(int64_t{5}, int64_t{30})), every_order);
  };
  std::function<void()> every_fault = [&] {
    if (!loss_accepted()) {
      faults();
    }
    at(Duration::from_ms(prng.between(int64_t{3}, int64_t{20})), every_fault);
  };
  std::function<void()> every_write = [&] {
    if (!loss_accepted() && (!healed_ || now_ < heal_at + kQuiet)) {
      node(0).work();
      node(1).work();
    }
    at(Duration::from_us(prng.between(int64_t{500}, int64_t{6000})), every_write);
  };
  std::function<void()> every_comparison = [&] {
    Node& any = node(static_cast<int>(compare_prng_.below(2)));
    if (any.up()) {
      any.compare(compare_prng_.below(Node::kVolumeBlocks / Node::kBlocksPerStretch));
    }
    at(Duration::from_us(compare_prng_.between(int64_t{200}, int64_t{20'000})), every_comparison);
  };
  std::function<void()> every_resize = [&] {
    Node& any = node(static_cast<int>(compare_prng_.below(2)));
    const uint64_t longest = Node::kVolumeBlocks * volume::kBlock;
    const uint64_t to = std::min(
        longest, any.state().record.volume_length + compare_prng_.below(3) * volume::kExtent);
    if (any.up() && !healed_ && (any.serving() || compare_prng_.chance(1, 10))) {
      any.event({.kind = volume::EventKind::Resize, .number = to});
    }
    at(Duration::from_ms(compare_prng_.between(int64_t{10}, int64_t{400})), every_resize);
  };
  if (options.resizes) {
    at(200_ms, every_resize);
  }
  if (options.compares) {
    at(20_ms, every_comparison);
  }
  at(10_ms, every_order);
  at(30_ms, every_fault);
  at(15_ms, every_write);
  at(kFaultsFor, [this] { heal(); });
  while (judge.fine()) {
    CB_CHECK(!tasks_.empty());
    const Task task = tasks_.top();
    tasks_.pop();
    now_ = task.when;
    if (loss_accepted() && node(forsaken_).serving()) {
      return judge.fine();  // what it holds was judged when it began to serve
    }
    if (healed_ && now_ > heal_at + kQuiet && converged()) {
      break;
    }
    if (now_ > heal_at + kConverged) {
      for (int id = 0; id < 2; ++id) {
        log("%s", node(id).describe().c_str());
      }
      judge.object("liveness: " + std::to_string(kConverged.as_s()) +
                   " s after the last fault the pair is not in step");
      break;
    }
    task.what();
  }
  for (int id = 0; id < 2 && judge.fine(); ++id) {
    const volume::State& s = node(id).state();
    const auto held = node(id).content();
    if (!held || judge.content_of(s.issued_digest) == nullptr ||
        *held != *judge.content_of(s.issued_digest)) {
      judge.object("D3: at the end the disks of " + node(id).name() + " are not what its log says");
    } else {
      judge.serves(node(id).name(), *held);
    }
  }
  return judge.fine();
}

}  // namespace cb::sim_volume
