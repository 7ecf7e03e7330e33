// SPDX-License-Identifier: Apache-2.0
//
// A bounded ring of finished lines between the threads that log and the one that writes. The lock
// is held for the copy of one line only, and inherits priority, so that a real-time caller never
// waits for an ordinary thread that was put off the processor while holding it.
#include "base/log.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/log_sink.h"

namespace cb {
namespace {

struct Slot {
  LogLevel level = LogLevel::Info;
  timespec at{};
  std::size_t length = 0;
  std::array<char, kLogLineMax + 1> text{};
};

class PriorityLock {
 public:
  PriorityLock() {
    pthread_mutexattr_t attributes;
    CB_CHECK(pthread_mutexattr_init(&attributes) == 0);
    // ignored: where the kernel has no priority inheritance, a plain lock does.
    (void)pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    CB_CHECK(pthread_mutex_init(&mutex_, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
  }
  PriorityLock(const PriorityLock&) = delete;
  PriorityLock& operator=(const PriorityLock&) = delete;
  ~PriorityLock() { pthread_mutex_destroy(&mutex_); }

  class Held {
   public:
    explicit Held(PriorityLock& lock) : lock_(lock) {
      CB_CHECK(pthread_mutex_lock(&lock_.mutex_) == 0);
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { pthread_mutex_unlock(&lock_.mutex_); }

   private:
    PriorityLock& lock_;
  };

 private:
  pthread_mutex_t mutex_{};
};

class Writer {
 public:
  explicit Writer(LogSink sink) : sink_(std::move(sink)) { CB_CHECK(sem_init(&work_, 0, 0) == 0); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { sem_destroy(&work_); }

  Result<> start();
  void put(const Slot& slot);
  void flush();
  void stop();

 private:
  static constexpr std::size_t kSlots = 512;

  static void* run(void* self);
  bool take(Slot& slot, std::uint64_t& lost);
  void write(const Slot& slot, std::uint64_t lost);

  LogSink sink_;  // the writer thread's
  pthread_t thread_{};
  sem_t work_{};  // one post per line, one for the end
  std::atomic<bool> stopping_{false};

  PriorityLock lock_;  // guards what follows
  std::array<Slot, kSlots> slots_;
  std::uint64_t put_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t lost_ = 0;
  std::atomic<std::uint64_t> written_{0};  // lines that are out of the writer's hands
};

std::atomic<LogLevel> g_least{LogLevel::Info};
std::atomic<Writer*> g_writer{nullptr};

Result<> Writer::start() {
  pthread_attr_t attributes;
  CB_CHECK(pthread_attr_init(&attributes) == 0);
  const sched_param ordinary{};
  CB_CHECK(pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED) == 0);
  CB_CHECK(pthread_attr_setschedpolicy(&attributes, SCHED_OTHER) == 0);
  CB_CHECK(pthread_attr_setschedparam(&attributes, &ordinary) == 0);
  // Small, since the monitor locks its memory; formatting a date needs little.
  CB_CHECK(pthread_attr_setstacksize(&attributes, 256u << 10) == 0);
  // Signals belong to the loop.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failure = pthread_create(&thread_, &attributes, &Writer::run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (failure != 0) return fail(failure, "start the log's writer");
  pthread_setname_np(thread_, "crossbeat-log");
  return {};
}

void Writer::put(const Slot& slot) {
  {
    const PriorityLock::Held held(lock_);
    if (put_ - taken_ == kSlots) {
      ++lost_;
      return;
    }
    slots_[put_ % kSlots] = slot;
    ++put_;
  }
  sem_post(&work_);
}

bool Writer::take(Slot& slot, std::uint64_t& lost) {
  const PriorityLock::Held held(lock_);
  if (taken_ == put_) {
    return false;
  }
  slot = slots_[taken_ % kSlots];
  ++taken_;
  lost = std::exchange(lost_, 0);
  return true;
}

void Writer::write(const Slot& slot, std::uint64_t lost) {
  sink_.write({.level = slot.level, .at = slot.at, .text = {slot.text.data(), slot.length}});
  if (lost > 0) {
    const std::string text = std::to_string(lost) + " log lines were lost: they came too fast";
    sink_.write({.level = LogLevel::Warning, .at = slot.at, .text = text});
  }
}

void* Writer::run(void* self) {
  auto& writer = *static_cast<Writer*>(self);
  Slot slot;
  for (;;) {
    while (sem_wait(&writer.work_) != 0 && errno == EINTR) {
    }
    std::uint64_t lost = 0;
    if (writer.take(slot, lost)) {
      writer.write(slot, lost);
      writer.written_.fetch_add(1);
      writer.written_.notify_all();
    } else if (writer.stopping_) {
      return nullptr;
    }
  }
}

void Writer::flush() {
  std::uint64_t wanted = 0;
  {
    const PriorityLock::Held held(lock_);
    wanted = put_;
  }
  for (std::uint64_t now = written_; now < wanted; now = written_) {
    written_.wait(now);
  }
}

void Writer::stop() {
  flush();
  stopping_ = true;
  sem_post(&work_);
  pthread_join(thread_, nullptr);
}

// One record is one line of plain text: what came from the wire or an operator must not forge
// another line or speak to a terminal.
void make_harmless(char* text, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) {
      text[i] = c == '\n' || c == '\t' ? ' ' : '?';
    }
  }
}

void log_arguments(LogLevel level, const char* format, va_list arguments) {
  if (!log_wants(level)) {
    return;
  }
  const int saved = errno;
  Slot slot;
  slot.level = level;
  ::clock_gettime(CLOCK_REALTIME, &slot.at);
  errno = saved;  // for %m
  const int length = std::vsnprintf(slot.text.data(), slot.text.size(), format, arguments);
  slot.length = length < 0 ? 0 : std::min(static_cast<std::size_t>(length), kLogLineMax);
  make_harmless(slot.text.data(), slot.length);
  if (Writer* writer = g_writer.load()) {
    writer->put(slot);
  } else {
    const std::string text =
        human_form({.level = slot.level, .at = slot.at, .text = {slot.text.data(), slot.length}});
    // ignored: a closed terminal is nobody's loss
    [[maybe_unused]] const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
  }
  errno = saved;
}

}  // namespace

const char* name_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::Debug: return "debug";
    case LogLevel::Info: return "info";
    case LogLevel::Notice: return "notice";
    case LogLevel::Warning: return "warning";
    case LogLevel::Error: return "error";
  }
  return "unknown";
}

