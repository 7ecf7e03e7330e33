// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/ublk_ring.h"

#include <fcntl.h>
#include <liburing.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "loop/completions.h"

namespace cb::volume {

namespace {

constexpr unsigned kEntries = 256;
constexpr std::uint64_t kControlMark = 1ULL << 32;  // in user_data; without it, it is a tag

}  // namespace

UblkRing::UblkRing(loop::Loop& loop) : loop_(loop), ring_(std::make_unique<io_uring>()) {}

Result<std::unique_ptr<UblkRing>> UblkRing::open(loop::Loop& loop) {
  std::unique_ptr<UblkRing> made(new UblkRing(loop));
  made->control_ = Fd(::open("/dev/ublk-control", O_RDWR | O_CLOEXEC));
  if (!made->control_) {
    return errno == ENOENT ? fail(ENODEV, "no /dev/ublk-control: the module ublk_drv is not loaded")
                           : fail(errno, "open /dev/ublk-control");
  }
  const int error = -io_uring_queue_init(kEntries, made->ring_.get(),
                                         IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER |
                                             IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL);
  if (error != 0) {
    return fail(error, "open an io_uring for ublk");
  }
  made->ring_open_ = true;
  io_uring_ring_dontfork(made->ring_.get());
  made->bell_ = Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!made->bell_) {
    return fail(errno, "make an eventfd");
  }
  if (const int refused = io_uring_register_eventfd(made->ring_.get(), made->bell_.get());
      refused != 0) {
    return fail(-refused, "watch an io_uring for ublk");
  }
  loop.watch(made->bell_.get(), [raw = made.get()] { raw->on_ready(); });
  return made;
}

UblkRing::~UblkRing() {
  if (bell_) {
    loop_.unwatch(bell_.get());
  }
  if (ring_open_) {
    io_uring_queue_exit(ring_.get());
  }
  // A control command that is under way may still read or write its memory.
  for (auto& [serial, control] : controls_) {
    if (control.memory) {
      static_cast<void>(new std::shared_ptr<void>(std::move(control.memory)));
    }
  }
}

io_uring_sqe& UblkRing::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
  if (entry == nullptr) {
    submit();
    entry = io_uring_get_sqe(ring_.get());
    CB_CHECK_MSG(entry != nullptr, "the submission queue stays full after a submission");
  }
  std::memset(entry, 0, 128);
  entry->opcode = IORING_OP_URING_CMD;
  return *entry;
}

void UblkRing::control(std::uint32_t operation, const ublksrv_ctrl_cmd& command,
                       std::shared_ptr<void> memory, Answer done) {
  io_uring_sqe& entry = next_entry();
  entry.fd = control_.get();
  entry.cmd_op = operation;
  entry.user_data = kControlMark | ++last_serial_;
  std::memcpy(entry.cmd, &command, sizeof command);
  controls_[entry.user_data] = {std::move(memory), std::move(done)};
  submit_soon();
}

void UblkRing::serve(int device, std::function<void(unsigned, int)> on_request) {
  device_ = device;
  on_request_ = std::move(on_request);
}

void UblkRing::fetch(std::uint32_t operation, unsigned tag, int result, void* memory) {
  ublksrv_io_cmd command{};
  command.tag = static_cast<std::uint16_t>(tag);
  command.result = result;
  command.addr = reinterpret_cast<std::uint64_t>(memory);
  io_uring_sqe& entry = next_entry();
  entry.fd = device_;
  entry.cmd_op = operation;
  entry.user_data = tag;
  std::memcpy(entry.cmd, &command, sizeof command);
}

int UblkRing::submit() {
  while (io_uring_sq_ready(ring_.get()) != 0) {
    const int n = io_uring_submit(ring_.get());
    if (n < 0 && n != -EINTR) {
      log_error("volume: ublk: submit to the io_uring: %s", std::strerror(-n));
      return -n;
    }
  }
  return 0;
}

// A callback may destroy this ring.
void UblkRing::on_ready() {
  std::uint64_t rung = 0;
  static_cast<void>(!::read(bell_.get(), &rung, sizeof rung));
  const auto alive = leash_.sight();
  in_completions_ = true;
  loop::take_completions(ring_.get(), [&](std::uint64_t mark, int result) {
    if ((mark & kControlMark) == 0) {
      on_request_(static_cast<unsigned>(mark), result);
    } else if (auto found = controls_.extract(mark)) {
      found.mapped().done(result);
    }
    return !alive.expired();
  });
  if (alive.expired()) {
    return;
  }
  in_completions_ = false;
  submit();
}

}  // namespace cb::volume
