// SPDX-License-Identifier: Apache-2.0
//
// crossbeat volume verify: asks the volume's process, through the monitor, to compare both images,
// and waits for what it finds. It goes on without us; who asks again sees how far it is.
#include <ostream>

#include "base/clock.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/volume_text.h"
#include "cli/volume_wait.h"

namespace cb::cli {
namespace {

const Json& verify_of(const PairView& pair) { return at(at(pair.volume, "detail"), "verify"); }

int told(const Context& context, const Json& verify) {
  const std::string result = text_at(verify, "result", "none");
  const std::string text = text_at(verify, "text");
  if (context.options().json) {
    context.print(Json{{"ok", result == "same"}, {"verify", verify}});
  }
  const bool quiet = context.options().json;
  if (result == "same") {
    if (!quiet) {
      context.terminal().out << "The same on both nodes: "
                             << bytes_text(number_at(verify, "bytes_done").value_or(0))
                             << " were read on each and compared.\n";
    }
    return kDone;
  }
  if (result == "different") {
    if (!quiet) {
      context.terminal().out
          << "DIFFERENT: " << text << ".\n"
          << "Nothing was changed. What is written anew becomes the same. Else choose: the node "
             "in\n"
             "command is right (check its file system), then run on the other one:\n"
             "  crossbeat resync --full\n";
    }
    return kFailed;
  }
  if (!quiet) {
    context.terminal().err << (result == "incomplete"
                                   ? "crossbeat: " + text + "\n"
                                   : "crossbeat: the volume's process was started anew, or "
                                     "command moved: nothing was compared\n")
                           << "begin again: crossbeat volume verify\n";
  }
  return kTimedOut;
}

void show(const Context& context, const Json& verify) {
  if (context.options().json || !context.terminal().out_is_terminal) {
    return;
  }
  context.terminal().out << "\rcompared " << bytes_text(number_at(verify, "bytes_done").value_or(0))
                         << " of " << bytes_text(number_at(verify, "bytes").value_or(0)) << ", "
                         << number_at(verify, "permille").value_or(0) / 10 << " %   " << std::flush;
}

int wait_for_it(const Context& context) {
  const Instant give_up =
      context.options().timeout ? boottime_now() + *context.options().timeout : Instant::never();
  return wait_for_volume(context, give_up, "see: crossbeat volume status",
                         [&](const StatusView&, const PairView* pair) -> std::optional<int> {
                           const Json verify = pair == nullptr ? Json() : verify_of(*pair);
                           show(context, verify);
                           if (flag_at(verify, "running")) {
                             return std::nullopt;
                           }
                           if (!context.options().json && context.terminal().out_is_terminal) {
                             context.terminal().out << "\n";
                           }
                           return told(context, verify);
                         });
}

}  // namespace

int volume_verify(const Context& context, const VolumeVerify& wanted) {
  if (wanted.offline) {
    return volume_check(context);
  }
  const auto status = context.ask(context.request("status"));
  if (!status && !wanted.stop) {
    return exit_code_of(status.error()) == kNotRunning ? volume_check(context)
                                                       : context.report(status.error());
  }
  if (status) {
    const StatusView view = view_of(*status);
    const PairView* pair = with_volume(view, context.options().pairing);
    if (pair != nullptr && !flag_at(pair->volume, "running") && !wanted.stop) {
      return volume_check(context);
    }
  }
  Json request = context.request("volume");
  request["action"] = wanted.stop ? "end-verify" : "verify";
  const auto reply = context.ask(request);
  if (const auto code = context.wrong(reply)) {
    return *code;
  }
  if (wanted.stop || context.options().no_wait) {
    if (context.options().json) {
      context.print(*reply);
    } else {
      context.terminal().out << (wanted.stop
                                     ? "It is ended.\n"
                                     : "Begun. See how far it is: crossbeat volume status\n");
    }
    return kDone;
  }
  return wait_for_it(context);
}

}  // namespace cb::cli
