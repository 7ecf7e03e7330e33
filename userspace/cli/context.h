// SPDX-License-Identifier: Apache-2.0
//
// What every verb needs: the options that all share, the terminal, and the one way to ask the
// monitor and to report what went wrong.
#pragma once

#include <optional>
#include <string>

#include "cli/client.h"
#include "cli/exit_code.h"
#include "cli/terminal.h"

namespace cb::cli {

struct Options {
  std::string root;  // "" for /
  bool json = false;
  bool dry_run = false;
  bool force = false;
  bool no_wait = false;
  bool accept_loss = false;
  std::string pairing;  // health-monitor address of the primary; empty: the only one
  std::optional<Duration> timeout;
};

class Context {
 public:
  Context(Options options, const Terminal& terminal)
      : options_(std::move(options)), terminal_(terminal) {}

  const Options& options() const { return options_; }
  const Terminal& terminal() const { return terminal_; }

  // How long one answer may take, and how long a move may take.
  Instant answer_deadline(Duration otherwise = Duration::from_s(5)) const;
  Duration wait_limit() const;

  // {"verb": verb, "pairing": ...} with what the options say.
  Json request(std::string_view verb) const;
  Result<Client> connect() const;
  Result<Json> ask(const Json& request) const;

  // Each prints (to err, or as JSON to out with --json) and returns the exit code.
  int report(const Error& error) const;  // the monitor could not be asked
  int refused(const Json& reply) const;  // it said no
  int complain(int code, const std::string& what, const std::string& next = "") const;
  // Nothing: the monitor did as it was asked. Else it was reported, or told that it refused.
  std::optional<int> wrong(const Result<Json>& reply) const;
  // ... or the reply is printed, with --json: nothing remains to be said.
  std::optional<int> settled(const Result<Json>& reply) const;

  // Prints a reply as it came, for --json.
  void print(const Json& reply) const;

 private:
  Options options_;
  const Terminal& terminal_;
};

// Is this reply a success?
bool is_ok(const Json& reply);

// The code to exit with after an error of Client's.
int exit_code_of(const Error& error);

}  // namespace cb::cli
