// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/ublk_test.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "drivers/volume/ublk.h"

namespace cb::volume {

namespace {

constexpr std::size_t kBytes = std::size_t{4} << 20;
constexpr std::size_t kPart = std::size_t{1} << 20;
constexpr Duration kStepPatience = Duration::from_s(4);
constexpr Duration kLook = Duration::from_ms(1);

// What the test and who serves its device both see.
struct Bench {
  std::atomic<int> attached{0};  // 1: yes, -1: no
  std::atomic<int> error{0};
  std::atomic<unsigned> number{0};
  std::atomic<unsigned> flushes{0}, discards{0}, held{0};
  std::atomic<bool> hold{false};  // writes are not answered
  std::atomic<bool> stop{false};  // take the device away
  int bell = -1;                  // an eventfd, rung when one of these changes
  alignas(4096) std::array<std::byte, kBytes> image;

  void ring() const {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(bell, &one, sizeof one));
  }
};

void die_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);
  }
}

int execute(Bench& bench, const Request& request) {
  std::byte* at = bench.image.data() + request.offset;
  switch (request.kind) {
    case Request::Kind::Read: std::memcpy(request.data.data(), at, request.length); break;
    case Request::Kind::Write: std::memcpy(at, request.data.data(), request.length); break;
    case Request::Kind::Flush: ++bench.flushes; break;
    case Request::Kind::Zero:
    case Request::Kind::Discard:
      ++bench.discards;
      std::memset(at, 0, request.length);
      break;
  }
  return 0;
}

// The life of who serves the device.
int serve(Bench& bench, const std::string& folder) {
  auto loop = loop::Loop::open();
  if (!loop) {
    bench.error = loop.error().code;
    bench.attached = -1;
    bench.ring();
    return 1;
  }
  Ublk front(**loop, {folder});
  int code = -1;
  front.attach(
      kBytes,
      [&](const Request& request) {
        if (bench.hold && request.kind == Request::Kind::Write) {
          ++bench.held;
          bench.ring();
        } else {
          front.answer(request.id, execute(bench, request));
        }
      },
      [&](int error) {
        bench.error = error;
        const std::string device = front.facts().device;
        const auto digits = device.find_first_of("0123456789");
        bench.number = digits == std::string::npos
                           ? 0
                           : static_cast<unsigned>(std::strtoul(&device[digits], nullptr, 10));
        bench.attached = error == 0 ? 1 : -1;
        code = error == 0 ? -1 : 1;
        bench.ring();
      });
  bool stopping = false;
  std::function<void()> look = [&] {
    if (bench.stop && !stopping && bench.attached == 1) {
      stopping = true;
      front.detach([&](int error) {
        bench.error = error;
        code = error == 0 ? 0 : 1;
      });
    }
    (*loop)->after(kLook, look);
  };
  look();
  while (code < 0) {
    if (!(*loop)->turn(Instant::never())) {
      return 1;
    }
  }
  return code;
}

class Test {
 public:
  Test(Bench& bench, std::string folder) : bench_(bench), folder_(std::move(folder)) {}
  // After a failure, what is left is taken away as far as it goes.
  ~Test() {
    if (server_ > 0) {
      device_.reset();
      bench_.hold = false;
      bench_.stop = true;
      if (!end_of(server_, "")) {
        ::kill(server_, SIGKILL);
      }
    }
  }
  Test(const Test&) = delete;
  Test& operator=(const Test&) = delete;

  Result<> run() {
    CB_TRY_DO(begin_to_serve("make a device"));
    CB_TRY_DO(open_device());
    CB_TRY_DO(write_and_read());
    CB_TRY_DO(flush_and_discard());
    CB_TRY_DO(hand_over());
    device_.reset();
    say("take the device away");
    bench_.stop = true;
    CB_TRY(code, end_of(server_, "take the device away"));
    server_ = 0;
    return code == 0 ? Result<>() : fail(bench_.error, "take the device away");
  }

 private:
  static void say(const char* step) {
    std::puts(step);
    std::fflush(stdout);
  }

  Result<> until(const char* what, const std::function<bool()>& condition) {
    const Instant late = boottime_now() + kStepPatience;
    while (!condition()) {
      const Duration left = late - boottime_now();
      if (left <= Duration{}) {
        return fail(ETIMEDOUT, what);
      }
      pollfd bell = {.fd = bench_.bell, .events = POLLIN, .revents = 0};
      ::poll(&bell, 1, static_cast<int>(left.as_ms()) + 1);
      std::uint64_t rung = 0;
      static_cast<void>(!::read(bench_.bell, &rung, sizeof rung));
    }
    return {};
  }

