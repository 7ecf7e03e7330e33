// SPDX-License-Identifier: Apache-2.0
//
// What the control socket is asked about volumes. Nothing here gives a copy up without being told
// which one, and why it may be lost.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "agent/exit_code.h"
#include "agent/monitor.h"
#include "agent/timeline.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

namespace cb::agent {
namespace {

// One line more in the file of a pairing's accepted losses, durably. It is never shortened.
int append_line(const std::string& path, const std::string& line) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file || !write_all(file.get(), line) || fsync(file.get()) != 0) {
    return errno != 0 ? errno : EIO;
  }
  return 0;
}

uint64_t whole_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

}  // namespace

// What taking command here now would lose, as far as this node can know: what the peer's volume,
// and its monitor, last said of their end, against what is here.
Json Monitor::loss_of(const Unit& unit) const {
  const volume::Status volume = unit.volume().status();
  const PeerNews& peer = unit.instance().peer();
  const Json detail = volume.detail.empty() ? Json::object() : parse_json(volume.detail);
  const auto heard = detail.find("peer");
  // In the middle of a copy its log holds nothing yet: what would be served is what was kept.
  const auto sync = detail.find("sync");
  const bool copying = sync != detail.end() && sync->is_object() &&
                       sync->value("kept_position", Json()).is_number_unsigned();
  const uint64_t position = copying ? whole_in(*sync, "kept_position") : volume.position;
  const bool known = heard != detail.end() && heard->is_object();
  const uint64_t end = std::max(known ? whole_in(*heard, "end") : 0, peer.facts.position);
  const uint64_t bytes = end > position ? end - position : 0;
  const bool none = volume.eligible && !unit.instance().state().stale;
  const double heard_ms =
      peer.facts.boot == 0
          ? -1
          : static_cast<double>((boottime_now() - peer.facts.received).as_ns()) / 1e6;
  std::string text;
  if (none) {
    text = "nothing that is known: this copy was in step, and nobody is known to have gone on";
  } else {
    text = "everything written after position " + std::to_string(position) + ": at least " +
           std::to_string(bytes) + " bytes";
    text +=
        copying ? " (a copy into this node is not finished: the image of before it is served)" : "";
    text += heard_ms < 0
                ? ", and whatever was written since; the peer was not heard by this monitor"
                : ", and whatever was written since the peer was last heard, " +
                      std::to_string(static_cast<int64_t>(heard_ms / 1000)) + " s ago";
  }
  return Json{{"position", position},
              {"peer_position", end},
              {"bytes_at_least", bytes},
              {"peer_heard_ms_ago", heard_ms < 0 ? Json(nullptr) : Json(heard_ms)},
              {"standing", volume.standing},
              {"none_known", none},
              {"text", text}};
}

// The mark comes first: whoever finds two histories later must find who decided what, and when.
void Monitor::accept_loss(Unit& unit, const Json& loss, std::function<void(int)> then) {
  Json mark{{"at_wall", wall_now()}, {"node", world_.node.name}, {"instance", unit.name()}};
  mark.update(loss);
  const std::string path = options_.root + "/var/lib/crossbeat/ledger/" + unit.name() + ".losses";
  world_.slow->run(
      [path, line = to_line(mark)] { return append_line(path, line); },
      [this, name = unit.name(), text = text_in(loss, "text"), then = std::move(then)](int error) {
        if (error == 0) {
          add_event(name, "An operator accepted a loss of data", text);
        }
        then(error);
      });
}

void Monitor::verb_failover(const Json& request, const ControlServer::Client& client) {
  if (!flag_in(request, "accept_loss")) {
    verb_move(request, client, core::EventKind::OperatorFailover);
    return;
  }
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  if (!unit->has_volume()) {
    client.send(error_reply("this instance has no volume, so there is nothing to lose",
                            "leave --accept-loss out", kExitUsage));
    return;
  }
  Json forced = request;
  forced["force"] = true;
  core::Event event;
  event.kind = core::EventKind::OperatorFailover;
  event.force = true;
  Json plan = plan_of(*unit, event);
  const Json loss = loss_of(*unit);
  plan["loss"] = loss;
  if (flag_in(request, "dry_run")) {
    client.send(plan);
    return;
  }
  if (plan.contains("refused")) {
    verb_move(forced, client, core::EventKind::OperatorFailover);
    return;
  }
  const std::string name = unit->name();
  accept_loss(*unit, loss, [this, client, forced, name](int error) {
    if (error != 0) {
      client.send(error_reply(std::string("the loss could not be recorded: ") + strerror(error),
                              "nothing was done; see to the disk of /var/lib/crossbeat",
                              kExitFailed));
      return;
    }
    for (const auto& each : units_) {
      if (each->name() == name) {
        each->accept_loss(true);
        verb_move(forced, client, core::EventKind::OperatorFailover);
        return;
      }
    }
    client.send(error_reply("the pairing is gone", "see: crossbeat status", kExitFailed));
  });
}

