// SPDX-License-Identifier: Apache-2.0
//
// What the set-up wizard wants to know. The same struct describes what holds now (the defaults in
// brackets) and what was answered.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace cb::cli::setup {

struct Port {  // an Ethernet interface
  std::string name;
  std::string address;  // "10.10.10.12"; empty: not configured
  std::string mask;     // "255.255.255.0"
  bool operator==(const Port&) const = default;
};

struct Answers {
  std::string host_name;
  std::string domain;
  bool secondary = false;
  std::string hm_interface;
  std::string direct_interface = "none";
  std::string virtual_address;  // primary only
  std::string virtual_mask;
  bool recovery = false;
  std::vector<Port> ports;  // all of the machine, in order
  std::string gateway;
  std::vector<std::string> dns;
  std::string timezone = "UTC";
  bool ntp = false;
  std::vector<std::string> ntp_servers;

  const Port* port(const std::string& name) const;
  bool operator==(const Answers&) const = default;
};

enum class Choice : unsigned char { Yes, Skip, Default };

// What was chosen for each section ("host", "domain", "ha", "eth0", "dns", "time", "ntp"); a
// section that is not here, or skipped, stays as it is on the machine.
using Choices = std::map<std::string, Choice>;

bool is_skipped(const Choices& choices, const std::string& section);

}  // namespace cb::cli::setup
