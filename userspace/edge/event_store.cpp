// SPDX-License-Identifier: Apache-2.0
#include "edge/event_store.h"

#include <sqlite3.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "base/text.h"
#include "edge/folders.h"

namespace cb::edge {
namespace {

constexpr std::int64_t kSchema = 1;
constexpr std::int64_t kPageBytes = 4096;
constexpr std::size_t kOldFileMax = 64u << 20;
constexpr unsigned kOldGenerations = 4;
constexpr int kBusyMs = 2000;  // somebody looks at it who is not us: a copy, a curious operator

constexpr const char* kTables =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, number INTEGER NOT NULL,"
    " wall_us INTEGER NOT NULL, at_ns INTEGER NOT NULL, pairing TEXT NOT NULL,"
    " description TEXT NOT NULL, generated_by TEXT NOT NULL, remarks TEXT NOT NULL,"
    " state TEXT NOT NULL, UNIQUE (origin, number, wall_us));"
    "CREATE INDEX event_by_time ON event (wall_us, origin, number);"
    "PRAGMA user_version = 1;";

constexpr const char* kColumns =
    "wall_us, at_ns, pairing, description, generated_by, remarks, state, origin, number";

// One statement, finalized when it goes.
class Statement {
 public:
  Statement(sqlite3* database, const std::string& sql) {
    result_ =
        sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()), &held_, nullptr);
  }
  ~Statement() { sqlite3_finalize(held_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& put(const std::string& text) {
    if (is_good()) {
      result_ = sqlite3_bind_text(held_, ++place_, text.data(), static_cast<int>(text.size()),
                                  SQLITE_TRANSIENT);
    }
    return *this;
  }
  Statement& put(std::int64_t number) {
    if (is_good()) {
      result_ = sqlite3_bind_int64(held_, ++place_, number);
    }
    return *this;
  }
  // Whether there is a row; is_good() tells an end from a failure.
  bool step() {
    if (is_good()) {
      result_ = sqlite3_step(held_);
    }
    return result_ == SQLITE_ROW;
  }
  void again() {
    result_ = sqlite3_reset(held_);
    place_ = 0;
  }
  bool is_good() const {
    return result_ == SQLITE_OK || result_ == SQLITE_ROW || result_ == SQLITE_DONE;
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(held_, column); }
  std::string text(int column) const {
    const unsigned char* bytes = sqlite3_column_text(held_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(held_, column));
    return bytes == nullptr
               ? std::string()
               : std::string(static_cast<const char*>(static_cast<const void*>(bytes)), size);
  }

 private:
  sqlite3_stmt* held_ = nullptr;
  int result_ = SQLITE_OK;
  int place_ = 0;
};

EventEntry entry_in(const Statement& row) {
  EventEntry entry;
  entry.wall = wall_text(row.number(0) * 1000);
  entry.at_ns = row.number(1);
  entry.pairing = row.text(2);
  entry.description = row.text(3);
  entry.generated_by = row.text(4);
  entry.remarks = row.text(5);
  entry.state = row.text(6);
  entry.origin = row.text(7);
  entry.number = static_cast<std::uint64_t>(row.number(8));
  return entry;
}

int errno_of(int result) {
  switch (result & 0xff) {
    case SQLITE_FULL: return ENOSPC;
    case SQLITE_PERM:
    case SQLITE_AUTH: return EACCES;
    case SQLITE_READONLY: return EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return EBUSY;
    case SQLITE_NOMEM: return ENOMEM;
    case SQLITE_CANTOPEN: return ENOENT;
    default: return EIO;
  }
}

std::string fresh_origin() {
  std::array<std::uint8_t, 8> bytes{};
  const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  CB_CHECK_MSG(got == static_cast<ssize_t>(bytes.size()), "the kernel has random bytes");
  return to_hex(bytes);
}

}  // namespace

EventStore::EventStore(Options options)
    : options_(std::move(options)), path_(under(options_.root, "var/lib/crossbeat/events.db")) {}

EventStore::~EventStore() { sqlite3_close(database_); }

Error EventStore::error(const std::string& doing) {
  const int result = database_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(database_);
  const int kind = result & 0xff;
  // What SQL says wrong of our own fixed sentences, while the file is opened, it says of the file.
  damaged_ = kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB || kind == SQLITE_FORMAT ||
             (preparing_ && kind == SQLITE_ERROR);
  const char* says = database_ == nullptr ? "no memory" : sqlite3_errmsg(database_);
  return fail(errno_of(result), doing + " (" + path_ + ": " + says + ")");
}

Result<> EventStore::run(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return error("use the event log");
  }
  return {};
}