  static Result<int> end_of(pid_t pid, const char* what) {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
    pollfd end = {.fd = process.get(), .events = POLLIN, .revents = 0};
    int status = 0;
    if (::poll(&end, 1, static_cast<int>(kStepPatience.as_ms())) != 1 ||
        ::waitpid(pid, &status, WNOHANG) != pid) {
      return fail(ETIMEDOUT, what);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  }

  Result<> begin_to_serve(const char* what) {
    say(what);
    bench_.attached = 0;
    const pid_t self = ::getpid();
    server_ = ::fork();
    if (server_ < 0) {
      return fail(errno, "make a process");
    }
    if (server_ == 0) {
      die_with_parent(self);
      device_.reset();  // it could not be taken away
      ::_exit(serve(bench_, folder_));
    }
    CB_TRY_DO(until(what, [&] { return bench_.attached != 0; }));
    return bench_.attached == 1 ? Result<>() : fail(bench_.error, what);
  }

  Result<> open_device() {
    const std::string path = ublk_device_path(bench_.number);
    device_ = Fd(::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    if (!device_) {
      return fail(errno, "open " + path);
    }
    void* memory = nullptr;
    if (::posix_memalign(&memory, 4096, kPart) != 0) {
      return fail(ENOMEM, "make memory");
    }
    buffer_.reset(static_cast<std::byte*>(memory));
    return {};
  }

  void fill(unsigned char seed) {
    for (std::size_t i = 0; i < kPart; ++i) {
      buffer_.get()[i] = static_cast<std::byte>(seed + i * 7 + i / 4096);
    }
  }

  Result<> write(const char* what, off_t offset, std::size_t length) {
    return ::pwrite(device_.get(), buffer_.get(), length, offset) == static_cast<ssize_t>(length)
               ? Result<>()
               : fail(errno, what);
  }

  bool image_has(std::size_t offset, std::size_t length) {
    return std::memcmp(bench_.image.data() + offset, buffer_.get(), length) == 0;
  }

  Result<> write_and_read() {
    say("write");
    fill(1);
    CB_TRY_DO(write("write", 0, kPart));
    if (!image_has(0, kPart)) {
      return fail(EBADMSG, "write: other bytes have arrived");
    }
    say("read");
    std::memset(buffer_.get(), 0, kPart);
    if (::pread(device_.get(), buffer_.get(), kPart, 0) != static_cast<ssize_t>(kPart)) {
      return fail(errno, "read");
    }
    return image_has(0, kPart) ? Result<>() : fail(EBADMSG, "read: other bytes have arrived");
  }

  Result<> flush_and_discard() {
    say("flush");
    const unsigned before = bench_.flushes;
    if (::fsync(device_.get()) != 0) {
      return fail(errno, "flush");
    }
    if (bench_.flushes == before) {
      return fail(EPROTO, "flush: it does not arrive");
    }
    say("discard");
    std::array<std::uint64_t, 2> range = {kPart / 2, kPart / 4};
    if (::ioctl(device_.get(), BLKDISCARD, range.data()) != 0) {
      return fail(errno, "discard");
    }
    const auto gone = std::span(bench_.image).subspan(range[0], range[1]);
    const bool zero =
        std::all_of(gone.begin(), gone.end(), [](std::byte b) { return b == std::byte{}; });
    return bench_.discards != 0 && zero ? Result<>() : fail(EPROTO, "discard: it does not arrive");
  }

  Result<> hand_over() {
    const char* what = "go on with the device of a killed process";
    constexpr off_t kOffset = 2 * kPart;
    fill(9);
    bench_.hold = true;
    const pid_t self = ::getpid();
    const pid_t writer = ::fork();
    if (writer < 0) {
      return fail(errno, "make a process");
    }
    if (writer == 0) {
      die_with_parent(self);
      ::_exit(write(what, kOffset, kPart / 2) ? 0 : 1);
    }
    CB_TRY_DO(until(what, [&] { return bench_.held != 0; }));
    ::kill(server_, SIGKILL);
    CB_TRY_DO(end_of(server_, what));
    bench_.hold = false;
    CB_TRY_DO(begin_to_serve(what));
    CB_TRY(code, end_of(writer, what));
    if (code != 0) {
      return fail(EIO, std::string(what) + ": its writer sees an error");
    }
    return image_has(kOffset, kPart / 2) ? Result<>()
                                         : fail(EBADMSG, std::string(what) + ": a write is lost");
  }

  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  Bench& bench_;
  std::string folder_;
  pid_t server_ = 0;
  Fd device_;
  std::unique_ptr<std::byte, Free> buffer_;
};

}  // namespace

int run_ublk_test(const std::string& folder) {
  void* at =
      ::mmap(nullptr, sizeof(Bench), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    std::puts("no memory for the test");
    return 1;
  }
  auto* bench = new (at) Bench;
  const Fd bell(::eventfd(0, EFD_NONBLOCK));
  bench->bell = bell.get();
  const auto result = Test(*bench, folder).run();
  if (!result) {
    std::printf("%s\n", to_text(result.error()).c_str());
    return 1;
  }
  std::puts("ublk works");
  return 0;
}

}  // namespace cb::volume
