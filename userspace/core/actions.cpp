// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/check.h"
#include "core/work.h"

namespace cb::core {

ActionId start(Work& w, ActionKind kind, Duration deadline) noexcept {
  Action a;
  a.kind = kind;
  a.id = w.s.next_action++;
  a.deadline = deadline;
  w.actions.push(a);
  return a.id;
}

void report(Work& w, Report what, uint64_t value, Reason reason) noexcept {
  // An entry of the log is never worth a crash: under a flood of reasons the last ones are left
  // out.
  if (w.actions.size() + 4 > Actions::kCapacity) {
    return;
  }
  const ActionId id = start(w, ActionKind::Report, Duration{});
  Action& a = w.actions.back();
  CB_CHECK(a.id == id);
  a.report = what;
  a.value = value;
  a.reason = reason;
}

void refuse(Work& w, Reason why) noexcept {
  report(w, Report::OperatorRefused, static_cast<uint64_t>(why), why);
}

void become(Work& w, StateName name, SubState sub, Reason reason) noexcept {
  if (w.s.name != name) {
    const auto from = static_cast<uint64_t>(w.s.name);
    report(w, Report::StateChanged, from << 8 | static_cast<uint64_t>(name), reason);
    w.s.since = w.now;
  }
  w.s.name = name;
  w.s.sub = sub;
  w.s.reason = reason;
}

void announce_again(Work& w) noexcept {
  start(w, ActionKind::Announce, w.s.settings.action_deadline);
}

uint64_t next_term(const State& s) noexcept {
  const uint64_t seen = std::max(s.term, s.peer.boot != 0 ? s.peer.term : 0);
  return (((seen >> 1) + 1) << 1) | static_cast<uint64_t>(s.settings.role);
}

}  // namespace cb::core
