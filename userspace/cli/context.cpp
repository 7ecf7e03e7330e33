// SPDX-License-Identifier: Apache-2.0
#include "cli/context.h"

#include <cerrno>
#include <ostream>

#include "base/clock.h"

namespace cb::cli {

Instant Context::answer_deadline(Duration otherwise) const {
  return boottime_now() + options_.timeout.value_or(otherwise);
}

Duration Context::wait_limit() const { return options_.timeout.value_or(Duration::from_s(120)); }

Json Context::request(std::string_view verb) const {
  Json request{{"verb", verb}};
  if (!options_.pairing.empty()) {
    request["pairing"] = options_.pairing;
  }
  if (options_.dry_run) {
    request["dry_run"] = true;
  }
  if (options_.force) {
    request["force"] = true;
  }
  if (options_.accept_loss) {
    request["accept_loss"] = true;
  }
  return request;
}

Result<Client> Context::connect() const {
  return Client::connect(socket_path(options_.root), answer_deadline());
}

Result<Json> Context::ask(const Json& request) const {
  CB_TRY(client, connect());
  return client.ask(request, answer_deadline());
}

int exit_code_of(const Error& error) {
  if (means_not_running(error)) {
    return kNotRunning;
  }
  switch (error.code) {
    case EACCES:
    case EPERM: return kPrivileges;
    case ETIMEDOUT: return kTimedOut;
    default: return kFailed;
  }
}

int Context::report(const Error& error) const {
  const int code = exit_code_of(error);
  switch (code) {
    case kNotRunning:
      return complain(code, "the health monitor is not running",
                      "start it: systemctl start crossbeat (its log: journalctl -u crossbeat)");
    case kPrivileges:
      return complain(code, "only root may speak to the health monitor", "try again with sudo");
    case kTimedOut:
      return complain(code, "the health monitor does not answer; it is stopped, or hangs",
                      "look at it: systemctl status crossbeat");
    default: return complain(code, to_text(error), "see: journalctl -u crossbeat");
  }
}

int Context::refused(const Json& reply) const {
  if (options_.json) {
    print(reply);
  } else {
    terminal_.err << "crossbeat: "
                  << text_at(reply, "error", "the monitor refused without a reason") << "\n";
    if (const std::string next = text_at(reply, "next"); !next.empty()) {
      terminal_.err << "What to do: " << next << "\n";
    }
  }
  const std::int64_t code = whole_at(reply, "code").value_or(kFailed);
  return code >= kFailed && code <= kPrivileges ? static_cast<int>(code) : kFailed;
}

int Context::complain(int code, const std::string& what, const std::string& next) const {
  if (options_.json) {
    print(Json{{"ok", false}, {"error", what}, {"next", next}, {"code", code}});
  } else {
    terminal_.err << "crossbeat: " << what << "\n";
    if (!next.empty()) {
      terminal_.err << "What to do: " << next << "\n";
    }
  }
  return code;
}

std::optional<int> Context::wrong(const Result<Json>& reply) const {
  if (!reply) {
    return report(reply.error());
  }
  return is_ok(*reply) ? std::nullopt : std::optional(refused(*reply));
}

std::optional<int> Context::settled(const Result<Json>& reply) const {
  if (const auto code = wrong(reply)) {
    return code;
  }
  if (!options_.json) {
    return std::nullopt;
  }
  print(*reply);
  return kDone;
}

void Context::print(const Json& reply) const { terminal_.out << to_pretty(reply) << "\n"; }

bool is_ok(const Json& reply) { return flag_at(reply, "ok"); }

}  // namespace cb::cli
