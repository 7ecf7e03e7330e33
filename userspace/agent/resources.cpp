// SPDX-License-Identifier: Apache-2.0
#include "agent/resources.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"

namespace cb::agent {
namespace {

constexpr std::uint64_t kMemoryLeastMb = 256;
constexpr std::uint64_t kDiskLeastMb = 200;
constexpr std::size_t kProcMax = 16 << 10;

std::string percent_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? "" : " (" + std::to_string(100 * part / whole) + " %)";
}

}  // namespace

void take_meminfo(Resources& resources, std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    std::string_view value = trim(line.substr(colon + 1));
    value = value.substr(0, value.find(' '));
    const std::uint64_t mb = parse_number(value).value_or(0) / 1024;
    if (line.starts_with("MemTotal:")) {
      resources.memory_total_mb = mb;
    } else if (line.starts_with("MemAvailable:")) {
      resources.memory_available_mb = mb;
    }
  }
}

void take_loadavg(Resources& resources, std::string_view text) {
  resources.load = std::strtod(std::string(text.substr(0, text.find(' '))).c_str(), nullptr);
}

Resources read_resources(const std::string& root) {
  Resources resources;
  take_meminfo(resources, read_all("/proc/meminfo", kProcMax).value_or(""));
  take_loadavg(resources, read_all("/proc/loadavg", kProcMax).value_or(""));
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  resources.processors = processors > 0 ? static_cast<unsigned>(processors) : 0;
  struct statvfs disk {};
  if (statvfs((root + "/var/lib/crossbeat").c_str(), &disk) == 0) {
    resources.disk_total_mb = disk.f_blocks * disk.f_frsize >> 20U;
    resources.disk_free_mb = disk.f_bavail * disk.f_frsize >> 20U;
  }
  return resources;
}

std::vector<std::string> doubts_about(const Resources& r) {
  std::vector<std::string> doubts;
  if (r.memory_total_mb > 0 &&
      (r.memory_available_mb < kMemoryLeastMb || r.memory_available_mb * 10 < r.memory_total_mb)) {
    doubts.push_back("only " + std::to_string(r.memory_available_mb) + " MB of memory are left" +
                     percent_of(r.memory_available_mb, r.memory_total_mb) +
                     ": an instance may not start; see what takes it with: ps aux --sort -rss");
  }
  if (r.processors > 0 && r.load > 2.0 * r.processors) {
    char load[32];
    snprintf(load, sizeof load, "%.1f", r.load);
    doubts.push_back("the load is " + std::string(load) + " on " + std::to_string(r.processors) +
                     " processors: services will be slow; see what runs with: top");
  }
  if (r.disk_total_mb > 0 &&
      (r.disk_free_mb < kDiskLeastMb || r.disk_free_mb * 20 < r.disk_total_mb)) {
    doubts.push_back("only " + std::to_string(r.disk_free_mb) +
                     " MB of disk are left below /var/lib/crossbeat" +
                     percent_of(r.disk_free_mb, r.disk_total_mb) +
                     ": make room, or a service that writes will fail");
  }
  return doubts;
}

Json to_json(const Resources& r) {
  return Json{{"memory_total_mb", r.memory_total_mb},
              {"memory_available_mb", r.memory_available_mb},
              {"load", r.load},
              {"processors", r.processors},
              {"disk_total_mb", r.disk_total_mb},
              {"disk_free_mb", r.disk_free_mb},
              {"pairings", r.pairings},
              {"serving_now", r.serving_now},
              {"doubts", doubts_about(r)}};
}

}  // namespace cb::agent
