// SPDX-License-Identifier: Apache-2.0
//
// What the probing client remembers, and the outages that follow from it. Pure: no clock, no
// socket.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cb::lab {

using Mac = std::array<uint8_t, 6>;

struct Probe {
  int64_t sent_ns = 0;
  int64_t answered_ns = 0;  // 0: never
  uint8_t mac = 0;          // which of ProbeLog::macs answered
};

// A run of lost probes between two answers, as the client saw it.
struct Outage {
  int64_t last_answer_ns = 0;   // 0: there was none before
  int64_t first_lost_ns = 0;    // when the first lost probe was sent
  int64_t first_answer_ns = 0;  // 0: it did not end
  int64_t lost = 0;
  int64_t own_stall_ns = 0;  // the longest time in it in which the prober itself did not run
  int mac_before = -1;       // indexes of ProbeLog::macs; -1: none
  int mac_after = -1;
};

class ProbeLog {
 public:
  // An answer that takes longer than answer_within_ns counts as lost: a client has given up on it.
  ProbeLog(int64_t interval_ns, int64_t answer_within_ns, size_t capacity);

  size_t sent(int64_t now_ns);  // answers the number of the probe
  void answered(size_t number, int64_t now_ns, const Mac& mac);
  void forget_last();  // could not be sent

  // What was lost until now does not count for recovered().
  void arm();
  // From now on only an outage after which another machine answers counts for recovered().
  void mean_moves() { moves_only_ = true; }

  // Whether an outage of at least min_lost probes has begun and ended, and since when answers come
  // again.
  bool recovered(size_t min_lost, int64_t* since_ns) const;

  bool in_time(const Probe& probe) const;
  std::vector<Outage> outages() const;  // every lost probe is in exactly one of them
  const std::vector<Probe>& probes() const { return probes_; }
  const std::vector<Mac>& macs() const { return macs_; }
  const std::vector<uint64_t>& answers_by_mac() const { return answers_by_mac_; }
  uint64_t duplicates() const { return duplicates_; }
  bool full() const { return probes_.size() == capacity_; }

 private:
  int64_t interval_ns_;
  int64_t answer_within_ns_;
  size_t capacity_;
  std::vector<Probe> probes_;
  std::vector<Mac> macs_;
  std::vector<uint64_t> answers_by_mac_;
  uint64_t duplicates_ = 0;
  size_t next_expected_ = 0;  // the answer that would follow the newest one
  size_t longest_hole_ = 0;   // lost probes before an answer
  int64_t after_hole_ns_ = 0;
  bool moves_only_ = false;
  int last_mac_ = -1;  // of the newest answer in time
};

}  // namespace cb::lab
