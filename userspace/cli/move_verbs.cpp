// SPDX-License-Identifier: Apache-2.0
//
// Verbs that move command from one node to the other, and maintenance. The monitor answers when it
// has accepted; the rest is watched here, look by look, until it has happened.
#include <algorithm>
#include <ostream>

#include "base/clock.h"
#include "cli/status_stream.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "config/duration.h"

namespace cb::cli {
namespace {

// What changes on the peer alone is not announced by our monitor: look again after this.
constexpr Duration kLookAgain = Duration::from_ms(200);
constexpr Duration kPeerSpeaksWithin = Duration::from_s(2);

const char* verb_of(Move move) {
  switch (move) {
    case Move::Switchover: return "switchover";
    case Move::Failover: return "failover";
    case Move::Failback: return "failback";
  }
  return "?";
}

// The instance that the options name, or the only one.
const PairView* chosen(const StatusView& view, const std::string& pairing) {
  const auto instances = view.instances();
  if (pairing.empty()) {
    return instances.size() == 1 ? instances.front() : nullptr;
  }
  const auto found = std::find_if(instances.begin(), instances.end(),
                                  [&](const PairView* p) { return p->pairing == pairing; });
  return found == instances.end() ? nullptr : *found;
}

int print_plan(const Context& context, const std::string& verb, const Json& plan) {
  const std::string refused = text_at(plan, "refused");
  if (context.options().json) {
    context.print(plan);
    return refused.empty() ? kDone : kRefused;
  }
  std::ostream& out = context.terminal().out;
  if (const Json& loss = at(plan, "loss"); loss.is_object()) {
    out << "It would lose " << text_at(loss, "text") << ".\n";
  }
  if (!refused.empty()) {
    out << "crossbeat " << verb << " would be refused: " << refused << "\n";
    return kRefused;
  }
  out << "crossbeat " << verb << " would, on this node:\n";
  int number = 0;
  for (const std::string& rung : texts_at(plan, "would")) {
    out << "  " << ++number << ". " << rung << "\n";
  }
  if (number == 0) {
    out << "  ask the peer; nothing is done here at once\n";
  }
  if (const std::string then = text_at(plan, "then"); !then.empty()) {
    out << "and then be " << then << " (" << text_at(plan, "then_sub_state", "?") << ")\n";
  }
  out << "Nothing was done.\n";
  return kDone;
}

// A peer that was heard a moment ago says with its next heartbeat what it is: that is waited for.
Result<Json> ask_for(const Context& context, Client& client, const Json& request) {
  const Instant patience = boottime_now() + kPeerSpeaksWithin;
  StatusStream stream(socket_path(context.options().root));
  while (true) {
    auto reply = client.ask(request, context.answer_deadline());
    if (!reply || text_at(*reply, "reason") != "peer-unheard" || boottime_now() >= patience) {
      return reply;
    }
    static_cast<void>(stream.next(std::min(boottime_now() + kLookAgain, patience)));
  }
}

class Watcher {
 public:
  Watcher(const Context& context, Move move, std::string me, PairView before)
      : context_(context),
        move_(move),
        me_(std::move(me)),
        before_(std::move(before)),
        began_(boottime_now()),
        deadline_(began_ + context.wait_limit()) {}

  int run() {
    tell(progress_line(before_));
    StatusStream stream(socket_path(context_.options().root));
    while (true) {
      const auto reply = stream.next(std::min(boottime_now() + kLookAgain, deadline_));
      if (reply && is_ok(*reply)) {
        if (const auto code = look(*reply)) {
          return *code;
        }
      } else {
        // A monitor that restarts comes back; until the deadline this is no end.
        tell("the health monitor does not answer");
      }
      if (boottime_now() >= deadline_) {
        return end("timed out", kTimedOut,
                   "it is not over after " + age_text(elapsed_ms()) + "; it goes on in the monitor",
                   "watch it: crossbeat status --watch");
      }
    }
  }

 private:
  double elapsed_ms() const { return static_cast<double>((boottime_now() - began_).as_ns()) / 1e6; }

  void tell(const std::string& line) {
    if (line == last_line_ || context_.options().json) {
      return;
    }
    last_line_ = line;
    context_.terminal().out << clock_text() << "  " << line << std::endl;
  }

