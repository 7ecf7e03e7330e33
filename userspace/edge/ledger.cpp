// SPDX-License-Identifier: Apache-2.0
//
// Slots are written in turn, and the slot that holds the newest durable record is never written. So
// whatever happens in mid-write, that record is still there. A write that failed is tried again
// into the same slot, with a higher sequence number, since nobody knows how much of it reached the
// disk.
#include "edge/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "edge/folders.h"
#include "edge/ledger_format.h"

namespace cb::edge {

namespace {

constexpr Duration kLockPatience = Duration::from_s(2);

const char* next_step(int code) {
  switch (code) {
    case EUCLEAN:
      return ". Nothing is guessed: if the peer is in command or ready, move this file away and "
             "pair "
             "again (crossbeat unpair, crossbeat pair)";
    case EINVAL: return ". Move this file away, or restore the one of this pairing";
    default: return "";
  }
}

// A monitor that was killed holds its file until the kernel has ended its writes, a moment after
// its death. Nothing may be read before that: a last write may still be on its way.
Result<> lock(const Fd& file, const std::string& path) {
  const Instant patience = boottime_now() + kLockPatience;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) {
      continue;
    }
    if (errno != EWOULDBLOCK) {
      return fail(errno, "lock the ledger " + path);
    }
    if (boottime_now() >= patience) {
      return fail(EBUSY,
                  "another crossbeatd has the ledger " + path + " open. See: crossbeat status");
    }
    const timespec while_it_dies{0, 2'000'000};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &while_it_dies, nullptr);
  }
  return {};
}

}  // namespace

std::string Ledger::path_of(const std::string& root, const std::string& primary_hm) {
  return under(root, "var/lib/crossbeat/ledger/" + primary_hm + ".ledger");
}

Ledger::Ledger(loop::Loop& loop, Fd file, std::uint64_t pairing)
    : loop_(loop), file_(std::move(file)), pairing_(pairing) {}

// The kernel may hold the file of a write that has ended for a while longer, and with it the lock:
// whoever opens the ledger next would wait for that. A write that has not ended keeps the lock.
Ledger::~Ledger() {
  if (!busy_) {
    ::flock(file_.get(), LOCK_UN);
  }
  loop_.forget(operation_);
}

Result<std::unique_ptr<Ledger>> Ledger::open(loop::Loop& loop, const std::string& root,
                                             const std::string& primary_hm, std::uint64_t pairing) {
  const std::string path = path_of(root, primary_hm);
  CB_TRY_DO(make_folders(folder_of(path), 0700));
  bool is_new = false;
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    LedgerSlot blank;
    blank.pairing = pairing;
    blank.sequence = 1;
    std::string bytes = encode(blank);
    bytes.resize(kLedgerBytes, '\0');  // really written, so that its blocks are ours for ever
    CB_TRY_DO(write_atomically(path, bytes, 0600));
    is_new = true;
  }
  Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file) {
    return fail(errno, "open the ledger " + path);
  }
  CB_TRY_DO(lock(file, path));
  CB_TRY(bytes, read_all(file, kLedgerBytes + 1));
  auto decoded = decode_ledger(bytes, pairing);
  if (!decoded) {
    const Error& error = decoded.error();
    return fail(error.code, "read the ledger " + path + ": " + error.what + next_step(error.code));
  }
  if (decoded->other_damaged) {
    log_warning(
        "ledger %s: one of its two records is damaged (a write was cut off); the other one "
        "is used",
        path.c_str());
  }
  if (bytes.size() < kLedgerBytes && ::ftruncate(file.get(), kLedgerBytes) != 0) {
    return fail(errno, "lengthen the ledger " + path);
  }
  std::unique_ptr<Ledger> ledger(new Ledger(loop, std::move(file), pairing));
  ledger->record_ = decoded->newest.record;
  ledger->sequence_ = decoded->newest.sequence;
  ledger->slot_ = decoded->slot;
  ledger->is_new_ = is_new;
  return ledger;
}

void Ledger::write(const core::LedgerRecord& record, Instant deadline, loop::Done done) {
  wanted_ = record;
  waiting_.push_back(loop::answer_by(loop_, deadline, std::move(done)));
  if (!busy_) {
    start_write();
  }
}

void Ledger::start_write() {
  busy_ = true;
  writing_ = wanted_;
  writing_for_ = std::exchange(waiting_, {});
  const std::uint64_t at = (1 - slot_) * kLedgerSlotBytes;
  operation_ = loop_.write(file_.get(), at, encode(LedgerSlot{pairing_, ++sequence_, writing_}),
                           leash_.guard([this](int error) { on_written(error); }));
}

void Ledger::on_written(int error) {
  if (error != 0) {
    settle(error);
    return;
  }
  // The size does not change, so the data is all there is to make durable.
  operation_ = loop_.fsync(file_.get(), false, leash_.guard([this](int e) { settle(e); }));
}

void Ledger::settle(int error) {
  operation_ = 0;
  if (error == 0) {
    record_ = writing_;
    slot_ = 1 - slot_;
  } else {
    log_error("%s", to_text(fail(error, "write the ledger")).c_str());
  }
  busy_ = false;
  const std::vector<loop::Done> answered = std::exchange(writing_for_, {});
  if (!waiting_.empty()) {
    start_write();
  }
  const auto alive = leash_.sight();
  for (const loop::Done& done : answered) {
    if (!alive.expired()) {
      done(error);
    }
  }
}

Result<> Ledger::remove(const std::string& root, const std::string& primary_hm) {
  const std::string path = path_of(root, primary_hm);
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) {
      return cb::Done{};  // there is none, or not even the folder
    }
    return fail(errno, "remove the ledger " + path);
  }
  return sync_folder(folder_of(path));
}

}  // namespace cb::edge