Result<std::int64_t> EventStore::number_of(const char* sql) {
  Statement statement(database_, sql);
  if (!statement.step() && !statement.is_good()) {
    return error("read the event log");
  }
  return statement.number(0);
}

// ---- opening

Result<std::unique_ptr<EventStore>> EventStore::open(Options options) {
  std::unique_ptr<EventStore> store(new EventStore(std::move(options)));
  CB_TRY_DO(make_folders(folder_of(store->path_), 0755));
  CB_TRY_DO(store->open_file());
  return store;
}

Result<std::unique_ptr<EventStore>> EventStore::open_to_read(const std::string& root) {
  Options options;
  options.root = root.empty() ? "/" : root;
  std::unique_ptr<EventStore> store(new EventStore(std::move(options)));
  store->to_read_ = true;
  // Not SQLITE_OPEN_READONLY: what a killed monitor left in the write-ahead log belongs to it.
  if (sqlite3_open_v2(store->path_.c_str(), &store->database_, SQLITE_OPEN_READWRITE, nullptr) !=
      SQLITE_OK) {
    return store->error("open the event log");
  }
  sqlite3_busy_timeout(store->database_, kBusyMs);
  CB_TRY_DO(store->run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON;"));
  CB_TRY_DO(store->read_identity());
  return store;
}

Result<> EventStore::open_file() {
  preparing_ = true;
  Result<> prepared = prepare();
  preparing_ = false;
  if (prepared) {
    return prepared;
  }
  if (damaged_) {
    return begin_anew();
  }
  sqlite3_close(std::exchange(database_, nullptr));  // opened again by whoever comes next
  return prepared;
}

// The damaged one is kept, for whoever can still read it; an older damaged one goes.
Result<> EventStore::begin_anew() {
  sqlite3_close(std::exchange(database_, nullptr));
  const std::string aside = path_ + ".damaged";
  if (::rename(path_.c_str(), aside.c_str()) != 0) {
    return fail(errno, "put the damaged event log aside as " + aside);
  }
  // Without their database they mean nothing, and beside a new one they would be taken for its own.
  for (const char* more : {"-wal", "-shm", "-journal"}) {
    ::unlink((path_ + more).c_str());
  }
  put_aside_ = aside;
  damaged_ = false;
  return prepare();
}

std::string EventStore::take_put_aside() { return std::exchange(put_aside_, {}); }

Result<> EventStore::prepare() {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_open_v2(path_.c_str(), &database_, kFlags, nullptr) != SQLITE_OK) {
    return error("open the event log");
  }
  sqlite3_extended_result_codes(database_, 1);
  sqlite3_busy_timeout(database_, kBusyMs);
  ::chmod(path_.c_str(), 0640);  // ignored: the folder is root's alone
  // One user, so the index of the write-ahead log is in memory and not in a file of its own.
  CB_TRY_DO(
      run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 4096;"
          "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
          "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;"
          "PRAGMA wal_autocheckpoint = 100; PRAGMA journal_size_limit = 1048576;"));
  CB_TRY(schema, number_of("PRAGMA user_version"));
  if (schema == 0) {
    CB_TRY_DO(run("BEGIN IMMEDIATE"));
    CB_TRY_DO(run(kTables));
    // Kept over a damaged database: peers know us by it.
    const std::string origin = origin_.empty() ? fresh_origin() : origin_;
    Statement keep(database_, "INSERT INTO meta VALUES ('origin', ?)");
    keep.put(origin).step();
    if (!keep.is_good()) {
      return error("name the event log");
    }
    CB_TRY_DO(run("COMMIT"));
  } else if (schema != kSchema) {
    damaged_ = true;  // of a newer software, as far as we can know: it is put aside, not read wrong
    return fail(EPROTO, "read the event log: its schema is " + std::to_string(schema));
  }
  CB_TRY_DO(check_whole());
  CB_TRY_DO(read_identity());
  return take_in_old_file();
}

