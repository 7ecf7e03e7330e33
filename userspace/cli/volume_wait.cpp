// SPDX-License-Identifier: Apache-2.0
#include "cli/volume_wait.h"

#include <algorithm>

#include "base/clock.h"
#include "cli/status_stream.h"
#include "cli/volume_text.h"

namespace cb::cli {
namespace {

constexpr Duration kLookEvery = Duration::from_ms(300);

}  // namespace

int wait_for_volume(
    const Context& context, Instant give_up, const std::string& then,
    const std::function<std::optional<int>(const StatusView&, const PairView*)>& look) {
  StatusStream stream(socket_path(context.options().root));
  while (true) {
    const auto status = stream.next(std::min(boottime_now() + kLookEvery, give_up));
    if (!status) {
      return context.report(status.error());
    }
    const StatusView view = view_of(*status);
    if (const auto code = look(view, with_volume(view, context.options().pairing))) {
      return *code;
    }
    if (boottime_now() >= give_up) {
      return context.complain(kTimedOut, "it is not done yet, and goes on", then);
    }
  }
}

}  // namespace cb::cli
