// SPDX-License-Identifier: Apache-2.0
//
// crossbeat resolve-conflict: both nodes serve, and neither has yielded by itself (they do not hear
// each other, or an operator forced one of them). The secondary takes its services and its address
// down in order, ends, and starts again, which makes it ask before it serves. Who goes on is
// decided by the terms, as always: the node that served in the newer one has what was written last.
// Nothing is deleted.
#include <unistd.h>

#include <algorithm>
#include <ostream>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/resolve.h"
#include "cli/status_stream.h"
#include "cli/view.h"

namespace cb::cli {
namespace {

constexpr Duration kLookAgain = Duration::from_ms(200);
constexpr Duration kStartTime = Duration::from_s(60);

int tell(const Context& context, const std::string& text) {
  if (context.options().json) {
    context.print(Json{{"ok", true}, {"text", text}});
  } else {
    context.terminal().out << text << std::endl;
  }
  return kDone;
}

bool is_served_twice(const PairView& pair) {
  return pair.serving &&
         (pair.sub_state == "conflict" || (pair.heartbeat_up && is_in_command(pair.peer_state)));
}

std::string served_by(const StatusView& view) {
  std::string text;
  for (const PairView& pair : view.pairings) {
    if (pair.serving) {
      text += (text.empty() ? "" : ", ") + pair.addresses_text();
    }
  }
  return text;
}

int plan(const Context& context, const StatusView& view) {
  return tell(
      context,
      "crossbeat resolve-conflict would, on this secondary:\n"
      "  1. stop the services and take down " +
          served_by(view) +
          ", in order, and end the monitor\n"
          "  2. start the monitor again, which asks before it serves\n"
          "  3. wait until one of the two serves and the other stands behind it: the one that "
          "served in the newer\n     term goes on\n"
          "Nothing was done.");
}

// Until the monitor of `session` is gone.
bool wait_for_end(const Context& context, const std::string& session, Instant deadline) {
  StatusStream stream(socket_path(context.options().root));
  while (boottime_now() < deadline) {
    const auto status = stream.next(std::min(boottime_now() + kLookAgain, deadline));
    if (status ? view_of(*status).node.session != session : means_not_running(status.error())) {
      return true;
    }
  }
  return false;
}

// Systemd may have started it already; if not, it is asked to.
void start_again(const Context& context) {
  if (context.options().root.empty() && access("/run/systemd/system", F_OK) == 0) {
    // Ignored: whether it runs is what is looked at next.
    (void)run_command({"systemctl", "start", "crossbeat"}, kStartTime);
  }
}

enum class Outcome { Open, Behind, InCommand };

// How it stands between this secondary and one of its primaries.
Outcome outcome_of(const PairView& pair) {
  if (pair.state == "SECONDARY_ACTIVE" && !pair.serving) {
    return Outcome::Behind;
  }
  const bool peer_stands_behind = pair.heartbeat_up && pair.peer_state == "TERMINATED";
  return pair.serving && peer_stands_behind ? Outcome::InCommand : Outcome::Open;
}

int tell_outcome(const Context& context, const StatusView& view) {
  const bool serves = std::any_of(view.pairings.begin(), view.pairings.end(),
                                  [](const PairView& pair) { return pair.serving; });
  return tell(context,
              serves ? "The conflict is over: this secondary had served in the newer term, so it "
                       "goes on and its primary stands behind it.\n"
                       "To return command to the primary: crossbeat failback"
                     : "The conflict is over: this secondary does not serve any more and stands "
                       "behind its primary. Look: crossbeat status");
}

int wait_for_outcome(const Context& context, const std::string& session, Instant deadline) {
  StatusStream stream(socket_path(context.options().root));
  bool seen = false;
  while (boottime_now() < deadline) {
    const auto status = stream.next(std::min(boottime_now() + kLookAgain, deadline));
    if (!status) {
      continue;
    }
    const StatusView view = view_of(*status);
    if (view.node.session == session) {
      continue;
    }
    seen = true;
    if (std::none_of(view.pairings.begin(), view.pairings.end(),
                     [](const PairView& pair) { return outcome_of(pair) == Outcome::Open; })) {
      return tell_outcome(context, view);
    }
  }
  return seen ? context.complain(
                    kTimedOut,
                    "this secondary gave the address up, but has not found out with its "
                    "primary who goes on",
                    "look at the links between the two: crossbeat doctor, on both")
              : context.complain(kTimedOut, "the address is down, and the monitor was not started",
                                 "start it: systemctl start crossbeat");
}

}  // namespace

int resolve_conflict(const Context& context) {
  const auto reply = context.ask(Json{{"verb", "status"}});
  if (!reply) {
    return context.report(reply.error());
  }
  const StatusView view = view_of(*reply);
  if (view.node.primary) {
    return context.complain(kRefused,
                            "this node is the primary; a conflict is ended on the secondary",
                            "run crossbeat resolve-conflict on the secondary");
  }
  const bool serves = std::any_of(view.pairings.begin(), view.pairings.end(),
                                  [](const PairView& pair) { return pair.serving; });
  if (!serves) {
    return tell(context, "There is no conflict: this secondary serves nothing.");
  }
  const bool twice = std::any_of(view.pairings.begin(), view.pairings.end(), is_served_twice);
  if (context.options().dry_run) {
    return plan(context, view);
  }
  if (!twice && !context.options().force) {
    return context.complain(
        kRefused,
        "no conflict is seen: this secondary serves, and no primary is heard that serves as well",
        "make sure that the primary serves; then --force takes the address down here all the same");
  }
  const auto accepted = context.ask(context.request("stop"));
  if (const auto code = context.wrong(accepted)) {
    return *code;
  }
  const Instant deadline = boottime_now() + context.wait_limit();
  if (!wait_for_end(context, view.node.session, deadline)) {
    return context.complain(kTimedOut, "the monitor has not ended yet",
                            "watch it: crossbeat status");
  }
  start_again(context);
  return wait_for_outcome(context, view.node.session, deadline);
}

}  // namespace cb::cli
