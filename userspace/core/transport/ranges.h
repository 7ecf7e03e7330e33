// SPDX-License-Identifier: Apache-2.0
//
// A set of numbers as sorted ranges that do not touch. It holds a bounded number of them; what does
// not fit is refused, and the caller knows what that costs.
#pragma once

#include <array>
#include <cstddef>

#include "core/transport/types.h"

namespace cb::core::transport {

class Ranges {
 public:
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  const Range& operator[](std::size_t i) const { return items_[i]; }
  const Range& front() const { return items_[0]; }
  void clear() noexcept { size_ = 0; }

  // False when it would need one range more than fit: nothing was added.
  bool add(Range range);
  // As add, but when there is no room the gap to a neighbour is swallowed: more than asked for.
  void add_roughly(Range range);
  // Where a removal would need one range more than fit, that range stays whole.
  void remove(Range range);
  bool holds(Range range) const;    // all of it
  bool touches(Range range) const;  // any of it

 private:
  // The first range that ends at or behind the number.
  std::size_t find(uint64_t number) const;
  void erase(std::size_t first, std::size_t last);
  bool insert(std::size_t at, Range range);

  std::array<Range, kHolesMax> items_{};
  std::size_t size_ = 0;
};

}  // namespace cb::core::transport
