// SPDX-License-Identifier: Apache-2.0
//
// What the control socket is asked. A verb that acts is first stepped on a copy: what the core
// refuses is refused here with its reason, and --dry-run prints the rungs that the copy would
// climb.
#include "agent/exit_code.h"
#include "agent/monitor.h"
#include "agent/resources.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/state_text.h"
#include "pairing/keys.h"
#include "witness/keys.h"

namespace cb::agent {
namespace {

// Every action that an operator would recognize as a step of a move.
bool is_rung(core::ActionKind kind) {
  return kind >= core::ActionKind::ClaimTerm && kind <= core::ActionKind::RemoveAddress;
}

struct Plan {
  std::vector<std::string> rungs;
  core::Reason refused = core::Reason::None;
  core::State end;
};

// Walks the event through a copy of the state, every action answered with success at once. What
// depends on the peer is as far as it goes: the peer's own steps follow.
Plan walk(core::State state, const core::Event& first, Instant now) {
  Plan plan;
  std::vector<core::Event> inbox{first};
  for (size_t i = 0; i < inbox.size() && i < 100; ++i) {
    const core::Step stepped = core::step(state, inbox[i], now);
    state = stepped.next;
    for (const core::Action& action : stepped.actions) {
      if (action.kind == core::ActionKind::Report &&
          (action.report == core::Report::OperatorRefused ||
           action.report == core::Report::HandOverRefused)) {
        plan.refused = static_cast<core::Reason>(action.value);
      }
      if (is_rung(action.kind)) {
        plan.rungs.emplace_back(core::name_of(action.kind));
      }
      core::Event done;
      done.action = action.id;
      done.action_kind = action.kind;
      if (action.kind == core::ActionKind::Arbitrate) {
        plan.rungs.emplace_back(core::name_of(action.kind));
        done.kind = core::EventKind::ArbitrationDone;
        done.verdict = core::Verdict::Granted;
      } else if (is_rung(action.kind) || action.kind == core::ActionKind::PersistLedger) {
        done.kind = core::EventKind::ActionDone;
      } else {
        continue;
      }
      inbox.push_back(done);
    }
  }
  plan.end = state;
  return plan;
}

core::Event operator_event(core::EventKind kind, const Json& request) {
  core::Event event;
  event.kind = kind;
  event.force = flag_in(request, "force");
  event.on = flag_in(request, "on");
  return event;
}

std::string refusal_text(core::Reason reason) {
  const std::string text(core::text_of(reason));
  return text.empty() ? std::string(core::name_of(reason)) : text;
}

}  // namespace

Json Monitor::plan_of(const Unit& unit, const core::Event& event) const {
  const Plan plan = walk(unit.instance().state(), event, boottime_now());
  Json out = ok_reply();
  out["would"] = plan.rungs;
  out["then"] = core::name_of(plan.end.name);
  out["then_sub_state"] = core::name_of(plan.end.sub);
  if (plan.refused != core::Reason::None) {
    out["refused"] = refusal_text(plan.refused);
    out["reason"] = core::name_of(plan.refused);
  }
  return out;
}

void Monitor::on_request(const Json& request, const ControlServer::Client& client) {
  const std::string verb = text_in(request, "verb");
  if (verb == "status") {
    client.send(status());
  } else if (verb == "watch") {
    verb_watch(client);
  } else if (verb == "switchover") {
    verb_move(request, client, core::EventKind::OperatorSwitchover);
  } else if (verb == "failover") {
    verb_failover(request, client);
  } else if (verb == "resync") {
    verb_resync(request, client);
  } else if (verb == "volume") {
    verb_volume(request, client);
  } else if (verb == "failback") {
    verb_move(request, client, core::EventKind::OperatorFailback);
  } else if (verb == "maintenance") {
    verb_maintenance(request, client);
  } else if (verb == "set") {
    verb_set(request, client);
  } else if (verb == "events") {
    verb_events(request, client);
  } else if (verb == "vip") {
    verb_vip(request, client);
  } else if (verb == "drill") {
    verb_drill(request, client);
  } else if (verb == "witness-key") {
    verb_witness_key(request, client);
  } else if (verb == "pairing-code") {
    verb_pairing_code(client);
  } else if (verb == "pair") {
    verb_pair(request, client);
  } else if (verb == "licence") {
    verb_licence(client);
  } else if (verb == "unpair") {
    verb_unpair(request, client);
  } else if (verb == "restart" || verb == "stop") {
    if (!flag_in(request, "dry_run")) {
      begin_ending(verb == "stop" ? Ending::Stop : Ending::Restart);
    }
    Json reply = ok_reply();
    reply["accepted"] = true;
    client.send(reply);
  } else {
    client.send(error_reply("the monitor does not know the verb '" + verb + "'",
                            "use the command line of the same version: crossbeat --version",
                            kExitUsage));
  }
}

Unit* Monitor::unit_for(const Json& request, const ControlServer::Client& client) {
  const std::string wanted = text_in(request, "pairing");
  if (units_.empty()) {
    client.send(error_reply("this secondary is not paired",
                            "run crossbeat pairing-code here, then crossbeat pair on the primary",
                            kExitRefused));
    return nullptr;
  }
  if (wanted.empty()) {
    if (units_.size() == 1) {
      return units_.front().get();
    }
    client.send(error_reply("this node has " + std::to_string(units_.size()) + " pairings",
                            "name one: --pairing <health-monitor address of its primary>",
                            kExitUsage));
    return nullptr;
  }
  for (const auto& unit : units_) {
    if (unit->name() == wanted) {
      return unit.get();
    }
  }
  client.send(error_reply("there is no pairing with the primary " + wanted, "see: crossbeat status",
                          kExitUsage));
  return nullptr;
}

void Monitor::verb_move(const Json& request, const ControlServer::Client& client,
                        core::EventKind kind) {
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  const core::Event event = operator_event(kind, request);
  const Json plan = plan_of(*unit, event);
  if (flag_in(request, "dry_run")) {
    client.send(plan);
    return;
  }
  unit->tell(event);
  if (plan.contains("refused")) {
    Json refusal =
        error_reply("refused: " + plan["refused"].get<std::string>(),
                    event.force ? "see: crossbeat status"
                                : "see: crossbeat status; --force accepts the risk that is named",
                    kExitRefused);
    refusal["reason"] = plan["reason"];
    client.send(refusal);
    return;
  }
  Json reply = ok_reply();
  reply["accepted"] = true;
  reply["watch"] = "state";
  client.send(reply);
}

void Monitor::verb_set(const Json& request, const ControlServer::Client& client) {
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  struct Type {
    const char* key;
    const char* name;
    core::EventKind kind;
  };
  constexpr std::array<Type, 2> kTypes = {{
      {"failover", "Failover", core::EventKind::OperatorFailoverType},
      {"failback", "Failback", core::EventKind::OperatorFailbackType},
  }};
  for (const Type& type : kTypes) {
    const std::string value = text_in(request, type.key);
    if (!value.empty() && value != "manual" && value != "automatic") {
      client.send(error_reply(
          std::string(type.key) + " is manual or automatic, not '" + value + "'", "", kExitUsage));
      return;
    }
  }
  for (const Type& type : kTypes) {
    const std::string value = text_in(request, type.key);
    if (value.empty() || flag_in(request, "dry_run")) {
      continue;
    }
    core::Event event;
    event.kind = type.kind;
    event.on = value == "automatic";
    unit->tell(event);
    add_event(unit->name(), "Configuration updated",
              std::string(type.name) + " mode set to " + (event.on ? "AUTOMATIC." : "MANUAL."));
  }
  client.send(ok_reply());
}

void Monitor::verb_events(const Json& request, const ControlServer::Client& client) {
  edge::EventQuery query;
  query.limit = static_cast<size_t>(std::clamp<int64_t>(number_in(request, "limit", 100), 0, 2000));
  query.pairing = text_in(request, "pairing");
  query.since_wall = text_in(request, "since");
  query.until_wall = text_in(request, "until");
  for (const std::string& wall : {query.since_wall, query.until_wall}) {
    if (!wall.empty() && !edge::parse_wall_us(wall)) {
      client.send(error_reply("'" + wall + "' is not a time", "write it as 2026-01-31T17:00:00Z",
                              kExitUsage));
      return;
    }
  }
  const bool follow = flag_in(request, "follow");
  // The disk answers in a later turn. What happens until then is in the answer, what happens after
  // it is followed: nothing is missed, nothing comes twice.
  world_.events->query(
      query, [this, query, client, follow](const std::vector<edge::EventEntry>& found,
                                           const std::string& trouble) {
        Json reply = ok_reply();
        reply["events"] = Json::array();
        for (const edge::EventEntry& entry : found) {
          reply["events"].push_back(parse_json(edge::to_json_line(entry)));
        }
        if (!trouble.empty()) {
          reply["trouble"] = trouble;
        }
        client.send(reply);
        if (follow) {
          const auto id = world_.events->follow([client, query](const edge::EventEntry& entry) {
            if (edge::is_asked(entry, query)) {
              client.send(parse_json(edge::to_json_line(entry)));
            }
          });
          client.on_gone([this, id] { world_.events->unfollow(id); });
        }
      });
}

void Monitor::verb_watch(const ControlServer::Client& client) {
  const uint64_t id = ++last_watcher_;
  watchers_.emplace(id, client);
  client.send(status());
  client.on_gone([this, id] { watchers_.erase(id); });
}

void Monitor::verb_vip(const Json& request, const ControlServer::Client& client) {
  const std::string action = text_in(request, "action", "show");
  const Instant now = boottime_now();
  if (action != "show" && action != "announce") {
    client.send(error_reply("vip knows show and announce, not '" + action + "'", "", kExitUsage));
    return;
  }
  Json reply = ok_reply();
  reply["addresses"] = Json::array();
  bool announced = false;
  for (const auto& unit : units_) {
    const bool serving = core::is_serving(unit->instance().state());
    for (const config::Prefix& address : unit->addresses()) {
      int error = 0;
      if (action == "announce" && serving && !flag_in(request, "dry_run")) {
        error = world_.announce->send_once(address.address);
        announced = true;
      }
      Json row{{"address", address.text()},
               {"pairing", unit->name()},
               {"interface", world_.node.network_interface},
               {"label", world_.node.address_label},
               {"serving", serving},
               {"on_interface", world_.address->holds(address)}};
      row["guard"] = status_of(*unit, now)["guard"];
      if (error != 0) {
        row["error"] = strerror(error);
      }
      reply["addresses"].push_back(row);
    }
  }
  if (action == "announce" && !announced && !flag_in(request, "dry_run")) {
    client.send(
        error_reply("this node does not serve a virtual address now, so it announces nothing",
                    "run it on the node in command: crossbeat status", kExitRefused));
    return;
  }
  client.send(reply);
}

Json Monitor::resources() const {
  Resources found = read_resources(options_.root);
  for (const auto& unit : units_) {
    found.pairings += unit->pair() ? 1U : 0U;
    found.serving_now += core::is_serving(unit->instance().state()) ? 1U : 0U;
  }
  return to_json(found);
}

void Monitor::verb_drill(const Json& request, const ControlServer::Client& client) {
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  // What would happen here and now if the peer fell silent on all links.
  core::State copy = unit->instance().state();
  core::Event silent;
  silent.kind = core::EventKind::PeerSilent;
  const Plan plan = walk(copy, silent, boottime_now());
  Json reply = ok_reply();
  reply["state"] = core::name_of(copy.name);
  reply["event"] = "the peer falls silent on all links";
  reply["would"] = plan.rungs;
  reply["then"] = core::name_of(plan.end.name);
  reply["then_sub_state"] = core::name_of(plan.end.sub);
  reply["then_text"] = core::text_of(plan.end.sub);
  reply["eligible"] = core::is_eligible(copy);
  reply["automatic"] = core::is_automatic(copy);
  reply["resources"] = resources();
  reply["timeline"] = config::timeline_text(world_.node, unit->pair() ? &*unit->pair() : nullptr);
  client.send(reply);
}

// The only way out for a key of ours, and only to root, whose the control socket is.
void Monitor::verb_witness_key(const Json& request, const ControlServer::Client& client) {
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  if (!unit->pair()) {
    client.send(error_reply("this node is not paired: there is no key yet",
                            "pair it first: crossbeat pair", kExitRefused));
    return;
  }
  witness::Enrolment enrolment{unit->pair()->id,
                               pairing::witness_key(pairing::PairingKey(unit->pair()->key))};
  Json reply = ok_reply();
  reply["pairing"] = unit->name();
  reply["line"] = witness::enrolment_line(enrolment);
  witness::wipe(enrolment.key);
  log_notice("%s: the key for a witness was given to an operator", unit->name().c_str());
  client.send(reply);
}

}  // namespace cb::agent
