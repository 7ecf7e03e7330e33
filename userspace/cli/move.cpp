// SPDX-License-Identifier: Apache-2.0
#include "cli/move.h"

namespace cb::cli {
namespace {

bool returned(const PairView& before, const PairView& now) {
  return now.state == before.state && now.serving == before.serving && !is_moving(now.sub_state);
}

std::string because(const PairView& now) {
  return now.reason_text.empty() ? "" : ": " + now.reason_text;
}

}  // namespace

Progress judge(Move move, const std::string& me, const PairView& before, const PairView& now,
               double since_ms, bool something_happened) {
  const std::string address = now.addresses_text();
  const std::string here = me + " serves " + address;
  const std::string there = now.peer_name + " serves " + address;
  const bool to_secondary = move == Move::Switchover;
  // Who is to serve when it is over: this node, or the other?
  const bool wanted_here = move == Move::Failover || (to_secondary ? !now.primary : now.primary);
  if (wanted_here && now.serving && is_in_command(now.state) && !is_moving(now.sub_state)) {
    return {Progress::Kind::Done, here + (now.state == "FAILBACK_COMPLETE" && !now.in_step
                                              ? "; " + now.peer_name + " is catching up"
                                              : "")};
  }
  if (!wanted_here && !now.serving && is_in_command(now.peer_state) && !is_moving(now.sub_state)) {
    return {Progress::Kind::Done, there};
  }
  if (now.sub_state == "operator-needed") {
    return {Progress::Kind::Failed, me + " cannot go on by itself" + because(now)};
  }
  // A move of a few milliseconds may have come to nothing between two looks: then the state is
  // younger than the request.
  const bool younger = now.since_ms && *now.since_ms < since_ms;
  if (returned(before, now) && (something_happened || younger)) {
    return {Progress::Kind::Failed, "it was given up" + because(now)};
  }
  return {};
}

std::string progress_line(const PairView& view) {
  std::string text = view.state;
  if (!view.sub_state_text.empty()) {
    text += ": " + view.sub_state_text;
  }
  if (view.progress_permille) {
    text += " (" + std::to_string(*view.progress_permille / 10) + " %)";
  }
  if (view.serving) {
    text += ", serving";
  }
  if (!view.peer_state.empty()) {
    text += "; " + view.peer_name + " " + view.peer_state;
  }
  return text;
}

}  // namespace cb::cli
