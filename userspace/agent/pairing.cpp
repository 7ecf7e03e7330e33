// SPDX-License-Identifier: Apache-2.0
//
// Pairing and unpairing while the monitor runs. A primary that serves alone goes on serving: its
// unit is replaced under an open guard, and the new one begins from a record that says so.
#include "agent/exit_code.h"
#include "agent/keeping.h"
#include "agent/monitor.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/address.h"
#include "core/state_text.h"
#include "pairing/code.h"
#include "pairing/licence.h"

namespace cb::agent {
namespace {

// What an instance that is replaced hands to its successor.
core::LedgerRecord inheritance(const core::State& state) {
  core::LedgerRecord record;
  record.term = state.term;
  record.command_term = state.command_term;
  record.state = state.name;
  record.in_command = core::is_serving(state);
  record.solo = state.guard == core::GuardMode::Solo;
  record.peer_stale = record.in_command;  // whoever the peer is, it has not served this instance
  record.maintenance = state.maintenance;
  return record;
}

Json rules_json(const std::vector<pairing::RuleLine>& rules) {
  Json list = Json::array();
  for (const pairing::RuleLine& line : rules) {
    list.push_back({{"rule", line.rule}, {"holds", line.holds}, {"text", line.text}});
  }
  return list;
}

constexpr Duration kLookFor = Duration::from_ms(400);

}  // namespace

// At start only: files.
void Monitor::read_rule_book() {
  platform_ = {world_.node.product.model,
               config::read_capacity(options_.root, world_.node.network_interface)};
  auto platforms = config::load_platforms(options_.root);
  for (const config::Problem& problem : platforms.problems) {
    if (!problem.warning && rule_book_.platforms_problem.empty()) {
      rule_book_.platforms_problem = problem.text();
      log_warning("%s; nothing pairs until it is corrected", problem.text().c_str());
    }
  }
  rule_book_.platforms = std::move(platforms.value);
  rule_book_.licence = world_.node.licence;
  licence_ = read_licence(options_.root);
  own_text_ = read_all(options_.root + "/etc/crossbeat/crossbeat.toml", pairing::kKeptMax)
                  .value_or("");  // too long to be kept: then it is not
  load_kept();
}

// One network in fact, and not by masks alone: the peer answers to ARP, and a virtual address is
// with nobody, or with the peer.
void Monitor::look_at_network(const pairing::Wanted& wanted, pairing::LookAnswer answer) {
  std::vector<Ipv4> addresses;
  if (wanted.peer.is_v4()) {
    addresses.push_back(v4_of(wanted.peer));
  }
  for (const config::Prefix& address : wanted.virtual_addresses) {
    if (address.address.is_v4()) {
      addresses.push_back(v4_of(address.address));
    }
  }
  world_.arp->look(addresses, kLookFor, [wanted, answer = std::move(answer)](const auto& seen) {
    std::vector<Mac> peer;
    for (const edge::ArpEdge::Seen& one : seen) {
      if (one.address == v4_of(wanted.peer)) {
        peer.push_back(one.by);
      }
    }
    if (wanted.peer.is_v4() && peer.empty()) {
      answer({pairing::Refusal::NotNeighbours, "nobody answers for " + wanted.peer.text()});
      return;
    }
    if (peer.size() > 1) {
      answer({pairing::Refusal::NotNeighbours,
              wanted.peer.text() + " is on " + to_text(peer[0]) + " and on " + to_text(peer[1])});
      return;
    }
    for (const edge::ArpEdge::Seen& one : seen) {
      if (one.address != v4_of(wanted.peer) && one.by != peer.front()) {
        answer({pairing::Refusal::VirtualAnswered,
                to_text(one.by) + " answers for " + to_text(one.address)});
        return;
      }
    }
    answer({});
  });
}

void Monitor::verb_pairing_code(const ControlServer::Client& client) {
  if (world_.node.role != core::Role::Secondary) {
    client.send(error_reply("the pairing code is shown on the secondary; this node is a Primary",
                            "run crossbeat pairing-code on the other node", kExitRefused));
    return;
  }
  const auto code = pairing_server_->create_code();
  if (!code) {
    client.send(error_reply(to_text(code.error()), "see the log", kExitFailed));
    return;
  }
  Json reply = ok_reply();
  reply["code"] = *code;
  reply["valid_s"] = pairing::kCodeLife.as_s();
  reply["hm_address"] = world_.node.hm_address.text();
  client.send(reply);
}

void Monitor::verb_pair(const Json& request, const ControlServer::Client& client) {
  if (pairing_client_ && pairing_client_->running()) {
    client.send(error_reply("a pairing is under way already", "wait for it to end", kExitRefused));
    return;
  }
  if (world_.node.role != core::Role::Primary) {
    client.send(error_reply("pairing is started on the primary; this node is a Secondary",
                            "run crossbeat pairing-code here and crossbeat pair on the primary",
                            kExitRefused));
    return;
  }
  const auto peer = config::parse_address(text_in(request, "peer"));
  if (!peer) {
    client.send(error_reply("'" + text_in(request, "peer") + "' is not an address",
                            "give the health-monitor address of the secondary", kExitUsage));
    return;
  }
  pairing::PairRequest ask;
  ask.peer = *peer;
  ask.port = static_cast<uint16_t>(number_in(request, "port", 0));
  ask.code = text_in(request, "code");
  ask.dry_run = flag_in(request, "dry_run");
  pairing::ClientCallbacks callbacks;
  callbacks.save = [this](const config::Pair& pair, pairing::Answer answer) {
    take_pair(pair, std::move(answer));
  };
  callbacks.look = [this](const pairing::Wanted& wanted, pairing::LookAnswer answer) {
    look_at_network(wanted, std::move(answer));
  };
  callbacks.progress = [client](pairing::PairStep step) {
    client.send(Json{{"progress", std::string(pairing::text_of(step))}});
  };
  callbacks.done = [client](const pairing::PairOutcome& outcome) {
    if (!outcome.pair) {
      Json reply =
          error_reply(outcome.failure.what, outcome.failure.next, outcome.failure.exit_code);
      reply["refusal"] = std::string(pairing::name_of(outcome.failure.refusal));
      reply["rules"] = rules_json(outcome.rules);
      client.send(reply);
      return;
    }
    Json reply = ok_reply();
    reply["paired"] = true;
    reply["renewed"] = outcome.renewed;
    reply["rules"] = rules_json(outcome.rules);
    reply["peer"] = {{"name", outcome.pair->peer_name},
                     {"version", outcome.pair->peer_version},
                     {"udi", outcome.pair->peer_udi},
                     {"hm_address", outcome.pair->secondary_hm.text()}};
    client.send(reply);
  };
  const auto start = [this, ask, callbacks = std::move(callbacks)] {
    pairing_client_.emplace(
        pairing::PairingClient::start(*world_.loop, identity(), ask, callbacks));
  };
  if (!world_.node.volume) {
    start();
    return;
  }
  // The volume's id comes with the pairing; its first copy may have been made since we started.
  auto id = std::make_shared<std::optional<config::VolumeId>>();
  world_.slow->run(
      [id, folder = config::volume_folder(world_.root, world_.node.volume_directory,
                                          world_.node.hm_address.text())] {
        *id = config::read_volume_id(folder).value_or(std::nullopt);
        return 0;
      },
      [this, id, client, start](int) {
        if (!*id) {
          client.send(error_reply("the configuration has a [volume], but it was not created yet",
                                  "run: crossbeat volume create", kExitRefused));
          return;
        }
        world_.volume_id = *id;
        start();
      });
}

// Everybody who keeps a copy of the pairings.
void Monitor::pairs_changed() {
  pairing_server_->update(identity());
  event_exchange_->set_pairs(pairs_);
}

void Monitor::take_told(uint64_t pairing, const std::string& told, const pairing::Answer& answer) {
  const auto pair = std::find_if(pairs_.begin(), pairs_.end(),
                                 [&](const config::Pair& p) { return p.id == pairing; });
  if (pair == pairs_.end()) {
    answer(pairing::Refusal::UnknownPairing);
    return;
  }
  event_exchange_->take(*pair, told, answer);
}

void Monitor::take_pair(const config::Pair& pair, pairing::Answer answer) {
  const auto finish = [this, pair, answer = std::move(answer)](const Result<>& adopted) {
    if (!adopted) {
      log_error("pairing with %s: %s", pair.peer_name.c_str(), to_text(adopted.error()).c_str());
      answer(pairing::Refusal::SaveFailed);
      return;
    }
    log_notice("paired with %s", pair.peer_name.c_str());
    given_ = false;
    give_configuration(Duration::from_s(2));
    add_event(pair.primary_hm.text(), "Configuration successfully created", "");
    answer(pairing::Refusal::None);
  };
  pair_changes_.add([this, pair, finish](const InTurn::Over& over) {
    adopt_pair(pair, [finish, over](const Result<>& adopted) {
      finish(adopted);
      over();
    });
  });
}

void Monitor::forget_pair(uint64_t id, PairFiles::Finished done) {
  pair_changes_.add([this, id, done = std::move(done)](const InTurn::Over& over) {
    drop_pair(id, [done, over](const Result<>& dropped) {
      done(dropped);
      over();
    });
  });
}

// Durable first, then in use. When using it fails, the files go again: nothing half done.
void Monitor::adopt_pair(const config::Pair& pair, PairFiles::Finished done) {
  const auto same = std::find_if(pairs_.begin(), pairs_.end(), [&](const config::Pair& p) {
    return p.primary_hm == pair.primary_hm;
  });
  if (same == pairs_.end()) {
    pair_files_->create(pair, [this, pair, done = std::move(done)](auto ledger) {
      if (!ledger) {
        done(std::move(ledger).error());
        return;
      }
      if (auto used = use_new_pair(pair, *std::move(ledger)); !used) {
        // Ignored: the first error is the one to tell.
        pair_files_->remove(pair, [done, used](const Result<>&) { done(used); });
        return;
      }
      done(cb::Done{});
    });
  } else if (same->id != pair.id) {
    drop_pair(same->id, [this, pair, done = std::move(done)](Result<> dropped) {
      if (!dropped) {
        done(std::move(dropped));
        return;
      }
      adopt_pair(pair, done);
    });
  } else {
    pair_files_->renew(pair, [this, pair, done = std::move(done)](const Result<>& saved) {
      if (saved) {
        use_renewed_pair(pair);
      }
      done(saved);
    });
  }
}

// The same key, the settings brought up to date.
void Monitor::use_renewed_pair(const config::Pair& pair) {
  for (config::Pair& known : pairs_) {
    if (known.id == pair.id) {
      known = pair;
    }
  }
  for (const auto& unit : units_) {
    if (unit->pair() && unit->pair()->id == pair.id) {
      core::Settings settings = config::settings_for(world_.node, &pair);
      if (unit->pair()->volume != pair.volume) {
        settings.has_volume = unit->has_volume();
        log_warning(
            "%s: the volume of the pairing has changed; take it into use on both nodes: "
            "crossbeat restart",
            unit->name().c_str());
        add_event(unit->name(), "Volume changed by pairing", "run crossbeat restart on both nodes");
      }
      unit->instance().set_settings(settings);
    }
  }
  pairs_changed();
}

Result<> Monitor::use_new_pair(const config::Pair& pair, std::unique_ptr<edge::Ledger> ledger) {
  std::optional<core::LedgerRecord> inherited;
  Origin origin = Origin::JustPaired;
  if (!units_.empty() && !units_.front()->pair()) {
    inherited = inheritance(units_.front()->instance().state());
    origin = inherited->in_command ? Origin::KeptRunning : Origin::JustPaired;
    units_.erase(units_.begin());  // the guard stays as it is until the successor speaks
  }
  CB_TRY_DO(add_unit(pair, std::move(ledger), inherited, origin));
  pairs_.push_back(pair);
  pairs_changed();
  status_changed();
  return cb::Done{};
}

void Monitor::drop_pair(uint64_t id, PairFiles::Finished done) {
  const auto pair =
      std::find_if(pairs_.begin(), pairs_.end(), [&](const config::Pair& p) { return p.id == id; });
  if (pair == pairs_.end()) {
    done(cb::Done{});
    return;
  }
  pair_files_->remove(*pair, [this, gone = *pair, done = std::move(done)](Result<> removed) {
    done(removed ? stop_using(gone) : std::move(removed));
  });
}

// The instance goes on alone on a primary, and ends on a secondary, whose address must go first.
Result<> Monitor::stop_using(const config::Pair& gone) {
  std::erase_if(pairs_, [&](const config::Pair& p) { return p.id == gone.id; });
  kept_.erase(gone.id);
  const auto unit = std::find_if(units_.begin(), units_.end(), [&](const auto& u) {
    return u->pair() && u->pair()->id == gone.id;
  });
  if (unit != units_.end()) {
    const core::LedgerRecord record = inheritance((*unit)->instance().state());
    const bool primary = world_.node.role == core::Role::Primary;
    std::unique_ptr<Unit> leaving = std::move(*unit);
    units_.erase(unit);
    refresh_paths();  // no probe of it leaves any more; its sockets may go
    CB_TRY_DO(world_.kernel->clear_index(gone.id));
    if (!primary || !record.in_command) {
      world_.announce->stop(leaving->addresses());
      CB_WRITE_ONCE(world_.kernel->pairs()[leaving->instance().slot()].guard_mode, CB_GUARD_CLOSED);
      for (const config::Prefix& address : leaving->addresses()) {
        world_.address->remove(address, Instant::never(),
                               [](int) {});  // ignored: logged by the edge
      }
    }
    const unsigned slot = leaving->instance().slot();
    if (!primary) {
      leaving->volume().end();
      CB_TRY_DO(leaving->leave_maps());
    } else {
      if (record.in_command) {
        CB_WRITE_ONCE(world_.kernel->pairs()[slot].guard_mode, CB_GUARD_SOLO);
      }
      CB_WRITE_ONCE(world_.kernel->pairs()[slot].pairing, 0);
    }
    leaving.reset();
    pair_files_->remove_ledger(gone);
    if (primary) {
      CB_TRY_DO(add_unit(std::nullopt, nullptr, record,
                         record.in_command ? Origin::KeptRunning : Origin::JustPaired));
    }
  }
  add_event(gone.primary_hm.text(), "Configuration removed", "");
  log_notice("the pairing with %s is removed", gone.peer_name.c_str());
  pairs_changed();
  status_changed();
  return cb::Done{};
}

void Monitor::verb_unpair(const Json& request, const ControlServer::Client& client) {
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  if (!unit->pair()) {
    client.send(error_reply("this node is not paired", "nothing to do", kExitRefused));
    return;
  }
  const core::State& state = unit->instance().state();
  const bool secondary = world_.node.role == core::Role::Secondary;
  if (secondary && core::is_serving(state) && !flag_in(request, "force")) {
    client.send(error_reply(
        "this secondary is in command: unpairing now ends the service",
        "give command back first: crossbeat failback; or accept the end of service with --force",
        kExitRefused));
    return;
  }
  if (!secondary && !core::is_serving(state) && !flag_in(request, "force")) {
    client.send(error_reply(
        "the peer is in command: unpairing now ends the service there",
        "give command back first: crossbeat failback; or accept it with --force", kExitRefused));
    return;
  }
  if (flag_in(request, "dry_run")) {
    Json reply = ok_reply();
    reply["would"] = Json::array({"tell the peer", "remove the pairing here",
                                  secondary ? "end the instance" : "go on alone"});
    if (flag_in(request, "delete_licence")) {
      reply["would"].push_back("delete the secondary's licence");
    }
    client.send(reply);
    return;
  }
  if (unpair_call_ && unpair_call_->running()) {
    client.send(
        error_reply("an unpairing is under way already", "wait for it to end", kExitRefused));
    return;
  }
  const uint64_t id = unit->pair()->id;
  const bool force = flag_in(request, "force");
  const bool delete_also = flag_in(request, "delete_licence");
  if (delete_also && secondary) {
    delete_licence();
  }
  unpair_call_.emplace(pairing::Call::unpair(
      *world_.loop, identity(), *unit->pair(), world_.node.port,
      [this, client, id, force](const pairing::CallOutcome& outcome) {
        if (!outcome.may_remove() && !force) {
          client.send(
              error_reply(outcome.failure.what, outcome.failure.next, outcome.failure.exit_code));
          return;
        }
        forget_pair(
            id, [client, told = outcome.peer_done, note = outcome.note](const Result<>& dropped) {
              if (!dropped) {
                client.send(error_reply(to_text(dropped.error()), "see the log, then try again",
                                        kExitFailed));
                return;
              }
              Json reply = ok_reply();
              reply["peer_told"] = told;
              if (!note.empty()) {
                reply["note"] = note;
              }
              client.send(reply);
            });
      },
      delete_also && !secondary));
}

}  // namespace cb::agent