  std::optional<int> look(const Json& reply) {
    const StatusView view = view_of(reply);
    const PairView* now = chosen(view, before_.pairing);
    if (now == nullptr) {
      return end("failed", kFailed, "the pairing is gone", "see: crossbeat events");
    }
    state_ = now->state;
    happened_ = happened_ || now->state != before_.state || now->sub_state != before_.sub_state ||
                now->serving != before_.serving;
    tell(progress_line(*now));
    const Progress progress = judge(move_, me_, before_, *now, elapsed_ms(), happened_);
    switch (progress.kind) {
      case Progress::Kind::Going: return std::nullopt;
      case Progress::Kind::Done: return end("done", kDone, progress.text, "");
      case Progress::Kind::Failed:
        return end("failed", kFailed, progress.text, "see: crossbeat events");
    }
    return std::nullopt;
  }

  int end(const char* outcome, int code, const std::string& text, const std::string& next) {
    if (context_.options().json) {
      context_.print(Json{{"ok", code == kDone},
                          {"outcome", outcome},
                          {"text", text},
                          {"state", state_},
                          {"elapsed_ms", elapsed_ms()},
                          {"code", code}});
    } else if (code == kDone) {
      context_.terminal().out << "Done after " << age_text(elapsed_ms()) << ": " << text << "."
                              << std::endl;
    } else {
      context_.complain(code, text, next);
    }
    return code;
  }

  const Context& context_;
  Move move_;
  std::string me_;
  PairView before_;
  Instant began_;
  Instant deadline_;
  bool happened_ = false;
  std::string state_;
  std::string last_line_;
};

bool every_instance_follows(const Context& context, bool maintenance) {
  const Instant deadline = boottime_now() + context.wait_limit();
  StatusStream stream(socket_path(context.options().root));
  do {
    const auto status = stream.next(std::min(boottime_now() + kLookAgain, deadline));
    if (status) {
      const StatusView view = view_of(*status);
      const auto instances = view.instances();
      if (std::all_of(instances.begin(), instances.end(),
                      [&](const PairView* pair) { return pair->maintenance == maintenance; })) {
        return true;
      }
    }
  } while (boottime_now() < deadline);
  return false;
}

}  // namespace

int move(const Context& context, Move wanted) {
  const std::string verb = verb_of(wanted);
  auto client = context.connect();
  if (!client) {
    return context.report(client.error());
  }
  const auto status = client->ask(Json{{"verb", "status"}}, context.answer_deadline());
  if (!status) {
    return context.report(status.error());
  }
  const StatusView view = view_of(*status);
  const PairView* before = chosen(view, context.options().pairing);
  // Without a choice the monitor itself says what is wrong.
  const auto reply = ask_for(context, *client, context.request(verb));
  if (const auto code = context.wrong(reply)) {
    return *code;
  }
  if (context.options().dry_run) {
    return print_plan(context, verb, *reply);
  }
  if (context.options().no_wait || before == nullptr) {
    if (context.options().json) {
      context.print(*reply);
    } else {
      context.terminal().out << "Accepted. Watch it: crossbeat status --watch" << std::endl;
    }
    return kDone;
  }
  return Watcher(context, wanted, view.node.name, *before).run();
}

int maintenance(const Context& context, bool on, std::optional<Duration> length) {
  Json request = context.request("maintenance");
  request["on"] = on;
  if (length) {
    request["seconds"] = std::max<std::int64_t>(1, length->as_s());
  }
  auto client = context.connect();
  if (!client) {
    return context.report(client.error());
  }
  const auto reply = client->ask(request, context.answer_deadline());
  if (const auto code = context.wrong(reply)) {
    return *code;
  }
  const std::string what =
      on ? "Maintenance is on" +
               (length ? " for " + config::duration_text(*length) : std::string()) +
               ": nothing moves by itself. End it: crossbeat maintenance off"
         : "Maintenance is off.";
  if (context.options().dry_run) {
    context.terminal().out << "Would be: " << what << "\nNothing was done." << std::endl;
    return kDone;
  }
  if (!context.options().no_wait && !every_instance_follows(context, on)) {
    return context.complain(kTimedOut, "the monitor has accepted, but not every instance follows",
                            "see: crossbeat status");
  }
  if (context.options().json) {
    context.print(*reply);
  } else {
    context.terminal().out << what << std::endl;
  }
  return kDone;
}

}  // namespace cb::cli
