// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <ostream>

#include "base/clock.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/gethainfo.h"
#include "cli/getserverinfo.h"
#include "cli/saved.h"
#include "cli/status_stream.h"
#include "cli/status_text.h"
#include "cli/verbs.h"
#include "cli/view.h"

namespace cb::cli {
namespace {

struct Seen {
  std::optional<Json> status;
  int code = kDone;
  Error error;  // when code is not kDone
};

Seen seen_of(const Context& context, const Result<Json>& reply) {
  if (reply && is_ok(*reply)) {
    return {*reply, kDone, {}};
  }
  if (reply) {
    return {std::nullopt, kFailed, fail(EPROTO, text_at(*reply, "error", "status was refused"))};
  }
  Seen seen{std::nullopt, exit_code_of(reply.error()), reply.error()};
  if (seen.code == kNotRunning) {
    seen.status = saved_status(context.options().root);
  }
  return seen;
}

Seen look(const Context& context) {
  return seen_of(context, context.ask(Json{{"verb", "status"}}));
}

// Keeps the pairing that was asked for; false when there is none of that name.
bool narrow(Json& status, const std::string& pairing) {
  if (pairing.empty()) {
    return true;
  }
  Json kept = Json::array();
  if (const Json& all = at(status, "pairings"); all.is_array()) {
    for (const Json& pair : all) {
      if (text_at(pair, "pairing") == pairing) {
        kept.push_back(pair);
      }
    }
  }
  const bool found = !kept.empty() || text_at(at(status, "unpaired"), "pairing") == pairing;
  status["pairings"] = std::move(kept);
  return found;
}

int show(const Context& context, Seen seen, bool one_line) {
  if (!seen.status) {
    return context.report(seen.error);
  }
  if (!narrow(*seen.status, context.options().pairing)) {
    return context.complain(kUsage,
                            "there is no pairing with the primary " + context.options().pairing,
                            "see: crossbeat status");
  }
  if (context.options().json) {
    (*seen.status)["running"] = seen.code == kDone;
    if (one_line) {
      context.terminal().out << to_line(*seen.status) << std::endl;
    } else {
      context.print(*seen.status);
    }
  } else {
    context.terminal().out << status_text(view_of(*seen.status), context.terminal()) << std::flush;
  }
  return seen.code;
}

}  // namespace

int status(const Context& context, const WatchOptions& watch) {
  if (!watch.watch) {
    return show(context, look(context), false);
  }
  int code = kDone;
  StatusStream stream(socket_path(context.options().root));
  for (std::int64_t looks = 0; watch.count == 0 || looks < watch.count; ++looks) {
    Seen seen = seen_of(context, stream.next(boottime_now() + watch.interval));
    if (!context.options().json) {
      if (context.terminal().out_is_terminal) {
        context.terminal().out << "\033[H\033[J";  // top left, and clear
      }
      context.terminal().out << clock_text() << "  (at every change, and every "
                             << to_text(watch.interval) << "; end with Ctrl-C)\n\n";
    }
    code = show(context, std::move(seen), true);
    if (code != kDone && code != kNotRunning && code != kTimedOut) {
      return code;
    }
  }
  return code;
}

int gethainfo(const Context& context) {
  Seen seen = look(context);
  if (seen.code == kNotRunning && !seen.status) {
    seen.status = configured_status(context.options().root);
  }
  if (!seen.status) {
    return context.report(seen.error);
  }
  StatusView view = view_of(*seen.status);
  if (view.node.instance_prefix.empty()) {
    view.node.instance_prefix = instance_prefix(context.options().root);
  }
  if (context.options().json) {
    context.print(*seen.status);
  } else {
    context.terminal().out << gethainfo_text(view, seen.code == kDone) << std::flush;
  }
  return seen.code;
}

int getserverinfo(const Context& context) {
  const Seen seen = look(context);
  if (seen.code == kNotRunning) {
    if (context.options().json) {
      return context.report(seen.error);
    }
    context.terminal().out << "Health Monitor is not running" << std::endl;
    context.terminal().err << "What to do: start it: systemctl start crossbeat\n";
    return seen.code;
  }
  if (!seen.status) {
    return context.report(seen.error);
  }
  const StatusView view = view_of(*seen.status);
  ServerFacts facts = read_server_facts(context.options().root);
  if (!facts.product.info_command.empty() && !is_dormant(view)) {
    const auto output = run_command(facts.product.info_command, Duration::from_s(5));
    if (output && output->code == 0) {
      facts.tail = trim(output->text);
    } else {
      context.terminal().err << "crossbeat: the product's info_command "
                             << (output ? "ended with " + std::to_string(output->code)
                                        : "failed: " + to_text(output.error()))
                             << "\n";
    }
  }
  if (context.options().json) {
    context.print(getserverinfo_json(view, facts));
  } else {
    context.terminal().out << getserverinfo_text(view, facts) << std::flush;
  }
  return kDone;
}

}  // namespace cb::cli
