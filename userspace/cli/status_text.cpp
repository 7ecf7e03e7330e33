// SPDX-License-Identifier: Apache-2.0
#include "cli/status_text.h"

#include <algorithm>

#include "cli/verdict.h"
#include "cli/volume_text.h"

namespace cb::cli {
namespace {

constexpr std::size_t kNameWidth = 15;

std::string row(const std::string& name, const std::string& text) {
  std::string line = "  " + name;
  line.resize(std::max(line.size() + 2, kNameWidth + 2), ' ');
  return line + text + "\n";
}

std::string joined(std::initializer_list<std::string> parts, const char* separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!part.empty()) {
      text += (text.empty() ? "" : separator) + part;
    }
  }
  return text;
}

std::string since(const PairView& pair, bool saved) {
  return pair.since_ms && !saved ? "for " + age_text(*pair.since_ms) : "";
}

std::string address_row(const NodeView& node, const PairView& pair, bool saved) {
  std::string addresses;
  for (const std::string& address : pair.addresses) {
    addresses += (addresses.empty() ? "" : ", ") + address;
  }
  if (!pair.serving) {
    return row("address", addresses + ", not here");
  }
  const bool shut = !saved && !pair.guard.empty() && pair.guard != "open";
  std::string right;
  if (pair.solo) {
    right = "no lease needed";
  } else if (pair.lease_ms && *pair.lease_ms > 0 && !saved) {
    right = "lease " + age_text(*pair.lease_ms) + " left";
  }
  return row(
      "address",
      joined(
          {addresses + " on " + node.network_interface + (shut ? ", held here" : ", served here"),
           pair.guard.empty() || saved ? ""
                                       : (shut ? "SHUT by the guard: " : "guard ") + pair.guard,
           right},
          ", "));
}

std::string link_row(const LinkView& link, bool saved) {
  std::string times;
  if (link.rtt_p50_us && *link.rtt_p50_us > 0) {
    times = "round trip " + us_text(*link.rtt_p50_us);
    if (link.rtt_p99_us) {
      times += " (p99 " + us_text(*link.rtt_p99_us) + ")";
    }
  }
  std::string silence;
  if (link.state == "silent" && link.age_ms && !saved) {
    silence = "last heard " + age_text(*link.age_ms) + " ago";
  }
  const std::string state = link.state == "answers"  ? "answers"
                            : link.state == "silent" ? "SILENT"
                                                     : "not heard yet";
  return row(link.link + " link", joined({link.interface, state, silence, times}, ", "));
}

std::string peer_row(const PairView& pair, bool saved) {
  std::string heard;
  if (!pair.heartbeat_up && pair.peer_age_ms && !saved) {
    heard = "last heard " + age_text(*pair.peer_age_ms) + " ago";
  }
  const std::string was = pair.peer_state.empty() ? "not heard yet" : "was " + pair.peer_state;
  return row("peer",
             joined({pair.peer_name, pair.primary ? "secondary" : "primary",
                     pair.heartbeat_up ? pair.peer_state : was,
                     std::string("heartbeat ") + (pair.heartbeat_up ? "Up" : "Down"), heard},
                    ", "));
}

std::string last_failover_row(const PairView& pair) {
  const Json& last = pair.last_failover;
  if (!last.is_object()) {
    return row("last failover", "none since the monitor started");
  }
  std::string text = text_at(last, "at_wall", "?");
  if (const auto total = number_at(last, "total_us")) {
    text += ", " + us_text(*total) + " in all";
  }
  std::string parts;
  for (const auto& [key, name] : {std::pair{"detection_us", "detection"},
                                  {"arbitration_us", "arbitration"},
                                  {"lease_wait_us", "lease"},
                                  {"address_us", "address"},
                                  {"announce_us", "announce"}}) {
    if (const auto us = number_at(last, key)) {
      parts += (parts.empty() ? "" : ", ") + std::string(name) + " " + us_text(*us);
    }
  }
  const std::string reason = text_at(last, "reason");
  return row("last failover", joined({text, reason}, ", ")) + (parts.empty() ? "" : row("", parts));
}

std::string witness_row(const PairView& pair) {
  if (!pair.witness.is_object()) {
    return "";
  }
  const bool answers = flag_at(pair.witness, "answers");
  std::string detail = text_at(pair.witness, "trouble");
  if (answers && detail.empty()) {
    detail = "the address is held by " + text_at(pair.witness, "holder", "nobody");
  }
  return row("witness", joined({text_at(pair.witness, "address", "?"),
                                answers ? "answers" : "DOES NOT ANSWER", detail},
                               ", "));
}

