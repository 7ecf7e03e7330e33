// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/assembly.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace cb::link {

std::optional<ConstBytes> Assembly::take(const Frame& piece) {
  ++pieces_;
  CB_CHECK(piece.total <= kSuperMax && piece.at + piece.bytes.size() <= piece.total);
  Buffer* buffer = find(piece);
  if (buffer == nullptr) {
    buffer = &take_place(piece);
  } else if (buffer->total != piece.total || buffer->kind != piece.kind) {
    ++refused_;
    return std::nullopt;
  }
  buffer->used = pieces_;
  if (!add(*buffer, {piece.at, piece.at + piece.bytes.size()})) {
    ++refused_;
    return std::nullopt;
  }
  std::memcpy(&buffer->bytes[piece.at], piece.bytes.data(), piece.bytes.size());
  if (buffer->count != 1 || buffer->ranges[0].to - buffer->ranges[0].from != buffer->total) {
    return std::nullopt;
  }
  buffer->state = Buffer::State::Finished;
  ++finished_;
  return ConstBytes(buffer->bytes.get(), buffer->total);
}

void Assembly::release() noexcept {
  if (finished_ == 0) {
    return;
  }
  for (Buffer& buffer : buffers_) {
    if (buffer.state == Buffer::State::Finished) {
      buffer.state = Buffer::State::Free;
    }
  }
  finished_ = 0;
}

Assembly::Buffer* Assembly::find(const Frame& piece) noexcept {
  for (Buffer& buffer : buffers_) {
    if (buffer.state == Buffer::State::Filling && buffer.number == piece.number &&
        buffer.source == piece.source) {
      return &buffer;
    }
  }
  return nullptr;
}

// A free one, else the one that has waited longest. Half of them at most are finished.
Assembly::Buffer& Assembly::take_place(const Frame& piece) {
  Buffer* place = nullptr;
  for (Buffer& buffer : buffers_) {
    if (buffer.state == Buffer::State::Finished) {
      continue;
    }
    if (place == nullptr || buffer.state == Buffer::State::Free ||
        (place->state == Buffer::State::Filling && buffer.used < place->used)) {
      place = &buffer;
      if (buffer.state == Buffer::State::Free) {
        break;
      }
    }
  }
  CB_CHECK_MSG(place != nullptr, "finished packets were not released");
  if (place->state == Buffer::State::Filling) {
    ++incomplete_;
  }
  if (place->bytes == nullptr) {
    place->bytes = std::make_unique<std::uint8_t[]>(kSuperMax);
  }
  place->state = Buffer::State::Filling;
  place->kind = piece.kind;
  place->source = piece.source;
  place->number = piece.number;
  place->total = piece.total;
  place->count = 0;
  return *place;
}

// False: bytes that are there already, or too many holes.
bool Assembly::add(Buffer& buffer, Range range) noexcept {
  std::size_t i = buffer.count;
  while (i > 0 && buffer.ranges[i - 1].from >= range.from) {
    --i;
  }
  // Before ranges[i], behind ranges[i - 1].
  if ((i > 0 && buffer.ranges[i - 1].to > range.from) ||
      (i < buffer.count && buffer.ranges[i].from < range.to)) {
    return false;
  }
  const bool joins_before = i > 0 && buffer.ranges[i - 1].to == range.from;
  const bool joins_behind = i < buffer.count && buffer.ranges[i].from == range.to;
  const auto begin = buffer.ranges.begin();
  const auto place = begin + static_cast<std::ptrdiff_t>(i);
  const auto end = begin + static_cast<std::ptrdiff_t>(buffer.count);
  if (joins_before && joins_behind) {
    buffer.ranges[i - 1].to = buffer.ranges[i].to;
    std::copy(place + 1, end, place);
    --buffer.count;
  } else if (joins_before) {
    buffer.ranges[i - 1].to = range.to;
  } else if (joins_behind) {
    buffer.ranges[i].from = range.from;
  } else {
    if (buffer.count == buffer.ranges.size()) {
      return false;
    }
    std::copy_backward(place, end, end + 1);
    buffer.ranges[i] = range;
    ++buffer.count;
  }
  return true;
}

}  // namespace cb::link
