// SPDX-License-Identifier: Apache-2.0
//
// Taking the completions of an io_uring: this loop's, and that of a part which has a ring of its
// own.
#pragma once

#include <liburing.h>

#include <array>
#include <cstdint>
#include <utility>

namespace cb::loop {

// What the ring holds when it is looked at, and no more: a callback that causes completions without
// end cannot keep the turn from ending. The ring has room again before `on(user_data, result)` is
// called; when that says false nothing is touched any more, the ring may be gone.
template <class On>
void take_completions(io_uring* ring, On on) {
  std::array<std::pair<std::uint64_t, int>, 64> batch{};
  for (unsigned left = io_uring_cq_ready(ring); left > 0;) {
    unsigned count = 0;
    unsigned head = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(ring, head, cqe) {
      if (count == batch.size() || count == left) {
        break;
      }
      batch[count++] = {cqe->user_data, cqe->res};
    }
    io_uring_cq_advance(ring, count);
    left -= count;
    for (unsigned i = 0; i < count; ++i) {
      if (!on(batch[i].first, batch[i].second)) {
        return;
      }
    }
  }
}

}  // namespace cb::loop