std::string services_rows(const PairView& pair) {
  std::string text;
  if (!pair.services.is_array()) {
    return text;
  }
  for (const Json& service : pair.services) {
    text += row(text.empty() ? "services" : "",
                text_at(service, "name", "?") + " " + text_at(service, "state", "?") +
                    (text_at(service, "admin") == "Disabled" ? " (disabled)" : ""));
  }
  return text;
}

std::string pair_table(const NodeView& node, const PairView& pair, bool saved) {
  std::string text;
  text +=
      row("this node", joined({node.name, pair.primary ? "primary" : "secondary", pair.state,
                               pair.sub_state == "none" ? "" : pair.sub_state, since(pair, saved)},
                              ", "));
  if (pair.paired) {
    text += peer_row(pair, saved);
  }
  text += address_row(node, pair, saved);
  for (const LinkView& link : pair.links) {
    text += link_row(link, saved);
  }
  if (const std::string volume = volume_line(pair); !volume.empty() && !saved) {
    text += row("volume", volume);
  }
  if (pair.paired) {
    std::string detection;
    if (pair.detection_us) {
      detection = "silence noticed within " + us_text(*pair.detection_us);
    }
    const auto lower = [](std::string word) {
      std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      });
      return word;
    };
    text +=
        row("failover", joined({lower(pair.failover_type), "failback " + lower(pair.failback_type),
                                pair.profile.empty() ? "" : "profile " + pair.profile, detection},
                               ", "));
    text += witness_row(pair);
    text += last_failover_row(pair);
  }
  return text + services_rows(pair);
}

std::string answered_by(const std::string& mode) {
  if (mode.empty() || mode == "none") {
    return {};
  }
  return mode == "tc" ? mode : "XDP " + mode;
}

std::string node_row(const NodeView& node) {
  return row("monitor",
             joined({"pid " + std::to_string(node.pid), "version " + node.version,
                     node.uptime_s ? "up " + age_text(*node.uptime_s * 1000) : "",
                     node.probe_scheduling.empty() ? "" : "probes " + node.probe_scheduling,
                     node.lateness_p99_us ? "late p99 " + us_text(*node.lateness_p99_us) : "",
                     answered_by(node.xdp_mode)},
                    ", "));
}

std::string saved_note(const StatusView& status, const Terminal& terminal) {
  return terminal.painted(Tone::Alarm, "NOT RUNNING") + ". The health monitor of " +
         status.node.name + " is not running.\nWhat follows was last saved " +
         (status.saved_at_wall.empty() ? "at an unknown time" : "at " + status.saved_at_wall) +
         " and is not the present.\n\n";
}

}  // namespace

std::string status_text(const StatusView& status, const Terminal& terminal) {
  const bool saved = !status.saved_at_wall.empty();
  std::string text = saved ? saved_note(status, terminal) : "";
  std::vector<Verdict> verdicts;
  for (const PairView* pair : status.instances()) {
    verdicts.push_back(verdict_of(status.node, *pair, status.instances().size() > 1));
  }
  if (verdicts.empty() && !status.node.primary) {
    verdicts.push_back(verdict_unpaired_secondary(status.node));
  }
  for (const Verdict& verdict : verdicts) {
    text += saved ? "Last saved: " + verdict.word + ". " + verdict.sentence + "\n"
                  : terminal.painted(verdict.tone, verdict.word) + ". " + verdict.sentence + "\n";
  }
  for (const PairView* pair : status.instances()) {
    text += "\n" + pair_table(status.node, *pair, saved);
  }
  if (!saved) {
    text += (status.instances().empty() ? "\n" : "") + node_row(status.node);
  }
  std::vector<std::string> next;
  if (saved) {
    next.push_back("Start the monitor: systemctl start crossbeat");
    next.push_back("Why it stopped: journalctl -u crossbeat");
  } else {
    for (const Verdict& verdict : verdicts) {
      for (const std::string& hint : verdict.next) {
        if (std::find(next.begin(), next.end(), hint) == next.end()) {
          next.push_back(hint);
        }
      }
    }
    if (!status.node.gateway.empty() && !status.node.gateway_answers) {
      next.push_back("The gateway " + status.node.gateway +
                     " does not answer: this node would not take over. Check its cable and switch");
    }
    next.insert(next.end(), status.node.warnings.begin(), status.node.warnings.end());
    next.insert(next.end(), status.node.doubts.begin(), status.node.doubts.end());
  }
  text += next.empty() ? "\nNothing to do.\n" : "\nWhat to do:\n";
  for (const std::string& hint : next) {
    text += "  - " + hint + "\n";
  }
  return text;
}

}  // namespace cb::cli
