// SPDX-License-Identifier: Apache-2.0
//
// A volume without an engine: the front end, and behind it an image in a mapped file. What it shall
// do besides (hold requests back, fail, lie, record) is in its Control.
//
//   cb_front_server FOLDER IMAGE CONTROL BYTES [--front-end fuse|ublk] [--no-keeper] [--record
//   FILE]
//                   [--older-pool]
//   cb_front_server --keeper
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/prng.h"
#include "base/text.h"
#include "drivers/volume/fuse.h"
#include "drivers/volume/keeper.h"
#include "drivers/volume/ublk.h"
#include "tests/front/control.h"

namespace cb::test {

namespace {

using volume::Request;

// An entry of the record; a write's data follow. Little-endian, as is the machine.
struct Recorded {
  std::uint64_t kind;  // Request::Kind
  std::uint64_t offset;
  std::uint64_t length;
};

class Server {
 public:
  Server(loop::Loop& loop, Control& control, std::byte* image, std::uint64_t bytes)
      : loop_(loop), control_(control), image_(image), bytes_(bytes) {}

  void run(std::unique_ptr<volume::FrontEnd> front, const std::string& record) {
    if (!record.empty()) {
      record_ = Fd(::open(record.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    }
    front_ = std::move(front);
    attach();
    loop_.after(kLook, [this] { look(); });
    while (!ended_) {
      if (const auto turned = loop_.turn(Instant::never()); !turned) {
        std::fprintf(stderr, "%s\n", to_text(turned.error()).c_str());
        return;
      }
    }
  }

 private:
  static constexpr Duration kLook = Duration::from_us(500);

  bool is_held(const Request& request) const {
    const bool flush = request.kind == Request::Kind::Flush;
    return (control_.hold.load() & (flush ? 2U : 1U)) != 0;
  }

  void attach() {
    front_->attach(
        bytes_, [this](const Request& request) { take(request); },
        [this](int error) {
          control_.error = static_cast<std::uint64_t>(error);
          tell();
          control_.state = error == 0 ? 1 : 2;
        });
  }

  void take(const Request& request) {
    if (is_held(request) || control_.shuffle.load() != 0) {
      waiting_.push_back(request);
      control_.in_flight = waiting_.size();
    } else {
      front_->answer(request.id, execute(request));
    }
    tell();
  }

  void look() {
    std::vector<Request> now;
    std::vector<Request> later;
    for (const Request& request : waiting_) {
      const bool lucky = control_.shuffle.load() == 0 || random_.below(3) != 0;
      (lucky && !is_held(request) ? now : later).push_back(request);
    }
    waiting_ = std::move(later);
    while (!now.empty()) {
      std::swap(now[random_.below(now.size())], now.back());
      const Request request = now.back();
      now.pop_back();
      front_->answer(request.id, execute(request));
    }
    control_.in_flight = waiting_.size();
    tell();
    if (control_.attach_wanted.exchange(0) != 0) {
      attach();
    }
    if (control_.detach_wanted.load() > detaches_begun_) {
      ++detaches_begun_;
      front_->detach([this](int error) {
        control_.error = static_cast<std::uint64_t>(error);
        if (error == 0) {
          control_.state = 3;
          ended_ = true;
        }
        ++control_.detaches;
      });
    }
    loop_.after(kLook, [this] { look(); });
  }

  int execute(const Request& request) {
    std::byte* at = image_ + request.offset;
    switch (request.kind) {
      case Request::Kind::Read:
        if (const auto error = control_.read_error.load(); error != 0) {
          return static_cast<int>(error);
        }
        std::memcpy(request.data.data(), at, request.length);
        ++control_.reads;
        return 0;
      case Request::Kind::Write:
        if (const auto error = control_.write_error.load(); error != 0) {
          return static_cast<int>(error);
        }
        std::memcpy(at, request.data.data(), request.length);
        ++control_.writes;
        record(request);
        control_.forced += request.fua ? 1 : 0;
        return request.fua ? flush() : 0;
      case Request::Kind::Flush: return flush();
      case Request::Kind::Zero:
      case Request::Kind::Discard:
        ++(request.kind == Request::Kind::Zero ? control_.zeros : control_.discards);
        if (::madvise(at, request.length, MADV_REMOVE) != 0) {
          std::memset(at, 0, request.length);
        }
        record(request);
        return 0;
    }
    return EINVAL;
  }

  int flush() {
    if (const auto error = control_.flush_error.load(); error != 0) {
      return static_cast<int>(error);
    }
    ++control_.flushes;
    if (const auto lie = control_.lie.load(); lie == 0 || control_.flushes % lie != 0) {
      Request request;
      request.kind = Request::Kind::Flush;
      record(request);
    }
    return 0;
  }

  void record(const Request& request) {
    if (!record_) {
      return;
    }
    const Recorded entry = {static_cast<std::uint64_t>(request.kind), request.offset,
                            request.length};
    std::string bytes(reinterpret_cast<const char*>(&entry), sizeof entry);
    if (request.kind == Request::Kind::Write) {
      bytes.append(reinterpret_cast<const char*>(request.data.data()), request.data.size());
    }
    if (const auto written = write_all(record_.get(), bytes); !written) {
      std::fprintf(stderr, "%s\n", to_text(written.error()).c_str());
      std::abort();
    }
    ++control_.recorded;
  }

  void tell() {
    const volume::FrontEndFacts facts = front_->facts();
    if (!facts.device.empty()) {
      const std::string_view device = facts.device;  // "/dev/loop3", "/dev/ublkb3"
      const auto digits = device.find_first_of("0123456789");
      control_.device = parse_number(device.substr(digits)).value_or(9999);
    }
    control_.resent = facts.resent;
    control_.lost = facts.lost ? 1 : 0;
    control_.survives = facts.survives_restart ? 1 : 0;
  }

  loop::Loop& loop_;
  Control& control_;
  std::byte* image_;
  std::uint64_t bytes_;
  Fd record_;
  std::unique_ptr<volume::FrontEnd> front_;
  std::vector<Request> waiting_;
  std::uint64_t detaches_begun_ = control_.detach_wanted;
  bool ended_ = false;
  Prng random_{1};
};

// The whole file, mapped; it is made longer when it is too short.
void* map_file(const std::string& path, std::size_t bytes) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
    return nullptr;
  }
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  return at == MAP_FAILED ? nullptr : at;
}

// Makes the keeper's memory look like that of another version.
void make_pool_older(const std::string& folder) {
  const auto kept = volume::ask_keeper(folder + ".keeper");
  if (!kept || !*kept) {
    std::fprintf(stderr, "no keeper\n");
    std::abort();
  }
  const std::uint32_t version = 0;
  if (::pwrite((*kept)->memory.get(), &version, sizeof version, 8) != sizeof version) {
    std::abort();
  }
}

int serve(const std::vector<std::string>& arguments) {
  volume::FuseOptions options;
  options.folder = arguments[0];
  options.keeper = {"/proc/self/exe", "--keeper"};
  std::string record;
  bool ublk = false;
  for (std::size_t i = 4; i < arguments.size(); ++i) {
    if (arguments[i] == "--front-end" && i + 1 < arguments.size()) {
      ublk = arguments[++i] == "ublk";
    } else if (arguments[i] == "--no-write-cache") {
      options.write_cache = false;
    } else if (arguments[i] == "--no-keeper") {
      options.keeper.clear();
    } else if (arguments[i] == "--older-pool") {
      make_pool_older(options.folder);
    } else if (arguments[i] == "--record" && i + 1 < arguments.size()) {
      record = arguments[++i];
    } else {
      return 2;
    }
  }
  const std::uint64_t bytes = parse_number(arguments[3]).value_or(0);
  auto* image = static_cast<std::byte*>(map_file(arguments[1], bytes));
  auto* control = static_cast<Control*>(map_file(arguments[2], 4096));
  auto loop = loop::Loop::open();
  if (bytes == 0 || image == nullptr || control == nullptr || !loop) {
    std::fprintf(stderr, "cannot begin\n");
    return 1;
  }
  std::unique_ptr<volume::FrontEnd> front;
  if (ublk) {
    front = std::make_unique<volume::Ublk>(**loop, volume::UblkOptions{options.folder});
  } else {
    front = std::make_unique<volume::Fuse>(**loop, std::move(options));
  }
  Server(**loop, *control, image, bytes).run(std::move(front), record);
  return 0;
}

}  // namespace

}  // namespace cb::test

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && arguments[0] == "--keeper") {
    return cb::volume::run_keeper();
  }
  if (arguments.size() < 4) {
    std::fprintf(stderr, "cb_front_server FOLDER IMAGE CONTROL BYTES [option...]\n");
    return 2;
  }
  return cb::test::serve(arguments);
}