void Monitor::verb_resync(const Json& request, const ControlServer::Client& client) {
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  const bool full = flag_in(request, "full");
  const volume::Status volume = unit->volume().status();
  if (!unit->has_volume()) {
    client.send(error_reply("this instance has no volume", "see [volume] in crossbeat.toml(5)",
                            kExitRefused));
    return;
  }
  if (core::is_serving(unit->instance().state()) || volume.serving) {
    client.send(error_reply("this node is in command: its copy is the one that the other follows",
                            "run it on the other node", kExitRefused));
    return;
  }
  if (full && volume.eligible && volume.stall != "split" && volume.stall != "unrelated" &&
      !flag_in(request, "force")) {
    client.send(error_reply("this node's copy is whole (" + volume.standing + " at position " +
                                std::to_string(volume.position) +
                                "): giving it up leaves one copy until the new one is "
                                "complete",
                            "without --full it takes what it lacks; --force accepts the risk",
                            kExitRefused));
    return;
  }
  Json reply = ok_reply();
  reply["full"] = full;
  reply["position"] = volume.position;
  if (flag_in(request, "dry_run")) {
    reply["would"] = Json::array(
        {full ? "keep this copy aside until the new one is complete, and take all of the peer's"
              : "take what this copy lacks from the peer"});
    client.send(reply);
    return;
  }
  unit->volume().resync(
      full ? volume::Resync::Full : volume::Resync::Follow, boottime_now() + Duration::from_s(4),
      [this, client, reply, full, name = unit->name()](int error) {
        if (error != 0) {
          client.send(error_reply(std::string("the volume did not begin: ") + strerror(error),
                                  "see: crossbeat volume status", kExitFailed));
          return;
        }
        if (full) {
          add_event(name, "Full resynchronization asked for by an operator", "");
        }
        client.send(reply);
      });
}

void Monitor::verb_volume(const Json& request, const ControlServer::Client& client) {
  Unit* unit = unit_for(request, client);
  if (unit == nullptr) {
    return;
  }
  const std::string action = text_in(request, "action");
  if (!unit->has_volume()) {
    client.send(error_reply("this instance has no volume", "see [volume] in crossbeat.toml(5)",
                            kExitRefused));
  } else if (action == "history") {
    unit->volume().history([client](int error, const std::string& json) {
      if (error != 0) {
        client.send(
            error_reply(std::string("the volume process does not answer: ") + strerror(error),
                        "see: crossbeat volume status", kExitFailed));
        return;
      }
      Json reply = ok_reply();
      reply["history"] = parse_json(json);
      client.send(reply);
    });
  } else if (action == "pause" || action == "continue") {
    unit->volume().pause(
        action == "pause", boottime_now() + Duration::from_s(4), [client](int error) {
          client.send(error == 0 ? ok_reply()
                                 : error_reply(strerror(error), "see: crossbeat volume status",
                                               kExitFailed));
        });
  } else if (action == "resize") {
    unit->volume().resize(
        static_cast<uint64_t>(std::max<int64_t>(number_in(request, "bytes", 0), 0)),
        flag_in(request, "dry_run"), [client](int error, const std::string& text) {
          client.send(error == 0 ? ok_reply()
                                 : error_reply(text, "see: crossbeat volume status", kExitRefused));
        });
  } else if (action == "verify" || action == "end-verify") {
    unit->volume().verify(
        action == "verify", boottime_now() + Duration::from_s(4), [client](int error) {
          if (error == 0) {
            client.send(ok_reply());
          } else if (error == EROFS) {
            client.send(error_reply("this node's copy follows: the node in command compares",
                                    "run it there, or look at this copy alone: crossbeat volume "
                                    "verify --offline",
                                    kExitRefused));
          } else if (error == ENOTCONN) {
            client.send(error_reply("the peer does not follow: there is nothing to compare with",
                                    "see: crossbeat volume status; this copy alone: crossbeat "
                                    "volume verify --offline",
                                    kExitRefused));
          } else {
            client.send(error_reply(strerror(error), "see: crossbeat volume status", kExitFailed));
          }
        });
  } else {
    client.send(error_reply("volume does not know '" + action + "'", "", kExitUsage));
  }
}

// The copy itself knows how long it is; what the pairing says of it is for whoever makes a new one.
void Monitor::volume_grown(std::uint64_t id, std::uint64_t bytes) {
  for (config::Pair& known : pairs_) {
    if (known.id == id && known.volume && known.volume->volume.bytes < bytes) {
      known.volume->volume.bytes = bytes;
      pair_files_->renew(known, [name = known.primary_hm.text()](const Result<>& saved) {
        if (!saved) {
          log_warning("%s: the volume's new size is not in the pairing's file: %s", name.c_str(),
                      to_text(saved.error()).c_str());
        }
      });
    }
  }
}

}  // namespace cb::agent
