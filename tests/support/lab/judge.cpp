// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/judge.h"

#include <algorithm>

namespace cb::lab {
namespace {

// A new owner answers a question that arrives between its opening the guard and its announcing;
// more time than this is no announcement at the beginning.
constexpr int64_t kAnnounceWithinNs = 100'000'000;

bool begins_with_announcement(const Tenure& stretch) {
  return stretch.announced_ns && *stretch.announced_ns - stretch.first_ns <= kAnnounceWithinNs;
}

void add(Tenure& to, const Tenure& more) {
  to.last_ns = more.last_ns;
  to.frames += more.frames;
  to.answers += more.answers;
  to.announces += more.announces;
}

}  // namespace

void Judge::claim(const Mac& mac, int64_t at_ns, Claim kind) {
  if (stretch_ && stretch_->mac != mac) {
    settle(*stretch_);
    stretch_.reset();
  }
  if (!stretch_) {
    stretch_ = Tenure{.mac = mac, .first_ns = at_ns};
  }
  stretch_->last_ns = std::max(stretch_->last_ns, at_ns);
  ++stretch_->frames;
  if (kind == Claim::Answer) {
    ++stretch_->answers;
  } else if (kind == Claim::Announce) {
    ++stretch_->announces;
    if (!stretch_->announced_ns) {
      stretch_->announced_ns = at_ns;
    }
  }
}

void Judge::finish() {
  if (stretch_) {
    settle(*stretch_);
    stretch_.reset();
  }
}

void Judge::settle(const Tenure& stretch) {
  if (tenures_.empty()) {
    tenures_.push_back(stretch);  // who owned it when we began to look need not announce
  } else if (tenures_.back().mac == stretch.mac) {
    add(tenures_.back(), stretch);
  } else if (begins_with_announcement(stretch)) {
    tenures_.push_back(stretch);
  } else {
    violations_.push_back(
        {stretch.mac, tenures_.back().mac, stretch.first_ns, stretch.last_ns, stretch.frames});
  }
}

}  // namespace cb::lab