Result<> EventStore::check_whole() {
  Statement check(database_, "PRAGMA quick_check(1)");
  const bool row = check.step();
  if (!check.is_good()) {
    return error("check the event log");
  }
  if (row && check.text(0) != "ok") {
    damaged_ = true;
    return fail(EIO, "check the event log: " + check.text(0));
  }
  return {};
}

Result<> EventStore::read_identity() {
  Statement named(database_, "SELECT value FROM meta WHERE key = 'origin'");
  if (!named.step() || named.text(0).empty()) {
    damaged_ = damaged_ || named.is_good();
    return error("read the name of the event log");
  }
  origin_ = named.text(0);
  Statement last(database_, "SELECT max(number) FROM event WHERE origin = ?");
  last.put(origin_);
  if (!last.step()) {
    return error("read the event log");
  }
  last_number_ = std::max(last_number_, static_cast<std::uint64_t>(last.number(0)));
  return {};
}

// What older software wrote, one object a line, the oldest file first.
Result<> EventStore::take_in_old_file() {
  const std::string old = under(options_.root, "var/lib/crossbeat/events.jsonl");
  std::vector<std::string> files;
  for (unsigned n = kOldGenerations + 1; n-- > 0;) {
    files.push_back(n == 0 ? old : old + "." + std::to_string(n));
  }
  std::vector<EventEntry> entries;
  std::vector<std::string> found;
  for (const std::string& file : files) {
    const auto text = read_all(file, kOldFileMax);
    if (!text) {
      continue;  // not there, as a rule
    }
    found.push_back(file);
    for (const std::string_view line : split(*text, '\n')) {
      auto entry = parse_json_line(line);  // one that a crash cut short is passed over
      if (entry && parse_wall_us(entry->wall)) {
        clean(*entry);
        entry->origin = origin_;
        entry->number = ++last_number_;
        entries.push_back(std::move(*entry));
      }
    }
  }
  if (found.empty()) {
    return {};
  }
  CB_TRY(written, write_once(entries));
  for (const std::string& file : found) {
    ::unlink(file.c_str());  // ignored: then it is taken in again, as events of their own
  }
  return {};
}

// ---- writing

Result<std::vector<EventEntry>> EventStore::write(const std::vector<EventEntry>& entries) {
  if (database_ == nullptr) {
    CB_TRY_DO(open_file());
  }
  auto written = write_once(entries);
  if (!written) {
    const bool damaged = damaged_;
    // Ignored: there may be no transaction to take back.
    (void)sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    if (damaged) {
      CB_TRY_DO(begin_anew());
      return write_once(entries);
    }
  }
  return written;
}

Result<std::vector<EventEntry>> EventStore::write_once(const std::vector<EventEntry>& entries) {
  std::vector<EventEntry> fresh;
  CB_TRY_DO(run("BEGIN IMMEDIATE"));
  Statement insert(database_, std::string("INSERT OR IGNORE INTO event (") + kColumns +
                                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const EventEntry& entry : entries) {
    insert.put(parse_wall_us(entry.wall).value_or(0))
        .put(entry.at_ns)
        .put(entry.pairing)
        .put(entry.description)
        .put(entry.generated_by)
        .put(entry.remarks)
        .put(entry.state)
        .put(entry.origin)
        .put(static_cast<std::int64_t>(entry.number));
    insert.step();
    if (!insert.is_good()) {
      return error("write an event");
    }
    if (sqlite3_changes(database_) > 0) {
      fresh.push_back(entry);
      if (entry.origin == origin_) {
        last_number_ = std::max(last_number_, entry.number);
      }
    }
    insert.again();
  }
  CB_TRY_DO(run("COMMIT"));
  return fresh;
}

