// SPDX-License-Identifier: Apache-2.0
//
// A copy whose disk failed, or that cannot be opened. Its process acknowledges nothing more, and
// only one that reads the log anew may go on. Where this node does not write, that is done by
// itself: the process is ended, so that the disk can be mended, replaced or set aside meanwhile,
// and after a while another one is started; ever more rarely, since each failure of a disk that
// comes and goes makes the writer wait for a moment.
#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "base/log.h"
#include "drivers/volume/replicated.h"

namespace cb::volume {
namespace {

constexpr Duration kBackOffMost = Duration::from_s(300);
constexpr Duration kStable = Duration::from_s(600);
constexpr unsigned kDoublings = 6;

}  // namespace

// Who writes has a device in use: what was answered and not flushed would be gone under it.
bool Replicated::may_write() const { return configured_ && (serve_ || status_.serving); }

void Replicated::note_failure(int error, const std::string& text) {
  trouble(text);
  const bool news = !status_.failure;
  if (news) {
    status_.failure.emplace();
  }
  status_.failure->error = error;
  status_.failure->tries = tries_;
  if (!may_write()) {
    // What such a disk holds, nobody knows: in step only when the one who writes was heard.
    following_ = true;
  }
  if (news && events_.disk_failed) {
    events_.disk_failed(error);
  }
}

void Replicated::on_disk_failed(int error, const std::string& text) {
  if (configured_ && boottime_now() - configured_at_ >= kStable) {
    tries_ = 0;
  }
  note_failure(error, text);
  recover_later();
}

void Replicated::recover_later() {
  if (!status_.failure || ended_ || recovery_timer_ || may_write()) {
    return;
  }
  status_.failure->again_at =
      boottime_now() +
      std::min(options_.recover_after * (1 << std::min(tries_, kDoublings)), kBackOffMost);
  recovery_timer_ = loop_.after(options_.failed_stays, leash_.guard([this] { retire(); }));
}

void Replicated::retire() {
  recovery_timer_ = {};
  if (!status_.failure || ended_) {
    return;
  }
  if (may_write()) {
    status_.failure->again_at = Instant::never();
    return;  // promoted meanwhile; it is looked at again when it no longer is
  }
  process_->stay_down();
  ask(Json{{"verb", "end"}}, [](int, const Json&) {});
  recovery_timer_ = loop_.at(status_.failure->again_at, leash_.guard([this] { begin_again(); }));
}

void Replicated::begin_again() {
  loop_.cancel(recovery_timer_);
  recovery_timer_ = {};
  if (!status_.failure || ended_) {
    return;
  }
  if (process_->connected()) {
    // It did not end as it was asked to. With a disk that does not answer it may take its time.
    process_->stay_down();
    process_->replace();
    recovery_timer_ = loop_.after(options_.failed_stays, leash_.guard([this] { begin_again(); }));
    return;
  }
  status_.failure->tries = ++tries_;
  status_.failure->again_at = Instant::never();
  loop_.cancel(folder_timer_);
  look_at_folder();
}

void Replicated::recovered() {
  loop_.cancel(recovery_timer_);
  recovery_timer_ = {};
  configured_at_ = boottime_now();
  if (status_.failure && events_.report) {
    events_.report("its copy can be opened again: the log was read anew");
  }
  status_.failure.reset();
}

}  // namespace cb::volume
