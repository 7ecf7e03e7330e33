// SPDX-License-Identifier: Apache-2.0
#include "agent/unit.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "core/state_text.h"
#include "drivers/fence/command.h"
#include "pairing/keys.h"

namespace cb::agent {
namespace {

using core::EventKind;

cb_address guarded(const config::Address& address) {
  cb_address out{};
  memcpy(out.bytes, address.bytes.data(), sizeof out.bytes);
  return out;
}

InstanceSetup setup_of(const World& world, unsigned slot, const std::optional<config::Pair>& pair) {
  const config::Node& node = world.node;
  InstanceSetup setup;
  setup.slot = slot;
  setup.pair = pair;
  setup.settings = config::settings_for(node, pair ? &*pair : nullptr);
  setup.monitor_grace = node.heartbeat.monitor_grace;
  const auto timing = [](const config::LinkHeartbeat& h) {
    return core::LinkTiming{h.interval, h.answer_within, h.probes_lost};
  };
  const bool direct = pair && pair->direct && !node.direct_interface.empty();
  setup.timing = {timing(node.heartbeat.direct),
                  timing(direct ? node.heartbeat.network : node.heartbeat.direct)};
  setup.configured = {direct, pair.has_value()};
  return setup;
}

}  // namespace

Ipv4 v4_of(const config::Address& address) {
  Ipv4 out;
  memcpy(out.bytes.data(), address.bytes.data() + 12, 4);
  return out;
}

loop::Done all_of(size_t parts, loop::Done done) {
  struct Count {
    size_t left;
    int error = 0;
    loop::Done done;
  };
  auto count = std::make_shared<Count>(Count{parts, 0, std::move(done)});
  if (parts == 0) {
    count->done(0);
  }
  return [count](int error) {
    if (count->error == 0) {
      count->error = error;
    }
    if (--count->left == 0) {
      count->done(count->error);
    }
  };
}

Result<std::unique_ptr<Unit>> Unit::open(World& world, unsigned slot,
                                         std::optional<config::Pair> pair,
                                         std::unique_ptr<edge::Ledger> ledger,
                                         const std::optional<core::LedgerRecord>& inherited,
                                         UnitCallbacks callbacks) {
  std::unique_ptr<Unit> unit(new Unit(world, std::move(callbacks)));
  unit->addresses_ = pair ? pair->virtual_addresses : world.node.virtual_addresses;
  unit->inherited_ = inherited;
  unit->ledger_ = std::move(ledger);
  CB_CHECK(pair.has_value() == (unit->ledger_ != nullptr));
  if (pair) {
    const config::Address& peer =
        pair->self_role == core::Role::Primary ? pair->secondary_hm : pair->primary_hm;
    CB_TRY(network,
           edge::open_network_socket(world.node.network_interface, v4_of(world.node.hm_address),
                                     v4_of(peer), world.node.port));
    unit->network_socket_ = std::move(network);
    if (pair->direct && !world.node.direct_interface.empty()) {
      CB_TRY(direct, edge::open_direct_socket(world.node.direct_interface));
      unit->direct_socket_ = std::move(direct);
    }
  }
  CB_TRY_DO(unit->enter_maps(slot, pair));

  unit->open_volume(pair);
  edge::ServiceOptions services;
  services.root = world.root;
  services.instance = pair ? pair->primary_hm.text() : world.node.hm_address.text();
  services.services = world.node.services;
  services.on_health = unit->leash_.guard(
      [u = unit.get()](bool up) { u->tell(up ? EventKind::ServicesUp : EventKind::ServicesDown); });
  services.on_report =
      unit->leash_.guard([u = unit.get()](const std::string& service, const std::string& text) {
        log_notice("service %s: %s", service.c_str(), text.c_str());
        u->add_event("Service " + service + ": " + text, "");
      });
  unit->services_ =
      std::make_unique<edge::ServiceEdge>(*world.loop, *world.slow, std::move(services));
  if (!world.node.fence_command.empty()) {
    unit->fence_ = std::make_unique<edge::FenceEdge>(
        *world.loop,
        std::make_unique<fence::Command>(*world.loop, *world.slow, world.node.fence_command));
  }
  CB_TRY_DO(unit->open_witness(pair));
  unit->instance_ = std::make_unique<Instance>(*world.loop, *world.kernel,
                                               setup_of(world, slot, pair), unit->edges());
  return unit;
}

Unit::~Unit() = default;

std::string Unit::name() const { return pair() ? pair()->primary_hm.text() : "unpaired"; }

void Unit::start(Origin origin, Instant now) {
  core::LedgerRecord record;
  if (ledger_) {
    record = ledger_->is_new() && inherited_ ? *inherited_ : ledger_->record();
  } else if (inherited_) {
    record = *inherited_;
  }
  instance_->start(record, origin, now);
  if (origin == Origin::KeptRunning) {
    services_->resume(context(), [](int) {});  // ignored: what does not run shows as unhealthy
    if (record.in_command) {
      watch_conflicts(true);
    }
  }
}

Result<> Unit::enter_maps(unsigned slot, const std::optional<config::Pair>& pair) {
  edge::Kernel& kernel = *world_.kernel;
  cb_pair& map = kernel.pairs()[slot];
  const uint64_t id = pair ? pair->id : 0;
  if (map.pairing != id) {
    // Another pairing's leavings. An unpaired primary that becomes paired keeps its guard as it is:
    // it goes on serving.
    const bool growing = map.pairing == 0 && map.guard_mode == CB_GUARD_SOLO;
    if (!growing) {
      CB_TRY_DO(kernel.clear_slot(slot));
    }
    map.pairing = id;
  }
  if (pair) {
    cb_keys keys = pairing::heartbeat_keys(pairing::PairingKey(pair->key), pair->self_role);
    auto set = kernel.set_keys(slot, keys);
    explicit_bzero(&keys, sizeof keys);
    CB_TRY_DO(std::move(set));
    CB_TRY_DO(kernel.set_index(id, slot));
  }
  for (const config::Prefix& address : addresses_) {
    CB_TRY_DO(kernel.set_address(slot, guarded(address.address)));
  }
  return cb::Done{};
}

Result<> Unit::leave_maps() {
  edge::Kernel& kernel = *world_.kernel;
  const unsigned slot = instance_->slot();
  if (pair()) {
    CB_TRY_DO(kernel.clear_index(pair()->id));
  }
  CB_TRY_DO(kernel.clear_addresses(slot));
  CB_TRY_DO(kernel.clear_keys(slot));
  return kernel.clear_slot(slot);
}

void Unit::fill_paths(edge::ProbePaths& paths) const {
  if (!pair()) {
    return;
  }
  const InstanceSetup& setup = instance_->setup();
  for (unsigned link = 0; link < CB_LINKS; ++link) {
    edge::ProbePath& path = paths[setup.slot * CB_LINKS + link];
    path = {};
    if (!setup.configured[link]) {
      continue;
    }
    path.used = true;
    path.link = static_cast<core::Link>(link);
    path.timing = setup.timing[link];
    path.burst_interval = std::min(world_.node.heartbeat.burst_interval, path.timing.interval);
    path.view = world_.kernel->view(setup.slot, link);
    path.probes = &world_.kernel->probes()[setup.slot * CB_LINKS + link];
    if (link == CB_LINK_DIRECT) {
      const edge::LinkFacts& facts = world_.link->facts(world_.node.direct_interface);
      path.socket = direct_socket_.get();
      path.ifindex = facts.index;
      path.self_mac = facts.mac;
    } else {
      path.socket = network_socket_.get();
    }
  }
}

void Unit::tell(EventKind kind) {
  core::Event event;
  event.kind = kind;
  tell(event);
}

void Unit::tell(const core::Event& event) {
  instance_->feed(event);
  world_.loop->wake();
}

// ---- the wiring

edge::ServiceContext Unit::context() const {
  edge::ServiceContext context;
  context.state = core::name_of(instance_->state().name);
  context.reason = core::name_of(instance_->state().reason);
  context.role = core::name_of(world_.node.role);
  for (const config::Prefix& address : addresses_) {
    context.addresses += (context.addresses.empty() ? "" : " ") + address.text();
  }
  return context;
}

void Unit::watch_conflicts(bool on) {
  for (const config::Prefix& address : addresses_) {
    if (!address.address.is_v4()) {
      continue;
    }
    if (on) {
      world_.arp->watch_conflicts(v4_of(address.address),
                                  leash_.guard([this](Mac) { tell(EventKind::AddressConflict); }));
    } else {
      world_.arp->unwatch_conflicts(v4_of(address.address));
    }
  }
}

bool Unit::wants_witness(const std::optional<config::Pair>& pair) const {
  const auto& kinds = world_.node.arbitration;
  return pair && std::find(kinds.begin(), kinds.end(), "witness") != kinds.end();
}

Result<> Unit::open_witness(const std::optional<config::Pair>& pair) {
  if (!wants_witness(pair)) {
    return cb::Done{};
  }
  edge::WitnessEdge::Options options;
  options.address = world_.node.witness_address;
  options.port = world_.node.witness_port;
  options.deadline = world_.node.witness_deadline;
  options.pairing = pair->id;
  options.node = pair->self_role == core::Role::Primary ? 0 : 1;
  options.key = pairing::witness_key(pairing::PairingKey(pair->key));
  options.holds = [this] {
    return instance_ != nullptr && instance_->state().guard == core::GuardMode::Solo;
  };
  options.on_change = [this](bool answers, const std::string& text) {
    const std::string what = answers ? "The witness answers again" : "The witness does not answer";
    log_line(answers ? LogLevel::Notice : LogLevel::Warning, "%s: %s%s%s", name().c_str(),
             what.c_str(), text.empty() ? "" : ": ", text.c_str());
    add_event(what, text);
  };
  CB_TRY(witness, edge::WitnessEdge::open(*world_.loop, std::move(options)));
  witness_ = std::move(witness);
  if (register_ && register_->kept()) {
    witness_->know(register_->kept()->value);  // before it is asked for the first time
  }
  return cb::Done{};
}

void Unit::arbitrate(uint64_t term, Duration deadline, std::function<void(core::Verdict)> answer) {
  const Instant by =
      boottime_now() + (deadline > Duration{} ? deadline : world_.node.arbitration_deadline);
  // While the question runs, probes leave too: a network that has just healed shows in their
  // answers first.
  world_.prober->burst(static_cast<int>(instance_->slot()));
  edge::ArbitrationKinds kinds;
  if (world_.has_v4_gateway()) {
    kinds.gateway =
        [this](
            Instant until,
            std::function<void(core::Verdict, const std::string&)> done) -> std::function<void()> {
      edge::ArpQuestion question;
      for (const config::Prefix& address : addresses_) {
        if (address.address.is_v4()) {
          question.virtual_addresses.push_back(v4_of(address.address));
        }
      }
      question.gateway = v4_of(world_.node.gateway);
      question.defend_wait = world_.node.defend_wait;
      question.deadline = until;
      const auto id = world_.arp->ask(std::move(question), [done](const edge::ArpAnswer& said) {
        done(said.verdict, said.text);
      });
      return [this, id] { world_.arp->cancel(id); };
    };
  }
  if (witness_) {
    kinds.witness = [this, term](Instant until,
                                 std::function<void(core::Verdict, const std::string&)> done) {
      return witness_->grant(term, until, std::move(done));
    };
  }
  question_ = world_.arbitration->ask(
      std::move(kinds), by,
      leash_.guard([this, answer = std::move(answer)](const edge::ArbitrationAnswer& said) {
        question_ = 0;
        log_info("%s: arbitration: %s (%s)", name().c_str(),
                 std::string(core::name_of(said.verdict)).c_str(), said.text.c_str());
        answer(said.verdict);
      }));
}

void Unit::add_event(const std::string& description, const std::string& remarks) {
  add_event(description, remarks, instance_->seen());
}

void Unit::add_event(const std::string& description, const std::string& remarks, const Seen& then) {
  edge::EventEntry entry;
  entry.at_ns = then.at.as_ns();
  entry.pairing = name();
  entry.description = description;
  entry.generated_by = world_.node.role == core::Role::Primary ? "Primary" : "Secondary";
  entry.remarks = remarks;
  entry.state = core::name_of(then.name);
  world_.events->add(std::move(entry));
}

void Unit::tell_hooks(const core::Action& action, const Seen& then) {
  edge::StateChange change;
  change.node = world_.node.name;
  change.role = world_.node.role == core::Role::Primary ? "primary" : "secondary";
  change.pairing = name();
  change.from = core::name_of(static_cast<core::StateName>(action.value >> 8));
  change.to = core::name_of(static_cast<core::StateName>(action.value & 0xff));
  change.reason = core::name_of(action.reason);
  change.reason_text = core::text_of(action.reason);
  change.serving = then.serving;
  change.term = then.term;
  for (const config::Prefix& address : addresses_) {
    change.addresses.push_back(address.text());
  }
  change.wall = wall_at(then.at);
  world_.hooks->on_change(change);
}

void Unit::report(const core::Action& action, const Seen& then) {
  std::string remarks(core::text_of(action.reason));
  using core::Report;
  if (action.report == Report::HandOverRefused || action.report == Report::OperatorRefused) {
    remarks = core::text_of(static_cast<core::Reason>(action.value));
  } else if (action.report == Report::StateChanged) {
    remarks = std::string(core::name_of(static_cast<core::StateName>(action.value >> 8))) + " to " +
              std::string(core::name_of(static_cast<core::StateName>(action.value & 0xff))) +
              (remarks.empty() ? "" : ": " + remarks);
  } else if (action.report == Report::LadderRungFailed) {
    remarks = std::string(core::name_of(static_cast<core::ActionKind>(action.value >> 16))) + ": " +
              strerror(static_cast<int>(action.value & 0xffff));
  } else if (action.report == Report::ArbitrationSaid) {
    remarks = core::text_of(static_cast<core::Verdict>(action.value));
  }
  const std::string description(core::text_of(action.report));
  log_notice("%s: %s%s%s", name().c_str(), description.c_str(), remarks.empty() ? "" : ": ",
             remarks.c_str());
  add_event(description, remarks, then);
  if (action.report == Report::StateChanged) {
    tell_hooks(action, then);
  }
  if (action.report == Report::HeartbeatsUp && callbacks_.heartbeats_up) {
    callbacks_.heartbeats_up();
  }
}

InstanceEdges Unit::edges() {
  InstanceEdges e;
  e.persist = [this](const core::LedgerRecord& record, Done done) {
    if (!ledger_) {
      done(0);  // an unpaired node has nothing to remember: nobody else may serve its address
      return;
    }
    ledger_->write(record, Instant::never(), std::move(done));
  };
  e.arbitrate = [this](uint64_t term, Duration deadline, auto answer) {
    arbitrate(term, deadline, std::move(answer));
  };
  e.cancel_arbitration = [this] {
    if (question_ != 0) {
      world_.arbitration->cancel(question_);
      question_ = 0;
    }
    if (witness_) {
      witness_->release();
    }
  };
  e.burst = [this] { world_.prober->burst(static_cast<int>(instance_->slot())); };
  e.granting = [this] { return world_.prober->granting(); };
  e.report = [this](const core::Action& action, const Seen& then) { report(action, then); };
  e.forced_solo = [this](uint64_t term) {
    if (witness_) {
      witness_->seize(term);
    }
  };
  e.fence = [this](uint64_t, Duration deadline, Done done) {
    if (!fence_) {
      done(ENOSYS);
      return;
    }
    fence::Target target;
    target.pairing = name();
    target.peer_name = pair() ? pair()->peer_name : "";
    if (pair()) {
      target.peer_address =
          (pair()->self_role == core::Role::Primary ? pair()->secondary_hm : pair()->primary_hm)
              .text();
    }
    target.reason = core::name_of(instance_->state().reason);
    fence_->start(target, boottime_now() + deadline, [done](int error, const std::string& text) {
      log_notice("fence: %s", text.c_str());
      done(error);
    });
  };
  e.add_address = [this](Done done) {
    auto each = all_of(addresses_.size(), std::move(done));
    for (const config::Prefix& address : addresses_) {
      world_.address->add(address, Instant::never(), each);
    }
  };
  e.remove_address = [this](Done done) {
    auto each = all_of(addresses_.size(), std::move(done));
    for (const config::Prefix& address : addresses_) {
      world_.address->remove(address, Instant::never(), each);
    }
  };
  e.announce = [this] {
    world_.announce->announce(addresses_, [this](int error) {
      if (error != 0) {
        log_warning("%s: announce: %s", name().c_str(), strerror(error));
      }
    });
    watch_conflicts(true);
  };
  e.stop_announcing = [this] {
    world_.announce->stop(addresses_);
    watch_conflicts(false);
  };
  add_volume_edges(e);
  e.start_services = [this](Duration deadline, Done done) {
    services_->start(context(), boottime_now() + deadline, std::move(done));
  };
  e.stop_services = [this](Duration deadline, Done done) {
    services_->stop(context(), boottime_now() + deadline, std::move(done));
  };
  e.exit = [this] {
    if (instance_->state().stopping) {
      volume_->end();  // a restart leaves it running
    }
    exited_ = true;
    callbacks_.exited();
  };
  e.changed = [this] { callbacks_.changed(); };
  return e;
}

}  // namespace cb::agent
