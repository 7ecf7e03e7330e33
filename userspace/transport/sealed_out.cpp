// SPDX-License-Identifier: Apache-2.0
//
// What goes out: messages into the streams, streams into packets, packets in batches to the links.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "transport/sealed.h"

namespace cb::transport {

namespace core = cb::core::transport;

namespace {

constexpr std::size_t kOutboxBytes = 512 * 1024;
constexpr std::size_t kBatchMax = 256;
constexpr int kBatchesMax = 8;  // of one turn: then the loop looks at what has arrived

}  // namespace

// All of a message or nothing: there is room when the longest one fits.
std::size_t Transport::free_room(int klass) const {
  const auto index = static_cast<std::size_t>(klass);
  const std::uint64_t used = given_[index] - core_->out[index].acked;
  const std::uint64_t free = out_[index].size() - used;
  return free >= core::kMessageHead + kMessageMax ? free - core::kMessageHead : 0;
}

std::size_t Transport::room(Priority priority) const {
  const std::size_t free = up_ ? free_room(static_cast<int>(priority)) : 0;
  if (free == 0) {
    waited_for_[static_cast<std::size_t>(priority)] = true;
  }
  return free;
}

void Transport::send(Priority priority, std::span<const ConstBytes> parts) {
  const auto index = static_cast<std::size_t>(priority);
  std::size_t length = 0;
  for (const ConstBytes& part : parts) {
    length += part.size();
  }
  CB_CHECK_MSG(length <= kMessageMax, "a message longer than the longest");
  if (!up_ || core::kMessageHead + length >
                  out_[index].size() - (given_[index] - core_->out[index].acked)) {
    ++totals_.dropped;
    waited_for_[index] = true;
    return;
  }
  std::uint8_t* at = out_[index].at(given_[index], core::kMessageHead + length).data();
  for (int shift = 0; shift < 32; shift += 8) {
    *at++ = static_cast<std::uint8_t>(length >> shift);
  }
  for (const ConstBytes& part : parts) {
    if (!part.empty()) {
      std::memcpy(at, part.data(), part.size());
      at += part.size();
    }
  }
  given_[index] += core::kMessageHead + length;
  totals_.bytes_sent += length;
  core::step(*core_,
             {.kind = core::EventKind::Given,
              .klass = static_cast<int>(priority),
              .offset = given_[index]},
             boottime_now());
  if (!in_packets_ && !pumping_) {
    wake_soon();  // else the pump is about to run, or running
  }
}

void Transport::hurry() {
  if (soon_) {
    loop_.cancel(std::exchange(soon_, {}));
    pump();
  }
}

void Transport::pump() {
  if (pumping_ || in_packets_) {
    return;
  }
  pumping_ = true;
  for (int i = 0; i < static_cast<int>(links_.size()); ++i) {
    int batches = 0;
    while (flush(i) && up_ && fill(i)) {
      if (++batches == kBatchesMax) {
        flush(i);
        wake_soon();
        break;
      }
    }
  }
  pumping_ = false;
  arm();
}

// Hands over what is sealed. False: the link has no room.
bool Transport::flush(int index) {
  Outbox& out = outboxes_[static_cast<std::size_t>(index)];
  if (out.blocked) {
    return false;
  }
  if (out.taken < out.packets.size()) {
    const auto rest = std::span<const link::ConstBytes>(out.packets).subspan(out.taken);
    const std::size_t taken = links_[static_cast<std::size_t>(index)]->send(rest);
    CB_CHECK(taken <= rest.size());
    out.taken += taken;
    if (taken < rest.size()) {
      out.blocked = true;
      return false;
    }
  }
  out.packets.clear();
  out.used = out.taken = 0;
  return true;
}

// Seals one batch. False: there is nothing to send.
bool Transport::fill(int index) {
  Outbox& out = outboxes_[static_cast<std::size_t>(index)];
  const link::Link& link = *links_[static_cast<std::size_t>(index)];
  const std::size_t batch = std::clamp<std::size_t>(link.batch_best(), 1, kBatchMax);
  const core::Path& path = core_->paths[static_cast<std::size_t>(index)];
  if (out.bytes.empty()) {
    out.bytes.resize(kOutboxBytes);
    out.packets.reserve(kBatchMax);
  }
  const Instant now = boottime_now();
  while (out.packets.size() < batch) {
    const std::size_t most = std::max(path.size, path.probe.size);
    if (out.used + most > out.bytes.size() || !core::next_packet(*core_, index, now, packet_)) {
      break;
    }
    add_packet(out, packet_);
  }
  return !out.packets.empty();
}

void Transport::add_packet(Outbox& out, const core::Packet& packet) {
  std::uint8_t* at = out.bytes.data() + out.used;
  const HeaderBytes header = encode(Header{.kind = Kind::Data,
                                           .detail = static_cast<std::uint8_t>(packet.phase),
                                           .connection = agreed_.peer_connection,
                                           .number = packet.number});
  std::ranges::copy(header, at);
  std::uint8_t* body = at + kHeaderBytes;
  const std::size_t body_size = packet.size - kHeaderBytes - core::kTag;
  // The frames are written where they will be sealed.
  const std::size_t front = core::encode(packet.frames, {body, body_size});
  ConstBytes data;
  if (packet.frames.has_stream) {
    data = out_[packet.frames.klass].at(packet.frames.offset, packet.frames.length);
  }
  CB_CHECK(front + data.size() == body_size);
  sealer_->seal(packet.phase, packet.number, header, {body, front}, data, body);
  out.packets.emplace_back(at, packet.size);
  out.used += packet.size;
}

}  // namespace cb::transport
