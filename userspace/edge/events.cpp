// SPDX-License-Identifier: Apache-2.0
#include "edge/events.h"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "edge/event_batch.h"

namespace cb::edge {
namespace {

std::int64_t wall_ns() { return boottime_now().as_ns() + wall_offset_ns(); }

}  // namespace

// The store behind its thread; opened again where it could not be.
struct EventLog::Disk {
  EventStore::Options options;
  std::unique_ptr<EventStore> store;

  Result<EventStore*> open() {
    if (store == nullptr) {
      CB_TRY(opened, EventStore::open(options));
      store = std::move(opened);
    }
    return store.get();
  }
};

Result<std::unique_ptr<EventLog>> EventLog::open(loop::Loop& loop, Options options) {
  std::unique_ptr<EventLog> log(new EventLog(loop, std::move(options)));
  CB_TRY(hands, loop::Hands::start(loop, {.name = "cb-events", .fifo = {}}));
  log->hands_ = std::move(hands);
  log->disk_ = std::make_shared<Disk>();
  log->disk_->options = log->options_.store;
  const auto store = log->disk_->open();
  if (!store) {
    log_warning("events stay in memory: %s", to_text(store.error()).c_str());
    log->failing_ = true;
    return log;
  }
  log->origin_ = (*store)->origin();
  log->last_number_ = (*store)->last_number();
  if (const std::string aside = (*store)->take_put_aside(); !aside.empty()) {
    EventEntry entry;
    entry.description = "the event log was damaged and begun anew";
    entry.remarks = "what is left of it is in " + aside;
    log_warning("%s; %s", entry.description.c_str(), entry.remarks.c_str());
    log->add(std::move(entry));
  }
  log->prune_now();
  return log;
}

EventLog::EventLog(loop::Loop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

EventLog::~EventLog() {
  loop_.cancel(retry_);
  loop_.cancel(prune_);
  hands_.reset();  // from here on the store is ours, whoever still holds a piece of work of it
  if (!unwritten_.empty()) {
    const std::vector<EventEntry> left(unwritten_.begin(), unwritten_.end());
    if (const auto store = disk_->open()) {
      (void)(*store)->write(left);  // ignored: nobody is left to be told
    }
  }
  disk_->store.reset();
}

void EventLog::add(EventEntry entry) {
  if (entry.at_ns == 0) {
    entry.at_ns = boottime_now().as_ns();
  }
  const auto given = parse_wall_us(entry.wall);  // in one form, so that walls compare as text
  entry.wall = wall_text(given ? *given * 1000 : entry.at_ns + wall_offset_ns());
  clean(entry);
  entry.origin = origin_;
  entry.number = ++last_number_;
  unwritten_.push_back(entry);
  if (unwritten_.size() > options_.unwritten_max && under_way_ == 0) {
    unwritten_.pop_front();
    ++lost_;
    ++lost_untold_;
  }
  tell(entry);
  if (!retry_) {
    start_writing();
  }
}

// A follower may unfollow, or add another event, in its call.
void EventLog::tell(const EventEntry& entry) {
  std::vector<FollowerId> ids;
  ids.reserve(followers_.size());
  for (const auto& [id, follower] : followers_) {
    ids.push_back(id);
  }
  for (const FollowerId id : ids) {
    if (const auto found = followers_.find(id); found != followers_.end()) {
      const auto follower = found->second;
      follower(entry);
    }
  }
}

// ---- writing

void EventLog::start_writing() {
  if (under_way_ != 0) {
    return;
  }
  if (unwritten_.empty() || retry_) {
    for (auto& flushed : std::exchange(flushes_, {})) {
      loop_.post(std::move(flushed));
    }
    return;
  }
  under_way_ = unwritten_.size();
  struct Job {
    std::vector<EventEntry> entries;
    Result<> written;
    std::string origin;
    std::string aside;
  };
  auto job = std::make_shared<Job>();
  job->entries.assign(unwritten_.begin(), unwritten_.end());
  hands_->run(
      [disk = disk_, job] {
        const auto store = disk->open();
        if (!store) {
          job->written = store.error();
          return 0;
        }
        job->origin = (*store)->origin();
        for (EventEntry& entry : job->entries) {
          if (entry.origin.empty()) {  // from before the log had a name
            entry.origin = job->origin;
          }
        }
        if (const auto fresh = (*store)->write(job->entries); !fresh) {
          job->written = fresh.error();
        }
        job->aside = (*store)->take_put_aside();
        return 0;
      },
      leash_.guard([this, job](int) {
        origin_ = job->origin.empty() ? origin_ : job->origin;
        on_written(job->written, std::exchange(under_way_, 0));
        if (!job->aside.empty()) {
          EventEntry entry;
          entry.description = "the event log was damaged and begun anew";
          entry.remarks = "what is left of it is in " + job->aside;
          add(std::move(entry));
        }
      }));
}

void EventLog::on_written(const Result<>& written, std::size_t count) {
  if (written) {
    unwritten_.erase(unwritten_.begin(), unwritten_.begin() + static_cast<std::ptrdiff_t>(count));
    failing_ = false;
    report_gap();
  } else {
    if (!std::exchange(failing_, true)) {
      log_warning("events stay in memory until the disk takes them: %s",
                  to_text(written.error()).c_str());
    }
    while (unwritten_.size() > options_.unwritten_max) {
      unwritten_.pop_front();
      ++lost_;
      ++lost_untold_;
    }
    retry_ = loop_.after(options_.retry, [this] {
      retry_ = {};
      start_writing();
    });
  }
  start_writing();
}

void EventLog::report_gap() {
  if (const std::uint64_t count = std::exchange(lost_untold_, 0); count > 0) {
    EventEntry gap;
    gap.description = "events were lost from the log";
    gap.remarks = std::to_string(count) + " events could not be written";
    add(std::move(gap));
  }
}

void EventLog::prune_now() {
  hands_->run(
      [disk = disk_, now_us = wall_ns() / 1000] {
        if (const auto store = disk->open()) {
          (void)(*store)->prune(now_us);  // ignored: a full disk shows when it is written to
        }
        return 0;
      },
      nullptr);
  prune_ = loop_.after(options_.prune_every, [this] { prune_now(); });
}

void EventLog::flush(std::function<void()> done) {
  flushes_.push_back(std::move(done));
  loop_.cancel(std::exchange(retry_, {}));
  start_writing();
}

// ---- reading

void EventLog::query(const EventQuery& query, Found found) {
  struct Job {
    std::vector<EventEntry> entries;
    std::string trouble;
  };
  auto job = std::make_shared<Job>();
  hands_->run(
      [disk = disk_, job, query] {
        const auto store = disk->open();
        auto entries =
            store ? (*store)->read(query) : Result<std::vector<EventEntry>>(store.error());
        if (entries) {
          job->entries = *std::move(entries);
        } else {
          job->trouble = to_text(entries.error());
        }
        return 0;
      },
      leash_.guard([this, job, query, found = std::move(found)](int) {
        // What waits for the disk belongs to it. What was written meanwhile is in both.
        std::set<std::pair<std::string, std::uint64_t>> known;
        for (const EventEntry& entry : job->entries) {
          known.emplace(entry.origin, entry.number);
        }
        for (const EventEntry& entry : unwritten_) {
          if (is_asked(entry, query) && !known.contains({entry.origin, entry.number})) {
            job->entries.push_back(entry);
          }
        }
        std::sort(job->entries.begin(), job->entries.end(), is_before);
        if (job->entries.size() > query.limit) {
          job->entries.erase(job->entries.begin(),
                             job->entries.end() - static_cast<std::ptrdiff_t>(query.limit));
        }
        found(std::move(job->entries), job->trouble);
      }));
}

EventLog::FollowerId EventLog::follow(std::function<void(const EventEntry&)> on_event) {
  followers_[++last_follower_] = std::move(on_event);
  return last_follower_;
}

void EventLog::unfollow(FollowerId id) { followers_.erase(id); }

// ---- the peers

void EventLog::take(const std::string& batch, const std::string& pairing,
                    const std::string& generated_by, loop::Done done) {
  auto entries = decode_batch(batch, pairing, generated_by);
  if (!entries) {
    done(EBADMSG);
    return;
  }
  struct Job {
    std::vector<EventEntry> entries;
    std::vector<EventEntry> fresh;
    int error = 0;
  };
  auto job = std::make_shared<Job>();
  job->entries = *std::move(entries);
  hands_->run(
      [disk = disk_, job] {
        const auto store = disk->open();
        auto fresh =
            store ? (*store)->write(job->entries) : Result<std::vector<EventEntry>>(store.error());
        if (fresh) {
          job->fresh = *std::move(fresh);
        } else {
          job->error = fresh.error().code != 0 ? fresh.error().code : EIO;
        }
        return 0;
      },
      leash_.guard([this, job, done = std::move(done)](int) {
        for (const EventEntry& entry : job->fresh) {
          tell(entry);
        }
        done(job->error);
      }));
}

void EventLog::batch_for(std::uint64_t pairing_id, const std::string& pairing, Batch done) {
  struct Job {
    std::string batch;
    std::uint64_t last = 0;
  };
  auto job = std::make_shared<Job>();
  hands_->run(
      [disk = disk_, job, pairing_id, pairing] {
        const auto store = disk->open();
        const auto told = store ? (*store)->told(pairing_id) : Result<std::uint64_t>(store.error());
        const auto entries = told ? (*store)->own_after(*told, pairing, kBatchMax)
                                  : Result<std::vector<EventEntry>>(told.error());
        std::size_t taken = 0;
        if (entries && !entries->empty()) {
          job->batch = encode_batch(*entries, taken);
          job->last = taken > 0 ? (*entries)[taken - 1].number : 0;
        }
        return 0;
      },
      leash_.guard([job, done = std::move(done)](int) { done(job->batch, job->last); }));
}

void EventLog::set_told(std::uint64_t pairing_id, std::uint64_t last) {
  hands_->run(
      [disk = disk_, pairing_id, last] {
        if (const auto store = disk->open()) {
          (void)(*store)->set_told(pairing_id, last);  // ignored: then the peer gets them twice
        }
        return 0;
      },
      nullptr);
}

}  // namespace cb::edge
