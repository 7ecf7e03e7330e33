// SPDX-License-Identifier: Apache-2.0
#include "witness/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "witness/slot.h"

namespace cb::witness {
namespace {

using core::witness::Record;

constexpr const char* kRecord = ".record";
constexpr const char* kKey = ".key";
constexpr std::size_t kNameDigits = 16;

std::optional<std::uint64_t> pairing_of(std::string_view name) {
  if (name.size() <= kNameDigits ||
      (name.substr(kNameDigits) != kRecord && name.substr(kNameDigits) != kKey)) {
    return std::nullopt;
  }
  const auto bytes = parse_hex(name.substr(0, kNameDigits));
  if (!bytes) {
    return std::nullopt;
  }
  std::uint64_t pairing = 0;
  for (const std::uint8_t byte : *bytes) {
    pairing = pairing << 8 | byte;
  }
  return pairing;
}

Result<Key> read_key(const std::string& path) {
  CB_TRY(text, read_all(path, 256));
  const auto bytes = parse_hex(trim(text));
  Key key{};
  if (!bytes || bytes->size() != key.size()) {
    return fail(EUCLEAN, "read " + path + ": it is no key");
  }
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

Result<> sync_folder(const std::string& path) {
  CB_TRY(folder, open_readonly(path));
  return ::fsync(folder.get()) == 0 ? Result<>() : fail(errno, "make " + path + " durable");
}

Result<> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail(errno, "remove " + path);
  }
  return Done{};
}

}  // namespace

std::string pairing_text(std::uint64_t pairing) {
  char text[kNameDigits + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(pairing));
  return text;
}

std::string Store::path(std::uint64_t pairing, const char* suffix) const {
  return folder_ + "/" + pairing_text(pairing) + suffix;
}

Store::~Store() {
  for (auto& [id, entry] : entries_) {
    wipe(entry.key);
  }
}

Result<std::unique_ptr<Store>> Store::open(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(errno, "make the folder " + folder);
  }
  Fd lock(::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) {
    return fail(errno, "open " + folder + "/lock");
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(errno, "another crossbeat-witness holds " + folder);
  }
  std::unique_ptr<Store> store(new Store(folder, std::move(lock)));
  DIR* listing = ::opendir(folder.c_str());
  if (listing == nullptr) {
    return fail(errno, "list " + folder);
  }
  std::vector<std::uint64_t> found;
  while (const dirent* file = ::readdir(listing)) {
    if (const auto pairing = pairing_of(file->d_name)) {
      found.push_back(*pairing);
    }
  }
  ::closedir(listing);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  for (const std::uint64_t pairing : found) {
    store->load(pairing);
  }
  return store;
}

void Store::load(std::uint64_t pairing) {
  Entry& entry = entries_[pairing];
  entry.pairing = pairing;
  auto key = read_key(path(pairing, kKey));
  if (!key) {
    entry.trouble = to_text(key.error());
    return;
  }
  entry.key = *key;
  if (auto done = read(entry); !done) {
    entry.trouble = to_text(done.error());
  }
}

