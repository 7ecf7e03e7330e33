// SPDX-License-Identifier: Apache-2.0
//
// The machine: kernel, clock, scheduling, memory, disk.
#include <array>
#include <cmath>

#include "base/text.h"
#include "cli/doctor/check.h"
#include "cli/terminal.h"
#include "cli/view.h"

namespace cb::cli::doctor {
namespace {

constexpr double kOffsetWarningMs = 100;
constexpr double kOffsetProblemMs = 2000;
constexpr std::uint64_t kMega = 1u << 20;

std::string shown(const Probe& probe, const std::string& path) {
  return std::string(trim(probe.read(path).value_or("")));
}

// A word that a shell takes as it is.
std::string shell_word(const std::string& text) {
  const bool plain =
      !text.empty() &&
      text.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@,") ==
          std::string::npos;
  if (plain) {
    return text;
  }
  std::string word = "'";
  for (const char c : text) {
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return word + "'";
}

std::uint64_t leading_number(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    ++digits;
  }
  return parse_number(text.substr(0, digits)).value_or(0);
}

// Does this node's own clock follow NTP? Nothing: nobody can be asked.
struct Ntp {
  bool enabled = false;
  bool synchronized = false;
};

std::optional<Ntp> ask_ntp(const Probe& probe) {
  const auto shows = probe.run({"timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized"});
  if (!shows || shows->code != 0) {
    const auto chrony = probe.run({"chronyc", "-n", "tracking"});
    if (chrony && chrony->code == 0 &&
        chrony->text.find("Leap status     : Normal") != std::string::npos) {
      return Ntp{true, true};
    }
    return std::nullopt;
  }
  return Ntp{shows->text.find("NTP=yes") != std::string::npos,
             shows->text.find("NTPSynchronized=yes") != std::string::npos};
}

const char* const kNtpOn = "timedatectl set-ntp true";

// The command that mends this node's own clock; empty when there is nothing to mend.
std::string clock_command(const std::optional<Ntp>& ntp) {
  return !ntp || ntp->synchronized ? "" : ntp->enabled ? "timedatectl timesync-status" : kNtpOn;
}

void check_offset(const Probe& probe, const std::optional<Ntp>& ntp, Report& report) {
  if (!probe.asked().status) {
    report.skipped("the monitor tells nothing of the peer's clock");
    return;
  }
  const Json& pairings = at(*probe.asked().status, "pairings");
  if (!pairings.is_array()) {
    return;
  }
  for (const Json& pair : pairings) {
    const auto offset = number_at(pair, "clock_offset_ms");
    if (!offset) {
      continue;
    }
    const std::string peer = text_at(at(pair, "peer"), "name", "the peer");
    const double ahead = *offset;
    const std::string what = "the clock of " + peer + " is " + age_text(std::fabs(ahead)) +
                             (ahead < 0 ? " behind" : " ahead of") + " this node's";
    if (std::fabs(ahead) <= kOffsetWarningMs) {
      report.fine("the clocks of this node and of " + peer + " differ by " +
                  age_text(std::fabs(ahead)));
      continue;
    }
    // Which of them is wrong is known where one follows NTP.
    const bool ours_is_right = ntp && ntp->synchronized;
    const std::string remedy =
        ours_is_right ? "this node follows NTP: it is " + peer +
                            "'s that is wrong; other servers: "
                            "crossbeat setup, on both"
                      : "let both follow the same NTP servers; to name others: crossbeat setup, on "
                        "both";
    Steps steps;
    if (!ours_is_right) {
      steps.push_back({ntp && ntp->enabled ? clock_command(ntp) : kNtpOn});
    }
    steps.push_back({kNtpOn, peer});
    if (std::fabs(ahead) > kOffsetProblemMs) {
      report.problem(what, remedy, steps);
    } else {
      report.warning(what, remedy, steps);
    }
  }
}

}  // namespace

void check_kernel(const Probe& probe, Report& report) {
  const std::string release = probe.kernel_release();
  const std::uint64_t major = leading_number(release);
  const auto dot = release.find('.');
  const std::uint64_t minor =
      dot == std::string::npos ? 0 : leading_number(std::string_view(release).substr(dot + 1));
  bool fine = true;
  if (major < 6 || (major == 6 && minor < 1)) {
    fine = false;
    report.problem("the kernel " + release + " is older than 6.1", "upgrade to Debian 12 or newer");
  }
  if (!probe.is_there("/sys/kernel/btf/vmlinux")) {
    fine = false;
    report.problem("the kernel tells no types (BTF): its eBPF programs cannot be loaded",
                   "boot a kernel with CONFIG_DEBUG_INFO_BTF, such as Debian's own");
  }
  // A monitor that runs has its maps pinned, wherever its bpf file system is.
  if (!probe.asked().status &&
      probe.read("/proc/mounts").value_or("").find(" /sys/fs/bpf bpf ") == std::string::npos) {
    fine = false;
    report.problem("there is no bpf file system at /sys/fs/bpf",
                   "mount -t bpf bpf /sys/fs/bpf; systemd does so at the start of the machine");
  }
  if (shown(probe, "/proc/sys/kernel/io_uring_disabled") == "2") {
    fine = false;
    report.problem("io_uring is switched off for everybody: the monitor cannot run",
                   "sysctl kernel.io_uring_disabled=1, and where that is configured");
  }
  if (fine) {
    report.fine("the kernel " + release + " has what is needed");
  }
}

void check_clock(const Probe& probe, Report& report) {
  const std::optional<Ntp> ntp = ask_ntp(probe);
  if (!ntp) {
    report.note("nobody can be asked whether the clock follows NTP");
  } else if (ntp->synchronized) {
    report.fine("the clock follows NTP");
  } else if (ntp->enabled) {
    report.warning(
        "NTP is enabled, but the clock is not synchronized",
        "can its servers be reached (timedatectl timesync-status)? Other servers: crossbeat setup",
        {{clock_command(ntp)}});
  } else {
    report.warning("NTP is not enabled: the clocks of the nodes drift apart",
                   "switch it on, on both nodes; to name servers: crossbeat setup", {{kNtpOn}});
  }
  check_offset(probe, ntp, report);
}

void check_real_time(const Probe& probe, Report& report) {
  if (!probe.asked().status) {
    report.skipped("the monitor tells nothing");
    return;
  }
  const Json& node = at(*probe.asked().status, "node");
  const std::string probes = text_at(at(node, "scheduling"), "probe", "?");
  bool fine = true;
  if (probes != "deadline") {
    fine = false;
    const bool nice = probes == "nice";
    const std::string what =
        "heartbeats are sent with the scheduling '" + probes + "', not 'deadline'";
    const std::string remedy =
        "start the monitor by its unit, which has LimitRTPRIO and CAP_SYS_NICE; in a container, "
        "give it real-time time";
    nice ? report.warning(what, remedy) : report.note(what, remedy);
  }
  if (!flag_at(at(node, "scheduling"), "memory_locked", true)) {
    fine = false;
    report.warning("the monitor's memory is not locked: swapping could stop it",
                   "start it by its unit, which has LimitMEMLOCK=infinity");
  }
  const auto late = number_at(at(node, "lateness_us"), "p99");
  const double interval_us =
      static_cast<double>(probe.configured().node.heartbeat.direct.interval.as_ns()) / 1000;
  if (late && interval_us > 0 && *late > interval_us) {
    fine = false;
    report.warning("one heartbeat in a hundred is sent " + us_text(*late) +
                       " late, more than the "
                       "interval",
                   "choose a slower profile, or find out what holds the processor: perf sched, or "
                   "the firmware's power saving");
  }
  if (fine) {
    report.fine("the monitor gets its processor in time");
  }
}

void check_volume_memory(const Probe& probe, Report& report) {
  if (!probe.asked().status) {
    report.skipped("the monitor tells nothing");
    return;
  }
  const StatusView view = view_of(*probe.asked().status);
  const std::size_t before = report.size();
  for (const PairView* pair : view.instances()) {
    if (const std::string trouble = pair->memory_trouble(); !trouble.empty()) {
      report.warning("volume of " + pair->pairing + ": " + trouble, kMemoryRemedy,
                     {{"systemctl restart crossbeat"}});
    }
  }
  if (report.size() == before) {
    report.fine("no volume's writes wait for memory");
  }
}

void check_swap(const Probe& probe, Report& report) {
  const auto swaps = probe.read("/proc/swaps");
  if (!swaps) {
    report.note("whether there is swap space cannot be read");
    return;
  }
  const auto lines = split(trim(*swaps), '\n');
  if (lines.size() < 2) {
    report.fine("there is no swap space to be slow in");
    return;
  }
  const std::uint64_t swappiness =
      parse_number(shown(probe, "/proc/sys/vm/swappiness")).value_or(60);
  if (swappiness > 10) {
    report.warning("there is swap space, and the kernel likes to use it (swappiness " +
                       std::to_string(swappiness) +
                       "): services that are swapped out answer late after a takeover",
                   "sysctl vm.swappiness=1, and a line in /etc/sysctl.d; or swapoff -a");
  } else {
    report.fine("swap space is there for emergencies only");
  }
}

namespace {

// What Crossbeat itself keeps there: nobody is told to delete it.
bool is_ours(const std::string& path) {
  for (const char* own :
       {"/var/lib/crossbeat/pairs/", "/var/lib/crossbeat/ledger/", "/var/lib/crossbeat/volumes/",
        "/var/lib/crossbeat/events.db", "/var/lib/crossbeat/events.jsonl",
        "/var/lib/crossbeat/licence", "/var/lib/crossbeat/last_status.json",
        "/var/lib/crossbeat/setup.", "/var/log/crossbeat/"}) {
    if (path.starts_with(own)) {
      return true;
    }
  }
  return false;
}

struct Room {
  std::string remedy;
  Steps steps;
};

Room make_room(const Probe& probe, const std::string& folder) {
  constexpr std::uint64_t kWorthIt = 1 * kMega;
  constexpr std::size_t kShown = 3;
  Room room;
  std::string named;
  for (const File& file : probe.largest_below(folder)) {
    if (room.steps.size() == kShown || file.bytes < kWorthIt || is_ours(file.path)) {
      continue;
    }
    const std::string real = probe.real(file.path);
    named +=
        (named.empty() ? "" : ", ") + real + " (" + std::to_string(file.bytes / kMega) + " MB)";
    room.steps.push_back({"rm -i -- " + shell_word(real)});
  }
  if (room.steps.empty()) {
    room.remedy = "make room: du -xh " + probe.real(folder) +
                  " | sort -h; old logs first (journalctl --vacuum-size=100M); or give it a larger "
                  "disk. Nothing below it that is Crossbeat's may be deleted";
  } else {
    room.remedy = "make room; not Crossbeat's, and large: " + named +
                  ". Move away what is needed, delete what is not";
  }
  return room;
}

}  // namespace

void check_disk(const Probe& probe, Report& report) {
  bool any = false;
  for (const char* path : {"/var/lib/crossbeat", "/var/log/crossbeat"}) {
    const auto disk = probe.disk(path);
    if (!disk || disk->bytes == 0) {
      continue;
    }
    any = true;
    const double left =
        100.0 * static_cast<double>(disk->bytes_free) / static_cast<double>(disk->bytes);
    const std::string what = std::string(path) + " has " +
                             std::to_string(disk->bytes_free / kMega) + " MB left (" +
                             std::to_string(static_cast<int>(left)) + " %)";
    const auto [remedy, steps] = make_room(probe, path);
    const bool no_files = disk->files > 0 && disk->files_free * 100 < disk->files;
    if (disk->bytes_free < 16 * kMega || no_files) {
      report.problem(no_files ? std::string(path) + " can hold hardly any more files" : what,
                     remedy, steps);
    } else if (disk->bytes_free < 256 * kMega && left < 10) {
      report.warning(what, remedy, steps);
    } else {
      report.fine(what);
    }
  }
  if (!any) {
    report.note("the disk of /var/lib/crossbeat cannot be looked at");
  }
}

void check_resources(const Probe& probe, Report& report) {
  if (!probe.asked().status) {
    report.skipped("the monitor tells nothing");
    return;
  }
  bool fine = true;
  for (const std::string& doubt : view_of(*probe.asked().status).node.doubts) {
    if (doubt.find(" of disk are left ") != std::string::npos) {
      continue;  // the disk has a check of its own
    }
    fine = false;
    report.warning("for a takeover: " + doubt,
                   "end what is not needed; or give it a larger machine");
  }
  if (fine) {
    report.fine("the machine has enough left for a takeover");
  }
}

void check_governor(const Probe& probe, Report& report) {
  const std::string governor =
      shown(probe, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (governor == "powersave" || governor == "conservative") {
    report.note("the processor saves power (" + governor + "): answers come a little later",
                "with the profile fast: cpupower frequency-set -g performance");
  } else {
    report.fine(governor.empty() ? "the processor's speed is not governed here"
                                 : "the processor's governor is " + governor);
  }
}

}  // namespace cb::cli::doctor
