// SPDX-License-Identifier: Apache-2.0
#include "cli/volume_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/terminal.h"

namespace cb::cli {
namespace {

std::string fixed(double number, int digits) {
  std::array<char, 64> text{};
  snprintf(text.data(), text.size(), "%.*f", digits, number);
  return text.data();
}

std::string row(const std::string& name, const std::string& text) {
  std::string line = "  " + name;
  line.resize(std::max<std::size_t>(line.size() + 2, 17), ' ');
  return line + text + "\n";
}

std::string whole(const Json& json, const char* key) {
  return std::to_string(whole_at(json, key).value_or(0));
}

struct Epoch {
  std::string number;
  std::string generation;
  std::int64_t start = 0;
  std::string writer;
};

std::vector<Epoch> epochs_of(const Json& list) {
  std::vector<Epoch> epochs;
  if (list.is_array()) {
    for (const Json& json : list) {
      epochs.push_back({whole(json, "number"), text_at(json, "generation"),
                        whole_at(json, "start").value_or(0),
                        whole_at(json, "writer").value_or(0) == 0 ? "primary" : "secondary"});
    }
  }
  return epochs;
}

std::string epochs_text(const std::vector<Epoch>& epochs) {
  std::string text;
  for (const Epoch& epoch : epochs) {
    text += "  epoch " + epoch.number + "  from position " + std::to_string(epoch.start) +
            "  written by the " + epoch.writer + "  " + epoch.generation.substr(0, 8) + "\n";
  }
  return text.empty() ? "  none\n" : text;
}

std::string numbers_from(const std::vector<Epoch>& epochs, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < epochs.size(); ++i) {
    text += (text.empty() ? "" : ", ") + epochs[i].number;
  }
  return text;
}

// What its process says of how it is written; nothing while there is no such process.
std::string writing_text(const Json& detail) {
  std::string text;
  const Json& front_end = at(detail, "front_end");
  if (front_end.contains("write_cache")) {
    text += row("writes", flag_at(front_end, "write_cache")
                              ? "answered before they are durable, which a flush makes them"
                              : "answered when they are durable, as the mode says");
  }
  const Json& latency = at(detail, "cpu_latency");
  if (whole_at(latency, "error").value_or(0) != 0) {
    text += row("processors",
                "sleep as they like between writes: the kernel refused to keep them "
                "awake");
  } else if (const auto limit = whole_at(latency, "limit_us")) {
    text += row("processors", "kept awake while it is written (" + std::to_string(*limit) + " us)");
  }
  return text;
}

}  // namespace

std::string bytes_text(double bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fixed(bytes, unit == 0 || bytes >= 100 ? 0 : 1) + " " + kUnits.at(unit);
}

const PairView* with_volume(const StatusView& view, const std::string& pairing) {
  const PairView* found = nullptr;
  for (const PairView* pair : view.instances()) {
    if (pair->volume.is_object() && (pairing.empty() || pair->pairing == pairing)) {
      if (found != nullptr) {
        return nullptr;  // the monitor says that one is to be named
      }
      found = pair;
    }
  }
  return found;
}

std::string volume_trouble(const PairView& pair) {
  const Json& failure = at(pair.volume, "failure");
  if (!failure.is_object()) {
    return "";
  }
  std::string text = text_at(pair.volume, "text", "the disk failed");
  const auto tries = whole_at(failure, "tries").value_or(0);
  const auto again = number_at(failure, "again_in_ms");
  if (tries > 0) {
    text += "; tried again " + (tries == 1 ? "once" : std::to_string(tries) + " times");
  }
  return again ? text + (tries > 0 ? ", next in " : "; tried again in ") + age_text(*again) : text;
}

std::string volume_line(const PairView& pair) {
  const Json& volume = pair.volume;
  if (!volume.is_object()) {
    return "";
  }
  if (const std::string trouble = volume_trouble(pair); !trouble.empty()) {
    return "FAILED: " + trouble;
  }
  if (!flag_at(volume, "running")) {
    return "NOT RUNNING: " + text_at(volume, "text", "its process is not there");
  }
  const Json& sync = at(volume, "sync");
  const std::string stall = text_at(volume, "stall", "none");
  std::string text;
  if (const std::string kind = text_at(sync, "kind", "none"); kind != "none") {
    text = std::string(kind == "copy" ? "copying: " : "catching up: ") +
           fixed(number_at(sync, "permille").value_or(0) / 10, 1) + " %, " +
           bytes_text(number_at(sync, "bytes_left").value_or(0)) + " left";
    if (const double rate = number_at(sync, "bytes_per_s").value_or(0); rate > 0) {
      text += ", " + bytes_text(rate) + "/s";
    }
    if (const auto left = number_at(sync, "seconds_left")) {
      text += ", about " + age_text(*left * 1000);
    }
  } else if (flag_at(volume, "serving")) {
    text = flag_at(volume, "alone")     ? "written here ALONE"
           : flag_at(volume, "in_step") ? "in step"
                                        : "written here, the peer is not in step";
  } else {
    text = flag_at(volume, "in_step") ? "in step" : "behind (" + text_at(volume, "standing") + ")";
  }
  if (stall != "none") {
    text += "; STALLED: " + text_at(volume, "stall_text", stall);
  }
  return text;
}

