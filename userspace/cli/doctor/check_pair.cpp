// SPDX-License-Identifier: Apache-2.0
//
// The configuration, the monitor, and what the monitor says of the pair.
#include <algorithm>
#include <cerrno>

#include "cli/doctor/check.h"
#include "cli/terminal.h"
#include "cli/view.h"
#include "cli/volume_text.h"

namespace cb::cli::doctor {
namespace {

// Longer without an end, a synchronization wants a look.
constexpr double kSynchronizationMs = 30 * 60 * 1000.0;

// The pairings as the monitor tells them; a check that needs them notes their absence.
std::optional<StatusView> seen(const Probe& probe, Report& report) {
  if (!probe.asked().status) {
    report.skipped("the monitor tells nothing");
    return std::nullopt;
  }
  return view_of(*probe.asked().status);
}

std::string choice(const StatusView& view, const PairView& pair) {
  return view.pairings.size() > 1 ? " --pairing " + pair.pairing : "";
}

void tell_synchronization(const PairView& pair, const std::string& pairing, Report& report) {
  const std::string done = pair.progress_permille
                               ? std::to_string(*pair.progress_permille / 10) + " %"
                               : std::string("an unknown part");
  const std::string since = age_text(pair.since_ms.value_or(0));
  if (pair.since_ms.value_or(0) > kSynchronizationMs) {
    report.warning(
        "the synchronization with " + pair.peer_name + " is at " + done + " after " + since,
        "see its reason in crossbeat status; on the secondary: systemctl restart "
        "crossbeat. If it does not move: crossbeat unpair" +
            pairing + ", and pair again");
  } else {
    report.note("the synchronization with " + pair.peer_name + " runs: " + done + " after " +
                since);
  }
}

// The peer's machine answers, and says that it has no such pairing.
void tell_unknown(const PairView& pair, const std::string& self, const std::string& pairing,
                  Report& report) {
  const std::string what = pair.peer_name + " (" + pair.peer_address +
                           ") runs, but does not know this pairing: it is a new machine, or was "
                           "unpaired there";
  if (pair.primary && !pair.serving) {
    report.problem(what, "this node cannot prove that its data is the newest; when the old " +
                             pair.peer_name +
                             " is lost for good: crossbeat failover --force, and look here again");
  } else if (pair.primary) {
    report.problem(what,
                   "if it shall stand by here again, pair it anew; this node serves on meanwhile",
                   {{"crossbeat unpair --force" + pairing},
                    {"crossbeat pairing-code", pair.peer_name},
                    {"crossbeat pair " + pair.peer_address}});
  } else {
    report.problem(what,
                   "if it replaces the primary, it can have its configuration and this pairing "
                   "back: stop it, and let it recover",
                   {{"systemctl stop crossbeat", pair.peer_name},
                    {"crossbeat pairing-code"},
                    {"crossbeat recover --from " + self, pair.peer_name},
                    {"systemctl start crossbeat", pair.peer_name}});
  }
}

// Its disk failed, or the copy on it cannot be opened.
void tell_failed_disk(const PairView& pair, const std::string& pairing, Report& report) {
  const std::string what = volume_trouble(pair);
  if (pair.serving) {
    report.problem(what + "; the services get errors",
                   "mend the disk, then: systemctl restart crossbeat; or let " + pair.peer_name +
                       " go on with what it has, after a look at what would be lost",
                   {{"crossbeat failover --accept-loss --dry-run" + pairing, pair.peer_name}});
    return;
  }
  const std::string anew =
      pair.primary ? "crossbeat volume create --fresh" : "crossbeat resync --full" + pairing;
  const bool full = whole_at(at(pair.volume, "failure"), "error") == ENOSPC;
  report.problem(
      what,
      std::string(full ? "make room on the disk of the volume's folder"
                       : "look at the disk of the volume's folder (dmesg, smartctl) and mend it") +
          "; then it goes on by itself, at once with: crossbeat resync. When it was replaced, "
          "mount the new one in its place, and make a new copy: " +
          anew + ". A copy that cannot be read any more is kept aside: crossbeat volume create " +
          (pair.primary ? "--aside --fresh" : "--aside"),
      {{"crossbeat resync" + pairing}});
}

// False: something was told. A volume that waits says what for; what ends each wait is known.
bool tell_volume(const PairView& pair, const std::string& pairing, Report& report) {
  if (!pair.volume.is_object()) {
    return true;
  }
  if (at(pair.volume, "failure").is_object()) {
    tell_failed_disk(pair, pairing, report);
    return false;
  }
  if (!flag_at(pair.volume, "running")) {
    report.problem("the volume's process does not run: " + text_at(pair.volume, "text"),
                   "see its log, /var/log/crossbeat/volume-" + pair.pairing +
                       ".log; the monitor starts it again by itself");
    return false;
  }
  const std::string stall = text_at(pair.volume, "stall", "none");
  if (stall == "none") {
    return true;
  }
  std::string next = "look at the links and at the volume's process on " + pair.peer_name;
  if (stall == "split" || stall == "unrelated") {
    next =
        "see crossbeat volume diff on both nodes; then, on the one whose writes are to go: "
        "crossbeat resync --victim";
  } else if (stall == "damaged") {
    next = "let it come into step with " + pair.peer_name +
           ", or take all of its copy: "
           "crossbeat resync --full";
  } else if (stall == "register-silent") {
    next =
        "who may write alone is not known: see crossbeat status, and the witness if there is one";
  }
  report.problem("the volume waits: " + text_at(pair.volume, "stall_text", stall), next);
  return false;
}

}  // namespace

void check_configuration(const Probe& probe, Report& report) {
  const std::size_t before = report.size();
  for (const config::Problem& problem : probe.configured().problems) {
    if (problem.warning) {
      report.warning(problem.text(), "change it, then: crossbeat config check");
    } else {
      report.problem(problem.text(),
                     "run crossbeat setup, or mend the file; then: crossbeat config check");
    }
  }
  if (report.size() == before) {
    report.fine("crossbeat.toml and the pairings are in order");
  }
}

void check_monitor(const Probe& probe, Report& report) {
  const Asked& asked = probe.asked();
  if (asked.status) {
    report.fine("the health monitor runs and answers");
  } else if (asked.running) {
    report.problem("the health monitor does not answer: " + to_text(asked.error),
                   "run this as root; if that is not it, look at systemctl status crossbeat, and "
                   "restart it: systemctl restart crossbeat");
  } else {
    report.problem("the health monitor is not running, so nothing of this node is protected",
                   "start it: systemctl start crossbeat; if it ends again: journalctl -u crossbeat",
                   {{"systemctl start crossbeat"}});
  }
}

void check_start(const Probe& probe, Report& report) {
  if (!probe.is_there("/etc/systemd/system")) {
    report.skipped("there is no systemd here");
  } else if (probe.is_there("/etc/systemd/system/multi-user.target.wants/crossbeat.service")) {
    report.fine("the monitor starts with the machine");
  } else {
    report.warning("the monitor is not started with the machine", "systemctl enable crossbeat");
  }
}

void check_pairing(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  if (view->pairings.empty()) {
    report.warning("this node is not paired: nobody stands by",
                   "on the secondary: crossbeat pairing-code; on the primary: crossbeat pair "
                   "ADDRESS");
    return;
  }
  for (const PairView& pair : view->pairings) {
    if (pair.state == "GRACEFUL_SHUTDOWN" || pair.sub_state == "peer-stopped") {
      report.warning(pair.peer_name + " was stopped on purpose",
                     "start it there: systemctl start crossbeat",
                     {{"systemctl start crossbeat", pair.peer_name}});
    } else if (pair.unknown_at_peer && !pair.heartbeat_up) {
      tell_unknown(pair, view->node.hm_address, choice(*view, pair), report);
    } else if (!pair.heartbeat_up) {
      report.problem(
          "nothing is heard of " + pair.peer_name + " (" + pair.peer_address + ")",
          "look at that machine, its monitor (crossbeat doctor there) and the cables; if "
          "it is gone for good: crossbeat unpair --force" +
              choice(*view, pair) + ", then pair with its replacement");
    } else if (pair.peer_monitor_stale) {
      report.problem("the kernel of " + pair.peer_name + " answers, but its monitor does not run",
                     "there: systemctl start crossbeat; if it ends again: journalctl -u crossbeat; "
                     "if that machine is gone for good: crossbeat unpair --force" +
                         choice(*view, pair),
                     {{"systemctl start crossbeat", pair.peer_name}});
    } else {
      report.fine("heartbeats of " + pair.peer_name + " arrive");
    }
    if (pair.stale) {
      report.warning("this node's data may be old; it does not take over until it is in step",
                     "let it come into step with " + pair.peer_name + ": crossbeat status");
    }
    if (pair.ledger_failed) {
      report.problem("the ledger cannot be written: a takeover could not be remembered",
                     "make room on the disk of /var/lib/crossbeat, or replace it");
    }
  }
}

void check_both_active(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  bool fine = true;
  for (const PairView& pair : view->pairings) {
    const bool both = pair.serving && pair.heartbeat_up && is_in_command(pair.peer_state);
    if (pair.sub_state == "conflict" || both) {
      fine = false;
      report.problem("both nodes serve " + pair.addresses_text(),
                     "wait a second: the one with the older term yields by itself. If both go on, "
                     "on the secondary: crossbeat resolve-conflict");
    }
  }
  if (fine) {
    report.fine("no address is served twice, as far as this node sees");
  }
}

void check_synchronization(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  bool fine = true;
  for (const PairView* pair : view->instances()) {
    fine = tell_volume(*pair, choice(*view, *pair), report) && fine;
  }
  for (const PairView& pair : view->pairings) {
    if (pair.sub_state != "synchronizing") {
      continue;
    }
    fine = false;
    tell_synchronization(pair, choice(*view, pair), report);
  }
  if (fine) {
    report.fine("nothing is being synchronized");
  }
}

void check_links(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  bool any = false;
  for (const PairView& pair : view->pairings) {
    for (const LinkView& link : pair.links) {
      any = true;
      if (link.state == "answers") {
        report.fine("the " + link.link + " link to " + pair.peer_name + " answers");
      } else {
        report.warning("the " + link.link + " link to " + pair.peer_name + " (" + link.interface +
                           ") is " + link.state,
                       link.link == "direct" ? "check the cable at both ends"
                                             : "check the switch port and the cable at both ends");
      }
    }
  }
  if (!any) {
    report.fine("there is no link to a peer that could fail");
  }
}

void check_version(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  bool fine = true;
  for (const PairView& pair : view->pairings) {
    if (!pair.peer_version.empty() && pair.peer_version != view->node.version) {
      fine = false;
      report.warning(pair.peer_name + " was paired with the version " + pair.peer_version +
                         "; this node has " + view->node.version,
                     "bring both nodes to the same version, the standby first");
    }
  }
  if (fine) {
    report.fine("both nodes have the same version");
  }
}

// The rules of pairing as they are now, and the maker's activation.
void check_platform(const Probe& probe, Report& report) {
  if (!seen(probe, report)) {
    return;
  }
  const Json& status = *probe.asked().status;
  const Json& node = at(status, "node");
  const std::size_t before = report.size();
  if (const std::string problem = text_at(at(node, "platforms"), "problem"); !problem.empty()) {
    report.problem("the platform rules cannot be read, so nothing pairs: " + problem,
                   "correct the file on that line, look with: crossbeat config check; then: "
                   "crossbeat restart");
  }
  if (const std::string activation = text_at(node, "activation", "activated");
      activation != "activated" && activation != "not required") {
    report.warning("this node's activation: " + activation,
                   "the pair works on; for the next pairing: crossbeat licence add FILE");
  }
  const Json& pairings = at(status, "pairings");
  for (const Json& pairing : pairings.is_array() ? pairings : Json::array()) {
    const Json& platform = at(pairing, "platform");
    if (!flag_at(platform, "allowed", true)) {
      report.warning(
          "the platform rules would not allow this pair any more: " + text_at(platform, "text"),
          "the pair works on; before it is paired anew, look at [product] model on "
          "both nodes and at platforms.toml");
    }
  }
  if (report.size() == before) {
    report.fine("the platform rules allow this pair, and no licence is missing");
  }
}

void check_services(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  bool fine = true;
  for (const PairView* pair : view->instances()) {
    if (!pair->services.is_array()) {
      continue;
    }
    for (const Json& service : pair->services) {
      const std::string state = text_at(service, "state");
      const bool down =
          pair->serving && state == "stopped" && text_at(service, "admin", "Enabled") == "Enabled";
      // It moved away because of this service, which is at rest now and has its last words still.
      const bool moved_for_it = pair->primary && !pair->serving && state != "running" &&
                                !text_at(service, "detail").empty() &&
                                is_in_command(pair->peer_state);
      if (state != "failed" && !down && !moved_for_it) {
        continue;
      }
      fine = false;
      const std::string name = text_at(service, "name", "?");
      const std::string back = "crossbeat failback" + choice(*view, *pair);
      Steps steps;
      if (const std::string look = text_at(service, "look"); !look.empty()) {
        steps.push_back({look});
      }
      steps.push_back({moved_for_it ? back : "crossbeat restart"});
      if (moved_for_it) {
        report.warning("the service " + name + " did not run here, so " + pair->peer_name +
                           " serves: " + text_at(service, "detail"),
                       "see its own words, mend it, then take command back: " + back, steps);
      } else {
        report.problem("the service " + name + " is " + state + " " + text_at(service, "detail"),
                       "see its own words, mend it, then: crossbeat restart", steps);
      }
    }
  }
  if (fine) {
    report.fine("no service has failed");
  }
}

void check_automatic(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  bool fine = true;
  for (const PairView& pair : view->pairings) {
    if (pair.automatic_off) {
      fine = false;
      report.warning(
          "automatic moves were switched off after too many of them",
          "find out why they happened (crossbeat events), then: crossbeat set --failover "
          "automatic" +
              choice(*view, pair));
    }
    if (pair.maintenance) {
      fine = false;
      report.note("maintenance is on: nothing moves by itself",
                  "end it: crossbeat maintenance off");
    }
  }
  if (fine) {
    report.fine("nothing holds automatic moves back but the configuration");
  }
}

void check_frames(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  const Json& drops = at(at(*probe.asked().status, "node"), "drops");
  const std::int64_t forged = whole_at(drops, "tag").value_or(0);
  const std::int64_t unknown = whole_at(drops, "pairing").value_or(0);
  const bool all_up = std::all_of(view->pairings.begin(), view->pairings.end(),
                                  [](const PairView& pair) { return pair.heartbeat_up; });
  if (forged > 0) {
    report.warning(std::to_string(forged) +
                       " heartbeats were dropped for their tag: somebody "
                       "speaks with another key",
                   "if the nodes were paired anew on one side only, pair them again; else find out "
                   "who sends these frames (tcpdump on the link)");
  } else if (unknown > 0 && !all_up) {
    report.warning(std::to_string(unknown) +
                       " heartbeats of a pairing that is not known here were "
                       "dropped",
                   "the other side may still hold an old pairing: crossbeat unpair --force there, "
                   "then pair again");
  } else {
    // While a pairing is made, one side knows it a moment before the other.
    report.fine("no heartbeat was dropped for its key");
  }
}

void check_gateway(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  if (view->node.gateway.empty()) {
    report.warning("no gateway is configured: this node cannot tell whether it is cut off",
                   "run crossbeat setup and name one; or configure a fence");
  } else if (!view->node.gateway_answers) {
    report.problem("the gateway " + view->node.gateway +
                       " does not answer: this node would not "
                       "take over",
                   "check the gateway, and the network between; or name another with crossbeat "
                   "setup");
  } else {
    report.fine("the gateway " + view->node.gateway + " answers");
  }
}

void check_witness(const Probe& probe, Report& report) {
  const auto view = seen(probe, report);
  if (!view) {
    return;
  }
  bool any = false;
  bool fine = true;
  for (const PairView& pair : view->pairings) {
    if (!pair.witness.is_object()) {
      continue;
    }
    any = true;
    const std::string where = text_at(pair.witness, "address", "?");
    const std::string trouble = text_at(pair.witness, "trouble");
    if (!flag_at(pair.witness, "answers")) {
      fine = false;
      report.problem("the witness " + where +
                         " does not answer: this node would neither take over "
                         "nor go on alone" +
                         (trouble.empty() ? "" : " (" + trouble + ")"),
                     "on that machine: systemctl status crossbeat-witness and crossbeat-witness "
                     "list; and look at the network between");
    } else if (!trouble.empty()) {
      fine = false;
      report.problem("the witness " + where + ": " + trouble,
                     "on that machine: crossbeat-witness list");
    }
  }
  if (!any) {
    report.fine("no witness is configured");
  } else if (fine) {
    report.fine("the witness answers");
  }
}

}  // namespace cb::cli::doctor
