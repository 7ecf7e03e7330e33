// SPDX-License-Identifier: Apache-2.0
//
// One connection to the monitor's control socket: a JSON object a line, in both directions. Every
// call has a deadline; a monitor that is stopped or hung costs a timeout, never a stuck terminal.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/instant.h"
#include "base/result.h"
#include "cli/json.h"

namespace cb::cli {

// "<root>/run/crossbeat/control.sock"
std::string socket_path(const std::string& root);

// Errors carry an errno: ENOENT or ECONNREFUSED when no monitor runs, EACCES without privileges,
// ETIMEDOUT, EPIPE when the monitor went away, EPROTO when what it said is no answer.
class Client {
 public:
  static Result<Client> connect(const std::string& path, Instant deadline);

  Result<> send(const Json& request, Instant deadline);
  // The next line, whatever it is about.
  Result<Json> receive(Instant deadline);
  Result<Json> ask(const Json& request, Instant deadline);

 private:
  explicit Client(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
  std::string received_;
};

bool means_not_running(const Error& error);

}  // namespace cb::cli
