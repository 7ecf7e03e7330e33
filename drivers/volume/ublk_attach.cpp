// SPDX-License-Identifier: Apache-2.0
//
// How a volume comes by its ublk device: what an earlier process left, or a new one. Step by step,
// since the kernel answers each command in a later turn.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "drivers/volume/memory.h"
#include "drivers/volume/ublk.h"
#include "drivers/volume/ublk_errands.h"
#include "drivers/volume/ublk_privilege.h"

namespace cb::volume {

namespace {

// In the volume's hands at a time. The device has one slot more, which stays empty: from it alone
// the kernel (6.12) sees that this process died, and without that it hands no request to the next.
constexpr unsigned kRequests = 64;
constexpr unsigned kSlots = kRequests + 1;
constexpr unsigned kSlotsMost = 512;  // of a device that another version made

constexpr std::uint64_t kFeatures = UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE;

// A killed process lets go of its device when it has ended, and that may take a moment.
constexpr Duration kPatience = Duration::from_s(10);
constexpr Duration kPause = Duration::from_ms(2);

// FNV-1a. The kernel keeps this number for us with the device.
std::uint64_t owner_of(const std::string& folder) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : folder) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash | 1;
}

ublk_params params_for(std::uint64_t bytes) {
  ublk_params params{};
  params.len = sizeof params;
  params.types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD;
  params.basic.attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA;
  params.basic.logical_bs_shift = params.basic.physical_bs_shift = 12;
  params.basic.io_min_shift = params.basic.io_opt_shift = 12;
  static_assert(kRequestAlign == 1U << 12);
  params.basic.max_sectors = kRequestMax / kUblkSector;
  params.basic.dev_sectors = bytes / kUblkSector;
  constexpr std::uint32_t kMost = UINT32_MAX / kUblkSector / 8 * 8;  // whole blocks
  params.discard.discard_granularity = kRequestAlign;
  params.discard.max_discard_sectors = kMost;
  params.discard.max_write_zeroes_sectors = kMost;
  params.discard.max_discard_segments = 1;
  return params;
}

std::string text_of(const char* what, std::uint32_t number) {
  return std::string(what) + " " + ublk_device_path(number);
}

}  // namespace

// A mark without a number is of one that was killed before anybody could use its device.
bool has_ublk_left(const std::string& folder) {
  const auto text = read_all(folder + ".ublk", 64);
  const auto number = text ? parse_number(trim(*text), UINT32_MAX - 1) : std::nullopt;
  return number &&
         ::access(("/sys/class/ublk-char/ublkc" + std::to_string(*number)).c_str(), F_OK) == 0;
}

Ublk::Ublk(loop::Loop& loop, UblkOptions options)
    : loop_(loop), options_(std::move(options)), owner_(owner_of(options_.folder)) {
  facts_.kind = "ublk";
}

Ublk::~Ublk() {
  if (retry_) {
    loop_.cancel(retry_);
  }
}

bool Ublk::again(std::function<void()> f) {
  if (loop_.now() >= patience_) {
    return false;
  }
  retry_ = loop_.after(kPause, [this, f = std::move(f)] {
    retry_ = {};
    f();
  });
  return true;
}

void Ublk::attach(std::uint64_t bytes, std::function<void(const Request&)> take, loop::Done done) {
  if (attached_ || detached_ || is_attached_) {
    done(EBUSY);
    return;
  }
  if (bytes == 0 || bytes % kRequestAlign != 0) {
    done(EINVAL);
    return;
  }
  attached_ = std::move(done);
  if (stage_ == Stage::Live && !facts_.lost) {  // an attach that failed half-way left it
    if (bytes != bytes_) {
      end_attach(EINVAL, "go on with a device of another size: detach it first");
      return;
    }
    take_ = std::move(take);
    settle();
    return;
  }
  if (slots_ && slots_->taken != 0) {
    end_attach(EAGAIN, "wait for the answers to requests of a device that is gone");
    return;
  }
  drop_device();
  bytes_ = bytes;
  take_ = std::move(take);
  facts_ = {};
  facts_.kind = "ublk";
  patience_ = boottime_now() + kPatience;
  become_io_flusher();
  auto ring = UblkRing::open(loop_);
  if (!ring) {
    end_attach(ring.error().code, ring.error().what);
    return;
  }
  ring_ = std::move(*ring);
  stage_ = Stage::Starting;
  find();
}

void Ublk::find() { look_at(ublk_devices(), 0); }

void Ublk::look_at(std::vector<std::uint32_t> numbers, std::size_t next) {
  if (next == numbers.size()) {
    make_anew();
    return;
  }
  const std::uint32_t number = numbers[next];
  ublk_info(
      *ring_, number,
      [this, numbers = std::move(numbers), next](int error, const ublksrv_ctrl_dev_info& info) {
        if (error == 0 && info.ublksrv_flags == owner_) {
          on_found(info);
        } else {
          look_at(numbers, next + 1);  // somebody else's, or just removed
        }
      });
}

