// SPDX-License-Identifier: Apache-2.0
#include "edge/events.h"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "edge/folders.h"

namespace cb::edge {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPendingMax = 1 << 20;  // bytes kept for a disk that cannot keep up
constexpr std::size_t kReadMax = 64 << 20;

std::string text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t wall_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace

std::string to_json_line(const EventEntry& entry) {
  const Json json{{"wall", entry.wall},
                  {"at_ns", entry.at_ns},
                  {"pairing", entry.pairing},
                  {"description", entry.description},
                  {"generated_by", entry.generated_by},
                  {"remarks", entry.remarks},
                  {"state", entry.state}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<EventEntry> parse_json_line(std::string_view line) {
  const Json json = Json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  EventEntry entry;
  entry.wall = text_in(json, "wall");
  const auto at = json.find("at_ns");
  entry.at_ns = at != json.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
  entry.pairing = text_in(json, "pairing");
  entry.description = text_in(json, "description");
  entry.generated_by = text_in(json, "generated_by");
  entry.remarks = text_in(json, "remarks");
  entry.state = text_in(json, "state");
  if (entry.wall.empty() || entry.description.empty()) {
    return std::nullopt;
  }
  return entry;
}

std::string wall_text(std::int64_t ns_since_1970) {
  const std::int64_t whole = ns_since_1970 / 1'000'000'000;
  tm utc{};
  gmtime_r(&whole, &utc);
  char text[64];
  const std::size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text + n, sizeof text - n, ".%06lldZ",
           static_cast<long long>(ns_since_1970 % 1'000'000'000 / 1'000));
  return text;
}

// ---- the file

// What is to be written next lies in `batch` until a thread writes it: the hands', or at the end
// our own. So the end of the log needs no turn of the loop, and nothing is written twice.
struct EventLog::File {
  std::string path;
  std::uint64_t bytes_max = 0;
  unsigned generations = 0;
  std::mutex mutex;
  std::string batch;
  Fd fd;
  bool cut = false;  // the last write failed, perhaps in the middle of a line

  std::string generation(unsigned n) const {
    return n == 0 ? path : path + "." + std::to_string(n);
  }

  void rotate() {
    fd.reset();
    for (unsigned n = generations; n > 0; --n) {
      // ignored: a generation that is not there yet; what remains is only an older file kept longer
      rename(generation(n - 1).c_str(), generation(n).c_str());
    }
    if (generations == 0) {
      unlink(path.c_str());
    }
  }

  // 0, or an errno; what could not be written is lost from the file.
  int write_batch() {
    const std::lock_guard lock(mutex);
    const std::string text = std::exchange(batch, {});
    if (text.empty()) {
      return 0;
    }
    struct stat facts {};
    if (fd && (fstat(fd.get(), &facts) != 0 || facts.st_nlink == 0)) {
      fd.reset();  // somebody removed it: begin anew
    }
    if (!fd) {
      fd = Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    }
    if (!fd || fstat(fd.get(), &facts) != 0) {
      return errno;
    }
    if (facts.st_size > 0 && static_cast<std::uint64_t>(facts.st_size) + text.size() > bytes_max) {
      rotate();
      fd = Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
      if (!fd) {
        return errno;
      }
    }
    const auto written = write_all(fd.get(), cut ? "\n" + text : text);
    cut = !written;
    return written ? 0 : written.error().code;
  }
};

Result<std::unique_ptr<EventLog>> EventLog::open(loop::Loop& loop, loop::Hands& hands,
                                                 Options options) {
  const std::string folder = under(options.root, "var/lib/crossbeat");
  CB_TRY_DO(make_folders(folder, 0755));
  std::unique_ptr<EventLog> log(new EventLog(loop, hands, std::move(options)));
  log->file_ = std::make_shared<File>();
  log->file_->path = folder + "/events.jsonl";
  log->file_->bytes_max = log->options_.bytes_max;
  log->file_->generations = log->options_.generations;

  for (unsigned n = 2; n-- > 0;) {  // the one before the current too: it may just have been rotated
    const auto text = read_all(log->file_->generation(n), kReadMax);
    if (!text) {
      continue;  // not there, or not readable: the log begins anew and says so when it writes
    }
    for (std::size_t at = 0; at < text->size();) {
      const std::size_t end = std::min(text->find('\n', at), text->size());
      // A line that a crash cut short, or that somebody edited, is passed over.
      if (auto entry = parse_json_line(std::string_view(*text).substr(at, end - at))) {
        log->kept_.push_back(std::move(*entry));
        if (log->kept_.size() > log->options_.kept_max) {
          log->kept_.pop_front();
        }
      }
      at = end + 1;
    }
  }
  return log;
}

EventLog::EventLog(loop::Loop& loop, loop::Hands& hands, Options options)
    : loop_(loop), hands_(hands), options_(std::move(options)) {}

EventLog::~EventLog() {
  {
    const std::lock_guard lock(file_->mutex);  // waits for the hands, if they write just now
    file_->batch += pending_;
  }
  file_->write_batch();  // ignored: nobody is left to be told
}

void EventLog::add(EventEntry entry) {
  if (entry.at_ns == 0) {
    entry.at_ns = boottime_now().as_ns();
  }
  if (entry.wall.empty()) {
    entry.wall = wall_text(wall_ns());
  }
  if (pending_.size() < kPendingMax) {
    pending_ += to_json_line(entry) + "\n";
    ++pending_count_;
  } else {
    ++lost_;
    ++lost_untold_;
  }
  // A follower may unfollow, or add another event, in its call.
  std::vector<FollowerId> ids;
  ids.reserve(followers_.size());
  for (const auto& [id, follower] : followers_) {
    ids.push_back(id);
  }
  kept_.push_back(entry);
  if (kept_.size() > options_.kept_max) {
    kept_.pop_front();
  }
  for (const FollowerId id : ids) {
    if (const auto found = followers_.find(id); found != followers_.end()) {
      const auto follower = found->second;
      follower(entry);
    }
  }
  start_writing();
}

void EventLog::start_writing() {
  if (busy_) {
    return;
  }
  if (pending_.empty()) {
    for (auto& flushed : std::exchange(flushes_, {})) {
      loop_.post(std::move(flushed));
    }
    return;
  }
  busy_ = true;
  std::string text;
  if (lost_untold_ > 0) {
    EventEntry gap;
    gap.at_ns = boottime_now().as_ns();
    gap.wall = wall_text(wall_ns());
    gap.description = "Events were lost from the file";
    gap.remarks = std::to_string(lost_untold_) + " events could not be written";
    text = to_json_line(gap) + "\n";
  }
  text += std::exchange(pending_, {});
  const std::uint64_t count = std::exchange(pending_count_, 0);
  const std::uint64_t told = lost_untold_;
  {
    const std::lock_guard lock(file_->mutex);  // free: nothing is under way
    file_->batch = std::move(text);
  }
  hands_.run([file = file_] { return file->write_batch(); },
             leash_.guard([this, count, told](int error) {
               busy_ = false;
               if (error != 0) {
                 lost_ += count;
                 lost_untold_ += count;
                 log_warning("%llu events could not be written to %s: %s",
                             static_cast<unsigned long long>(count), file_->path.c_str(),
                             strerrordesc_np(error));
               } else {
                 lost_untold_ -= told;
               }
               start_writing();
             }));
}

std::vector<EventEntry> EventLog::query(const EventQuery& query) const {
  // Without the Z, "12:00:03" is before "12:00:03.5", as text too.
  const auto moment = [](std::string_view wall) {
    return wall.ends_with('Z') ? wall.substr(0, wall.size() - 1) : wall;
  };
  const std::string_view since = moment(query.since_wall);
  std::vector<EventEntry> found;
  for (auto entry = kept_.rbegin(); entry != kept_.rend() && found.size() < query.limit; ++entry) {
    if ((!query.pairing.empty() && entry->pairing != query.pairing) ||
        (!since.empty() && moment(entry->wall) <= since)) {
      continue;
    }
    found.push_back(*entry);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

EventLog::FollowerId EventLog::follow(std::function<void(const EventEntry&)> on_event) {
  followers_[++last_follower_] = std::move(on_event);
  return last_follower_;
}

void EventLog::unfollow(FollowerId id) { followers_.erase(id); }

void EventLog::flush(std::function<void()> done) {
  flushes_.push_back(std::move(done));
  start_writing();
}

}  // namespace cb::edge
