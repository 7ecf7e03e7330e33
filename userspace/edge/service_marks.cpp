// SPDX-License-Identifier: Apache-2.0
#include "edge/service_marks.h"

#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "edge/folders.h"

namespace cb::edge {

namespace {

// A mark of an earlier boot says nothing, wherever /run is kept.
std::string boot_id() {
  const auto id = read_all("/proc/sys/kernel/random/boot_id", 64);
  return id ? std::string(trim(*id)) : "unknown";
}

}  // namespace

// A name may hold anything. What could mean something in a path is written as %xx.
std::string file_name_of(const std::string& name) {
  std::string result;
  for (const char c : name) {
    const auto byte = static_cast<std::uint8_t>(c);
    const bool plain = byte > 0x20 && byte != 0x7f && c != '/' && c != '%';
    if (plain && (c != '.' || !result.empty())) {
      result += c;
    } else {
      result += "%" + to_hex(std::span(&byte, 1));
    }
  }
  return result.empty() ? "%" : result;
}

ServiceMarks::ServiceMarks(const std::string& root, const std::string& instance)
    : folder_(under(root, "run/crossbeat/services/" + file_name_of(instance))) {}

std::string ServiceMarks::path_of(const std::string& service) const {
  return folder_ + "/" + file_name_of(service) + ".mark";
}

int ServiceMarks::put(const std::string& service, const service::Process& process) const {
  if (const auto made = make_folders(folder_, 0755); !made) {
    return made.error().code;
  }
  const auto written = write_atomically(path_of(service),
                                        boot_id() + " " + std::to_string(process.pid) + " " +
                                            std::to_string(process.start_time) + "\n",
                                        0644);
  return written ? 0 : written.error().code;
}

int ServiceMarks::remove(const std::string& service) const {
  return unlink(path_of(service).c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

std::map<std::string, service::Process> ServiceMarks::read(
    const std::vector<std::string>& services) const {
  std::map<std::string, service::Process> result;
  const std::string boot = boot_id();
  for (const std::string& service : services) {
    const auto text = read_all(path_of(service), 256);
    if (!text) {
      continue;
    }
    const auto fields = split(trim(*text), ' ');
    if (fields.size() != 3 || fields[0] != boot) {
      continue;
    }
    const auto pid = parse_number(fields[1], 1u << 30);
    const auto start_time = parse_number(fields[2]);
    if (pid && start_time) {
      result[service] = {static_cast<std::int32_t>(*pid), *start_time};
    }
  }
  return result;
}

}  // namespace cb::edge
