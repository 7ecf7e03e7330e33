// SPDX-License-Identifier: Apache-2.0
//
// What a pairing has on the disk (its two files and its ledger), written by a thread of its own: a
// disk that takes its time must not hold up a turn, in which leases are extended. Everything
// here is answered in the loop's thread, when it is durable, and done in the order in which it was
// asked for. When the hands are gone first, nobody is answered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/ir.h"
#include "edge/ledger.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::agent {

class PairFiles {
 public:
  using Created = std::function<void(Result<std::unique_ptr<edge::Ledger>>)>;
  using Finished = std::function<void(Result<>)>;

  // The three outlive this; the hands must end before the loop does.
  PairFiles(loop::Loop& loop, loop::Hands& hands, std::string root);

  // A new pairing: the ledger that an earlier one left under this name goes first, since a monitor
  // would refuse to start with it; then the files, then a ledger of its own. All of it or an error,
  // with nothing left that would be taken for a pairing.
  void create(const config::Pair& pair, Created done);
  // A pairing that is there, with new settings; its ledger stays.
  void renew(const config::Pair& pair, Finished done);
  // The files only: whoever uses the ledger must end first.
  void remove(const config::Pair& pair, Finished done);
  // Not worth an answer: what cannot be removed is replaced by create().
  void remove_ledger(const config::Pair& pair);

 private:
  loop::Loop& loop_;
  loop::Hands& hands_;
  std::string root_;
};

}  // namespace cb::agent
