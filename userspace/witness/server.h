// SPDX-License-Identifier: Apache-2.0
//
// The service on its sockets: one thread, poll(), a UDP socket for nodes and a UNIX socket for the
// operator. Small enough for any old machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace cb::witness {

struct ServerOptions {
  std::string address = "::";  // IPv4 or IPv6; "::" takes both
  std::uint16_t port = 0;
  std::string state;    // folder
  std::string control;  // path of the UNIX socket
};

// Until SIGTERM or SIGINT.
Result<> serve(const ServerOptions& options);

// One command to a running service, and its answer.
Result<std::string> command_service(const std::string& control, const std::string& command);

}  // namespace cb::witness
