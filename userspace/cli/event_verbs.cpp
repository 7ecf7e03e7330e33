// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <ostream>
#include <tuple>

#include "base/clock.h"
#include "cli/verbs.h"
#include "config/duration.h"
#include "edge/event_store.h"

namespace cb::cli {
namespace {

std::string event_line(const Json& event) {
  const std::string remarks = text_at(event, "remarks");
  std::string by = text_at(event, "generated_by");
  by = by.empty() ? "-" : by;
  by.resize(std::max<std::size_t>(by.size(), 9), ' ');
  std::string line =
      text_at(event, "wall", "?") + "  " + by + "  " + text_at(event, "description", "?");
  if (!remarks.empty() && remarks != "-") {
    line += " (" + remarks + ")";
  }
  const std::string state = text_at(event, "state");
  return state.empty() ? line : line + "  " + state;
}

void show(const Context& context, const Json& event) {
  context.terminal().out << (context.options().json ? to_line(event) : event_line(event))
                         << std::endl;
}

// "2h" -> that long ago, as the events write it. Anything else must be a time.
std::optional<std::string> wall_of(const std::string& text) {
  if (text.empty() || edge::parse_wall_us(text)) {
    return text;
  }
  if (const auto ago = config::parse_duration(text)) {
    return wall_text(ago->as_s());
  }
  return std::nullopt;
}

// The log itself, when nobody can be asked.
int from_disk(const Context& context, const edge::EventQuery& query) {
  const auto store = edge::EventStore::open_to_read(context.options().root);
  const auto found =
      store ? (*store)->read(query) : Result<std::vector<edge::EventEntry>>(store.error());
  if (!found) {
    context.terminal().err << "crossbeat: " << to_text(found.error()) << "\n";
    return context.report(fail(ECONNREFUSED, "ask the health monitor"));
  }
  context.terminal().err << "crossbeat: the health monitor is not running; these are the events "
                            "that it saved\n";
  for (const edge::EventEntry& entry : *found) {
    if (const auto event = parse_object(edge::to_json_line(entry))) {
      show(context, *event);
    }
  }
  return kNotRunning;
}

}  // namespace

int events(const Context& context, const EventsOptions& wanted) {
  const auto since = wall_of(wanted.since);
  const auto until = wall_of(wanted.until);
  for (const auto& [option, text, wall] :
       {std::tie("--since", wanted.since, since), std::tie("--until", wanted.until, until)}) {
    if (!wall) {
      return context.complain(
          kUsage, "'" + text + "' is neither a duration nor a time",
          std::string("write ") + option + " 2h or " + option + " 2026-01-31T17:00:00Z");
    }
  }
  Json request = context.request("events");
  request["limit"] = wanted.limit;
  if (!since->empty()) {
    request["since"] = *since;
  }
  if (!until->empty()) {
    request["until"] = *until;
  }
  if (wanted.follow) {
    request["follow"] = true;
  }
  auto client = context.connect();
  if (!client) {
    return means_not_running(client.error())
               ? from_disk(context, {.limit = static_cast<std::size_t>(wanted.limit),
                                     .pairing = context.options().pairing,
                                     .since_wall = *since,
                                     .until_wall = *until})
               : context.report(client.error());
  }
  auto line = client->ask(request, context.answer_deadline());
  if (const auto code = context.wrong(line)) {
    return *code;
  }
  if (const std::string trouble = text_at(*line, "trouble"); !trouble.empty()) {
    context.terminal().err << "crossbeat: the event log cannot be read whole: " << trouble << "\n";
  }
  if (const Json& list = at(*line, "events"); list.is_array()) {
    for (const Json& event : list) {
      show(context, event);
    }
  }
  while (wanted.follow) {
    line = client->receive(Instant::never());
    if (!line) {
      return context.report(line.error());
    }
    show(context, line->contains("event") ? at(*line, "event") : *line);
  }
  return kDone;
}

}  // namespace cb::cli