void Ublk::on_found(const ublksrv_ctrl_dev_info& info) {
  number_ = info.dev_id;
  if (info.state == UBLK_S_DEV_DEAD) {  // never begun, or stopped and not removed
    ublk_do(*ring_, kUblkRemove, number_, [this](int error) {
      if (error != 0 && error != ENODEV) {
        end_attach(error, text_of("remove what is left of", number_));
      } else {
        find();
      }
    });
    return;
  }
  if ((info.flags & kFeatures) != kFeatures || info.nr_hw_queues != 1 ||
      info.queue_depth > kSlotsMost || info.max_io_buf_bytes != kRequestMax) {
    end_attach(EPROTO, text_of("go on with another version's", number_));
    return;
  }
  auto slots = UblkSlots::make(info.queue_depth);
  if (!slots) {
    end_attach(slots.error().code, slots.error().what);
    return;
  }
  slots_ = std::move(*slots);
  ublk_params_of(*ring_, number_, [this](int error, const ublk_params& params) {
    const std::uint64_t there = params.basic.dev_sectors * kUblkSector;
    if (error != 0) {
      end_attach(error, text_of("look at", number_));
    } else if (there > bytes_) {
      end_attach(EPROTO, "go on with a device of " + std::to_string(there) + " bytes");
    } else {
      bytes_ = there;  // the volume may have got longer; the device does when it is made anew
      recover();
    }
  });
}

void Ublk::recover() {
  ublk_do(*ring_, kUblkRecover, number_, [this](int error) {
    if (error == EBUSY && again([this] { recover(); })) {
      return;  // the process before has not quite ended
    }
    // EINVAL: it was killed after it had come as far as this.
    if (error != 0 && error != EINVAL) {
      end_attach(error, text_of("take over", number_));
    } else {
      open_channel(kUblkRecovered);
    }
  });
}

void Ublk::make_anew() {
  auto slots = UblkSlots::make(kSlots);
  if (!slots) {
    end_attach(slots.error().code, slots.error().what);
    return;
  }
  slots_ = std::move(*slots);
  // Before there is a device, so that there is none without it.
  if (const auto noted = write_atomically(mark(), "\n", 0600); !noted) {
    end_attach(noted.error().code, noted.error().what);
    return;
  }
  ublksrv_ctrl_dev_info wanted{};
  wanted.nr_hw_queues = 1;
  wanted.queue_depth = kSlots;
  wanted.max_io_buf_bytes = kRequestMax;
  wanted.dev_id = kUblkAnyId;
  wanted.flags = kFeatures | kUblkIoctlNumbers;
  wanted.ublksrv_flags = owner_;
  ublk_add(*ring_, wanted, [this](int error, const ublksrv_ctrl_dev_info& made) {
    if (error != 0) {
      end_attach(error, "make a ublk device");
      return;
    }
    number_ = made.dev_id;
    if ((made.flags & kFeatures) != kFeatures || made.nr_hw_queues != 1 ||
        made.queue_depth != kSlots || made.max_io_buf_bytes != kRequestMax) {
      end_attach(EOPNOTSUPP, "this kernel's ublk cannot hand a device over");
      return;
    }
    if (const auto noted = write_atomically(mark(), std::to_string(number_) + "\n", 0600); !noted) {
      end_attach(noted.error().code, noted.error().what);
      return;
    }
    ublk_set_params(*ring_, number_, params_for(bytes_), [this](int refused) {
      if (refused != 0) {
        end_attach(refused, text_of("set up", number_));
      } else {
        open_channel(kUblkStart);
      }
    });
  });
}

// last: what makes the device live once its requests are fetched.
void Ublk::open_channel(std::uint32_t last) {
  const std::string path = ublk_channel_path(number_);
  channel_ = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!channel_) {
    const int error = errno;
    // ENOENT: udev is to make it yet.
    if ((error != EBUSY && error != ENOENT) || !again([this, last] { open_channel(last); })) {
      end_attach(error, "open " + path);
    }
    return;
  }
  if (const auto mapped = slots_->map_questions(channel_.get()); !mapped) {
    end_attach(mapped.error().code, mapped.error().what);
    return;
  }
  if (!slots_->is_locked()) {
    log_warning("volume: requests are not locked in memory (RLIMIT_MEMLOCK)");
  }
  ring_->serve(channel_.get(), [this](unsigned tag, int result) { on_slot(tag, result); });
  if (const int error = fetch_all(last != kUblkStart); error != 0) {
    end_attach(error, text_of("fetch the requests of", number_));
    return;
  }
  ublk_do(*ring_, last, number_, [this](int error) {
    if (error != 0) {
      end_attach(error, text_of("begin to serve", number_));
      return;
    }
    facts_.device = ublk_device_path(number_);
    facts_.survives_restart = true;
    stage_ = Stage::Live;
    settle();
  });
}

// All at once: a process that is killed has fetched into all slots or none, and both can be gone on
// with. A new device is fetched from without the right to administer: the kernel then does not look
// for partitions on it, for which it would hold the device's lock while it waits for our answers.
int Ublk::fetch_all(bool privileged) {
  for (unsigned tag = 0; tag < slots_->count(); ++tag) {
    ring_->fetch(kUblkFetch, tag, 0, slots_->data(tag).data());
  }
  ended_ = 0;
  if (privileged) {
    return ring_->submit();
  }
  const WithoutAdministration modest;
  return ring_->submit();
}

void Ublk::settle() {
  auto errand = Errand::start(
      loop_, {}, [number = number_] { return settle_ublk(number, kRequests); },
      [this, before = facts_.flushes](const Report& report) {
        if (report.error == 0 && facts_.flushes == before) {
          end_attach(EPROTO, "a flush of the device does not reach the volume");
        } else {
          end_attach(report.error, report.text.data());
        }
      });
  if (!errand) {
    end_attach(errand.error().code, errand.error().what);
    return;
  }
  errand_ = std::move(*errand);
}

void Ublk::end_attach(int error, const std::string& text) {
  errand_.reset();
  if (error != 0) {
    log_error("volume: attach the device: %s: %s", text.c_str(), std::strerror(error));
  }
  is_attached_ = error == 0;
  if (const auto done = std::exchange(attached_, nullptr)) {
    done(error);
  }
}

}  // namespace cb::volume
