// SPDX-License-Identifier: Apache-2.0
//
// crossbeat volume resize: asks the volume's process, through the monitor, to make both copies and
// the device longer, waits for it, and brings this node's configuration and, where it is asked to,
// the file system after it. Every step may be asked for again.
#include <sys/stat.h>

#include <algorithm>
#include <ostream>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/volume_text.h"
#include "cli/volume_wait.h"
#include "config/defaults.h"
#include "config/size.h"

namespace cb::cli {
namespace {

constexpr std::size_t kFileMax = 1u << 20;
constexpr Duration kFileSystemTime = Duration::from_s(600);

// The line `size` of [volume], and nothing else, becomes another; nothing: there is none.
std::optional<std::string> with_size(const std::string& text, const std::string& size) {
  std::istringstream lines(text);
  std::string out;
  bool in_volume = false;
  bool done = false;
  for (std::string line; std::getline(lines, line);) {
    const std::string word(trim(line));
    if (word.starts_with('[')) {
      in_volume = word.starts_with("[volume]");
    } else if (in_volume && !done && word.starts_with("size") &&
               trim(std::string_view(word).substr(4)).starts_with('=')) {
      const std::size_t first = line.find('"');
      const std::size_t last = line.find('"', first + 1);
      if (first != std::string::npos && last != std::string::npos) {
        line.replace(first, last - first + 1, "\"" + size + "\"");
        done = true;
      }
    }
    out += line + "\n";
  }
  return done ? std::optional(out) : std::nullopt;
}

// What remains to be done by hand; empty: nothing.
std::string bring_configuration_after(const std::string& root, std::uint64_t bytes) {
  const std::string path = root + "/etc/crossbeat/crossbeat.toml";
  const std::string size = config::size_text(bytes);
  const auto text = read_all(path, kFileMax);
  struct stat info {};
  const auto changed = text ? with_size(*text, size) : std::nullopt;
  if (changed && stat(path.c_str(), &info) == 0 &&
      write_atomically(path, *changed, info.st_mode & 07777)) {
    return "";
  }
  return "Write size = \"" + size + "\" into [volume] of crossbeat.toml on the primary.\n";
}

struct Mounted {
  std::string kind;
  std::string at;
};

std::optional<Mounted> mounted(const std::string& device) {
  const auto text = read_all("/proc/self/mounts", kFileMax);
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string from;
    Mounted found;
    if (words >> from >> found.at >> found.kind && from == device) {
      return found;
    }
  }
  return std::nullopt;
}

// The command that makes the file system as long as its device; empty: there is none.
std::vector<std::string> growing(const std::string& device) {
  const auto there = mounted(device);
  if (there && there->kind == "ext4") {
    return {"resize2fs", device};
  }
  if (there && there->kind == "xfs") {
    return {"xfs_growfs", there->at};
  }
  return {};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

int finish(const Context& context, const PairView& pair, bool primary, std::uint64_t bytes,
           bool grow_fs) {
  const std::string device = text_at(pair.volume, "device");
  std::string text = "The volume has " + config::size_text(bytes) + " on both nodes";
  text += device.empty() ? ".\n" : ", and so has " + device + ".\n";
  const std::string remains = primary ? bring_configuration_after(context.options().root, bytes)
                                      : "Write size = \"" + config::size_text(bytes) +
                                            "\" into [volume] of crossbeat.toml on the primary.\n";
  const std::vector<std::string> command = growing(device);
  std::string file_system = "none";
  int code = kDone;
  if (command.empty()) {
    text += "Nothing of ext4 or xfs is mounted from it: whoever uses it sees the new size.\n";
  } else if (!grow_fs) {
    file_system = "to do";
    text += "Make the file system as long, while it is used: " + joined(command) + "\n";
  } else {
    const auto ran = run_command(command, kFileSystemTime);
    const bool fine = ran && ran->code == 0;
    file_system = fine ? "grown" : "failed";
    code = fine ? kDone : kFailed;
    text += fine ? "The file system is as long: " + joined(command) + "\n"
                 : joined(command) +
                       " failed: " + (ran ? std::string(trim(ran->text)) : to_text(ran.error())) +
                       "\n";
  }
  if (context.options().json) {
    context.print(Json{{"ok", code == kDone},
                       {"bytes", bytes},
                       {"device", device},
                       {"configuration", remains.empty() ? "written" : "to do"},
                       {"file_system", file_system},
                       {"command", joined(command)}});
  } else {
    context.terminal().out << text << remains << std::flush;
  }
  return code;
}

int wait_for_it(const Context& context, std::uint64_t bytes, bool grow_fs) {
  return wait_for_volume(
      context, boottime_now() + context.wait_limit(),
      "ask again: crossbeat volume resize waits for the same",
      [&](const StatusView& view, const PairView* pair) -> std::optional<int> {
        if (pair == nullptr) {
          return std::nullopt;
        }
        const Json& resize = at(at(pair->volume, "detail"), "resize");
        const bool ours = whole_at(resize, "bytes") == static_cast<std::int64_t>(bytes);
        if (ours && !flag_at(resize, "running")) {
          return whole_at(resize, "error").value_or(0) == 0
                     ? finish(context, *pair, view.node.primary, bytes, grow_fs)
                     : context.complain(kFailed, "not resized: " + text_at(resize, "text"),
                                        "nothing is lost; ask again when that is mended");
        }
        if (!ours && flag_at(pair->volume, "running")) {
          return context.complain(kFailed, "the volume's process was started anew meanwhile",
                                  "ask again: crossbeat volume resize goes on where it was");
        }
        return std::nullopt;
      });
}

}  // namespace

int volume_resize(const Context& context, const VolumeResize& wanted) {
  const auto bytes = config::parse_size(wanted.size);
  if (!bytes || *bytes % config::kVolumeStep != 0 || *bytes < config::kVolumeBytesMin ||
      *bytes > config::kVolumeBytesMax) {
    return context.complain(kUsage, "'" + wanted.size + "' is not a size of a volume",
                            "write it in whole MiB, as \"20GiB\"");
  }
  Json request = context.request("volume");
  request["action"] = "resize";
  request["bytes"] = *bytes;
  request["dry_run"] = context.options().dry_run;
  const auto reply = context.ask(request);
  if (const auto code = context.wrong(reply)) {
    return *code;
  }
  if (context.options().dry_run) {
    if (context.options().json) {
      context.print(*reply);
    } else {
      context.terminal().out << "Would make the volume " << config::size_text(*bytes)
                             << " long: first both copies, then the device. There is room on this "
                                "node; the peer looks for itself.\nNothing was done.\n";
    }
    return kDone;
  }
  return wait_for_it(context, *bytes, wanted.grow_fs);
}

}  // namespace cb::cli
