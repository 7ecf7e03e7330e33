// SPDX-License-Identifier: Apache-2.0
#include "cli/verdict.h"

namespace cb::cli {
namespace {

struct Story {
  const NodeView& node;
  const PairView& pair;
  const std::string& me;
  const std::string& peer;
  std::string address;

  // "--pairing X" where a command needs it.
  std::string choice;

  std::string command(const std::string& verb) const { return "crossbeat " + verb + choice; }
  // "because ...", or nothing.
  std::string why() const {
    return pair.reason_text.empty() ? "" : " Reason: " + pair.reason_text + ".";
  }
  std::string progress() const {
    if (!pair.progress_permille) {
      return "";
    }
    return " (" + std::to_string(*pair.progress_permille / 10) + " % complete)";
  }
  std::string silent_links() const {
    std::string text;
    for (const LinkView& link : pair.links) {
      if (link.state == "silent") {
        text +=
            (text.empty() ? "the " : " and the ") + link.link + " link (" + link.interface + ")";
      }
    }
    return text;
  }
};

const char* const kWatch = "Watch it: crossbeat status --watch";

Verdict moving(const Story& s) {
  const std::string what = s.pair.sub_state_text.empty() ? s.pair.sub_state : s.pair.sub_state_text;
  if (s.pair.state == "FAILOVER_INVOKED") {
    return {Tone::Caution,
            "FAILOVER IS RUNNING",
            (s.pair.primary ? s.peer + " takes " : s.me + " takes ") + s.address +
                " over: " + what + "." + s.why(),
            {kWatch}};
  }
  if (s.pair.state == "FAILBACK_ACTIVE") {
    return {Tone::Caution,
            "FAILBACK IS RUNNING",
            "Command over " + s.address + " returns to " + (s.pair.primary ? s.me : s.peer) +
                s.progress() + ": " + what + ".",
            {kWatch}};
  }
  if (s.pair.sub_state == "stopping") {
    return {Tone::Caution, "STOPPING", s.me + " is being stopped on purpose.", {kWatch}};
  }
  return {Tone::Caution, "IN TRANSITION", s.me + ": " + what + "." + s.why(), {kWatch}};
}

Verdict serving_alone(const Story& s) {
  const std::string serves = s.me + " serves " + s.address;
  if (s.pair.heartbeat_up) {
    return {Tone::Caution,
            "SERVING, NOT PROTECTED",
            serves + "; " + s.peer + " answers but could not take over." + s.why(),
            {"See why on " + s.peer + ": crossbeat status"}};
  }
  if (s.pair.reason == "peer-goodbye" || s.pair.state == "GRACEFUL_SHUTDOWN" ||
      s.pair.sub_state == "peer-stopped") {
    return {Tone::Caution,
            "SERVING, NOT PROTECTED",
            serves + "; " + s.peer + " was stopped on purpose.",
            {"When its maintenance is over, on " + s.peer + ": systemctl start crossbeat"}};
  }
  return {Tone::Caution,
          "SERVING, NOT PROTECTED",
          serves + "; nothing is heard of " + s.peer + ".",
          {"Bring " + s.peer + " back: power, cables, then systemctl start crossbeat there"}};
}

Verdict serving_after_failover(const Story& s) {
  const std::string serves = s.me + " (the secondary) serves " + s.address;
  if (!s.pair.heartbeat_up) {
    return {Tone::Caution,
            "SERVING ON THE SECONDARY, NOT PROTECTED",
            serves + "; nothing is heard of " + s.peer + "." + s.why(),
            {"Bring " + s.peer + " back: power, cables, then systemctl start crossbeat there",
             "When it is back and in step: " + s.command("failback")}};
  }
  const std::string back =
      "; " + s.peer +
      (s.pair.sub_state == "protected"       ? " is back and stands ready."
       : s.pair.sub_state == "synchronizing" ? " is back and catching up" + s.progress() + "."
                                             : " answers, but is not ready." + s.why());
  if (s.pair.failback_type == "Automatic") {
    return {Tone::Caution,
            "SERVING ON THE SECONDARY",
            serves + back + " Failback is automatic.",
            {kWatch}};
  }
  return {Tone::Caution,
          "SERVING ON THE SECONDARY",
          serves + back,
          {"To move back to the primary when it suits: " + s.command("failback")}};
}

Verdict serving(const Story& s) {
  const std::string serves = s.me + " serves " + s.address;
  if (!s.pair.guard.empty() && s.pair.guard != "open") {
    return {Tone::Alarm,
            "THE ADDRESS IS CLOSED",
            s.me + " is in command, but its guard holds " + s.address + " closed: " + s.pair.guard +
                ". Clients get no answer from it.",
            {kWatch, "If it stays so: " + s.command("events") + ", and look at " + s.peer}};
  }
  if (!s.pair.paired) {
    return {Tone::Caution,
            "SERVING, NOT PAIRED",
            serves + " alone; there is no secondary.",
            {"Pair it: crossbeat pairing-code on the secondary, then crossbeat pair ADDRESS here"}};
  }
  if (s.pair.state == "FAILOVER_ACTIVE") {
    return serving_after_failover(s);
  }
  if (s.pair.sub_state == "protected") {
    return {Tone::Good, "PROTECTED", serves + " and " + s.peer + " stands ready.", {}};
  }
  if (s.pair.sub_state == "synchronizing" && s.pair.peer_sub_state == "not-ready") {
    return {Tone::Caution,
            "SERVING, NOT PROTECTED",
            serves + "; " + s.peer + " is not in step, and nothing brings it there now.",
            {"See why on " + s.peer + ": crossbeat status"}};
  }
  if (s.pair.sub_state == "synchronizing" || s.pair.state == "FAILBACK_COMPLETE") {
    return {Tone::Caution,
            "NOT YET PROTECTED",
            serves + "; " + s.peer + " is catching up" + s.progress() + ".",
            {}};
  }
  if (s.pair.sub_state == "degraded") {
    const std::string silent = s.silent_links();
    if (!silent.empty()) {
      return {Tone::Caution,
              "PROTECTED BY LESS",
              serves + "; " + silent + " to " + s.peer + " is silent.",
              {"Check the cable and the interface of " + silent}};
    }
    return {Tone::Caution,
            "PROTECTED BY LESS",
            serves + "; " + s.peer + " is not ready." + s.why(),
            {"See why on " + s.peer + ": crossbeat status"}};
  }
  return serving_alone(s);
}

Verdict standing_by(const Story& s) {
  const std::string serves = s.peer + " serves " + s.address;
  if (s.pair.sub_state == "ready") {
    return {Tone::Good, "PROTECTED", serves + " and " + s.me + " stands ready.", {}};
  }
  if (s.pair.sub_state == "synchronizing" || s.pair.state == "SECONDARY_ALONE") {
    return {Tone::Caution,
            "NOT YET PROTECTED",
            serves + "; " + s.me + " is catching up" + s.progress() + ".",
            {}};
  }
  if (s.pair.sub_state == "peer-in-command") {
    return {Tone::Caution,
            "SERVING ON THE SECONDARY",
            serves + "; " + s.me + " is up.",
            {"To move back here when it suits: " + s.command("failback")}};
  }
  return {Tone::Caution,
          "NOT PROTECTED",
          serves + "; " + s.me + " could not take over now." + s.why(),
          {"See the events: " + s.command("events")}};
}

// What keeps a standby from taking over by itself, in the words of the monitor where it gives any.
std::string why_not_by_itself(const Story& s) {
  const bool other = !s.pair.reason.empty() && s.pair.reason != "manual-mode";
  return other && !s.pair.reason_text.empty() ? s.pair.reason_text : "failover is manual";
}

Verdict nobody(const Story& s) {
  const std::string& sub = s.pair.sub_state;
  if (sub == "peer-silent-manual") {
    return {Tone::Alarm,
            "NOBODY IS KNOWN TO SERVE",
            s.peer + " is silent on every link, and " + why_not_by_itself(s) + ".",
            {"Make sure that " + s.peer + " is really down, not only cut off",
             "Then take over here: " + s.command("failover")}};
  }
  if (sub == "peer-silent-waiting") {
    return {Tone::Alarm,
            "NOBODY IS KNOWN TO SERVE",
            s.peer + " is silent, but it is not certain that it is down; " + s.me +
                " waits up to " + std::to_string(s.pair.failover_wait_s) + " s." + s.why(),
            {kWatch, "To take over at once, if you know that " + s.peer +
                         " is down: " + s.command("failover --force")}};
  }
  if (sub == "waiting-for-peer") {
    return {Tone::Alarm,
            "NOT SERVING",
            s.me + " has started, finds nobody, and cannot prove that " + s.peer +
                " has not served since.",
            {"Start " + s.peer + ": systemctl start crossbeat there",
             "If " + s.peer + " is lost for good: " + s.command("failover --force")}};
  }
  if (sub == "peer-stopped" || s.pair.state == "GRACEFUL_SHUTDOWN") {
    return {Tone::Alarm,
            "NOBODY SERVES",
            s.peer + " was stopped on purpose, so " + s.me + " does not take over.",
            {"Start it again, on " + s.peer + ": systemctl start crossbeat",
             "Or take over here: " + s.command("failover")}};
  }
  return {Tone::Alarm,
          "NOBODY IS KNOWN TO SERVE",
          s.me + " does not, and nothing is heard of " + s.peer + "." + s.why(),
          {"Look at " + s.peer + " first", "To take over here: " + s.command("failover --dry-run"),
           "What happened: " + s.command("events")}};
}

void add_notes(const PairView& pair, Verdict& verdict) {
  if (pair.maintenance) {
    const std::string until =
        pair.maintenance_until.empty() ? "" : " until " + pair.maintenance_until;
    verdict.next.push_back("Maintenance is on" + until +
                           ": nothing moves by itself. End it: crossbeat maintenance off");
  }
  if (pair.automatic_off) {
    verdict.next.push_back(
        "Automatic mode is OFF after too many moves. When the cause is found: "
        "crossbeat set --failover automatic");
  }
  if (pair.stale) {
    verdict.next.push_back(
        "This node's data may be old: it does not take over until it is in "
        "step");
  }
  if (pair.ledger_failed) {
    verdict.next.push_back("The ledger cannot be written; is the disk full? df /var/lib/crossbeat");
  }
  if (at(pair.volume, "failure").is_object()) {
    verdict.next.push_back(
        "The disk of this node's copy failed, or it cannot be opened. What to do about it: "
        "crossbeat doctor");
  }
  if (std::string trouble = pair.memory_trouble(); !trouble.empty()) {
    trouble.front() = 'W';
    verdict.next.push_back(trouble + "; " + kMemoryRemedy);
  }
  if (pair.paired && verdict.tone == Tone::Good && pair.failover_type != "Automatic") {
    verdict.next.push_back(
        "Failover is manual: if the serving node dies, somebody must run "
        "crossbeat failover on the other");
  }
}

}  // namespace

Verdict verdict_of(const NodeView& node, const PairView& pair, bool several) {
  Story story{.node = node,
              .pair = pair,
              .me = node.name,
              .peer = pair.peer_name,
              .address = pair.addresses_text(),
              .choice = several ? " --pairing " + pair.pairing : ""};
  Verdict verdict;
  if (pair.sub_state == "conflict") {
    verdict = {Tone::Alarm,
               "CONFLICT",
               "Both nodes served " + story.address + "; the one with the older term yields now.",
               {kWatch, "Then: crossbeat events"}};
  } else if (pair.sub_state == "operator-needed") {
    verdict = {Tone::Alarm,
               "WAITING FOR YOU",
               story.me + " cannot go on by itself." + story.why(),
               {"What happened: " + story.command("events"),
                "What a takeover would do: " + story.command("failover --dry-run")}};
  } else if (is_moving(pair.sub_state) || pair.state == "FAILOVER_INVOKED" ||
             pair.state == "FAILBACK_ACTIVE") {
    verdict = moving(story);
  } else if (pair.serving) {
    verdict = serving(story);
  } else if (pair.state == "GRACEFUL_SHUTDOWN" || pair.sub_state == "peer-stopped") {
    verdict = nobody(story);  // whatever its kernel still answers
  } else if (pair.heartbeat_up &&
             (is_in_command(pair.peer_state) || pair.sub_state == "ready" ||
              pair.sub_state == "peer-in-command" || pair.sub_state == "synchronizing")) {
    verdict = standing_by(story);
  } else if (!pair.paired) {
    verdict = {Tone::Alarm,
               "NOT SERVING",
               story.me + " is not paired and does not serve " + story.address + "." + story.why(),
               {"What happened: crossbeat events"}};
  } else {
    verdict = nobody(story);
  }
  add_notes(pair, verdict);
  return verdict;
}

Verdict verdict_unpaired_secondary(const NodeView& node) {
  return {Tone::Caution,
          "NOT PAIRED",
          node.name + " is a secondary and protects nobody yet.",
          {"Run crossbeat pairing-code here, then crossbeat pair " + node.hm_address +
           " on the primary"}};
}

}  // namespace cb::cli
