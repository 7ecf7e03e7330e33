// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_transport/world.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace cb::sim_transport {

namespace {

constexpr Duration kFaultsFor = Duration::from_ms(1500);
constexpr Duration kQuietFor = Duration::from_ms(500);
constexpr Duration kSettle = Duration::from_ms(300);  // of a quiet run: before it the window opens
constexpr Duration kHealedBy = Duration::from_s(30);
// A Control message under bulk waits for what may be queued, and a little.
constexpr Duration kControlSlack = Duration::from_ms(4);

}  // namespace

World::World(const Options& drawn) : options(drawn), prng(drawn.seed * 31 + 5) {
  now_ = Instant::from_ns(1'000'000'000);
  for (int from = 0; from < 2; ++from) {
    for (int path = 0; path < options.paths; ++path) {
      Pipe& p = pipe(from, path);
      p.bandwidth =
          path == 0 ? options.bandwidth : std::max<uint64_t>(options.bandwidth / 4, 1 << 21);
      p.delay = Duration::from_us(path == 0 ? options.delay_us : options.slow_delay_us);
    }
  }
  nodes_[0] = std::make_unique<Node>(*this, 0);
  nodes_[1] = std::make_unique<Node>(*this, 1);
}

void World::object(const std::string& what) {
  if (objection_.empty()) {
    objection_ = "at " + std::to_string((now_.as_ns() - 1'000'000'000) / 1000) + "us: " + what;
  }
}

void World::log(const char* format, ...) {
  if (!options.verbose) {
    return;
  }
  std::printf("%9lld ", static_cast<long long>((now_.as_ns() - 1'000'000'000) / 1000));
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
}

void World::at(Duration later, std::function<void()> what) {
  tasks_.push_back({now_ + std::max(later, Duration{}), ++order_, std::move(what)});
  std::ranges::push_heap(tasks_, Later{});
}

bool World::has_room(int from, int path) {
  Pipe& p = pipe(from, path);
  if (!options.backpressure || p.queued < options.queue / 2) {
    return true;
  }
  p.refused = true;
  return false;
}

void World::send(Wire wire) {
  Pipe& p = pipe(wire.from, wire.path);
  if (!p.carrier || p.queued + wire.size > options.queue) {
    return;  // dropped at the link
  }
  p.queued += wire.size;
  p.queued_most = std::max(p.queued_most, p.queued);
  const auto takes =
      Duration::from_ns(static_cast<int64_t>(uint64_t{wire.size} * 1'000'000'000 / p.bandwidth));
  p.free_at = std::max(p.free_at, now_) + takes;
  at(p.free_at - now_, [this, wire = std::make_shared<const Wire>(std::move(wire))] {
    Pipe& left = pipe(wire->from, wire->path);
    left.queued -= wire->size;
    if (left.refused && left.queued < options.queue / 4) {
      left.refused = false;
      node(wire->from).on_writable();
    }
    const uint32_t most = wire->path == 0 ? options.path_max : options.packet_max;
    if (left.cut || !left.carrier || wire->size > most ||
        (!healed_ && prng.chance(options.loss, 1000))) {
      return;
    }
    Duration after = left.delay;
    if (!healed_ && options.jitter_us > 0) {
      after += Duration::from_us(prng.between(int64_t{0}, options.jitter_us));
    }
    if (!healed_ && prng.chance(options.disorder, 1000)) {
      after += Duration::from_us(prng.between(int64_t{100}, int64_t{20'000}));
    }
    arrive(wire, after);
    if (!healed_ && prng.chance(options.doubles, 1000)) {
      arrive(wire, after + Duration::from_us(prng.between(int64_t{0}, int64_t{30'000})));
    }
  });
}

void World::arrive(std::shared_ptr<const Wire> wire, Duration after) {
  at(after, [this, wire = std::move(wire)] { node(1 - wire->from).receive(*wire); });
}

void World::waited(Duration span) {
  if (!options.quiet || now_ - Instant::from_ns(1'000'000'000) < kSettle) {
    return;
  }
  const core::Settings settings;
  const uint64_t bulk = options.resync_only ? settings.resync_queue_min : settings.queue_min;
  const auto queue =
      static_cast<int64_t>((bulk + settings.control_reserve) * 1'000'000 / options.bandwidth);
  const Duration most = Duration::from_us(queue) + kControlSlack;
  if (span > most + Duration::from_us(options.delay_us)) {
    object("a Control message waited " + std::to_string(span.as_us()) + "us behind bulk");
  }
}

void World::faults() {
  const auto next = Duration::from_us(prng.between(int64_t{1000}, int64_t{150'000}));
  at(next, [this] {
    if (healed_) {
      return;
    }
    if (options.cuts && prng.chance(2, 3)) {
      const int path = static_cast<int>(prng.below(static_cast<uint64_t>(options.paths)));
      const bool cut = prng.chance(1, 2);
      const int only = options.one_way && prng.chance(1, 2) ? static_cast<int>(prng.below(2)) : -1;
      const bool seen = options.carrier && only < 0 && prng.chance(2, 3);
      log("%s path %d%s%s", cut ? "cut" : "mend", path, only >= 0 ? " one way" : "",
          seen ? " with carrier" : "");
      for (int from = 0; from < 2; ++from) {
        Pipe& p = pipe(from, path);
        if (only < 0 || only == from) {
          p.cut = cut;
        }
        if (seen || (!cut && !p.carrier)) {
          p.carrier = !cut;
          node(from).on_link(path, p.carrier);
        }
      }
    } else if (options.restarts && prng.chance(1, 3)) {
      const int id = static_cast<int>(prng.below(2));
      log("node %d restarts", id);
      node(id).start();
    }
    faults();
  });
}

void World::heal() {
  log("healed");
  healed_ = true;
  for (int from = 0; from < 2; ++from) {
    for (int path = 0; path < options.paths; ++path) {
      Pipe& p = pipe(from, path);
      p.cut = false;
      if (!p.carrier) {
        p.carrier = true;
        node(from).on_link(path, true);
      }
    }
  }
}

bool World::run_until(Instant end, const std::function<bool()>& done) {
  while (!tasks_.empty() && tasks_.front().when <= end && objection_.empty()) {
    std::ranges::pop_heap(tasks_, Later{});
    const Task task = std::move(tasks_.back());
    tasks_.pop_back();
    now_ = task.when;
    task.what();
    if (done && done()) {
      return true;
    }
  }
  if (objection_.empty()) {
    now_ = std::max(now_, end);
  }
  return false;
}

bool World::run() {
  node(0).start();
  node(1).start();
  node(0).budget = options.quiet ? INT64_MAX : prng.between(int64_t{1'000'000}, int64_t{8'000'000});
  node(1).budget = options.both_busy ? node(0).budget : 50'000;
  if (!options.quiet) {
    faults();
  }
  run_until(now_ + (options.quiet ? kQuietFor : kFaultsFor));
  if (!objection_.empty()) {
    return false;
  }
  if (options.quiet) {
    node(0).budget = node(1).budget = 0;
  }
  heal();
  // Liveness: with the faults gone, everything that is given arrives, within a bound.
  node(0).app_on = node(1).app_on = false;
  const bool fine = run_until(now_ + kHealedBy, [this] {
    return node(0).up() && node(1).up() && node(0).session() == node(1).session() &&
           node(0).all_delivered(node(1)) && node(1).all_delivered(node(0));
  });
  if (!fine && objection_.empty()) {
    object("not everything arrived after the faults had ended: " + node(0).where() + "; " +
           node(1).where());
  }
  return objection_.empty();
}

}  // namespace cb::sim_transport
