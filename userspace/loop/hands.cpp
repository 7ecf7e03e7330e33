// SPDX-License-Identifier: Apache-2.0
#include "loop/hands.h"

#include <sched.h>

#include <csignal>

#include "base/log.h"

namespace cb::loop {

namespace {
// The default of 8 MiB would be locked into memory by mlockall.
constexpr std::size_t kStackBytes = 512 << 10;
}  // namespace

struct Hands::Job {
  std::function<int()> work;
  std::function<void(int)> done;
};

Result<std::unique_ptr<Hands>> Hands::start(Loop& loop, HandsOptions options) {
  CB_TRY(bell, Mailbox::open_bell(true));
  std::unique_ptr<Hands> hands(new Hands(loop, std::move(bell)));
  CB_TRY_DO(hands->start_thread(options));
  return hands;
}

Result<> Hands::start_thread(const HandsOptions& options) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  // Signals are for the loop's signalfd: the thread is born with all of them blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(
      &thread_, &attributes,
      [](void* self) -> void* {
        static_cast<Hands*>(self)->work_until_stopped();
        return nullptr;
      },
      this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return fail(error, "start thread " + options.name);
  }
  started_ = true;
  pthread_setname_np(thread_, options.name.substr(0, 15).c_str());
  // Said in both cases: otherwise the thread has what the loop's thread has.
  sched_param parameters{};
  if (options.fifo) {
    parameters.sched_priority = *options.fifo;
    const int refused = pthread_setschedparam(thread_, SCHED_FIFO, &parameters);
    fifo_ = refused == 0;
    if (!fifo_) {
      log_warning("thread %s gets no real-time priority (%s): addresses may move later",
                  options.name.c_str(), to_text(fail(refused, "SCHED_FIFO")).c_str());
    }
  }
  if (!fifo_) {
    parameters.sched_priority = 0;
    // ignored: going down to the ordinary class is never refused
    pthread_setschedparam(thread_, SCHED_OTHER, &parameters);
  }
  return {};
}

Hands::~Hands() {
  if (started_) {
    stop_.store(true);
    mailbox_.ring();
    pthread_join(thread_, nullptr);
  }
}

void Hands::run(std::function<int()> work, std::function<void(int)> done) {
  auto job = std::make_shared<Job>(Job{std::move(work), std::move(done)});
  mailbox_.put([this, job = std::move(job)]() mutable {
    const int error = job->work();
    // The job goes back whole, so that what its functions hold is destroyed in the loop's thread.
    loop_.post([job = std::move(job), error] {
      if (job->done != nullptr) {
        job->done(error);
      }
    });
  });
}

void Hands::work_until_stopped() {
  while (!stop_.load()) {
    mailbox_.answer();
    batch_ = mailbox_.take();
    for (std::function<void()>& job : batch_) {
      if (stop_.load()) {
        return;  // the rest is destroyed with us, in the loop's thread
      }
      job();
    }
  }
}

}  // namespace cb::loop