Result<> Store::read(Entry& entry) {
  const std::string name = path(entry.pairing, kRecord);
  entry.file = Fd(::open(name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!entry.file) {
    return fail(errno, "open " + name);
  }
  std::optional<Record> newest;
  for (unsigned copy = 0; copy < 2; ++copy) {
    Slot bytes{};
    const ssize_t count = ::pread(entry.file.get(), bytes.data(), bytes.size(),
                                  static_cast<off_t>(copy * kSlotStride));
    if (count < 0) {
      return fail(errno, "read " + name);
    }
    const auto record = decode_slot(
        std::span<const std::byte>(bytes.data(), static_cast<std::size_t>(count)), entry.pairing);
    if (record && (!newest || record->counter > newest->counter)) {
      newest = record;
      entry.next = 1 - copy;
    }
  }
  if (!newest) {
    return fail(EUCLEAN,
                "read " + name + ": neither copy is whole. Forget this pairing and enrol it again");
  }
  // What was read may never have become durable: it is written again, into the other copy first.
  CB_TRY_DO(write(entry, *newest));
  entry.behind = false;
  return put(entry, entry.next);
}

Result<> Store::put(Entry& entry, unsigned copy) {
  const Slot bytes = encode_slot(entry.pairing, entry.record);
  const auto at = static_cast<off_t>(copy * kSlotStride);
  ssize_t count = 0;
  do {
    count = ::pwrite(entry.file.get(), bytes.data(), bytes.size(), at);
  } while (count < 0 && errno == EINTR);
  if (count != static_cast<ssize_t>(bytes.size()) || ::fdatasync(entry.file.get()) != 0) {
    const int error = count >= 0 && count != static_cast<ssize_t>(bytes.size()) ? EIO : errno;
    entry.trouble = to_text(fail(error, "write " + path(entry.pairing, kRecord)));
    return fail(error, "write " + path(entry.pairing, kRecord));
  }
  return Done{};
}

Store::Entry* Store::find(std::uint64_t pairing) {
  const auto found = entries_.find(pairing);
  return found == entries_.end() ? nullptr : &found->second;
}

Result<> Store::write(Entry& entry, const Record& record) {
  if (entry.behind) {  // never spoil the only copy of what was answered
    entry.behind = false;
    CB_TRY_DO(put(entry, entry.next));
  }
  entry.record = record;
  CB_TRY_DO(put(entry, entry.next));
  entry.next = 1 - entry.next;
  entry.behind = true;
  return Done{};
}

void Store::settle() {
  for (auto& [id, entry] : entries_) {
    if (entry.behind && entry.trouble.empty()) {
      entry.behind = false;
      (void)put(entry, entry.next);  // ignored: it is in trouble then, and says so
    }
  }
}

Result<> Store::make_record(std::uint64_t pairing) {
  const std::string name = path(pairing, kRecord);
  if (::access(name.c_str(), F_OK) == 0) {
    return Done{};  // what it remembers is kept
  }
  const Slot slot = encode_slot(pairing, Record{});
  std::string bytes(kFileBytes, '\0');  // really written, so that its blocks are ours for ever
  for (const std::size_t at : {std::size_t{0}, kSlotStride}) {
    std::memcpy(bytes.data() + at, slot.data(), slot.size());
  }
  return write_atomically(name, bytes, 0600);
}

Result<> Store::add(const Enrolment& enrolment) {
  const Entry* known = find(enrolment.pairing);
  if (known != nullptr && known->key != Key{}) {
    return fail(EEXIST, "pairing " + pairing_text(enrolment.pairing) + " is known already");
  }
  // The key last: without it nothing is granted, wherever this is cut off, and it can be said
  // again.
  CB_TRY_DO(make_record(enrolment.pairing));
  std::string key = to_hex(enrolment.key) + "\n";
  auto written = write_atomically(path(enrolment.pairing, kKey), key, 0600);
  explicit_bzero(key.data(), key.size());
  CB_TRY_DO(std::move(written));
  entries_.erase(enrolment.pairing);
  load(enrolment.pairing);
  const Entry& entry = entries_.at(enrolment.pairing);
  return entry.trouble.empty() ? Result<>() : fail(EIO, entry.trouble);
}

Result<> Store::forget(std::uint64_t pairing) {
  const auto found = entries_.find(pairing);
  if (found == entries_.end()) {
    return fail(ENOENT, "there is no pairing " + pairing_text(pairing));
  }
  wipe(found->second.key);
  entries_.erase(found);
  // The key first: without it nothing can be granted, wherever this is cut off.
  CB_TRY_DO(remove_file(path(pairing, kKey)));
  CB_TRY_DO(remove_file(path(pairing, kRecord)));
  return sync_folder(folder_);
}

}  // namespace cb::witness
