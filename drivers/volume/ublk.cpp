// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/ublk.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "drivers/volume/ublk_errands.h"

namespace cb::volume {

namespace {

// The kernel's device watchers (udev) open a device for a moment; that is no reason to refuse.
constexpr int kDetachTries = 20;
constexpr Duration kDetachPause = Duration::from_ms(50);

// "Not supported" is an answer about a discard only: the kernel would take that for a flush as "not
// needed". ENODEV means that a slot has ended.
int told(Request::Kind kind, int error) {
  const bool can_lack = kind == Request::Kind::Discard || kind == Request::Kind::Zero;
  const bool is_lack = error == EOPNOTSUPP && !can_lack;
  return is_lack || error == ENOSYS || error == ENODEV ? EIO : error;
}

}  // namespace

// ---- detach

void Ublk::detach(loop::Done done) {
  if (attached_ || detached_) {
    done(EBUSY);
    return;
  }
  if (stage_ == Stage::None || !slots_ || !channel_) {
    drop_device();
    done(0);
    return;
  }
  detached_ = std::move(done);
  if (stage_ == Stage::Live && !facts_.lost) {
    try_detach(kDetachTries);
  } else {
    stop();
  }
}

void Ublk::try_detach(int tries_left) {
  auto errand = Errand::start(
      loop_, {}, [number = number_] { return check_ublk_unused(number); },
      [this, tries_left](const Report& report) {
        errand_.reset();
        if (report.error == EBUSY && tries_left > 0) {
          retry_ = loop_.after(kDetachPause, [this, tries_left] {
            retry_ = {};
            try_detach(tries_left - 1);
          });
        } else if (report.error != 0) {
          log_warning("volume: detach the device: %s: %s", report.text.data(),
                      std::strerror(report.error));
          std::exchange(detached_, nullptr)(report.error);
        } else {
          stop();
        }
      });
  if (!errand) {
    std::exchange(detached_, nullptr)(errand.error().code);
    return;
  }
  errand_ = std::move(*errand);
}

void Ublk::stop() {
  const Stage before = std::exchange(stage_, Stage::Stopping);
  stopped_ = false;
  ublk_do(*ring_, kUblkStop, number_, [this, before](int error) {
    if (error != 0 && error != ENODEV) {
      stage_ = before;
      log_warning("volume: detach the device: stop %s: %s", ublk_device_path(number_).c_str(),
                  std::strerror(error));
      std::exchange(detached_, nullptr)(error);
      return;
    }
    stopped_ = true;
    end_detach();
  });
}

// Whoever has a request has its memory: both stay until the last is answered.
void Ublk::end_detach() {
  if (!stopped_ || !detached_ || slots_->taken != 0 || ended_ != slots_->count()) {
    return;
  }
  stopped_ = false;
  slots_->unmap_questions();
  channel_.reset();
  ublk_do(*ring_, kUblkRemove, number_, [this](int error) {
    if (error != 0 && error != ENODEV) {
      log_warning("volume: remove %s: %s", ublk_device_path(number_).c_str(), std::strerror(error));
    } else if (::unlink(mark().c_str()) != 0 && errno != ENOENT) {
      log_warning("volume: remove %s: %s", mark().c_str(), std::strerror(errno));
    }
    drop_device();
    std::exchange(detached_, nullptr)(0);
  });
}

void Ublk::drop_device() {
  ring_.reset();
  channel_.reset();
  slots_.reset();
  stage_ = Stage::None;
  is_attached_ = false;
  facts_.device.clear();
  facts_.survives_restart = false;
}

// ---- requests

void Ublk::on_slot(unsigned tag, int result) {
  if (result == UBLK_IO_RES_OK) {
    handle(tag);
    return;
  }
  ++ended_;
  if (stage_ == Stage::Stopping) {
    end_detach();
  } else if (!std::exchange(facts_.lost, true)) {
    log_error("volume: the kernel gives no more requests of %s: %s",
              ublk_device_path(number_).c_str(), std::strerror(-result));
    if (stage_ == Stage::Starting && attached_) {
      end_attach(EIO, "fetch the requests of " + ublk_device_path(number_));
    }
  }
}

void Ublk::handle(unsigned tag) {
  const ublksrv_io_desc& question = slots_->question(tag);
  Request request;
  request.offset = question.start_sector * kUblkSector;
  request.length = std::uint64_t{question.nr_sectors} * kUblkSector;
  const auto operation = question.op_flags & 0xff;
  if (operation == UBLK_IO_OP_FLUSH) {
    ++facts_.flushes;
    request.kind = Request::Kind::Flush;
    request.offset = request.length = 0;
    pass(tag, request);
    return;
  }
  const bool data = operation == UBLK_IO_OP_READ || operation == UBLK_IO_OP_WRITE;
  if ((request.offset | request.length) % kRequestAlign != 0 || request.length == 0 ||
      request.offset > bytes_ || request.length > bytes_ - request.offset ||
      (data && request.length > kRequestMax)) {
    commit(tag, -EINVAL);
    return;
  }
  switch (operation) {
    case UBLK_IO_OP_READ:
      ++facts_.reads;
      request.kind = Request::Kind::Read;
      break;
    case UBLK_IO_OP_WRITE:
      ++facts_.writes;
      request.kind = Request::Kind::Write;
      request.fua = (question.op_flags & UBLK_IO_F_FUA) != 0;
      break;
    case UBLK_IO_OP_DISCARD:
    case UBLK_IO_OP_WRITE_ZEROES:
      ++facts_.discards;
      request.kind = operation == UBLK_IO_OP_DISCARD ? Request::Kind::Discard : Request::Kind::Zero;
      break;
    default: commit(tag, -EOPNOTSUPP); return;
  }
  if (data) {
    request.data = slots_->data(tag).first(request.length);
  }
  pass(tag, request);
}

// An id names a slot and, above it, a serial: a late answer to an earlier life of the slot is seen.
void Ublk::pass(unsigned tag, const Request& request) {
  UblkSlots::Slot& slot = (*slots_)[tag];
  CB_CHECK(!slot.taken);
  slot.taken = true;
  slot.request = request;
  slot.request.id = ++last_serial_ * slots_->count() + tag;
  ++slots_->taken;
  const Request passed = slot.request;
  take_(passed);
}

void Ublk::answer(std::uint64_t id, int error) {
  CB_CHECK_MSG(slots_ != nullptr, "a request is answered once");
  const auto tag = static_cast<unsigned>(id % slots_->count());
  UblkSlots::Slot& slot = (*slots_)[tag];
  CB_CHECK_MSG(slot.taken && slot.request.id == id, "a request is answered once");
  slot.taken = false;
  --slots_->taken;
  commit(tag,
         error == 0 ? static_cast<int>(slot.request.data.size()) : -told(slot.request.kind, error));
}

void Ublk::commit(unsigned tag, int result) {
  ring_->fetch(kUblkCommit, tag, result, slots_->data(tag).data());
  ring_->submit_soon();
}

}  // namespace cb::volume
