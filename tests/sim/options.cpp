// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/options.h"

#include <cstdio>

#include "base/prng.h"

namespace cb::sim {
namespace {

struct PlantedText {
  const char* name;
  const char* what;
};

constexpr PlantedText kPlantedTexts[kPlanted] = {
    {"none", ""},
    {"skip-lease-wait", "CloseLease answers at once"},
    {"forget-to-persist", "the ledger says written and writes nothing"},
    {"judge-before-drain", "silence is judged by what was known before the turn"},
    {"accept-equal-term", "a higher term of the peer is taken for an equal one"},
    {"skip-fence", "the fence says dead and does nothing"},
    {"grant-while-serving", "grants go on whatever the state"},
    {"ignore-stale", "a node whose data is old believes that it is in step"},
    {"solo-unasked", "arbitration always grants, at once"},
    {"open-guard-early", "the guard opens when the climb begins"},
    {"forget-grants", "a start forgets what an earlier life granted"},
    {"reuse-terms", "a start forgets the reserved terms"},
    {"trust-forgeries", "forged frames carry a valid tag"},
    {"never-yield", "the guard stays open when the core closes it"},
    {"proof-for-all", "every start believes that its ledger proves its right"},
    {"deaf-to-goodbye", "a peer that stops on purpose is taken for dead"},
    {"witness-forgets", "a witness starts without what it had granted"},
    {"witness-unordered", "a witness does what is late after what was said later"},
    {"answer-assumed", "no answer of the witness is taken for a grant"},
};

// What only one fault at a time may do to a pair that is judged by the gateway alone.
void draw_single(Options& o, Prng& prng) {
  o.domain = static_cast<Domain>(1 + prng.below(kDomains - 1));
  o.crash = o.domain == Domain::Crash;
  o.monitor_crash = o.domain == Domain::MonitorCrash;
  o.stall = o.domain == Domain::Stall;
  o.freeze = o.domain == Domain::Freeze;
  o.direct_cut = o.domain == Domain::DirectCut;
  o.service_cut = o.domain == Domain::ServiceCut;
  if (o.direct_cut) {
    o.direct_link = true;
    o.n_to_1 = false;
  }
  if (o.domain == Domain::Loss) {
    o.loss_permille = static_cast<int>(prng.below(30));
    o.duplicate_permille = static_cast<int>(prng.below(50));
    o.delay_permille = static_cast<int>(prng.below(30));
  }
}

void draw_any(Options& o, Prng& prng) {
  o.crash = prng.chance(1, 2);
  o.monitor_crash = prng.chance(1, 2);
  o.stall = prng.chance(1, 2);
  o.freeze = prng.chance(1, 2);
  o.direct_cut = prng.chance(1, 2);
  o.service_cut = prng.chance(1, 2);
  o.gateway_down = prng.chance(1, 4);
  if (prng.chance(1, 2)) {
    o.loss_permille = static_cast<int>(prng.below(200));
  }
  if (prng.chance(1, 2)) {
    o.duplicate_permille = static_cast<int>(prng.below(100));
  }
  if (prng.chance(1, 2)) {
    o.delay_permille = static_cast<int>(prng.below(150));
  }
  o.old_ledgers = o.crash && prng.chance(1, 6);
}

}  // namespace

const char* name_of(Planted bug) { return kPlantedTexts[static_cast<int>(bug)].name; }
const char* what_is(Planted bug) { return kPlantedTexts[static_cast<int>(bug)].what; }

const char* name_of(Domain domain) {
  constexpr const char* kNames[kDomains] = {"none",   "crash",      "monitor-crash", "stall",
                                            "freeze", "direct-cut", "service-cut",   "loss"};
  return kNames[static_cast<int>(domain)];
}

const char* name_of(Arbiter arbiter) {
  constexpr const char* kNames[] = {"gateway", "fence", "witness"};
  return kNames[static_cast<int>(arbiter)];
}

Options draw(uint64_t seed) {
  Prng prng(seed * 0x9e3779b97f4a7c15u + 1);
  Options o;
  o.seed = seed;
  o.arbiter = static_cast<Arbiter>(prng.below(3));
  o.n_to_1 = prng.chance(1, 6);
  o.direct_link = !o.n_to_1 && prng.chance(2, 3);
  o.has_volume = prng.chance(1, 2);
  o.has_services = prng.chance(3, 4);
  o.address_last = prng.chance(1, 5);
  o.automatic_failover = prng.chance(4, 5);
  o.automatic_failback = prng.chance(1, 2);
  o.interval = Duration::from_ms(prng.between(10, 40));
  o.probes_lost = static_cast<int>(prng.between(3, 6));
  o.failover_wait = Duration::from_ms(prng.between(0, 1500));
  o.hold_down = Duration::from_ms(prng.between(0, 2000));
  o.drift_ppm = static_cast<int>(prng.below(240));
  if (o.arbiter == Arbiter::Gateway) {
    draw_single(o, prng);
  } else {
    draw_any(o, prng);
  }
  o.service_failures = prng.chance(1, 5);
  o.slow_actions = prng.chance(1, 3);
  o.action_failures_permille = prng.chance(1, 4) ? static_cast<int>(prng.below(150)) : 0;
  o.operators = prng.chance(1, 2);
  o.attacker = prng.chance(1, 3);
  o.fault_gap = Duration::from_ms(prng.between(300, 4000));
  o.faults_for = Duration::from_ms(prng.between(6'000, 20'000));
  o.upgrades = o.domain == Domain::None && prng.chance(1, 4);
  o.witness_faults = o.arbiter == Arbiter::Witness && prng.chance(2, 3);
  return o;
}

std::string Options::text() const {
  char line[768];
  std::snprintf(
      line, sizeof line,
      "seed %llu: %s%s%s%s%s%s%s %s failover, %s failback, probes %lld ms x %d, wait %lld ms, hold "
      "%lld ms, drift %d ppm; faults%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s loss %d dup %d delay %d fail "
      "%d "
      "(permille), gap %lld ms, for %lld ms%s%s",
      static_cast<unsigned long long>(seed), name_of(arbiter), n_to_1 ? " 2:1" : "",
      direct_link ? " direct" : "", has_volume ? " volume" : "", has_services ? " services" : "",
      address_last ? " address-last" : "", ",", automatic_failover ? "automatic" : "manual",
      automatic_failback ? "automatic" : "manual", static_cast<long long>(interval.as_ms()),
      probes_lost, static_cast<long long>(failover_wait.as_ms()),
      static_cast<long long>(hold_down.as_ms()), drift_ppm, domain != Domain::None ? " only" : "",
      crash ? " crash" : "", monitor_crash ? " monitor-crash" : "", stall ? " stall" : "",
      freeze ? " freeze" : "", direct_cut ? " direct-cut" : "", service_cut ? " service-cut" : "",
      gateway_down ? " gateway-down" : "", service_failures ? " services" : "",
      slow_actions ? " slow" : "", old_ledgers ? " old-ledgers" : "", upgrades ? " upgrades" : "",
      witness_faults ? " witness" : "", operators ? " operators" : "", attacker ? " attacker" : "",
      domain == Domain::Loss ? " noise" : "", loss_permille, duplicate_permille, delay_permille,
      action_failures_permille, static_cast<long long>(fault_gap.as_ms()),
      static_cast<long long>(faults_for.as_ms()), planted != Planted::None ? "; planted " : "",
      planted != Planted::None ? name_of(planted) : "");
  return line;
}

}  // namespace cb::sim
