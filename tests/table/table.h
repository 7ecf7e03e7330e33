// SPDX-License-Identifier: Apache-2.0
//
// table.h - the state x event table, by walking the production core: every place is reached by
// events, and every column is fed to a copy of it. Nothing here decides anything.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/core/driver.h"

namespace cb::table {

// A situation of one node: a state with what is known in it.
struct Place {
  std::string what;  // one line for the reader
  core::Driver node;
};
std::vector<Place> primary_places();
std::vector<Place> secondary_places();
std::vector<Place> all_places();  // by state name, primaries first

// One event, or one short story of events that belong together (a silence and the verdict on it).
struct Column {
  core::EventKind kind;  // whose column it is: the event that decides
  std::string event;     // "peer-heard: serves in a newer term"
  std::function<void(core::Driver&)> feed;
};
// The columns that make sense at this place: at least one for every kind of event.
std::vector<Column> columns_at(const core::Driver& node);

// What came of it.
struct Cell {
  core::EventKind kind;
  std::string event;
  core::StateName next;
  bool refused;         // an operator's wish
  bool silent;          // nothing that anybody could see
  std::string becomes;  // "stays" or "NAME/sub-state (reason)"
  std::string does;     // actions in order, guard and grant
  std::string says;     // facts to the peer, entries of the event log
};
Cell cell_of(const Place& place, const Column& column);

std::string full_table();
std::string condensed_table();

// `text` with what stands between its two markers replaced; empty when a marker is missing.
std::string with_table(const std::string& text, const std::string& table);

}  // namespace cb::table