std::optional<LogLevel> parse_log_level(std::string_view name) {
  for (const LogLevel level :
       {LogLevel::Debug, LogLevel::Info, LogLevel::Notice, LogLevel::Warning, LogLevel::Error}) {
    if (name == name_of(level)) {
      return level;
    }
  }
  return std::nullopt;
}

Result<> log_open(const LogSetup& setup) {
  CB_CHECK_MSG(g_writer.load() == nullptr, "the log is open already");
  CB_TRY(sink, LogSink::open(setup));
  auto writer = std::make_unique<Writer>(std::move(sink));
  CB_TRY_DO(writer->start());
  g_least = setup.least;
  g_writer = writer.release();
  return {};
}

void log_flush() {
  if (Writer* writer = g_writer.load()) {
    writer->flush();
  }
}

void log_close() {
  // A line that another thread is putting at this moment may still hold the pointer; callers stop
  // their threads first.
  if (Writer* writer = g_writer.exchange(nullptr)) {
    writer->stop();
    delete writer;
  }
}

bool log_wants(LogLevel level) noexcept { return level >= g_least.load(std::memory_order_relaxed); }

void set_log_least(LogLevel least) noexcept { g_least = least; }

#define CB_LOG_BY_LEVEL(level, format)     \
  va_list arguments;                       \
  va_start(arguments, format);             \
  log_arguments(level, format, arguments); \
  va_end(arguments)

void log_line(LogLevel level, const char* format, ...) { CB_LOG_BY_LEVEL(level, format); }
void log_debug(const char* format, ...) { CB_LOG_BY_LEVEL(LogLevel::Debug, format); }
void log_info(const char* format, ...) { CB_LOG_BY_LEVEL(LogLevel::Info, format); }
void log_notice(const char* format, ...) { CB_LOG_BY_LEVEL(LogLevel::Notice, format); }
void log_warning(const char* format, ...) { CB_LOG_BY_LEVEL(LogLevel::Warning, format); }
void log_error(const char* format, ...) { CB_LOG_BY_LEVEL(LogLevel::Error, format); }

}  // namespace cb
