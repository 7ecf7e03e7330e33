// SPDX-License-Identifier: Apache-2.0
//
// What a witness remembers, on disk: for each pairing PAIRING.record (two copies of one slot) and
// PAIRING.key, both of mode 0600, below one folder that one process holds.
//
// A change is durable in one copy before it is answered, and in both soon after. So a cut-off write
// spoils a copy that was never answered for, and rot in one copy is made good by the other. When a
// write fails, nobody knows what the disk holds: the pairing is answered no more until a restart
// read it anew. A record that cannot be read is never taken for a new one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "core/witness/record.h"
#include "witness/keys.h"

namespace cb::witness {

class Store {
 public:
  struct Entry {
    std::uint64_t pairing = 0;
    Key key{};
    core::witness::Record record;
    std::string trouble;  // empty: fine; else why it is not answered
    Fd file;
    bool behind = false;  // the second copy is
    unsigned next = 0;    // the copy that is written first next time
  };

  // folder is made if it is missing. Fails when another process holds it.
  static Result<std::unique_ptr<Store>> open(const std::string& folder);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Entry* find(std::uint64_t pairing);
  const std::map<std::uint64_t, Entry>& entries() const { return entries_; }

  // Durable in one copy when it returns. An error leaves the entry in trouble.
  Result<> write(Entry& entry, const core::witness::Record& record);
  // Brings the second copies up, after the answer has left.
  void settle();

  Result<> add(const Enrolment& enrolment);  // EEXIST: known already
  Result<> forget(std::uint64_t pairing);    // ENOENT

 private:
  Store(std::string folder, Fd lock) : folder_(std::move(folder)), lock_(std::move(lock)) {}
  std::string path(std::uint64_t pairing, const char* suffix) const;
  void load(std::uint64_t pairing);
  Result<> make_record(std::uint64_t pairing);
  Result<> read(Entry& entry);
  Result<> put(Entry& entry, unsigned copy);

  std::string folder_;
  Fd lock_;
  std::map<std::uint64_t, Entry> entries_;
};

std::string pairing_text(std::uint64_t pairing);  // 16 hexadecimal digits

}  // namespace cb::witness
