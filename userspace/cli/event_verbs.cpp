// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <ostream>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/verbs.h"
#include "config/duration.h"

namespace cb::cli {
namespace {

constexpr std::size_t kLogBytesMax = 64u << 20;

std::string event_line(const Json& event) {
  const std::string remarks = text_at(event, "remarks");
  std::string by = text_at(event, "generated_by", "-");
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

// "2h" -> that long ago, as the events write it. Anything else must look like a time.
std::optional<std::string> since_wall(const std::string& text) {
  if (text.empty()) {
    return text;
  }
  if (const auto ago = config::parse_duration(text)) {
    return wall_text(ago->as_s());
  }
  const bool is_time = text.size() >= 10 && text[4] == '-' && text[7] == '-' &&
                       parse_number(text.substr(0, 4)).has_value();
  return is_time ? std::optional(text) : std::nullopt;
}

// The log itself, when nobody can be asked.
int from_file(const Context& context, const EventsOptions& wanted, const std::string& since) {
  const std::string path = context.options().root + "/var/lib/crossbeat/events.jsonl";
  const auto text = read_all(path, kLogBytesMax);
  if (!text) {
    return context.report(fail(ECONNREFUSED, "read " + path));
  }
  std::vector<Json> kept;
  for (const std::string_view line : split(*text, '\n')) {
    const auto event = parse_object(line);  // the last line may have been cut by a crash
    if (event && text_at(*event, "wall") >= since &&
        (context.options().pairing.empty() ||
         text_at(*event, "pairing") == context.options().pairing)) {
      kept.push_back(*event);
    }
  }
  const auto limit = static_cast<std::size_t>(wanted.limit);
  context.terminal().err << "crossbeat: the health monitor is not running; these are the events "
                            "that it saved\n";
  for (std::size_t i = kept.size() > limit ? kept.size() - limit : 0; i < kept.size(); ++i) {
    show(context, kept[i]);
  }
  return kNotRunning;
}

}  // namespace

int events(const Context& context, const EventsOptions& wanted) {
  const auto since = since_wall(wanted.since);
  if (!since) {
    return context.complain(kUsage, "'" + wanted.since + "' is neither a duration nor a time",
                            "write --since 2h or --since 2026-01-31T17:00:00Z");
  }
  Json request = context.request("events");
  request["limit"] = wanted.limit;
  if (!since->empty()) {
    request["since"] = *since;
  }
  if (wanted.follow) {
    request["follow"] = true;
  }
  auto client = context.connect();
  if (!client) {
    return means_not_running(client.error()) ? from_file(context, wanted, *since)
                                             : context.report(client.error());
  }
  auto line = client->ask(request, context.answer_deadline());
  if (!line) {
    return context.report(line.error());
  }
  if (!is_ok(*line)) {
    return context.refused(*line);
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
