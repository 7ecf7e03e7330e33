// SPDX-License-Identifier: Apache-2.0
#include "cli/server_facts.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <utmp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/file.h"
#include "base/text.h"
#include "cli/json.h"
#include "cli/zone.h"
#include "config/config.h"
#include "config/defaults.h"

namespace cb::cli {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;

std::int64_t kilobytes_of(const std::string& meminfo, std::string_view key) {
  for (const std::string_view line : split(meminfo, '\n')) {
    if (line.starts_with(key)) {
      const std::string_view rest = trim(line.substr(key.size()));
      return static_cast<std::int64_t>(parse_number(rest.substr(0, rest.find(' '))).value_or(0));
    }
  }
  return 0;
}

void read_memory(const std::string& root, ServerFacts& facts) {
  const std::string text = read_all(root + "/proc/meminfo", kFileBytesMax)
                               .value_or(read_all("/proc/meminfo", kFileBytesMax).value_or(""));
  const std::int64_t total = kilobytes_of(text, "MemTotal:");
  facts.max_mb = total / 1024;
  facts.used_mb = (total - kilobytes_of(text, "MemAvailable:")) / 1024;
  facts.allocated_mb = (total - kilobytes_of(text, "MemFree:")) / 1024;
}

void read_disk(const std::string& root, ServerFacts& facts) {
  struct statvfs disk {};
  const std::string state = root + "/var/lib/crossbeat";
  if (statvfs(state.c_str(), &disk) == 0 || statvfs((root + "/").c_str(), &disk) == 0) {
    facts.disk_mb =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(disk.f_blocks) * disk.f_frsize >> 20);
  }
}

std::string address_of(const utmp& entry) {
  const auto& words = entry.ut_addr_v6;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (words[0] == 0 && words[1] == 0 && words[2] == 0 && words[3] == 0) {
    return "local";
  }
  const bool v4 = words[1] == 0 && words[2] == 0 && words[3] == 0;
  inet_ntop(v4 ? AF_INET : AF_INET6, &words[0], text.data(), text.size());
  return text.data();
}

void read_sessions(const std::string& root, ServerFacts& facts) {
  const std::string bytes = read_all(root + "/run/utmp", kFileBytesMax).value_or("");
  const std::string devices = root + "/dev/";
  for (std::size_t at = 0; at + sizeof(utmp) <= bytes.size(); at += sizeof(utmp)) {
    utmp entry{};
    std::memcpy(&entry, bytes.data() + at, sizeof entry);
    if (entry.ut_type != USER_PROCESS) {
      continue;
    }
    Session session;
    session.id = entry.ut_pid;
    session.address = address_of(entry);
    session.started_s = entry.ut_tv.tv_sec;
    session.last_access_s = session.started_s;
    const std::string user(entry.ut_user, strnlen(entry.ut_user, sizeof entry.ut_user));
    if (const passwd* known = getpwnam(user.c_str())) {
      session.user = known->pw_uid;
    }
    const std::string line(entry.ut_line, strnlen(entry.ut_line, sizeof entry.ut_line));
    struct stat terminal {};
    if (line.find("..") == std::string::npos && stat((devices + line).c_str(), &terminal) == 0) {
      session.last_access_s = std::max<std::int64_t>(session.started_s, terminal.st_atim.tv_sec);
    }
    facts.sessions.push_back(std::move(session));
  }
}

// The SNMP agent's own configuration is where traps of this machine go.
void read_traps(const std::string& root, ServerFacts& facts) {
  const std::string path = root + "/etc/snmp/snmpd.conf";
  struct stat file {};
  const auto text = read_all(path, kFileBytesMax);
  if (!text || stat(path.c_str(), &file) != 0) {
    return;
  }
  for (const std::string_view line : split(*text, '\n')) {
    std::vector<std::string_view> words;
    for (const std::string_view word : split(trim(line), ' ')) {
      if (!trim(word).empty()) {
        words.push_back(trim(word));
      }
    }
    if (words.size() >= 2 &&
        (words[0] == "trapsink" || words[0] == "trap2sink" || words[0] == "informsink")) {
      facts.traps.push_back({harmless(words[1]), file.st_mtim.tv_sec});
    }
  }
}

void read_configuration(const std::string& root, ServerFacts& facts) {
  const auto machine = config::read_machine_facts();
  if (!machine) {
    return;
  }
  // Its names are good to show also when another line of the file is wrong.
  const config::Node node = config::load_node(root, *machine).value;
  facts.product = node.product;
  facts.services = node.services;
  facts.log_level = node.log_level;
}

}  // namespace

ServerFacts read_server_facts(const std::string& root) {
  ServerFacts facts;
  facts.now_s = time(nullptr);
  facts.timezone = zone_name(root);
  read_memory(root, facts);
  read_disk(root, facts);
  read_sessions(root, facts);
  read_traps(root, facts);
  read_configuration(root, facts);
  return facts;
}

}  // namespace cb::cli
