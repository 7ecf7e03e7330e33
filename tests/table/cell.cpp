// SPDX-License-Identifier: Apache-2.0
//
// What one event does at one place, in words.
#include "tests/table/table.h"

namespace cb::table {
namespace {

using namespace core;

struct FactName {
  uint32_t fact;
  const char* name;
};
constexpr FactName kFacts[] = {
    {CB_FACT_SERVING, "serving"},
    {CB_FACT_SOLO, "solo"},
    {CB_FACT_RELEASED, "released"},
    {CB_FACT_ELIGIBLE, "eligible"},
    {CB_FACT_STALE, "stale"},
    {CB_FACT_IN_STEP, "in-step"},
    {CB_FACT_NETWORK_OK, "network-ok"},
    {CB_FACT_SERVICES_OK, "services-ok"},
    {CB_FACT_MAINTENANCE, "maintenance"},
    {CB_FACT_RESTARTING, "restarting"},
    {CB_FACT_FAILOVER_AUTO, "failover-automatic"},
    {CB_FACT_FAILBACK_AUTO, "failback-automatic"},
    {CB_FACT_LONG_GRANT, "long-grant"},
    {CB_FACT_UNPAIRING, "unpairing"},
    {CB_FACT_PEER_STALE, "peer-stale"},
    {CB_FACT_ON_REQUEST, "on-request"},
    {CB_FACT_FORCED, "forced"},
    {CB_FACT_CLAIM_ABOVE, "claim-above"},
};

const char* name_of_intent(uint8_t intent) {
  switch (intent) {
    case CB_INTENT_NONE: return "no wish";
    case CB_INTENT_WANT_COMMAND: return "wants command";
    case CB_INTENT_HAND_OVER: return "hands over";
    case CB_INTENT_GOODBYE: return "goodbye";
    default: return "an unknown wish";
  }
}

void append(std::string& text, const std::string& more, const char* between = ", ") {
  if (text == more || text.ends_with(between + more)) {
    return;  // both links of one silence: once is enough
  }
  if (!text.empty()) {
    text += between;
  }
  text += more;
}

std::string place_of(const State& s) {
  std::string text = std::string(name_of(s.name)) + "/" + std::string(name_of(s.sub));
  if (s.reason != Reason::None) {
    text += " (" + std::string(name_of(s.reason)) + ")";
  }
  return text;
}

std::string word_for(const Action& action) {
  std::string text(name_of(action.kind));
  if (action.kind == ActionKind::OpenGuard) {
    text += " " + std::string(name_of(action.guard));
  }
  return text;
}

// The value of a report where it is a name.
std::string word_for_report(const Action& action) {
  std::string text(name_of(action.report));
  if (action.report == Report::OperatorRefused || action.report == Report::HandOverRefused) {
    text += " (" + std::string(name_of(static_cast<Reason>(action.value))) + ")";
  } else if (action.report == Report::WentSolo) {
    text += " (" + std::string(name_of(static_cast<SoloBasis>(action.value))) + ")";
  } else if (action.report == Report::ArbitrationSaid) {
    text += " (" + std::string(name_of(static_cast<Verdict>(action.value))) + ")";
  }
  return text;
}

std::string what_it_says(const Facts& before, const Facts& after) {
  std::string text;
  for (const FactName& fact : kFacts) {
    const bool was = (before.flags & fact.fact) != 0;
    const bool is = (after.flags & fact.fact) != 0;
    if (was != is) {
      append(text, (is ? "+" : "-") + std::string(fact.name), " ");
    }
  }
  if (before.intent != after.intent) {
    append(text, name_of_intent(after.intent), " ");
  }
  return text;
}

}  // namespace

Cell cell_of(const Place& place, const Column& column) {
  const State& before = place.node.state;
  Driver node = place.node;
  column.feed(node);
  const State& after = node.state;

  Cell cell{column.kind, column.event, after.name, false, false, {}, {}, {}};
  const std::string here = place_of(before);
  const std::string there = place_of(after);
  cell.becomes = here == there ? "stays" : there;
  if (guard_of(before) != guard_of(after)) {
    append(cell.does, "guard " + std::string(name_of(guard_of(after))));
  }
  const bool granted = grant_us_of(before) > 0;
  if (granted != (grant_us_of(after) > 0)) {
    append(cell.does, granted ? "grants nothing" : "grants");
  } else if (grant_us_of(before) != grant_us_of(after)) {
    append(cell.does, "grants " + std::to_string(grant_us_of(after) / 1000) + " ms");
  }
  std::string log;
  for (size_t i = place.node.log.size(); i < node.log.size(); ++i) {
    const Action& action = node.log[i];
    if (action.kind != ActionKind::Report) {
      append(cell.does, word_for(action));
    } else if (action.report != Report::StateChanged) {
      append(log, word_for_report(action));
      cell.refused = cell.refused || action.report == Report::OperatorRefused;
    }
  }
  const std::string facts = what_it_says(facts_of(before), facts_of(after));
  if (!facts.empty()) {
    cell.says = "peer: " + facts;
  }
  if (!log.empty()) {
    append(cell.says, "log: " + log, "; ");
  }
  cell.silent = here == there && cell.does.empty() && cell.says.empty();
  return cell;
}

std::vector<Place> all_places() {
  std::vector<Place> given = primary_places();
  for (Place& place : secondary_places()) {
    given.push_back(std::move(place));
  }
  std::vector<Place> out;
  for (int name = 0; name < kStateNames; ++name) {
    for (const Place& place : given) {
      if (place.node.state.name == static_cast<StateName>(name)) {
        out.push_back(place);
      }
    }
  }
  return out;
}

}  // namespace cb::table