Result<> EventStore::prune(std::int64_t now_us) {
  if (database_ == nullptr) {
    CB_TRY_DO(open_file());
  }
  const std::int64_t oldest = now_us - std::int64_t{options_.days} * 86'400'000'000;
  const std::string all_but_newest =
      "DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id DESC LIMIT -1 OFFSET " +
      std::to_string(options_.kept_least) + ")";
  Statement old(database_, all_but_newest + " AND wall_us < ?");
  old.put(oldest).step();
  if (!old.is_good()) {
    return error("remove old events");
  }
  CB_TRY(pages, number_of("PRAGMA page_count"));
  CB_TRY(unused, number_of("PRAGMA freelist_count"));
  const auto most = static_cast<std::int64_t>(options_.bytes_max) / kPageBytes;
  if (pages - unused > most) {
    // A tenth at once, so that a full log does not prune for each event.
    CB_TRY(rows, number_of("SELECT count(*) FROM event"));
    Statement surplus(database_,
                      "DELETE FROM event WHERE id IN "
                      "(SELECT id FROM event ORDER BY id LIMIT ?)");
    surplus.put(std::max<std::int64_t>(1, rows / 10 + rows * (pages - unused - most) / pages));
    surplus.step();
    if (!surplus.is_good()) {
      return error("remove the oldest events");
    }
  }
  return run("PRAGMA incremental_vacuum");
}

// ---- reading

Result<std::vector<EventEntry>> EventStore::read(const EventQuery& query) {
  if (database_ == nullptr) {
    CB_TRY_DO(open_file());
  }
  Statement rows(database_, std::string("SELECT ") + kColumns +
                                " FROM event WHERE wall_us > ? AND wall_us <= ? AND (?3 = '' OR "
                                "pairing = ?3) ORDER BY wall_us DESC, origin DESC, number DESC "
                                "LIMIT ?4");
  rows.put(parse_wall_us(query.since_wall).value_or(INT64_MIN))
      .put(parse_wall_us(query.until_wall).value_or(INT64_MAX))
      .put(query.pairing)
      .put(static_cast<std::int64_t>(query.limit));
  std::vector<EventEntry> found;
  while (rows.step()) {
    found.push_back(entry_in(rows));
  }
  if (!rows.is_good()) {
    return error("read the event log");
  }
  std::reverse(found.begin(), found.end());
  return found;
}

Result<std::vector<EventEntry>> EventStore::own_after(std::uint64_t number,
                                                      const std::string& pairing,
                                                      std::size_t limit) {
  if (database_ == nullptr) {
    CB_TRY_DO(open_file());
  }
  Statement rows(database_, std::string("SELECT ") + kColumns +
                                " FROM event WHERE origin = ? AND number > ? AND (pairing = '' OR "
                                "pairing = ?) ORDER BY number LIMIT ?");
  rows.put(origin_).put(static_cast<std::int64_t>(number)).put(pairing);
  rows.put(static_cast<std::int64_t>(limit));
  std::vector<EventEntry> found;
  while (rows.step()) {
    found.push_back(entry_in(rows));
  }
  if (!rows.is_good()) {
    return error("read the event log");
  }
  return found;
}

// ---- what peers have

Result<std::uint64_t> EventStore::told(std::uint64_t pairing_id) {
  if (database_ == nullptr) {
    CB_TRY_DO(open_file());
  }
  Statement row(database_, "SELECT value FROM meta WHERE key = ?");
  row.put("told " + std::to_string(pairing_id));
  if (!row.step() && !row.is_good()) {
    return error("read the event log");
  }
  return static_cast<std::uint64_t>(row.number(0));
}

Result<> EventStore::set_told(std::uint64_t pairing_id, std::uint64_t number) {
  if (database_ == nullptr) {
    CB_TRY_DO(open_file());
  }
  Statement row(database_, "INSERT OR REPLACE INTO meta VALUES (?, ?)");
  row.put("told " + std::to_string(pairing_id)).put(static_cast<std::int64_t>(number));
  row.step();
  return row.is_good() ? Result<>() : Result<>(error("write the event log"));
}

}  // namespace cb::edge
