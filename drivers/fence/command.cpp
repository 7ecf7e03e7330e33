// SPDX-License-Identifier: Apache-2.0
#include "drivers/fence/command.h"

#include <utility>

#include "base/log.h"
#include "loop/child.h"

namespace cb::fence {

Command::Command(loop::Loop& loop, loop::Hands& hands, std::vector<std::string> command)
    : loop_(loop), hands_(hands), command_(std::move(command)) {}

void Command::start(const Target& target, Instant deadline,
                    std::function<void(int error, const std::string& text)> done) {
  loop::ChildPlan plan;
  plan.command = command_;
  plan.environment = {"CROSSBEAT_PEER_NAME=" + target.peer_name,
                      "CROSSBEAT_PEER_ADDRESS=" + target.peer_address,
                      "CROSSBEAT_PAIRING=" + target.pairing, "CROSSBEAT_REASON=" + target.reason};
  loop::run_command(
      loop_, hands_, std::move(plan), deadline,
      [](std::string_view line) {
        log_info("fence: %.*s", static_cast<int>(line.size()), line.data());
      },
      std::move(done));
}

}  // namespace cb::fence
