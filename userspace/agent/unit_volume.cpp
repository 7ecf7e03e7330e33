// SPDX-License-Identifier: Apache-2.0
//
// The wiring of a unit's volume: which back end, what it is told, and who answers for its register.
#include <sodium.h>

#include "agent/unit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "drivers/volume/none.h"
#include "drivers/volume/replicated.h"
#include "pairing/keys.h"

namespace cb::agent {
namespace {

using core::EventKind;

// Shorter than the volume waits for an answer of ours.
constexpr Duration kWitnessPatience = 4_s;

// An unpaired volume has no peer, so nobody ever shares its key; the same one in every life, since
// the volume's process outlives ours.
std::string replication_key_text(const std::optional<config::Pair>& pair) {
  pairing::Secret<32> key;
  if (pair) {
    key = pairing::replication_key(pairing::PairingKey(pair->key));
  } else {
    constexpr std::string_view kNobody = "crossbeat volume without a peer";
    crypto_generichash(key.data(), key.size(),
                       reinterpret_cast<const unsigned char*>(kNobody.data()), kNobody.size(),
                       nullptr, 0);
  }
  return to_hex(key.view());
}

volume::ReplicatedOptions options_for(const World& world, const std::optional<config::Pair>& pair) {
  const config::Node& node = world.node;
  volume::ReplicatedOptions options;
  options.program = world.volume_program;
  options.root = world.root;
  options.directory = node.volume_directory;
  options.log_device = node.volume_log_device;
  options.home_device = node.volume_home_device;
  options.front_end = node.volume_front_end;
  options.write_cache = node.volume_write_cache;
  options.cpu_latency = node.volume_cpu_latency;
  options.key = replication_key_text(pair);
  if (!pair) {
    options.instance = node.hm_address.text();
    options.volume = *node.volume;
    return options;
  }
  const bool primary = pair->self_role == core::Role::Primary;
  options.instance = pair->primary_hm.text();
  options.node = primary ? 0 : 1;
  options.volume = pair->volume->volume;
  options.id = pair->volume->id;
  options.cable_interface = pair->direct ? node.direct_interface : std::string();
  options.address = (primary ? pair->primary_hm : pair->secondary_hm).text();
  options.peer = (primary ? pair->secondary_hm : pair->primary_hm).text();
  return options;
}

}  // namespace

void Unit::open_volume(const std::optional<config::Pair>& pair) {
  volume::Events events;
  const auto tell_at = [this](EventKind kind) {
    return leash_.guard([this, kind] {
      core::Event event;
      event.kind = kind;
      event.value = volume_->status().position;
      tell(event);
      callbacks_.changed();
    });
  };
  events.in_step = tell_at(EventKind::VolumeInStep);
  events.fell_behind = tell_at(EventKind::VolumeFellBehind);
  events.progress = leash_.guard([this](unsigned permille) {
    core::Event event;
    event.kind = EventKind::VolumeProgress;
    event.value = permille;
    tell(event);
    callbacks_.changed();
  });
  events.disk_failed = leash_.guard([this](int error) {
    core::Event event;
    event.kind = EventKind::VolumeFailed;
    event.error = error;
    tell(event);
  });
  events.report = leash_.guard([this](const std::string& text) {
    add_event("Volume: " + text, "");
    callbacks_.changed();
  });
  events.grown = leash_.guard([this](std::uint64_t bytes) {
    if (callbacks_.volume_grown) {
      callbacks_.volume_grown(bytes);
    }
  });
  const bool replicated = pair ? pair->volume.has_value() : world_.node.volume.has_value();
  if (!replicated) {
    if (pair && pair->self_role == core::Role::Primary && world_.node.volume) {
      log_warning("%s: this node has a [volume] of which the pairing does not know: pair again",
                  pair->primary_hm.text().c_str());
    }
    volume_ = std::make_unique<edge::VolumeEdge>(*world_.loop, std::make_unique<volume::None>(),
                                                 std::move(events));
    return;
  }
  volume::ReplicatedOptions options = options_for(world_, pair);
  options.peer_is_there = [this] {
    if (instance_ == nullptr) {
      return false;
    }
    const core::State& state = instance_->state();
    return state.peer_answers && !state.peer_silent && !state.peer_suspect &&
           !state.peer_monitor_stale;
  };
  volume::RegisterVoice voice = register_voice(options.instance, options.node, pair);
  auto driver = std::make_unique<volume::Replicated>(*world_.loop, *world_.slow, std::move(options),
                                                     std::move(voice));
  volume_ = std::make_unique<edge::VolumeEdge>(*world_.loop, std::move(driver), std::move(events));
  if (pair) {
    sync_watch_.emplace(world_.node.volume_stuck_after);
    world_.loop->after(sync_watch_->look_every(),
                       leash_.guard([this] { look_at_synchronization(); }));
  }
}

// A synchronization that does not move is begun again by itself, and that is an event.
void Unit::look_at_synchronization() {
  const core::State& state = instance_->state();
  const bool follows =
      !state.in_command && state.ladder == core::Ladder::None && state.peer_answers &&
      !state.peer_silent && !state.stopping &&
      (state.name == core::StateName::SecondaryActive ||
       state.name == core::StateName::SecondaryAlone || state.name == core::StateName::Terminated);
  if (const auto why = sync_watch_->look(volume_->status(), follows, boottime_now())) {
    log_warning("%s: synchronization: %s", name().c_str(), why->c_str());
    add_event("Synchronization was begun again", *why);
    volume_->resync(volume::Resync::Anew, Instant::never(),
                    [](int) {});  // ignored: if it does not, the next look tells
  }
  world_.loop->after(sync_watch_->look_every(),
                     leash_.guard([this] { look_at_synchronization(); }));
}

volume::RegisterVoice Unit::register_voice(const std::string& instance, core::volume::Node self,
                                           const std::optional<config::Pair>& pair) {
  register_ = std::make_unique<edge::RegisterEdge>(*world_.slow, world_.root, instance);
  RegisterWays ways;
  ways.state = [this]() -> const core::State& { return instance_->state(); };
  ways.kept = [this] { return register_->kept(); };
  ways.keep = [this](const edge::KeptRegister& value, Done done) {
    register_->write(value, std::move(done));
  };
  ways.accepts_loss = [this] { return accept_loss_; };
  if (wants_witness(pair)) {
    ways.pairing = pair->id;
    ways.heard = [this] { return witness_->facts().record; };
    ways.read = [this](edge::WitnessEdge::OnAnswer done) {
      witness_->read(boottime_now() + kWitnessPatience, std::move(done));
    };
    ways.swap = [this](const Register& expected, const Register& wanted,
                       edge::WitnessEdge::OnAnswer done) {
      witness_->swap(expected, wanted, boottime_now() + kWitnessPatience, std::move(done));
    };
    ways.know = [this](const Register& known) { witness_->know(known); };
  }
  volume_register_ = std::make_unique<VolumeRegister>(self, std::move(ways));
  volume::RegisterVoice voice;
  voice.read = [this](const volume::OwnCopy& own, const auto& done) {
    volume_register_->read(own, done);
  };
  voice.swap = [this](const volume::OwnCopy& own, const Register& expected, const Register& wanted,
                      const auto& done) { volume_register_->swap(own, expected, wanted, done); };
  voice.look = [this](const volume::OwnCopy& own) { volume_register_->look(own); };
  return voice;
}

void Unit::add_volume_edges(InstanceEdges& e) {
  e.allow_alone = [this](bool allowed) { volume_->allow_alone(allowed); };
  e.promote_volume = [this](uint64_t, Done done) {
    volume_->promote(accept_loss_, Instant::never(), [this, done = std::move(done)](int error) {
      accept_loss_ = accept_loss_ && error != 0;
      done(error);
    });
  };
  // A copy whose disk failed cannot be handed over in good order; what was acknowledged is on the
  // peer.
  e.demote_volume = [this](Done done) {
    const core::State& state = instance_->state();
    const bool hand_over = state.goal == core::Goal::HandOver && state.volume_ok;
    volume_->demote(hand_over, Instant::never(), std::move(done));
  };
  e.mount_volume = [this](Done done) { volume_->mount(Instant::never(), std::move(done)); };
  e.unmount_volume = [this](Done done) {
    const core::State& state = instance_->state();
    const bool detach = state.goal != core::Goal::HandOver || !state.volume_ok;
    volume_->unmount(detach, Instant::never(), std::move(done));
  };
  e.resync = [this] {
    volume_->resync(volume::Resync::Follow, Instant::never(), [](int) {});
  };  // ignored: the events tell the rest
}

}  // namespace cb::agent
