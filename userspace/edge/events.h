// SPDX-License-Identifier: Apache-2.0
//
// The event log of the loop: adding never blocks, a thread of its own ("cb-events") keeps the
// EventStore. What the disk does not take stays in memory, is shown all the same, and is tried
// again; when there is too much of it the oldest go, and the log says how many when it works again.
//
// The peer's events come in by take(), and go out by batch_for(): both nodes' logs are one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "edge/event_entry.h"
#include "edge/event_store.h"
#include "loop/done.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::edge {

class EventLog {
 public:
  struct Options {
    EventStore::Options store{};
    std::size_t unwritten_max = 2000;
    Duration retry = Duration::from_s(5);  // after the disk did not take something
    Duration prune_every = Duration::from_s(600);
  };
  // Opens the database, or makes it; blocks: at start only. A disk that refuses is no error: then
  // the events are in memory until it works.
  static Result<std::unique_ptr<EventLog>> open(loop::Loop& loop, Options options);
  ~EventLog();  // what is not yet written is written, blocking
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void add(EventEntry entry);

  // The newest that fit, oldest first; `trouble` is a line about a log that cannot be read.
  using Found = std::function<void(std::vector<EventEntry> entries, const std::string& trouble)>;
  void query(const EventQuery& query, Found found);

  using FollowerId = std::uint64_t;
  // Called for each event that is added from now on, the peers' too. The follower may unfollow in
  // its call.
  FollowerId follow(std::function<void(const EventEntry&)> on_event);
  void unfollow(FollowerId id);

  // ---- the peers' part

  // What a peer sent (event_batch.h). 0 when it is on the disk; EBADMSG: it is no batch.
  void take(const std::string& batch, const std::string& pairing, const std::string& generated_by,
            loop::Done done);
  // What the peer of this pairing does not have yet, as one batch; last: the number of its last
  // event, for set_told(). Empty: it has everything, or the disk does not answer.
  using Batch = std::function<void(const std::string& batch, std::uint64_t last)>;
  void batch_for(std::uint64_t pairing_id, const std::string& pairing, Batch done);
  void set_told(std::uint64_t pairing_id, std::uint64_t last);

  const std::string& origin() const noexcept { return origin_; }
  std::uint64_t lost() const noexcept { return lost_; }
  std::size_t unwritten() const noexcept { return unwritten_.size(); }
  // For tests and the way out: `done` when everything added so far has been tried.
  void flush(std::function<void()> done);

 private:
  struct Disk;
  EventLog(loop::Loop& loop, Options options);
  void tell(const EventEntry& entry);
  void start_writing();
  void on_written(const Result<>& written, std::size_t count);
  void prune_now();
  void report_gap();

  loop::Loop& loop_;
  Options options_;
  std::shared_ptr<Disk> disk_;  // the thread's alone, while it runs
  std::unique_ptr<loop::Hands> hands_;
  std::string origin_;
  std::uint64_t last_number_ = 0;
  std::deque<EventEntry> unwritten_;
  std::size_t under_way_ = 0;  // of unwritten_, from the front
  bool failing_ = false;       // said once
  std::uint64_t lost_ = 0;
  std::uint64_t lost_untold_ = 0;
  loop::TimerId retry_;
  loop::TimerId prune_;
  std::vector<std::function<void()>> flushes_;
  FollowerId last_follower_ = 0;
  std::map<FollowerId, std::function<void(const EventEntry&)>> followers_;
  loop::Leash leash_;
};

}  // namespace cb::edge
