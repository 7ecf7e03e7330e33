// SPDX-License-Identifier: Apache-2.0
//
// What getserverinfo tells besides the monitor's status: the machine, who is logged in, where
// traps go, and what the configuration says of the product.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/ir.h"

namespace cb::cli {

struct Session {
  std::int64_t id = 0;    // the process of the session's leader
  std::int64_t user = 0;  // uid
  std::string address;    // "local" for a console
  std::int64_t started_s = 0;
  std::int64_t last_access_s = 0;
};

struct TrapDestination {
  std::string address;
  std::int64_t updated_s = 0;
};

struct ServerFacts {
  std::int64_t now_s = 0;
  std::string timezone;  // "Europe/Brussels"
  std::int64_t used_mb = 0;
  std::int64_t allocated_mb = 0;  // used, and what the kernel caches
  std::int64_t max_mb = 0;
  std::int64_t disk_mb = 0;  // of the file system of /var/lib/crossbeat
  std::vector<Session> sessions;
  std::vector<TrapDestination> traps;
  config::Product product;
  std::vector<config::Service> services;
  std::string log_level = "info";
  std::string tail;  // the product's own lines; filled in by the caller
};

// Blocks for a few file reads. What cannot be read is left at its default.
ServerFacts read_server_facts(const std::string& root);

}  // namespace cb::cli
