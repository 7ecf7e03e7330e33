// SPDX-License-Identifier: Apache-2.0
//
// The table for docs/state-machine.md: which state can follow which, on what.
#include <algorithm>
#include <array>

#include "tests/table/table.h"

namespace cb::table {
namespace {

using namespace core;

constexpr std::array<const char*, kStateNames> kShort = {"T",  "PA", "SA", "FI", "FA",
                                                         "BA", "BC", "AL", "GS"};
constexpr const char* kBegin = "<!-- BEGIN state x event, by cb_table -->\n";
constexpr const char* kEnd = "<!-- END state x event -->\n";

struct Outcomes {
  bool tried = false;
  bool stays = false;
  bool refused = false;
  std::array<bool, kStateNames> next{};
};
struct Row {
  EventKind kind;
  std::string event;
  std::array<Outcomes, kStateNames> at;
};

// "tick: after 5 s" is the row "tick"; what was answered is told apart only by whether it worked.
std::string row_of(const Cell& cell) {
  if (cell.kind == EventKind::Tick) {
    return std::string(name_of(cell.kind));
  }
  if (cell.kind == EventKind::ActionDone) {
    const bool failed = cell.event.ends_with(" failed");
    const bool done = cell.event.ends_with(" done");
    return failed || done ? std::string(name_of(cell.kind)) + (failed ? ": failed" : ": done")
                          : cell.event;
  }
  // The same words of the peer, heard or answered with.
  const std::string answered(name_of(EventKind::PeerAnswered));
  if (cell.kind == EventKind::PeerAnswered && cell.event != answered) {
    return std::string(name_of(EventKind::PeerHeard)) + cell.event.substr(answered.size());
  }
  return cell.event;
}

std::string text_of(const Outcomes& o) {
  if (!o.tried) {
    return " ";
  }
  std::string text;
  for (size_t i = 0; i < o.next.size(); ++i) {
    if (o.next[i]) {
      text += (text.empty() ? "" : " ") + std::string(kShort[i]);
    }
  }
  if (o.refused) {
    text += text.empty() ? "no" : " no";
  }
  if (text.empty()) {
    return "·";
  }
  return o.stays ? "· " + text : text;
}

std::vector<Row> rows() {
  std::vector<Row> out;
  for (const Place& place : all_places()) {
    for (const Column& column : columns_at(place.node)) {
      const Cell cell = cell_of(place, column);
      const std::string event = row_of(cell);
      auto row = std::find_if(out.begin(), out.end(),
                              [&](const Row& known) { return known.event == event; });
      if (row == out.end()) {
        row = out.insert(out.end(), Row{cell.kind, event, {}});
      }
      const auto from = static_cast<size_t>(place.node.state.name);
      Outcomes& o = row->at[from];
      o.tried = true;
      o.refused = o.refused || cell.refused;
      if (cell.next != place.node.state.name) {
        o.next[static_cast<size_t>(cell.next)] = true;
      } else if (!cell.refused) {
        o.stays = true;
      }
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Row& a, const Row& b) { return a.kind < b.kind; });
  return out;
}

struct Merged {
  EventKind kind;
  std::string events;
  std::string cells;
  bool moves = false;
};

Merged merged_from(const Row& row) {
  Merged next{row.kind, row.event, {}, false};
  for (const Outcomes& o : row.at) {
    next.cells += " " + text_of(o) + " |";
    next.moves = next.moves || o.refused || std::ranges::count(o.next, true) > 0;
  }
  return next;
}

// Events of one kind that do the same share a row, and the kind is said once.
std::vector<Merged> merged() {
  std::vector<Merged> out;
  for (const Row& row : rows()) {
    const Merged next = merged_from(row);
    const auto same = std::ranges::find_if(out, [&](const Merged& m) {
      return m.kind == next.kind && m.moves == next.moves && (!m.moves || m.cells == next.cells);
    });
    if (same == out.end()) {
      out.push_back(next);
      continue;
    }
    const size_t colon = next.events.find(": ");
    same->events +=
        " / " + (colon == std::string::npos ? "nothing more said" : next.events.substr(colon + 2));
  }
  return out;
}

}  // namespace

std::string condensed_table() {
  std::string text = "Columns: ";
  for (size_t i = 0; i < kShort.size(); ++i) {
    text += std::string(i == 0       ? ""
                        : i % 5 == 0 ? ",\n"
                                     : ", ") +
            kShort[i] + " `" + std::string(name_of(static_cast<StateName>(i))) + "`";
  }
  text +=
      ".\nA cell names the states that may follow at once; `·` stays, in some or all situations; "
      "`no` an operator's wish\n"
      "refused with a reason; empty: it cannot come there.\n\n| event |";
  std::string head = "\n|---|";
  for (const char* name : kShort) {
    text += " " + std::string(name) + " |";
    head += "---|";
  }
  text += head + "\n";
  std::string none;
  for (const Merged& row : merged()) {
    if (row.moves) {
      text += "| " + row.events + " |" + row.cells + "\n";
    } else {
      none += (none.empty() ? "" : ";\n") + row.events;
    }
  }
  return text + "\nIn no situation another state follows at once on:\n" + none + ".\n";
}

std::string with_table(const std::string& text, const std::string& table) {
  const size_t begin = text.find(kBegin);
  const size_t end = text.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    return {};
  }
  const size_t from = begin + std::string(kBegin).size();
  return text.substr(0, from) + table + text.substr(end);
}

}  // namespace cb::table
