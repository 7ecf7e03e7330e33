// SPDX-License-Identifier: Apache-2.0
//
// What a test and its server say to one another, in a file that both map. tests/front/bed.py has
// the same list of fields.
#pragma once

#include <atomic>
#include <cstdint>

namespace cb::test {

using Field = std::atomic<std::uint64_t>;

struct Control {
  // the server's
  Field state;  // 1 attached, 2 attach failed, 3 detached
  Field error;  // of attach or the last detach
  Field device;
  Field detaches;  // answers of detach
  Field reads, writes, flushes, zeros, discards, resent;
  Field lost;
  Field survives;
  Field recorded;  // entries in the record
  Field in_flight;
  // the test's
  Field detach_wanted;  // a number: so many detaches were asked for
  Field hold;           // bit 0: reads and writes, bit 1: flushes: not answered for now
  Field write_error, flush_error, read_error;
  Field shuffle;        // answers come late and in any order
  Field lie;            // every so many-th flush is answered and not recorded
  Field attach_wanted;  // once more, after it failed
  // the server's
  Field forced;  // writes with a flush of their own
};

}  // namespace cb::test
