// SPDX-License-Identifier: Apache-2.0
//
// The whole table as Markdown: a section for each state name, a table for each place in it. Events
// with the same outcome share a line, and those that change nothing anybody could see are named in
// one.
#include "tests/table/table.h"

namespace cb::table {
namespace {

using namespace core;

constexpr const char* kHead =
    "# State x event\n"
    "\n"
    "What one node does in every state and on every event, as the core really does it. The text is "
    "made by `cb_table`\n"
    "(`tests/table`), which reaches each place by events and then feeds each event to a copy; "
    "renew it with\n"
    "`build/dev/tests/cb_table > tests/table/state_table.md` and read every changed line.\n"
    "\n"
    "*becomes*: the state, its sub-state and the reason. *does*: the guard, the grant, and what is "
    "asked of the edges, in\n"
    "order. *says*: which facts to the peer change, and what the event log gets. An event that "
    "changes nothing now is not\n"
    "lost: facts are kept and weighed again with each event that follows.\n";

struct Line {
  std::string events;
  Cell cell;
};

bool same(const Cell& a, const Cell& b) {
  return a.becomes == b.becomes && a.does == b.does && a.says == b.says;
}

std::string table_of(const Place& place) {
  std::vector<Line> lines;
  std::string nothing;
  for (const Column& column : columns_at(place.node)) {
    const Cell cell = cell_of(place, column);
    if (cell.silent) {
      nothing += (nothing.empty() ? "" : "; ") + cell.event;
      continue;
    }
    bool found = false;
    for (Line& line : lines) {
      if (same(line.cell, cell)) {
        line.events += "<br>" + cell.event;
        found = true;
        break;
      }
    }
    if (!found) {
      lines.push_back({cell.event, cell});
    }
  }
  std::string text;
  if (!lines.empty()) {
    text += "| event | becomes | does | says |\n|---|---|---|---|\n";
  }
  for (const Line& line : lines) {
    text += "| " + line.events + " | " + line.cell.becomes + " | " + line.cell.does + " | " +
            line.cell.says + " |\n";
  }
  if (!nothing.empty()) {
    text += (lines.empty() ? "" : "\n") + ("Nothing to be seen: " + nothing + ".\n");
  }
  return text;
}

std::string title_of(const Place& place) {
  const State& s = place.node.state;
  std::string text = std::string(name_of(s.settings.role)) + ", " + std::string(name_of(s.sub));
  if (s.reason != Reason::None) {
    text += " (" + std::string(name_of(s.reason)) + ")";
  }
  return text + ": " + place.what;
}

}  // namespace

std::string full_table() {
  std::string text = kHead;
  int name = -1;
  for (const Place& place : all_places()) {
    const State& s = place.node.state;
    if (static_cast<int>(s.name) != name) {
      name = static_cast<int>(s.name);
      text += "\n## " + std::string(name_of(s.name)) + "\n";
    }
    text += "\n### " + title_of(place) + "\n\nGuard " + std::string(name_of(guard_of(s))) +
            (grant_us_of(s) > 0 ? ", grants.\n\n" : ", grants nothing.\n\n") + table_of(place);
  }
  return text;
}

}  // namespace cb::table
