// SPDX-License-Identifier: Apache-2.0
//
// A turn and what it runs. Every request to the kernel is an Operation in operations_, found again
// by the id in user_data. It owns the bytes that the kernel reads or fills, and it stays until its
// completion has come, whatever the owner forgets meanwhile: only then may the bytes be freed. A
// callback is moved out of its operation or timer while it runs, so that it may take itself back.
#include "loop/loop.h"

#include <liburing.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/completions.h"
#include "loop/operation.h"
#include "loop/refusal.h"

namespace cb::loop {

namespace {

constexpr unsigned kSubmissions = 256;
constexpr unsigned kCompletions = 2048;
// Where the kernel can only wait on CLOCK_MONOTONIC, which stops in suspend, a wait is cut to this,
// so that a machine that wakes up finds its overdue timers soon.
constexpr Duration kWaitMax = Duration::from_s(1);
// The kernel adds the wait to its clock: "never" would come out in the past.
constexpr Duration kLongWaitMax = Duration::from_s(3600);
constexpr std::uint64_t kNobody = 0;  // user_data of a cancellation: its completion says nothing

// IORING_REGISTER_CLOCK of kernel 6.12: newer than the liburing we build with.
bool wait_on_boottime(int ring_fd) {
  constexpr unsigned kRegisterClock = 29;
  struct {
    std::uint32_t clock;
    std::uint32_t reserved[3];
  } clock{CLOCK_BOOTTIME, {}};
  return syscall(__NR_io_uring_register, ring_fd, kRegisterClock, &clock, 0) == 0;
}

__kernel_timespec timespec_of(Duration wait) {
  return {wait.nanoseconds / 1'000'000'000, wait.nanoseconds % 1'000'000'000};
}

}  // namespace

Loop::Loop() : ring_(std::make_unique<io_uring>()), owner_(std::this_thread::get_id()) {
  now_ = boottime_now();
}

Result<std::unique_ptr<Loop>> Loop::open(LoopOptions options) {
  std::unique_ptr<Loop> loop(new Loop());
  // Timers to the point also without real-time priority: the default lets each be 50 us late.
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  CB_TRY_DO(loop->open_ring(options));
  CB_TRY(bell, Mailbox::open_bell(false));
  loop->mailbox_ = std::make_unique<Mailbox>(std::move(bell));
  Loop* self = loop.get();
  loop->watch(loop->mailbox_->fd(), [self] {
    self->mailbox_->answer();
    for (const auto& letter : self->mailbox_->take()) {
      letter();
    }
  });
  return loop;
}

// The newest set of flags that this kernel takes. A kernel refuses flags that it does not know with
// EINVAL: DEFER_TASKRUN came with 6.1, SINGLE_ISSUER with 6.0, COOP_TASKRUN with 5.19.
Result<> Loop::open_ring(LoopOptions options) {
  constexpr unsigned kBase = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  constexpr std::array<unsigned, kLoopForms> kWishes = {
      IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
      IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
      0,
  };
  int error = EINVAL;
  for (const unsigned wish : std::span(kWishes).subspan(options.as_if_older)) {
    io_uring_params parameters{};
    parameters.flags = kBase | wish;
    parameters.cq_entries = kCompletions;
    error = -io_uring_queue_init_params(kSubmissions, ring_.get(), &parameters);
    if (error != EINVAL) {
      facts_.single_issuer = (wish & IORING_SETUP_SINGLE_ISSUER) != 0;
      facts_.defer_taskrun = (wish & IORING_SETUP_DEFER_TASKRUN) != 0;
      break;
    }
  }
  if (error != 0) {
    return explain_refusal_here(error);
  }
  ring_open_ = true;
  io_uring_ring_dontfork(ring_.get());
  if ((ring_->features & IORING_FEAT_EXT_ARG) == 0 || (ring_->features & IORING_FEAT_NODROP) == 0) {
    return fail(ENOSYS, "this kernel's io_uring is too old. Use a kernel from 5.15 on");
  }
  facts_.boottime_wait = options.as_if_older == 0 && wait_on_boottime(ring_->ring_fd);
  return {};
}

// Cancels everything and waits for it a little: the kernel may be writing into the bytes that the
// operations own. What does not end (a disk that hangs) is left to the kernel, with its bytes.
Loop::~Loop() {
  if (!ring_open_) {
    return;
  }
  check_thread();
  std::exchange(timers_, {}).clear();  // what they hold may still use the loop as it goes
  std::vector<std::uint64_t> ids;
  for (const auto& [id, operation] : operations_) {
    ids.push_back(id);
  }
  for (const std::uint64_t id : ids) {
    forget(id);
  }
  const Instant patience = boottime_now() + Duration::from_s(2);
  while (!operations_.empty() && boottime_now() < patience) {
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec wait = timespec_of(Duration::from_ms(100));
    io_uring_submit_and_wait_timeout(ring_.get(), &cqe, 1, &wait, nullptr);
    drain_completions();
  }
  if (!operations_.empty()) {
    log_warning("%zu operations did not end with the loop", operations_.size());
    for (auto& [id, operation] : operations_) {
      static_cast<void>(operation.release());
    }
  }
  io_uring_queue_exit(ring_.get());
}

void Loop::check_thread() const {
  CB_CHECK_MSG(std::this_thread::get_id() == owner_, "only post and wake are for other threads");
}

// ---- one turn

Result<> Loop::turn(Instant until) {
  check_thread();
  CB_CHECK_MSG(!in_turn_, "a callback must not take a turn");
  const Instant first_timer = timers_.empty() ? Instant::never() : timers_.begin()->first.at;
  Duration wait = std::min(until, first_timer) - boottime_now();
  wait = std::min(wait, facts_.boottime_wait ? kLongWaitMax : kWaitMax);
  int result = 0;
  if (wait <= Duration{}) {
    result = io_uring_submit_and_get_events(ring_.get());
  } else {
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec span = timespec_of(wait);
    result = io_uring_submit_and_wait_timeout(ring_.get(), &cqe, 1, &span, nullptr);
  }
  // EAGAIN and EBUSY: the kernel lacks memory, or wants its completions taken first, which follows.
  if (result < 0 && result != -ETIME && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
    return fail(-result, "wait for the io_uring");
  }
  in_turn_ = true;
  now_ = boottime_now();
  const Instant began = now_;
  drain_completions();
  run_timers();
  in_turn_ = false;
  ++stats_.turns;
  stats_.last_turn = boottime_now() - began;
  stats_.longest_turn = std::max(stats_.longest_turn, stats_.last_turn);
  return {};
}

void Loop::drain_completions() {
  take_completions(ring_.get(), [this](std::uint64_t id, int result) {
    on_completion(id, result);
    return true;
  });
}

// The timers that are due and were set before this moment, oldest first. A callback may cancel
// those that follow, so each is looked up anew.
void Loop::run_timers() {
  if (timers_.empty()) {
    return;
  }
  const Instant now = boottime_now();
  if (timers_.begin()->first.at <= now && io_uring_sq_ready(ring_.get()) > 0) {
    submit_now();  // disks work while the timers do: they may have much to send
  }
  const std::uint64_t newest = last_timer_;
  auto timer = timers_.begin();
  while (timer != timers_.end() && timer->first.at <= now) {
    if (timer->first.serial > newest) {
      ++timer;
      continue;
    }
    const auto due = timers_.extract(timer);
    now_ = now;
    ++stats_.timers;
    due.mapped()();
    timer = timers_.begin();
  }
}

// ---- time

TimerId Loop::at(Instant when, std::function<void()> f) {
  check_thread();
  const TimerId id{when, ++last_timer_};
  timers_.emplace(id, std::move(f));
  return id;
}

TimerId Loop::after(Duration span, std::function<void()> f) {
  return at(boottime_now() + span, std::move(f));
}

void Loop::cancel(TimerId id) {
  check_thread();
  const auto found = timers_.extract(id);  // destroyed here, after the map is whole again
}

// ---- operations

Operation* Loop::start(std::unique_ptr<Operation> operation) {
  check_thread();
  operation->id = ++last_id_;
  Operation* started = operation.get();
  operations_.emplace(started->id, std::move(operation));
  submit_one(*started);
  return started;
}

void Loop::submit_one(Operation& operation) {
  io_uring_sqe* sqe = io_uring_get_sqe(ring_.get());
  if (sqe == nullptr) {
    submit_now();
    sqe = io_uring_get_sqe(ring_.get());
    CB_CHECK_MSG(sqe != nullptr, "the submission queue stays full after a submission");
  }
  operation.prepare(*sqe);
  io_uring_sqe_set_data64(sqe, operation.id);
  operation.in_flight = true;
}

void Loop::submit_now() {
  int result = 0;
  do {
    result = io_uring_submit(ring_.get());
  } while (result == -EINTR);
  CB_CHECK_MSG(result >= 0 || result == -EAGAIN || result == -EBUSY, "io_uring_submit failed");
}

void Loop::on_completion(std::uint64_t id, int result) {
  ++stats_.completions;
  const auto found = operations_.find(id);
  if (id == kNobody || found == operations_.end()) {
    return;
  }
  Operation& operation = *found->second;
  operation.in_flight = false;
  if (operation.forgotten) {
    operation.discard(result);
    operations_.erase(found);
    return;
  }
  const Operation::Next next = operation.complete(*this, result);
  // The callback has run. It may have forgotten this operation, which is then gone.
  const auto again = operations_.find(id);
  if (again == operations_.end()) {
    return;
  }
  switch (next) {
    case Operation::Next::Submit: submit_one(*again->second); break;
    case Operation::Next::Later:
      after(Duration::from_s(1), [this, id] {
        if (const auto later = operations_.find(id); later != operations_.end()) {
          submit_one(*later->second);
        }
      });
      break;
    case Operation::Next::Finished: operations_.erase(again); break;
  }
}

// Submitted at once, with everything that waits: the caller may close the descriptor now, and its
// number may be another file's before the next turn.
void Loop::forget(OperationId id) {
  check_thread();
  const auto found = operations_.find(id);
  if (found == operations_.end() || found->second->forgotten) {
    return;
  }
  Operation& operation = *found->second;
  if (!operation.in_flight) {
    operations_.erase(found);
    return;
  }
  operation.forgotten = true;
  const std::shared_ptr<void> callbacks = operation.take_callbacks();
  if (operation.can_be_cancelled()) {
    io_uring_sqe* sqe = io_uring_get_sqe(ring_.get());
    if (sqe == nullptr) {
      submit_now();
      sqe = io_uring_get_sqe(ring_.get());
      CB_CHECK_MSG(sqe != nullptr, "the submission queue stays full after a submission");
    }
    io_uring_prep_cancel64(sqe, id, 0);
    io_uring_sqe_set_data64(sqe, kNobody);
  }
  submit_now();
}

bool Loop::is_pending(OperationId id) const {
  const auto found = operations_.find(id);
  return found != operations_.end() && !found->second->forgotten;
}

void Loop::watch(int fd, std::function<void()> on_readable) {
  CB_CHECK_MSG(!watches_.contains(fd), "this descriptor is watched already");
  watches_[fd] = start(make_watch(fd, std::move(on_readable)))->id;
}

void Loop::unwatch(int fd) {
  if (const auto found = watches_.find(fd); found != watches_.end()) {
    const OperationId id = found->second;
    watches_.erase(found);
    forget(id);
  }
}

OperationId Loop::accept(int listen_fd, std::function<void(Fd)> on_connection) {
  return start(make_accept(listen_fd, std::move(on_connection)))->id;
}

OperationId Loop::recv(int fd, std::size_t limit,
                       std::function<void(int, std::span<const std::byte>)> done) {
  return start(make_recv(fd, limit, std::move(done)))->id;
}

OperationId Loop::send(int fd, std::string bytes, Done done) {
  return start(make_send(fd, std::move(bytes), std::move(done)))->id;
}

OperationId Loop::connect(int fd, std::span<const std::byte> address, Done done) {
  return start(make_connect(fd, address, std::move(done)))->id;
}

OperationId Loop::write(int fd, std::uint64_t offset, std::string bytes, Done done) {
  return start(make_write(fd, offset, std::move(bytes), std::move(done)))->id;
}

OperationId Loop::read_into(int fd, std::uint64_t offset, std::span<std::byte> bytes,
                            std::shared_ptr<const void> keeps, Done done) {
  return start(make_read_into(fd, offset, bytes, std::move(keeps), std::move(done)))->id;
}

OperationId Loop::write_from(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                             Durable durable, std::shared_ptr<const void> keeps, Done done) {
  return start(make_write_from(fd, offset, bytes, durable, std::move(keeps), std::move(done)))->id;
}

OperationId Loop::allocate(int fd, int mode, std::uint64_t offset, std::uint64_t length,
                           Done done) {
  return start(make_allocate(fd, mode, offset, length, std::move(done)))->id;
}

OperationId Loop::fsync(int fd, bool metadata, Done done) {
  return start(make_fsync(fd, metadata, std::move(done)))->id;
}

// ---- signals

Result<> Loop::on_signals(std::initializer_list<int> signals, std::function<void(int)> on_signal) {
  check_thread();
  CB_CHECK_MSG(!signals_, "signals are taken once a loop");
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) {
    sigaddset(&set, signal);
  }
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return fail(error, "block signals");
  }
  signals_.reset(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_) {
    return fail(errno, "create a signalfd");
  }
  watch(signals_.get(), [this, call = std::move(on_signal)] {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      call(static_cast<int>(info.ssi_signo));
    }
  });
  return {};
}

std::string LoopFacts::text() const {
  std::string text = "io_uring";
  text += single_issuer ? ", single issuer" : "";
  text += defer_taskrun ? ", deferred task work" : "";
  text += boottime_wait ? ", boottime" : "";
  return text;
}

}  // namespace cb::loop
