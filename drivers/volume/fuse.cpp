// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/fuse.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "drivers/volume/keeper.h"
#include "drivers/volume/loop_device.h"
#include "drivers/volume/memory.h"

namespace cb::volume {

namespace {

constexpr int kRequestsPerTurn = 64;  // then the rest of the loop has its turn

// The kernel's device watchers (udev) open a device for a moment; that is no reason to refuse.
constexpr int kDetachTries = 20;
constexpr Duration kDetachPause = Duration::from_ms(50);

// An id names a slot and, above it, a serial: a late answer to an earlier life of the slot is seen.
constexpr std::uint64_t id_of(std::uint64_t serial, unsigned slot) {
  return serial * kSlots + slot;
}

bool is_aligned(std::uint64_t offset, std::uint64_t length) {
  return (offset | length) % kRequestAlign == 0;
}

}  // namespace

Fuse::~Fuse() {
  set_watch(false);
  if (retry_) {
    loop_.cancel(retry_);
  }
}

MountPlan Fuse::plan() const {
  return {.folder = options_.folder, .bytes = bytes_, .fuse = fuse_.get()};
}

void Fuse::attach(std::uint64_t bytes, std::function<void(const Request&)> take, loop::Done done) {
  if (attached_ || detached_ || is_attached_) {
    done(EBUSY);
    return;
  }
  if (bytes == 0 || bytes % kRequestAlign != 0) {
    done(EINVAL);
    return;
  }
  bytes_ = bytes;
  take_ = std::move(take);
  attached_ = std::move(done);
  become_io_flusher();
  if (const auto connected = fuse_ ? go_on_after_failure() : connect(); !connected) {
    const Error error = connected.error();
    end_attach(error.code, error.what.c_str());
    return;
  }
  if (!pool_->is_locked()) {
    log_warning("volume: requests are not locked in memory (RLIMIT_MEMLOCK)");
  }
  run_errand([work = plan()] { return mount_volume(work); },
             [this](const Report& report) { on_mounted(report); });
}

// An attach that failed half-way left a connection.
Result<> Fuse::go_on_after_failure() {
  if (facts_.lost) {
    if (open_count_ != 0) {
      return fail(EAGAIN, "wait for the answers to requests of a device that is gone");
    }
    drop_connection();
    return connect();
  }
  return pool_->facts().volume_bytes == bytes_
             ? Result<>()
             : fail(EINVAL, "go on with a device of another size: detach it first");
}

Result<> Fuse::connect() {
  auto connected = find_connection();
  if (!connected) {
    drop_connection();
  }
  return connected;
}

Result<> Fuse::find_connection() {
  facts_ = {};
  facts_.kind = "fuse";
  if (!options_.keeper.empty()) {
    auto kept = ask_keeper(keeper_path());
    if (!kept) {
      log_warning("volume: the keeper of an earlier process: %s", to_text(kept.error()).c_str());
    } else if (*kept) {
      CB_TRY(goes_on, go_on_with(std::move((*kept)->fuse), std::move((*kept)->memory)));
      if (goes_on) {
        return {};
      }
    }
  }
  return begin_anew();
}

// Three ways, by what the earlier process left: its unanswered requests are in its memory; or that
// is of another version, and the kernel can say them again; or nobody knows them, and they fail.
Result<bool> Fuse::go_on_with(Fd fuse, Fd memory) {
  auto adopted = FusePool::adopt(std::move(memory));
  if (adopted) {
    // A volume may have got longer, and its process ended before the device did.
    grown_ = adopted->facts().volume_bytes < bytes_;
    if (adopted->facts().volume_bytes > bytes_) {
      return fail(EPROTO, "go on with a device of " +
                              std::to_string(adopted->facts().volume_bytes) + " bytes");
    }
    fuse_ = std::move(fuse);
    pool_.emplace(std::move(*adopted));
    facts_.survives_restart = true;
    if (is_ended()) {
      log_warning("volume: the file system of an earlier process on %s was taken away",
                  options_.folder.c_str());
      drop_connection();
      facts_.lost = false;
      return false;
    }
    return true;
  }
  log_warning("volume: %s", to_text(adopted.error()).c_str());
  CB_TRY_DO(end_keeper(keeper_path()));
  fuse_out_header again{};
  again.len = sizeof again;
  again.error = kFuseNotifyResend;
  if (::write(fuse.get(), &again, sizeof again) != sizeof again) {
    log_error(
        "volume: this kernel cannot say its requests again (%s); those that were not "
        "answered fail",
        std::strerror(errno));
    return false;
  }
  CB_TRY(pool, FusePool::create(bytes_));
  fuse_ = std::move(fuse);
  pool_.emplace(std::move(pool));
  CB_TRY_DO(find_keeper());
  return true;
}

// Whether what this descriptor served was unmounted or aborted; not whether it is yet to be
// mounted.
bool Fuse::is_ended() {
  if (is_connected(fuse_.get()) || !pool_->has_free()) {
    return false;
  }
  const auto slot = static_cast<unsigned>(pool_->next_free());
  auto parts = pool_->parts(slot);
  return ::readv(fuse_.get(), parts.data(), static_cast<int>(parts.size())) < 0 && errno != EPERM;
}

Result<> Fuse::begin_anew() {
  fuse_ = Fd(::open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fuse_) {
    return fail(errno, "open /dev/fuse (is the module fuse there?)");
  }
  CB_TRY(pool, FusePool::create(bytes_));
  pool_.emplace(std::move(pool));
  return find_keeper();
}

Result<> Fuse::find_keeper() {
  if (options_.keeper.empty()) {
    return {};
  }
  CB_TRY_DO(start_keeper(keeper_path(), options_.keeper, fuse_.get(), pool_->fd()));
  facts_.survives_restart = true;
  return {};
}

void Fuse::run_errand(const std::function<Report()>& work,
                      std::function<void(const Report&)> done) {
  auto errand = Errand::start(loop_, {fuse_.get()}, work, std::move(done));
  if (!errand) {
    const Report report = Report::failure(errand.error());
    end_attach(report.error, report.text.data());
    return;
  }
  errand_ = std::move(*errand);
}

void Fuse::on_mounted(const Report& report) {
  if (report.error != 0) {
    end_attach(report.error, report.text.data());
    return;
  }
  const std::vector<unsigned> found = pool_->take_found();
  facts_.resent += found.size();
  for (const unsigned slot : found) {
    handle(slot);
  }
  set_watch(pool_->has_free());
  if (std::exchange(grown_, false)) {
    forget_size();
  }
  run_errand([work = plan()] { return attach_device(work); },
             [this](const Report& made) { on_device(made); });
}

void Fuse::on_device(const Report& report) {
  if (report.error != 0) {
    end_attach(report.error, report.text.data());
    return;
  }
  facts_.device = loop_device_path(report.number);
  run_errand([number = report.number] { return flush_device(number); },
             [this, number = report.number, before = facts_.flushes](const Report& flushed) {
               on_flushed(number, flushed, before);
             });
}

void Fuse::on_flushed(int number, const Report& report, std::uint64_t flushes_before) {
  if (report.error == 0 && facts_.flushes == flushes_before) {
    end_attach(EPROTO, "a flush of the device does not reach the volume");
    return;
  }
  if (report.error != 0 || options_.write_cache) {
    end_attach(report.error, report.text.data());
    return;
  }
  run_errand([number] { return end_write_cache(number); },
             [this](const Report& ended) {
               if (ended.error != 0) {  // nothing is lost: flushes come, and find all of it done
                 log_warning("volume: the device is flushed although no write needs it: %s: %s",
                             ended.text.data(), std::strerror(ended.error));
               }
               end_attach(0, "");
             });
}

void Fuse::end_attach(int error, const char* text) {
  errand_.reset();
  if (error != 0) {
    log_error("volume: attach the device: %s: %s", text, std::strerror(error));
  }
  is_attached_ = error == 0;
  if (const auto done = std::exchange(attached_, nullptr)) {
    done(error);
  }
}

// So that the next who asks for the size asks us.
void Fuse::forget_size() {
  pool_->facts().volume_bytes = bytes_;
  struct {
    fuse_out_header head;
    fuse_notify_inval_inode_out what;
  } notice{};
  notice.head.len = sizeof notice;
  notice.head.error = FUSE_NOTIFY_INVAL_INODE;
  notice.what.ino = kFileNode;
  notice.what.off = -1;  // the attributes alone
  if (::write(fuse_.get(), &notice, sizeof notice) != sizeof notice && errno != ENOENT) {
    log_warning("volume: the kernel does not forget the old size: %s", std::strerror(errno));
  }
}

void Fuse::resize(std::uint64_t bytes, loop::Done done) {
  if (!is_attached_ || attached_ || detached_ || resized_) {
    done(EBUSY);
    return;
  }
  if (bytes < bytes_ || bytes % kRequestAlign != 0) {
    done(EINVAL);
    return;
  }
  bytes_ = bytes;
  forget_size();
  auto errand = Errand::start(
      loop_, {fuse_.get()}, [work = plan()] { return attach_device(work); },
      [this](const Report& report) {
        errand_.reset();
        if (report.error != 0) {
          log_error("volume: make the device longer: %s: %s", report.text.data(),
                    std::strerror(report.error));
        }
        std::exchange(resized_, nullptr)(report.error);
      });
  if (!errand) {
    done(errand.error().code);
    return;
  }
  errand_ = std::move(*errand);
  resized_ = std::move(done);
}

void Fuse::detach(loop::Done done) {
  if (!fuse_) {
    done(0);
    return;
  }
  if (attached_ || detached_ || resized_) {
    done(EBUSY);
    return;
  }
  detached_ = std::move(done);
  try_detach(kDetachTries);
}

void Fuse::try_detach(int tries_left) {
  retry_ = {};
  const auto on_report = [this, tries_left](const Report& report) {
    errand_.reset();
    if (report.error == EBUSY && tries_left > 0) {
      retry_ = loop_.after(kDetachPause, [this, tries_left] { try_detach(tries_left - 1); });
      return;
    }
    if (report.error != 0) {
      log_warning("volume: detach the device: %s: %s", report.text.data(),
                  std::strerror(report.error));
      std::exchange(detached_, nullptr)(report.error);
      return;
    }
    device_gone_ = true;
    end_detach();
  };
  auto errand = Errand::start(
      loop_, {fuse_.get()}, [work = plan()] { return detach_device(work); }, on_report);
  if (!errand) {
    std::exchange(detached_, nullptr)(errand.error().code);
    return;
  }
  errand_ = std::move(*errand);
}

// Whoever has a request has its memory: both stay until the last is answered.
void Fuse::end_detach() {
  if (open_count_ != 0) {
    return;
  }
  drop_connection();
  std::exchange(detached_, nullptr)(0);
}

void Fuse::drop_connection() {
  set_watch(false);
  if (facts_.survives_restart) {
    if (const auto ended = end_keeper(keeper_path()); !ended) {
      log_warning("volume: end the keeper: %s", to_text(ended.error()).c_str());
    }
  }
  fuse_.reset();
  pool_.reset();
  device_gone_ = false;
  is_attached_ = false;
  facts_.device.clear();
  facts_.survives_restart = false;
}

void Fuse::set_watch(bool on) {
  if (watching_ == on) {
    return;
  }
  watching_ = on;
  if (on) {
    loop_.watch(fuse_.get(), [this] { on_readable(); });
  } else {
    loop_.unwatch(fuse_.get());
  }
}

void Fuse::on_readable() {
  for (int i = 0; i < kRequestsPerTurn && watching_ && pool_->has_free(); ++i) {
    if (!read_one()) {
      break;
    }
  }
  if (watching_ && !pool_->has_free()) {
    set_watch(false);  // until something is answered
  }
}

bool Fuse::read_one() {
  const auto slot = static_cast<unsigned>(pool_->next_free());
  auto parts = pool_->parts(slot);
  const ssize_t n = ::readv(fuse_.get(), parts.data(), static_cast<int>(parts.size()));
  if (n < 0) {
    const int error = errno;
    pool_->clear(slot);
    if (error == EAGAIN) {
      return false;
    }
    if (error != EINTR && error != ENOENT) {  // ENOENT: it was taken back at the last moment
      on_gone(error);
      return false;
    }
    return true;
  }
  pool_->take(slot);
  if (static_cast<std::size_t>(n) < sizeof(fuse_in_header) ||
      pool_->header(slot).len != static_cast<std::size_t>(n)) {
    log_error("volume: the kernel's request of %zd bytes is not whole", n);
    drop(slot);
    return true;
  }
  if ((pool_->header(slot).unique & kFuseUniqueResend) != 0) {
    ++facts_.resent;
  }
  handle(slot);
  return true;
}

void Fuse::on_gone(int error) {
  set_watch(false);
  facts_.lost = true;
  if (!detached_) {
    log_error("volume: the file system on %s was taken away: %s", options_.folder.c_str(),
              std::strerror(error));
  }
}

void Fuse::handle(unsigned slot) {
  switch (pool_->header(slot).opcode) {
    case FUSE_READ: on_read(slot); return;
    case FUSE_WRITE: on_write(slot); return;
    case FUSE_FALLOCATE: on_fallocate(slot); return;
    // Once answered with ENOSYS, the kernel would let every later flush succeed without asking.
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_SYNCFS: {
      ++facts_.flushes;
      Request request;
      request.kind = Request::Kind::Flush;
      pass(slot, request);
      return;
    }
    default: handle_meta(slot); return;
  }
}

void Fuse::on_read(unsigned slot) {
  const auto& in = pool_->argument<fuse_read_in>(slot);
  if (!is_aligned(in.offset, in.size) || in.size > kRequestMax) {
    reply_error(slot, EINVAL);
    return;
  }
  if (in.offset >= bytes_ || in.size == 0) {
    reply_bytes(slot, 0, nullptr, 0);
    return;
  }
  ++facts_.reads;
  Request request;
  request.kind = Request::Kind::Read;
  request.offset = in.offset;
  request.length = std::min<std::uint64_t>(in.size, bytes_ - in.offset);
  request.data = pool_->data(slot).first(request.length);
  pass(slot, request);
}

void Fuse::on_write(unsigned slot) {
  const auto& in = pool_->argument<fuse_write_in>(slot);
  if (!is_aligned(in.offset, in.size) || in.size == 0 || in.size > kRequestMax ||
      in.offset > bytes_ || in.size > bytes_ - in.offset ||
      pool_->header(slot).len != FusePool::kHead + in.size) {
    reply_error(slot, EINVAL);
    return;
  }
  ++facts_.writes;
  Request request;
  request.kind = Request::Kind::Write;
  request.offset = in.offset;
  request.length = in.size;
  request.data = pool_->data(slot).first(in.size);
  pass(slot, request);
}

void Fuse::on_fallocate(unsigned slot) {
  const auto& in = pool_->argument<fuse_fallocate_in>(slot);
  Request request;
  if ((in.mode & FALLOC_FL_PUNCH_HOLE) != 0) {
    request.kind = Request::Kind::Discard;
  } else if ((in.mode & FALLOC_FL_ZERO_RANGE) != 0) {
    request.kind = Request::Kind::Zero;
  } else {
    reply_error(slot, EOPNOTSUPP);
    return;
  }
  if (!is_aligned(in.offset, in.length) || in.length == 0 || in.offset > bytes_ ||
      in.length > bytes_ - in.offset) {
    reply_error(slot, EINVAL);
    return;
  }
  ++facts_.discards;
  request.offset = in.offset;
  request.length = in.length;
  pass(slot, request);
}

void Fuse::pass(unsigned slot, Request request) {
  Open& open = open_[slot];
  CB_CHECK(!open.taken);
  request.id = id_of(++last_serial_, slot);
  open = {.taken = true, .request = request};
  ++open_count_;
  take_(request);
}

void Fuse::answer(std::uint64_t id, int error) {
  const auto slot = static_cast<unsigned>(id % kSlots);
  Open& open = open_[slot];
  CB_CHECK_MSG(open.taken && open.request.id == id, "a request is answered once");
  open.taken = false;
  --open_count_;
  const Request& request = open.request;
  if (error != 0) {
    // "Not known" would be taken for an answer about all later flushes and discards.
    reply_error(slot, error == ENOSYS ? EIO : error);
  } else if (request.kind == Request::Kind::Read) {
    reply_bytes(slot, 0, request.data.data(), request.data.size());
  } else if (request.kind == Request::Kind::Write) {
    reply(slot, fuse_write_out{static_cast<std::uint32_t>(request.length), 0});
  } else {
    reply_error(slot, 0);
  }
  if (device_gone_) {
    end_detach();
  }
}

void Fuse::reply_bytes(unsigned slot, int error, const void* bytes, std::size_t length) {
  fuse_out_header out{};
  out.unique = pool_->header(slot).unique;
  out.error = -error;
  out.len = static_cast<std::uint32_t>(sizeof out + length);
  std::array<iovec, 2> parts = {iovec{&out, sizeof out}, iovec{const_cast<void*>(bytes), length}};
  const ssize_t n = ::writev(fuse_.get(), parts.data(), length == 0 ? 1 : 2);
  // ENOENT: nobody waits for it any more, or the process before had answered it.
  if (n < 0 && errno != ENOENT && !facts_.lost) {
    log_error("volume: answer the kernel: %s", std::strerror(errno));
  }
  pool_->release(slot);
  if (!facts_.lost && !device_gone_) {
    set_watch(true);
  }
}

}  // namespace cb::volume
