// SPDX-License-Identifier: Apache-2.0
//
// restart and stop: the monitor accepts and ends. A restart keeps everything standing (programs,
// address, lease); who starts the new process is systemd.
#include <algorithm>
#include <ostream>

#include "base/clock.h"
#include "cli/status_stream.h"
#include "cli/verbs.h"
#include "cli/view.h"

namespace cb::cli {
namespace {

constexpr Duration kLookAgain = Duration::from_ms(200);

int accept(const Context& context, const char* verb, std::string* session) {
  auto client = context.connect();
  if (!client) {
    return context.report(client.error());
  }
  const auto status = client->ask(Json{{"verb", "status"}}, context.answer_deadline());
  if (!status) {
    return context.report(status.error());
  }
  *session = view_of(*status).node.session;
  const auto reply = client->ask(context.request(verb), context.answer_deadline());
  return context.wrong(reply).value_or(kDone);
}

int done(const Context& context, const std::string& text) {
  if (context.options().json) {
    context.print(Json{{"ok", true}, {"text", text}});
  } else {
    context.terminal().out << text << std::endl;
  }
  return kDone;
}

}  // namespace

int restart(const Context& context) {
  std::string before;
  if (const int code = accept(context, "restart", &before); code != kDone) {
    return code;
  }
  if (context.options().dry_run) {
    return done(
        context,
        "Would ask the peer for a long grant and end the monitor; address and programs stay. "
        "Nothing was done.");
  }
  if (context.options().no_wait) {
    return done(context, "Accepted.");
  }
  const Instant deadline = boottime_now() + context.wait_limit();
  StatusStream stream(socket_path(context.options().root));
  bool ended = false;
  while (boottime_now() < deadline) {
    const auto status = stream.next(std::min(boottime_now() + kLookAgain, deadline));
    if (status && view_of(*status).node.session != before) {
      return done(context, "The monitor was restarted; the address stayed where it was.");
    }
    ended = ended || !status;
  }
  return ended ? context.complain(kTimedOut, "the monitor has ended, and nobody started it again",
                                  "start it: systemctl start crossbeat")
               : context.complain(kTimedOut, "the monitor has not ended yet",
                                  "look at it: systemctl status crossbeat");
}

int stop(const Context& context) {
  std::string before;
  if (const int code = accept(context, "stop", &before); code != kDone) {
    return code;
  }
  if (context.options().dry_run) {
    return done(context,
                "Would hand command over if this node has it, or say goodbye as standby, and end. "
                "Nothing was done.");
  }
  if (context.options().no_wait) {
    return done(context, "Accepted.");
  }
  const Instant deadline = boottime_now() + context.wait_limit();
  StatusStream stream(socket_path(context.options().root));
  while (boottime_now() < deadline) {
    const auto status = stream.next(std::min(boottime_now() + kLookAgain, deadline));
    if (!status && means_not_running(status.error())) {
      return done(context, "The monitor has stopped.");
    }
    if (status && view_of(*status).node.session != before) {
      return context.complain(kFailed, "the monitor stopped, but it was started again",
                              "to keep it down: systemctl stop crossbeat");
    }
  }
  return context.complain(kTimedOut, "the monitor has not ended yet", "watch it: crossbeat status");
}

}  // namespace cb::cli
