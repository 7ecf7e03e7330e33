// SPDX-License-Identifier: Apache-2.0
//
// The event log on the disk: <root>/var/lib/crossbeat/events.db, an SQLite database in WAL mode.
// Every call may block: for one thread at a time, never that of the loop.
//
// A write is one transaction, durable when it returns. A database that is damaged is put aside
// (events.db.damaged) and begun anew. Old events go after so many days, the oldest of all when the
// file is full; the newest few stay whatever the clock says, since a clock that jumped must not
// empty the log. An events.jsonl of older software is taken in once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "edge/event_entry.h"

struct sqlite3;

namespace cb::edge {

class EventStore {
 public:
  struct Options {
    std::string root = "/";
    std::uint64_t bytes_max = 16u << 20;
    int days = 2;
    std::size_t kept_least = 200;  // of the newest, whatever their age
  };
  static Result<std::unique_ptr<EventStore>> open(Options options);
  // What is there, for whoever may only look: nothing is made, mended or deleted.
  static Result<std::unique_ptr<EventStore>> open_to_read(const std::string& root);
  ~EventStore();
  EventStore(const EventStore&) = delete;
  EventStore& operator=(const EventStore&) = delete;

  // The name of this log in its events, 16 hex digits, drawn when the database was made.
  const std::string& origin() const noexcept { return origin_; }
  std::uint64_t last_number() const noexcept { return last_number_; }  // of our own events
  // Where a damaged database was put, once: empty afterwards.
  std::string take_put_aside();

  // All or none. Entries that are there already are passed over; the answer has those that were
  // new.
  Result<std::vector<EventEntry>> write(const std::vector<EventEntry>& entries);
  // The newest that fit, oldest first.
  Result<std::vector<EventEntry>> read(const EventQuery& query);
  // Our own events of this pairing and of the node itself, from the one after `number` on.
  Result<std::vector<EventEntry>> own_after(std::uint64_t number, const std::string& pairing,
                                            std::size_t limit);
  // Up to where the peer of a pairing has our events.
  Result<std::uint64_t> told(std::uint64_t pairing_id);
  Result<> set_told(std::uint64_t pairing_id, std::uint64_t number);
  // What is too old or too much goes. now: since 1970.
  Result<> prune(std::int64_t now_us);

 private:
  explicit EventStore(Options options);
  Result<> open_file();
  Result<> begin_anew();
  Result<> prepare();
  Result<> check_whole();
  Result<> read_identity();
  Result<> take_in_old_file();
  Result<> run(const char* sql);
  Error error(const std::string& doing);
  Result<std::vector<EventEntry>> write_once(const std::vector<EventEntry>& entries);
  Result<std::int64_t> number_of(const char* sql);

  Options options_;
  std::string path_;
  bool to_read_ = false;
  sqlite3* database_ = nullptr;
  std::string origin_;
  std::uint64_t last_number_ = 0;
  std::string put_aside_;
  bool preparing_ = false;
  bool damaged_ = false;  // the last error said so
};

}  // namespace cb::edge
