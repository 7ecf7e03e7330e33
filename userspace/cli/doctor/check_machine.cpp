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

std::uint64_t leading_number(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    ++digits;
  }
  return parse_number(text.substr(0, digits)).value_or(0);
}

void check_offset(const Probe& probe, Report& report) {
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
    const std::string what = "the clocks of this node and of " +
                             text_at(at(pair, "peer"), "name", "the peer") + " differ by " +
                             age_text(std::fabs(*offset));
    const std::string remedy = "let both follow the same NTP servers: crossbeat setup, on both";
    if (std::fabs(*offset) > kOffsetProblemMs) {
      report.problem(what, remedy);
    } else if (std::fabs(*offset) > kOffsetWarningMs) {
      report.warning(what, remedy);
    } else {
      report.fine(what);
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
  const auto shows = probe.run({"timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized"});
  if (!shows || shows->code != 0) {
    const auto chrony = probe.run({"chronyc", "-n", "tracking"});
    if (chrony && chrony->code == 0 &&
        chrony->text.find("Leap status     : Normal") != std::string::npos) {
      report.fine("the clock follows NTP (chrony)");
    } else {
      report.note("nobody can be asked whether the clock follows NTP");
    }
  } else if (shows->text.find("NTPSynchronized=yes") != std::string::npos) {
    report.fine("the clock follows NTP");
  } else if (shows->text.find("NTP=yes") != std::string::npos) {
    report.warning("NTP is enabled, but the clock is not synchronized",
                   "can its servers be reached? timedatectl timesync-status; other servers: "
                   "crossbeat setup");
  } else {
    report.warning("NTP is not enabled: the clocks of the nodes drift apart",
                   "run crossbeat setup and name NTP servers, on both nodes");
  }
  check_offset(probe, report);
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
    const std::string remedy = std::string("make room: du -xh ") + path +
                               " | sort -h; old logs first (journalctl --vacuum-size=100M)";
    const bool no_files = disk->files > 0 && disk->files_free * 100 < disk->files;
    if (disk->bytes_free < 16 * kMega || no_files) {
      report.problem(no_files ? std::string(path) + " can hold hardly any more files" : what,
                     remedy);
    } else if (disk->bytes_free < 256 * kMega && left < 10) {
      report.warning(what, remedy);
    } else {
      report.fine(what);
    }
  }
  if (!any) {
    report.note("the disk of /var/lib/crossbeat cannot be looked at");
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
