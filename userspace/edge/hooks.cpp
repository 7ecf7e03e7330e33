// SPDX-License-Identifier: Apache-2.0
#include "edge/hooks.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "loop/child.h"

namespace cb::edge {
namespace {

std::string json_of(const StateChange& change, const std::string& hook) {
  const nlohmann::ordered_json json{{"hook", hook},
                                    {"node", change.node},
                                    {"role", change.role},
                                    {"pairing", change.pairing},
                                    {"from", change.from},
                                    {"state", change.to},
                                    {"reason", change.reason},
                                    {"reason_text", change.reason_text},
                                    {"serving", change.serving},
                                    {"term", change.term},
                                    {"addresses", change.addresses},
                                    {"wall", change.wall}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::vector<std::string> environment_of(const StateChange& change, const std::string& hook) {
  std::string addresses;
  for (const std::string& address : change.addresses) {
    addresses += (addresses.empty() ? "" : " ") + address;
  }
  return {"CROSSBEAT_HOOK=" + hook,
          "CROSSBEAT_NODE=" + change.node,
          "CROSSBEAT_ROLE=" + change.role,
          "CROSSBEAT_PAIRING=" + change.pairing,
          "CROSSBEAT_FROM=" + change.from,
          "CROSSBEAT_STATE=" + change.to,
          "CROSSBEAT_REASON=" + change.reason,
          "CROSSBEAT_SERVING=" + std::string(change.serving ? "yes" : "no"),
          "CROSSBEAT_TERM=" + std::to_string(change.term),
          "CROSSBEAT_ADDRESSES=" + addresses,
          "CROSSBEAT_WALL=" + change.wall};
}

}  // namespace

HookEdge::HookEdge(loop::Loop& loop, std::vector<config::Hook> hooks, OnResult on_result)
    : loop_(loop), hooks_(std::move(hooks)), on_result_(std::move(on_result)) {}

HookEdge::~HookEdge() = default;

Result<std::unique_ptr<HookEdge>> HookEdge::open(loop::Loop& loop, std::vector<config::Hook> hooks,
                                                 OnResult on_result) {
  std::unique_ptr<HookEdge> edge(new HookEdge(loop, std::move(hooks), std::move(on_result)));
  if (!edge->hooks_.empty()) {
    CB_TRY(hands, loop::Hands::start(loop, {.name = "cb-hooks", .fifo = {}}));
    edge->hands_ = std::move(hands);
  }
  return edge;
}

void HookEdge::on_change(const StateChange& change) {
  for (std::size_t i = 0; i < hooks_.size(); ++i) {
    const auto& states = hooks_[i].states;
    if (!states.empty() && std::find(states.begin(), states.end(), change.to) == states.end()) {
      continue;
    }
    if (queue_.size() >= kQueueMax) {
      const Waiting& oldest = queue_.front();
      ++dropped_;
      on_result_(oldest.change.pairing, hooks_[oldest.hook].name, EOVERFLOW,
                 "not run: too many hooks wait");
      queue_.pop_front();
    }
    queue_.push_back({i, change});
  }
  if (!running_ && !queue_.empty()) {
    // Not now: this turn may be in the middle of a move.
    running_ = true;
    loop_.post(leash_.guard([this] { run_next(); }));
  }
}

void HookEdge::run_next() {
  if (queue_.empty()) {
    running_ = false;
    return;
  }
  const Waiting next = std::move(queue_.front());
  queue_.pop_front();
  const config::Hook& hook = hooks_[next.hook];
  loop::ChildPlan plan;
  plan.command = hook.command;
  plan.environment = environment_of(next.change, hook.name);
  plan.input = json_of(next.change, hook.name);
  plan.end_group = true;  // nothing that it left running holds up the next
  loop::run_command(
      loop_, *hands_, std::move(plan), boottime_now() + hook.within,
      [name = hook.name](std::string_view line) {
        log_info("hook %s: %.*s", name.c_str(), static_cast<int>(line.size()), line.data());
      },
      leash_.guard([this, pairing = next.change.pairing, name = hook.name](
                       int error, const std::string& text) {
        const auto alive = leash_.sight();
        on_result_(pairing, name, error, text);
        if (!alive.expired()) {
          run_next();
        }
      }));
}

}  // namespace cb::edge
