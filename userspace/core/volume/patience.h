// SPDX-License-Identifier: Apache-2.0
//
// How long the other side takes of late. A link that stands loses nothing, but it may be slow, or
// the machine behind it: whoever says everything again before the answer can be there makes it
// slower, until nothing but doubles arrives.
#pragma once

#include <algorithm>

#include "base/instant.h"

namespace cb::core::volume {

struct Patience {
  Duration usual;

  void learn(Duration took) { usual = took > usual ? took : usual - (usual - took) / 8; }

  // Until it is said once more, which was done `repeated` times in vain.
  Duration wait(Duration least, int repeated) const {
    const Duration first = std::max(least, usual * 2);
    return std::min(first * (1 << std::min(repeated, 6)), Duration::from_s(4));
  }
  bool operator==(const Patience&) const = default;
};

}  // namespace cb::core::volume
