// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/errand.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace cb::volume {

Report Report::success(int number) {
  Report report;
  report.number = number;
  return report;
}

Report Report::failure(const Error& error) {
  Report report;
  report.error = error.code != 0 ? error.code : EIO;
  const std::size_t length = std::min(error.what.size(), report.text.size() - 1);
  std::memcpy(report.text.data(), error.what.data(), length);
  return report;
}

void close_all_but(std::initializer_list<int> keep, int one_more) noexcept {
  std::array<int, 8> sorted{};
  std::size_t count = 0;
  for (const int fd : keep) {
    sorted[count++] = fd;
  }
  sorted[count++] = one_more;
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
  unsigned from = 3;
  for (std::size_t i = 0; i < count; ++i) {
    const auto fd = static_cast<unsigned>(sorted[i]);
    if (sorted[i] < 3) {
      continue;
    }
    if (fd > from) {
      ::syscall(SYS_close_range, from, fd - 1, 0U);
    }
    from = fd + 1;
  }
  ::syscall(SYS_close_range, from, ~0U, 0U);
}

Result<std::unique_ptr<Errand>> Errand::start(loop::Loop& loop, std::initializer_list<int> keep,
                                              const std::function<Report()>& work,
                                              std::function<void(const Report&)> done) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(errno, "make a pipe");
  }
  Fd reader(ends[0]);
  const Fd writer(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail(errno, "make a child process");
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
      ::_exit(1);
    }
    ::prctl(PR_SET_NAME, "cb-errand");
    close_all_but(keep, writer.get());
    const Report report = work();
    const bool told = ::write(writer.get(), &report, sizeof report) == sizeof report;
    ::_exit(told ? 0 : 1);
  }
  std::unique_ptr<Errand> errand(new Errand(loop));
  errand->pid_ = pid;
  errand->reader_ = std::move(reader);
  errand->done_ = std::move(done);
  errand->pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
  if (!errand->pidfd_) {
    return fail(errno, "watch a child process");  // its destructor kills it
  }
  loop.watch(errand->pidfd_.get(), [raw = errand.get()] { raw->on_end(); });
  return errand;
}

void Errand::on_end() {
  loop_.unwatch(pidfd_.get());
  ::waitpid(std::exchange(pid_, 0), nullptr, WNOHANG);
  pidfd_.reset();
  Report report;
  if (::read(reader_.get(), &report, sizeof report) != sizeof report) {
    report = Report::failure(fail(ECHILD, "the child process ended without a word"));
  }
  report.text.back() = '\0';
  const auto call = std::move(done_);
  call(report);
}

Errand::~Errand() {
  if (pid_ == 0) {
    return;
  }
  if (pidfd_) {
    loop_.unwatch(pidfd_.get());
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, WNOHANG);
}

}  // namespace cb::volume