std::string volume_text(const PairView& pair) {
  const Json& volume = pair.volume;
  std::string text = "Volume of " + pair.pairing + ": " + volume_line(pair) + "\n\n";
  text += row("size", bytes_text(number_at(volume, "size_bytes").value_or(0)) + ", log " +
                          bytes_text(number_at(volume, "log_bytes").value_or(0)) + ", mode " +
                          text_at(volume, "mode", "?"));
  text += writing_text(at(volume, "detail"));
  const std::string device = text_at(volume, "device");
  text += row("device", device.empty() ? "none on this node now" : device);
  if (const std::string mount = text_at(volume, "mount"); !mount.empty()) {
    text += row("mount", mount + (flag_at(volume, "mounted") ? ", mounted" : ", not mounted"));
  }
  text += row("this copy",
              text_at(volume, "standing", "unknown") + " in epoch " + whole(volume, "epoch") +
                  (flag_at(volume, "eligible") ? ", could be written" : ", could not be written"));
  text += row("log", "at " + whole(volume, "position") + ", on both up to " +
                         whole(volume, "committed") + ", durable on the peer up to " +
                         whole(volume, "peer_synced"));
  if (const auto unsynced = number_at(volume, "unsynced_bytes"); unsynced && *unsynced > 0) {
    text += row("not flushed", bytes_text(*unsynced));
  }
  if (const std::string trouble = pair.memory_trouble(); !trouble.empty()) {
    text += row("memory", trouble);
  }
  const Json& verify = at(at(volume, "detail"), "verify");
  if (flag_at(verify, "running")) {
    text += row("comparing", bytes_text(number_at(verify, "bytes_done").value_or(0)) + " of " +
                                 bytes_text(number_at(verify, "bytes").value_or(0)));
  } else if (const std::string found = text_at(verify, "text"); !found.empty()) {
    const auto ago = number_at(verify, "seconds_ago");
    text += row("compared", found + (ago ? ", " + age_text(*ago * 1000) + " ago" : ""));
  }
  if (const std::string words = text_at(volume, "text");
      !words.empty() && words != text_at(volume, "standing")) {
    text += row("last trouble", words);
  }
  return text;
}

std::string history_text(const Json& history) {
  std::string text = "This node's copy:\n" + epochs_text(epochs_of(at(history, "own")));
  if (at(history, "peer").is_array()) {
    text +=
        "The peer's copy, as it was last heard:\n" + epochs_text(epochs_of(at(history, "peer")));
  } else {
    text += "The peer's copy was not heard since the volume's process started.\n";
  }
  return text;
}

Difference difference_of(const Json& history) {
  Difference difference;
  difference.known = at(history, "peer").is_array();
  if (!difference.known) {
    return difference;
  }
  const std::vector<Epoch> own = epochs_of(at(history, "own"));
  const std::vector<Epoch> peer = epochs_of(at(history, "peer"));
  // The last epoch that both have; older ones may have been forgotten on either side.
  std::size_t here = own.size();
  std::size_t there = peer.size();
  for (std::size_t i = own.size(); i-- > 0 && here == own.size();) {
    for (std::size_t k = peer.size(); k-- > 0;) {
      if (own[i].generation == peer[k].generation) {
        here = i;
        there = k;
        break;
      }
    }
  }
  const bool common = here < own.size();
  difference.last_common = common ? own[here].number : "";
  difference.only_here = numbers_from(own, common ? here + 1 : 0);
  difference.only_there = numbers_from(peer, common ? there + 1 : 0);
  difference.split = !difference.only_here.empty() && !difference.only_there.empty();
  difference.same = difference.only_here.empty() && difference.only_there.empty();
  if (common && !difference.same) {
    const std::int64_t after_here = here + 1 < own.size() ? own[here + 1].start : INT64_MAX;
    const std::int64_t after_there = there + 1 < peer.size() ? peer[there + 1].start : INT64_MAX;
    difference.parted_at = std::min(after_here, after_there);
  }
  return difference;
}

std::string difference_text(const Difference& difference) {
  if (!difference.known) {
    return "The peer's copy was not heard since the volume's process started: nothing can be "
           "compared.\n";
  }
  if (difference.same) {
    return "Both copies have one history; the last epoch is " + difference.last_common + ".\n";
  }
  std::string text = difference.last_common.empty()
                         ? std::string("The copies have no epoch in common.\n")
                         : "One history up to epoch " + difference.last_common + ", position " +
                               std::to_string(difference.parted_at.value_or(0)) + ".\n";
  if (!difference.only_here.empty()) {
    text += "Only here: epoch " + difference.only_here + ".\n";
  }
  if (!difference.only_there.empty()) {
    text += "Only on the peer: epoch " + difference.only_there + ".\n";
  }
  text +=
      difference.split
          ? "SPLIT: both hold writes that the other lacks. Nothing is thrown away: look at both, "
            "then\nrun crossbeat resync --victim on the node whose writes are to be given up.\n"
          : "Not a split: the longer one leads, and the other follows.\n";
  return text;
}

}  // namespace cb::cli
