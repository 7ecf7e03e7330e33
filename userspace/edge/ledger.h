// SPDX-License-Identifier: Apache-2.0
//
// The durable memory of one pairing: <root>/var/lib/crossbeat/ledger/<primary HM address>.ledger.
// Two slots that are written in turn, so that a crash in mid-write leaves the other; each with a
// sequence number and a CRC-32C (edge/ledger_format.h). The file is laid out in full when it is
// created, so that a disk that fills up later cannot stop a write.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "core/types.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::edge {

class Ledger {
 public:
  // Creates the file (durably, with a blank record) or reads the newest whole record. Blocks: at
  // start and at pairing only. Refuses the ledger of another pairing (EINVAL), a ledger in which
  // neither slot is whole (EUCLEAN), one that another monitor has open (EBUSY) and an unknown
  // version (EPROTONOSUPPORT), each with the next step. A file is never repaired by guessing.
  static Result<std::unique_ptr<Ledger>> open(loop::Loop& loop, const std::string& root,
                                              const std::string& primary_hm, std::uint64_t pairing);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // What open() read, then what was last answered as durable.
  const core::LedgerRecord& record() const noexcept { return record_; }
  bool is_new() const noexcept { return is_new_; }  // open() created it

  // Durable when answered with 0. Records asked for while a write is under way are written
  // together, as the newest of them; each is answered for itself. After an error the last durable
  // record stays readable, and the next write tries again.
  void write(const core::LedgerRecord& record, Instant deadline, loop::Done done);

  // Removes the file of a pairing that was dissolved. Blocks.
  static Result<> remove(const std::string& root, const std::string& primary_hm);
  static std::string path_of(const std::string& root, const std::string& primary_hm);

 private:
  Ledger(loop::Loop& loop, Fd file, std::uint64_t pairing);
  void start_write();
  void on_written(int error);
  void settle(int error);

  loop::Loop& loop_;
  Fd file_;
  std::uint64_t pairing_ = 0;
  core::LedgerRecord record_;   // durable
  unsigned slot_ = 0;           // that holds record_; the other one is written next
  std::uint64_t sequence_ = 0;  // newest that was ever given to a write, also to one that failed
  bool is_new_ = false;
  core::LedgerRecord writing_;
  core::LedgerRecord wanted_;
  std::vector<loop::Done> writing_for_;  // answered when writing_ is durable
  std::vector<loop::Done> waiting_;      // answered when wanted_ is
  bool busy_ = false;
  loop::OperationId operation_ = 0;
  loop::Leash leash_;
};

}  // namespace cb::edge
