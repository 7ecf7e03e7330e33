// SPDX-License-Identifier: Apache-2.0
#include "core/transport/frames.h"

#include <algorithm>

#include "base/check.h"

namespace cb::core::transport {

namespace {

enum Type : uint8_t { kPad = 0, kAck = 1, kStream = 2, kPing = 3, kPong = 4, kClose = 5 };

class Put {
 public:
  explicit Put(Bytes out) noexcept : out_(out) {}
  template <class T>
  Put& operator()(T value) {
    CB_CHECK(at_ + sizeof(T) <= out_.size());
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out_[at_++] = static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i));
    }
    return *this;
  }
  std::size_t at() const noexcept { return at_; }

 private:
  Bytes out_;
  std::size_t at_ = 0;
};

// Short input makes it fail for good; what is taken then is zero.
class Get {
 public:
  explicit Get(ConstBytes in) noexcept : in_(in) {}
  template <class T>
  T take() {
    if (in_.size() - at_ < sizeof(T)) {
      failed_ = true;
      at_ = in_.size();
      return 0;
    }
    uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value |= static_cast<uint64_t>(in_[at_++]) << (8 * i);
    }
    return static_cast<T>(value);
  }
  template <class T>
  void zero() {
    failed_ |= take<T>() != 0;
  }
  bool failed() const noexcept { return failed_; }
  std::size_t at() const noexcept { return at_; }
  bool done() const noexcept { return at_ == in_.size(); }

 private:
  ConstBytes in_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

void put_ack(Put& put, const Ack& ack) {
  CB_CHECK(ack.count > 0 && ack.count <= kAckRangesMax);
  put(uint8_t{kAck})(static_cast<uint8_t>(ack.count))(uint16_t{0})(ack.delay_us);
  put(ack.ranges[0].last);
  for (const uint64_t credit : ack.credit) {
    put(credit);
  }
  uint64_t next = ack.ranges[0].last;
  for (int i = 0; i < ack.count; ++i) {
    const AckRange& range = ack.ranges[static_cast<std::size_t>(i)];
    put(static_cast<uint32_t>(next - range.last));
    put(static_cast<uint32_t>(range.last - range.first));
    next = range.first - 1;
  }
}

// A range is coded as the gap above it and its length, both less one but for the first gap, which
// is none.
bool take_ack(Get& get, Ack& ack) {
  ack.count = get.take<uint8_t>();
  get.zero<uint16_t>();
  ack.delay_us = get.take<uint32_t>();
  uint64_t next = get.take<uint64_t>();
  for (uint64_t& credit : ack.credit) {
    credit = get.take<uint64_t>();
  }
  if (get.failed() || ack.count == 0 || ack.count > kAckRangesMax) {
    return false;
  }
  for (int i = 0; i < ack.count; ++i) {
    const uint64_t gap = get.take<uint32_t>();
    const uint64_t length = get.take<uint32_t>();
    if (get.failed() || (i == 0 ? gap != 0 : gap == 0) || gap > next || length > next - gap) {
      return false;
    }
    AckRange& range = ack.ranges[static_cast<std::size_t>(i)];
    range.last = next - gap;
    range.first = range.last - length;
    next = range.first - 1;
    if (range.first == 0 && i + 1 < ack.count) {
      return false;
    }
  }
  return true;
}

bool once(bool& seen) {
  const bool first = !seen;
  seen = true;
  return first;
}

bool take_frame(Get& get, uint8_t type, Frames& out, std::size_t length) {
  switch (type) {
    case kAck: return once(out.has_ack) && take_ack(get, out.ack);
    case kPing:
      get.zero<uint8_t>();
      get.zero<uint16_t>();
      out.ping = get.take<uint32_t>();
      return once(out.has_ping);
    case kPong:
      get.zero<uint8_t>();
      get.zero<uint16_t>();
      out.pong = get.take<uint32_t>();
      out.pong_size = get.take<uint32_t>();
      get.zero<uint32_t>();
      return once(out.has_pong);
    case kClose:
      get.zero<uint8_t>();
      get.zero<uint16_t>();
      get.zero<uint32_t>();
      return once(out.has_close);
    case kStream:
      out.klass = get.take<uint8_t>();
      get.zero<uint16_t>();
      get.zero<uint32_t>();
      out.offset = get.take<uint64_t>();
      out.data_at = static_cast<uint32_t>(get.at());
      out.length = static_cast<uint32_t>(length - get.at());
      return once(out.has_stream) && out.klass < kClasses && out.length > 0 &&
             out.offset <= UINT64_MAX - out.length;
    default: return false;
  }
}

bool all_zero(ConstBytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

std::size_t encode(const Frames& frames, Bytes out) {
  Put put(out);
  if (frames.has_ack) {
    put_ack(put, frames.ack);
  }
  if (frames.has_pong) {
    put(uint8_t{kPong})(uint8_t{0})(uint16_t{0})(frames.pong)(frames.pong_size)(uint32_t{0});
  }
  if (frames.has_ping) {
    put(uint8_t{kPing})(uint8_t{0})(uint16_t{0})(frames.ping);
  }
  if (frames.has_close) {
    put(uint8_t{kClose})(uint8_t{0})(uint16_t{0})(uint32_t{0});
  }
  if (frames.has_stream) {
    CB_CHECK(frames.pad_to == 0 && frames.klass < kClasses && frames.length > 0);
    put(uint8_t{kStream})(frames.klass)(uint16_t{0})(uint32_t{0})(frames.offset);
  }
  while (put.at() < frames.pad_to) {
    put(uint8_t{kPad});
  }
  return put.at();
}

bool decode_stream(ConstBytes front, std::size_t body_size, Frames& out) {
  CB_CHECK(front.size() == kStreamFrame);
  out.clear();
  Get get(front);
  return get.take<uint8_t>() == kStream && take_frame(get, kStream, out, body_size) &&
         !get.failed();
}

bool decode(ConstBytes body, Frames& out) {
  out.clear();
  Get get(body);
  while (!get.done()) {
    const auto type = get.take<uint8_t>();
    if (type == kPad) {
      return !out.empty() && all_zero(body.subspan(get.at()));
    }
    if (!take_frame(get, type, out, body.size()) || get.failed()) {
      return false;
    }
    if (out.has_stream) {
      return true;
    }
  }
  return !out.empty();
}

}  // namespace cb::core::transport
