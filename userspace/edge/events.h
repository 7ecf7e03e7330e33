// SPDX-License-Identifier: Apache-2.0
//
// The event log: <root>/var/lib/crossbeat/events.jsonl, one JSON object a line, rotated by size;
// the newest are kept in memory for questions and followers. Adding never blocks: a Hands does the
// writing. When the disk cannot keep up or is full, events stay in memory and the number that the
// file lost is written into it when it works again.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loop/done.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::edge {

struct EventEntry {
  std::string wall;        // RFC 3339, UTC, microseconds; set by add() when empty
  std::int64_t at_ns = 0;  // CLOCK_BOOTTIME; set by add() when 0
  std::string pairing;     // primary HM address; empty: the node itself
  std::string description;
  std::string generated_by;  // "Primary" or "Secondary"
  std::string remarks;
  std::string state;  // one of the nine names
  bool operator==(const EventEntry&) const = default;
};

// One line, without its end. Any bytes in the texts make valid JSON.
std::string to_json_line(const EventEntry& entry);
std::optional<EventEntry> parse_json_line(std::string_view line);
std::string wall_text(std::int64_t ns_since_1970);  // "2026-01-31T17:02:03.123456Z"

struct EventQuery {
  std::size_t limit = 100;
  std::string pairing;     // empty: all
  std::string since_wall;  // RFC 3339 UTC as in the entries, exclusive; empty: from the oldest kept
};

class EventLog {
 public:
  struct Options {
    std::string root = "/";
    std::uint64_t bytes_max = 4u << 20;  // of one file
    unsigned generations = 4;            // old files kept: events.jsonl.1 ...
    std::size_t kept_max = 2000;         // in memory
  };
  // Reads the tail of what is there. Blocks: at start only. hands: the slow ones.
  static Result<std::unique_ptr<EventLog>> open(loop::Loop& loop, loop::Hands& hands,
                                                Options options);
  ~EventLog();  // what is not yet written is written, blocking
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void add(EventEntry entry);

  // The newest that fit, oldest first.
  std::vector<EventEntry> query(const EventQuery& query) const;

  using FollowerId = std::uint64_t;
  // Called for each event that is added from now on. The follower may unfollow in its call.
  FollowerId follow(std::function<void(const EventEntry&)> on_event);
  void unfollow(FollowerId id);

  std::uint64_t lost() const noexcept { return lost_; }  // not in the file
  // For tests and the way out: `done` when everything added so far has been tried.
  void flush(std::function<void()> done);

 private:
  struct File;
  EventLog(loop::Loop& loop, loop::Hands& hands, Options options);
  void start_writing();

  loop::Loop& loop_;
  loop::Hands& hands_;
  Options options_;
  std::shared_ptr<File> file_;  // used by the hands' thread alone while busy_
  std::deque<EventEntry> kept_;
  std::string pending_;
  std::uint64_t pending_count_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t lost_untold_ = 0;
  bool busy_ = false;
  std::vector<std::function<void()>> flushes_;
  FollowerId last_follower_ = 0;
  std::map<FollowerId, std::function<void(const EventEntry&)>> followers_;
  loop::Leash leash_;
};

}  // namespace cb::edge
