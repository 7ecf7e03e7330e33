// SPDX-License-Identifier: Apache-2.0
//
// The status as JSON: the schema is an interface (docs/control-protocol.md). Ages in ms, every
// duration names its unit.
#include <unistd.h>

#include <array>
#include <cmath>

#include "agent/monitor.h"
#include "base/clock.h"
#include "core/lease.h"
#include "core/state_text.h"
#include "crossbeat_version.h"

namespace cb::agent {
namespace {

double as_ms(Duration d) { return static_cast<double>(d.as_ns()) / 1e6; }

Json us_between(Instant from, Instant to) {
  if (from.as_ns() == 0 || to.as_ns() == 0 || to < from) {
    return nullptr;
  }
  return static_cast<double>((to - from).as_ns()) / 1e3;
}

// The value below which `share` of a log2 histogram of ns lies, in us, straight within its bucket.
template <class Histogram>
double percentile_us(const Histogram& histogram, double share) {
  double total = 0;
  for (const auto& count : histogram) {
    total += static_cast<double>(count);
  }
  double wanted = total * share;
  for (size_t i = 0; i < std::size(histogram); ++i) {
    const auto count = static_cast<double>(histogram[i]);
    if (count > 0 && wanted <= count) {
      const double low = std::ldexp(1.0, static_cast<int>(i));
      return (low + low * wanted / count) / 1e3;
    }
    wanted -= count;
  }
  return 0;
}

const char* guard_text(const edge::Kernel& kernel, unsigned slot, Instant now) {
  switch (cb_guard_shut(kernel.node(), &kernel.pairs()[slot], &kernel.leases()[slot],
                        static_cast<__u64>(now.as_ns()))) {
    case 0: return "open";
    case 2: return "lease over";
    case 3: return "monitor not fresh";
    default: return "closed";
  }
}

Json timeline_json(const std::optional<Timeline>& last) {
  if (!last) {
    return nullptr;
  }
  const Timeline& t = *last;
  const Instant from = t.peer_heard.as_ns() != 0 ? t.peer_heard : t.began;
  const Instant decided = std::max(t.began, t.arbitrated);
  return Json{
      {"at_wall", t.wall},
      {"silent", t.peer_heard.as_ns() != 0},
      {"detection_us", us_between(t.peer_heard, t.began)},
      {"arbitration_us", t.arbitrated > t.began ? us_between(t.began, t.arbitrated) : Json(0.0)},
      {"lease_wait_us", us_between(decided, t.lease_closed)},
      {"address_us", us_between(t.lease_closed, t.address_up)},
      {"announce_us", us_between(t.open, t.announced)},
      {"total_us", us_between(from, t.complete)},
      {"peer_heard_ns", t.peer_heard.as_ns()},
      {"silent_ns", t.began.as_ns()},
      {"open_ns", t.open.as_ns()},
      {"announced_ns", t.announced.as_ns()},
      {"reason", std::string(core::name_of(t.reason))},
      {"text", text_of(t)}};
}

const char* service_state(edge::ServiceState state, bool in_command) {
  switch (state) {
    case edge::ServiceState::Running:
    case edge::ServiceState::Starting: return "running";
    case edge::ServiceState::Unhealthy:
    case edge::ServiceState::Failed: return "failed";
    case edge::ServiceState::Stopping:
    case edge::ServiceState::Stopped: break;
  }
  return in_command ? "stopped" : "dormant";
}

Json failure_json(const std::optional<volume::Failure>& failure, Instant now) {
  if (!failure) {
    return nullptr;
  }
  return Json{{"error", failure->error},
              {"tries", failure->tries},
              {"again_in_ms", failure->again_at.is_never()
                                  ? Json(nullptr)
                                  : Json(std::max(0.0, as_ms(failure->again_at - now)))}};
}

// What an operator is told of a volume; `detail` is what its process says besides.
Json volume_json(const volume::Status& v, const config::Volume& configured, Instant now) {
  static constexpr std::array<const char*, 4> kModes = {"strict", "sync", "fastsync", "async"};
  const auto optional = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  return Json{{"mode", kModes.at(static_cast<size_t>(configured.mode))},
              {"size_bytes", std::max(configured.bytes, v.bytes)},
              {"log_bytes", configured.log_bytes},
              {"running", v.running},
              {"serving", v.serving},
              {"alone", v.alone},
              {"in_step", v.in_step},
              {"eligible", v.eligible},
              {"standing", optional(v.standing)},
              {"position", v.position},
              {"committed", v.committed},
              {"peer_synced", v.peer_synced},
              {"epoch", v.epoch},
              {"unsynced_bytes", v.unsynced_bytes},
              {"sync",
               {{"kind", v.sync},
                {"permille", v.progress_permille},
                {"bytes_done", v.bytes_done},
                {"bytes_left", v.bytes_left},
                {"bytes_per_s", v.rate},
                {"seconds_left", v.seconds_left ? Json(*v.seconds_left) : Json(nullptr)}}},
              {"stall", v.stall.empty() ? "none" : v.stall},
              {"stall_text", v.stall_text},
              {"failure", failure_json(v.failure, now)},
              {"memory", {{"io_flusher", v.io_flusher}, {"locked", v.memory_locked}}},
              {"device", optional(v.device)},
              {"mount", optional(configured.mount_point)},
              {"mounted", v.mounted},
              {"text", v.text},
              {"detail", v.detail.empty() ? Json(nullptr) : parse_json(v.detail)}};
}

const char* profile_name(config::Profile profile) {
  switch (profile) {
    case config::Profile::Fast: return "fast";
    case config::Profile::Normal: return "normal";
    case config::Profile::Relaxed: return "relaxed";
    case config::Profile::Custom: return "custom";
  }
  return "?";
}

Json witness_json(const Unit& unit, const config::Node& node, Instant now) {
  if (unit.witness() == nullptr) {
    return nullptr;
  }
  const edge::WitnessFacts facts = unit.witness()->facts();
  const bool ever = facts.answered_at != Instant{};
  return Json{{"address", node.witness_address.text()},
              {"port", node.witness_port},
              {"answers", facts.answers},
              {"age_ms", ever ? Json(as_ms(now - facts.answered_at)) : Json(nullptr)},
              {"round_trip_us", ever ? Json(facts.round_trip.as_us()) : Json(nullptr)},
              {"holder", edge::text_of(facts.record.holder)},
              {"term", facts.record.term},
              {"trouble", facts.trouble.empty() ? Json(nullptr) : Json(facts.trouble)},
              {"sent", facts.sent},
              {"answered", facts.answered},
              {"dropped", facts.dropped}};
}

}  // namespace

Json Monitor::status() const {
  Json out = ok_reply();
  out["node"] = status_of_node();
  out["pairings"] = Json::array();
  out["unpaired"] = nullptr;
  const Instant now = boottime_now();
  for (const auto& unit : units_) {
    if (unit->pair()) {
      out["pairings"].push_back(status_of(*unit, now));
    } else {
      out["unpaired"] = status_of(*unit, now);
    }
  }
  return out;
}

Json Monitor::status_of_node() const {
  const config::Node& node = world_.node;
  const edge::ProberFacts prober = world_.prober->facts();
  const edge::KernelFacts& kernel = world_.kernel->facts();
  const Instant now = boottime_now();
  const auto optional = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  Json drops = Json::object();
  static constexpr const char* kNames[] = CB_DROP_NAMES;
  if (const auto counts = world_.kernel->drops()) {
    for (size_t i = 0; i < counts->size(); ++i) {
      drops[kNames[i]] = (*counts)[i];
    }
  }
  return Json{
      {"name", node.name},
      {"role", node.role == core::Role::Primary ? "Primary" : "Secondary"},
      {"version", node.product.version.empty() ? CROSSBEAT_VERSION : node.product.version},
      {"software", CROSSBEAT_VERSION},
      {"udi", world_.udi},
      {"model", optional(platform_.model)},
      {"capacity",
       {{"processors", platform_.capacity.processors},
        {"memory_mib", platform_.capacity.memory_mib},
        {"disk_mib", platform_.capacity.disk_mib},
        {"network_mbits", platform_.capacity.network_mbits}}},
      {"platforms",
       {{"source", rule_book_.platforms.source},
        {"problem", optional(rule_book_.platforms_problem)}}},
      {"activation", activation()},
      {"hm_address", node.hm_address.text()},
      {"network_interface", node.network_interface},
      {"direct_interface", optional(node.direct_interface)},
      {"pid", getpid()},
      {"session", world_.kernel->node()->session},
      {"uptime_s", (now - started_).as_s()},
      {"scheduling",
       {{"probe", edge::text_of(prober.scheduling)},
        {"control", control_is_fifo_ ? "fifo" : "nice"},
        {"keeps_processors_awake", prober.keeps_awake},
        {"memory_locked", memory_locked_}}},
      {"io_uring", true},
      {"io_uring_features", world_.loop->facts().text()},
      {"xdp_mode", kernel.direct_ifindex == 0 ? "none" : edge::text_of(kernel.xdp_mode)},
      {"kernel", kernel.release},
      {"maps_kept", maps_kept_},
      {"pins", kernel.pin_directory},
      {"lateness_us",
       {{"p50", percentile_us(prober.lateness, 0.5)},
        {"p99", percentile_us(prober.lateness, 0.99)},
        {"max", static_cast<double>(prober.lateness_max_ns) / 1e3}}},
      {"probe_wakeups", prober.wakeups},
      {"sends_failed", prober.sends_failed},
      {"longest_turn_us", world_.loop->stats().longest_turn.as_us()},
      {"monitor_age_ms",
       as_ms(now - Instant::from_ns(static_cast<int64_t>(world_.kernel->node()->beat_ns)))},
      {"network_ok", network_ok_.value_or(true)},
      {"resources", resources()},
      {"gateway", node.gateway == config::Address{} ? Json(nullptr) : Json(node.gateway.text())},
      {"gateway_answers", gateway_answers_},
      {"warnings", world_.address->warnings()},
      {"drops", drops}};
}

// By the rules as they are now. Without a row the nodes were compared when they were paired.
Json Monitor::platform_json(const config::Pair& pair) const {
  const config::Platforms& rules = rule_book_.platforms;
  const config::Platform own{platform_.model, {}};
  const config::Platform peer{pair.peer_model, {}};
  const bool primary = pair.self_role == core::Role::Primary;
  const auto judged = config::judge_pair(rules, primary ? own : peer, primary ? peer : own);
  const bool matrix = judged.by == config::Judgement::By::Matrix;
  return {{"by", matrix ? "matrix" : "comparison"},
          {"allowed", judged.allowed},
          {"text", matrix ? judged.text : "compared when they were paired"}};
}

Json Monitor::status_of_link(const Unit& unit, unsigned link, Instant now) const {
  const Instance& instance = unit.instance();
  const cb_path& path = world_.kernel->paths()[instance.slot() * CB_LINKS + link];
  const cb_probes& probes = world_.kernel->probes()[instance.slot() * CB_LINKS + link];
  static constexpr const char* kStates[] = {"unknown", "answers", "silent"};
  const uint64_t answered = path.answers_received;
  const bool heard = path.frame_ns != 0;
  return Json{
      {"link", link == CB_LINK_DIRECT ? "direct" : "network"},
      {"interface",
       link == CB_LINK_DIRECT ? world_.node.direct_interface : world_.node.network_interface},
      {"state", kStates[static_cast<size_t>(instance.detector().link[link])]},
      {"rtt_us",
       {{"last", static_cast<double>(path.rtt_last_ns) / 1e3},
        {"min", static_cast<double>(path.rtt_min_ns) / 1e3},
        {"mean", answered == 0
                     ? 0.0
                     : static_cast<double>(path.rtt_sum_ns) / static_cast<double>(answered) / 1e3},
        {"p50", percentile_us(path.rtt_histogram, 0.5)},
        {"p99", percentile_us(path.rtt_histogram, 0.99)},
        {"p999", percentile_us(path.rtt_histogram, 0.999)}}},
      {"rtt_histogram_ns_log2", path.rtt_histogram},
      {"sequence", probes.sequence},
      {"answered", answered},
      {"probes_received", path.probes_received},
      {"unanswered", instance.detector().unanswered[link]},
      {"unanswered_by_peer", instance.peer().facts.unanswered[link]},
      {"age_ms", heard ? Json(as_ms(now - Instant::from_ns(static_cast<int64_t>(path.frame_ns))))
                       : Json(nullptr)}};
}

Json Monitor::status_of(const Unit& unit, Instant now) const {
  const Instance& instance = unit.instance();
  const core::State& state = instance.state();
  const config::Node& node = world_.node;
  const auto& pair = unit.pair();
  const unsigned slot = instance.slot();
  const auto type = [](bool automatic) { return automatic ? "Automatic" : "Manual"; };
  const bool direct = instance.setup().configured[0];
  const core::LinkTiming& timing = instance.setup().timing[direct ? 0 : 1];

  Json out;
  out["pairing"] = pair ? pair->primary_hm.text() : node.hm_address.text();
  if (pair) {
    char id[20];
    snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(pair->id));
    out["id"] = id;
    const bool primary = pair->self_role == core::Role::Primary;
    out["peer"] = {{"hm_address", (primary ? pair->secondary_hm : pair->primary_hm).text()},
                   {"name", pair->peer_name},
                   {"version", pair->peer_version},
                   {"udi", pair->peer_udi},
                   {"model", pair->peer_model.empty() ? Json(nullptr) : Json(pair->peer_model)},
                   {"activation",
                    pair->peer_activation.empty() ? Json(nullptr) : Json(pair->peer_activation)}};
    out["platform"] = platform_json(*pair);
  }
  out["slot"] = slot;
  out["self_role"] = state.settings.role == core::Role::Primary ? "Primary" : "Secondary";
  out["virtual_addresses"] = Json::array();
  for (const config::Prefix& address : unit.addresses()) {
    out["virtual_addresses"].push_back(address.text());
  }
  out["failover_type"] = type(state.settings.automatic_failover);
  out["failback_type"] = type(state.settings.automatic_failback);
  out["failover_wait_s"] = state.settings.failover_wait.as_s();
  out["instance_number"] = pair ? pair->instance_number : node.instance_number;
  out["direct_used"] = direct;
  out["state"] = core::name_of(state.name);
  out["sub_state"] = core::name_of(state.sub);
  out["sub_state_text"] = core::text_of(state.sub);
  out["reason"] = core::name_of(state.reason);
  out["reason_text"] = core::text_of(state.reason);
  out["since_ms"] = as_ms(now - instance.since());
  // The term in which the instance is served, by whomever; what this node has reserved besides is
  // its own affair.
  const bool peer_serves = (instance.peer().facts.flags & CB_FACT_SERVING) != 0;
  out["term"] = core::is_serving(state) ? state.serving_term
                : peer_serves           ? instance.peer().facts.term
                                        : state.term;
  out["newest_term"] = state.term;
  out["serving"] = core::is_serving(state);
  out["solo"] = state.guard == core::GuardMode::Solo;
  out["solo_basis"] = core::name_of(state.solo);
  out["guard"] = guard_text(*world_.kernel, slot, now);
  const auto lease_until =
      Instant::from_ns(static_cast<int64_t>(world_.kernel->leases()[slot].lease_until_ns));
  out["lease_ms"] = lease_until.as_ns() == 0 ? Json(nullptr) : Json(as_ms(lease_until - now));
  const bool up = pair && state.peer_answers && !state.peer_silent;
  out["heartbeat"] = up ? "Up" : "Down";
  if (pair) {
    const PeerNews& peer = instance.peer();
    const bool heard = peer.facts.boot != 0;
    out["peer_state"] = heard ? Json(core::name_of(peer.facts.state)) : Json(nullptr);
    out["peer_sub_state"] = heard ? Json(core::name_of(peer.facts.sub_state)) : Json(nullptr);
    out["peer_flags"] = peer.facts.flags;
    out["peer_term"] = peer.facts.term;
    out["peer_age_ms"] = heard ? Json(as_ms(now - peer.facts.received)) : Json(nullptr);
    out["peer_monitor_age_ms"] = heard ? Json(as_ms(peer.monitor_age)) : Json(nullptr);
    out["peer_monitor_stale"] = state.peer_monitor_stale;
    out["unknown_at_peer"] = event_exchange_ && event_exchange_->is_unknown_there(pair->id);
    out["clock_offset_ms"] =
        heard ? Json(static_cast<double>(
                         peer.wall_offset_ns -
                         static_cast<int64_t>(world_.kernel->node()->wall_offset_ns)) /
                     1e6)
              : Json(nullptr);
    out["links"] = Json::array();
    for (unsigned link = 0; link < CB_LINKS; ++link) {
      if (instance.setup().configured[link]) {
        out["links"].push_back(status_of_link(unit, link, now));
      }
    }
    out["profile"] = {
        {"name", profile_name(node.heartbeat.profile)},
        {"interval_us", timing.interval.as_us()},
        {"probes_lost", timing.probes_lost},
        {"answer_within_us", timing.answer_within.as_us()},
        {"grant_us", state.settings.grant_us},
        {"detection_us", (timing.interval * timing.probes_lost + timing.answer_within).as_us()}};
  }
  out["in_step"] = state.in_step;
  out["progress_permille"] =
      state.sub == core::SubState::Synchronizing ? Json(state.progress_permille) : Json(nullptr);
  const std::optional<config::Volume> configured = !pair ? node.volume
                                                   : pair->volume
                                                       ? std::optional(pair->volume->volume)
                                                       : std::nullopt;
  out["volume"] = unit.has_volume() && configured
                      ? volume_json(unit.volume().status(), *configured, now)
                      : Json(nullptr);
  out["eligible"] = core::is_eligible(state);
  out["automatic"] = core::is_automatic(state);
  out["automatic_off"] = state.automatic_off;
  out["maintenance"] = state.maintenance;
  out["maintenance_until_wall"] =
      state.maintenance && state.maintenance_until_wall_s != 0
          ? Json(edge::wall_text(static_cast<int64_t>(state.maintenance_until_wall_s) *
                                 1'000'000'000))
          : Json(nullptr);
  out["stale"] = state.stale;
  out["ledger_failed"] = state.ledger_failed;
  if (const auto guarded = world_.kernel->guarded(slot)) {
    out["guarded"] = {{"passed", guarded->passed},
                      {"dropped_closed", guarded->dropped_closed},
                      {"dropped_lease", guarded->dropped_lease},
                      {"dropped_monitor", guarded->dropped_monitor},
                      {"last_passed_ns", guarded->last_passed_ns},
                      {"last_dropped_ns", guarded->last_dropped_ns}};
  }
  out["witness"] = witness_json(unit, node, now);
  out["last_failover"] = timeline_json(instance.last_failover());
  out["services"] = Json::array();
  for (const edge::ServiceFacts& service : unit.services()) {
    out["services"].push_back({{"name", service.name},
                               {"state", service_state(service.state, core::is_serving(state))},
                               {"admin", service.enabled ? "Enabled" : "Disabled"},
                               {"restarts", service.restarts},
                               {"detail", service.detail},
                               {"look", service.look}});
  }
  return out;
}

}  // namespace cb::agent
