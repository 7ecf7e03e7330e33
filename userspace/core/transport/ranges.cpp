// SPDX-License-Identifier: Apache-2.0
#include "core/transport/ranges.h"

#include <algorithm>

#include "base/check.h"

namespace cb::core::transport {

std::size_t Ranges::find(uint64_t number) const {
  std::size_t low = 0;
  std::size_t high = size_;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (items_[middle].to < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void Ranges::erase(std::size_t first, std::size_t last) {
  for (std::size_t i = last; i < size_; ++i) {
    items_[first + i - last] = items_[i];
  }
  size_ -= last - first;
}

bool Ranges::insert(std::size_t at, Range range) {
  if (size_ == items_.size()) {
    return false;
  }
  for (std::size_t i = size_; i > at; --i) {
    items_[i] = items_[i - 1];
  }
  items_[at] = range;
  ++size_;
  return true;
}

bool Ranges::add(Range range) {
  CB_CHECK(range.from <= range.to);
  if (range.from == range.to) {
    return true;
  }
  const std::size_t first = find(range.from);
  std::size_t last = first;
  while (last < size_ && items_[last].from <= range.to) {
    ++last;
  }
  if (first == last) {
    return insert(first, range);
  }
  items_[first] = {std::min(range.from, items_[first].from),
                   std::max(range.to, items_[last - 1].to)};
  erase(first + 1, last);
  return true;
}

void Ranges::add_roughly(Range range) {
  if (add(range)) {
    return;
  }
  const std::size_t at = find(range.from);
  if (at < size_) {
    add({range.from, items_[at].from});
  } else {
    add({items_[size_ - 1].to, range.to});
  }
}

void Ranges::remove(Range range) {
  if (range.from >= range.to) {
    return;
  }
  std::size_t i = find(range.from);
  while (i < size_ && items_[i].from < range.to) {
    Range& item = items_[i];
    if (item.to <= range.from) {
      ++i;
    } else if (range.from <= item.from && item.to <= range.to) {
      erase(i, i + 1);
    } else if (item.from < range.from && range.to < item.to) {
      const Range rest{range.to, item.to};
      if (insert(i + 1, rest)) {
        items_[i].to = range.from;
      }
      return;
    } else if (item.from < range.from) {
      item.to = range.from;
      ++i;
    } else {
      item.from = range.to;
      return;
    }
  }
}

bool Ranges::holds(Range range) const {
  const std::size_t at = find(range.from);
  for (std::size_t i = at; i < size_ && items_[i].from <= range.from; ++i) {
    if (range.to <= items_[i].to) {
      return true;
    }
  }
  return range.from == range.to;
}

bool Ranges::touches(Range range) const {
  for (std::size_t i = find(range.from); i < size_ && items_[i].from < range.to; ++i) {
    if (items_[i].to > range.from && range.from < range.to) {
      return true;
    }
  }
  return false;
}

}  // namespace cb::core::transport
