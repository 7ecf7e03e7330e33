// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/probe_log.h"

#include <algorithm>

namespace cb::lab {

ProbeLog::ProbeLog(int64_t interval_ns, int64_t answer_within_ns, size_t capacity)
    : interval_ns_(interval_ns), answer_within_ns_(answer_within_ns), capacity_(capacity) {
  probes_.reserve(capacity);  // touched now by the caller's mlockall, never grown while probing
}

size_t ProbeLog::sent(int64_t now_ns) {
  probes_.push_back(Probe{.sent_ns = now_ns});
  return probes_.size() - 1;
}

void ProbeLog::forget_last() { probes_.pop_back(); }

void ProbeLog::answered(size_t number, int64_t now_ns, const Mac& mac) {
  if (number >= probes_.size()) {
    return;  // not ours
  }
  Probe& probe = probes_[number];
  if (probe.answered_ns != 0) {
    ++duplicates_;
    return;
  }
  auto known = std::find(macs_.begin(), macs_.end(), mac);
  if (known == macs_.end()) {
    if (macs_.size() == UINT8_MAX) {
      return;
    }
    macs_.push_back(mac);
    answers_by_mac_.push_back(0);
    known = macs_.end() - 1;
  }
  probe.mac = static_cast<uint8_t>(known - macs_.begin());
  probe.answered_ns = now_ns;
  ++answers_by_mac_[probe.mac];
  if (!in_time(probe)) {
    return;
  }
  const bool first = next_expected_ == 0;  // what was lost before it is no outage that has ended
  const bool counts = !moves_only_ || last_mac_ != probe.mac;
  last_mac_ = probe.mac;
  if (!first && counts && number > next_expected_ && number - next_expected_ >= longest_hole_) {
    longest_hole_ = number - next_expected_;
    after_hole_ns_ = now_ns;
  }
  next_expected_ = std::max(next_expected_, number + 1);
}

void ProbeLog::arm() { longest_hole_ = 0; }

bool ProbeLog::recovered(size_t min_lost, int64_t* since_ns) const {
  *since_ns = after_hole_ns_;
  return longest_hole_ >= min_lost;
}

bool ProbeLog::in_time(const Probe& probe) const {
  return probe.answered_ns != 0 && probe.answered_ns - probe.sent_ns <= answer_within_ns_;
}

std::vector<Outage> ProbeLog::outages() const {
  std::vector<Outage> found;
  int64_t last_answer_ns = 0;
  int last_mac = -1;
  for (size_t i = 0; i < probes_.size(); ++i) {
    if (in_time(probes_[i])) {
      last_answer_ns = std::max(last_answer_ns, probes_[i].answered_ns);
      last_mac = probes_[i].mac;
      continue;
    }
    Outage outage{.last_answer_ns = last_answer_ns,
                  .first_lost_ns = probes_[i].sent_ns,
                  .mac_before = last_mac};
    size_t end = i;
    while (end < probes_.size() && !in_time(probes_[end])) {
      const int64_t before = end == 0 ? probes_[end].sent_ns : probes_[end - 1].sent_ns;
      outage.own_stall_ns =
          std::max(outage.own_stall_ns, probes_[end].sent_ns - before - interval_ns_);
      ++outage.lost;
      ++end;
    }
    if (end < probes_.size()) {
      outage.own_stall_ns = std::max(
          outage.own_stall_ns, probes_[end].sent_ns - probes_[end - 1].sent_ns - interval_ns_);
      outage.first_answer_ns = probes_[end].answered_ns;
      outage.mac_after = probes_[end].mac;
    }
    found.push_back(outage);
    i = end - 1;
  }
  return found;
}

}  // namespace cb::lab
