// SPDX-License-Identifier: Apache-2.0
//
// What arrives. Everything is hostile until its tag was right; nothing is logged by the packet.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "transport/sealed.h"

namespace cb::transport {

namespace core = cb::core::transport;

namespace {

static_assert(kFront == core::kStreamFrame);
constexpr std::size_t kDirectFrom = 2048;  // below this a copy costs less than a second call

}  // namespace

void Transport::on_packets(int index, std::span<const link::ConstBytes> packets) {
  const auto alive = leash_.sight();
  in_packets_ = true;
  for (const link::ConstBytes& packet : packets) {
    on_packet(index, packet);
    if (alive.expired()) {
      return;
    }
  }
  in_packets_ = false;
  tell_room();
  if (alive.expired()) {
    return;
  }
  pump();
}

void Transport::on_packet(int index, ConstBytes packet) {
  const std::optional<Header> header = decode(packet);
  if (!header) {
    ++totals_.malformed;
    return;
  }
  link::Link& link = *links_[static_cast<std::size_t>(index)];
  ConstBytes answer;
  switch (header->kind) {
    case Kind::Data: on_data(index, packet, *header); return;
    case Kind::Open: answer = opening_.on_open(packet, *header, boottime_now()); break;
    case Kind::Accept:
      if (std::optional<Agreed> agreed = opening_.on_accept(packet, *header)) {
        adopt(std::move(*agreed), nullptr, index);
      }
      return;
    case Kind::Retry:
      if (opening_.on_retry(packet, *header, boottime_now())) {
        answer = opening_.open(boottime_now());
      }
      break;
  }
  if (!answer.empty()) {
    link.send(std::span(&answer, 1));
  }
}

bool Transport::unseal(Opener& opener, ConstBytes packet, const Header& header, bool ours) {
  const ConstBytes sealed = packet.subspan(kHeaderBytes);
  if (sealed.size() <= core::kTag || packet.size() > core::kSizeMax) {
    ++totals_.malformed;
    return false;
  }
  body_size_ = sealed.size() - core::kTag;
  in_place_ = false;
  may_place_ = ours;
  if (!opener.open(header.detail, header.number, packet.first(kHeaderBytes), sealed,
                   scratch_.data(), place_)) {
    ++totals_.refused;
    return false;
  }
  return true;
}

// Long data goes straight to its place in the stream, if nothing of it is there yet: should the
// packet turn out to be forged, bytes were written that nobody takes for received. All else goes
// through the scratch buffer.
std::uint8_t* Transport::place_for(ConstBytes front) {
  std::uint8_t* const otherwise = scratch_.data() + front.size();
  if (!may_place_ || body_size_ < kDirectFrom || !core::decode_stream(front, body_size_, frames_) ||
      !core::untouched(*core_, frames_.klass, {frames_.offset, frames_.offset + frames_.length})) {
    return otherwise;
  }
  in_place_ = true;
  return in_[frames_.klass].at(frames_.offset, frames_.length).data();
}

void Transport::on_data(int index, ConstBytes packet, const Header& header) {
  if (up_ && header.connection == agreed_.own_connection) {
    if (!core::fresh(*core_, header.number)) {
      ++totals_.replayed;
      return;
    }
    if (!unseal(*opener_, packet, header, true)) {
      if (++refused_now_ >= refused_max_) {
        end_session("too many packets failed authentication");
      }
      return;
    }
    take(index, packet, header);
    return;
  }
  Opening::Pending* pending = opening_.pending(header.connection);
  if (pending == nullptr) {
    ++totals_.foreign;
    return;
  }
  // It must not touch the streams of the session that may still be up.
  if (!unseal(*pending->opener, packet, header, false)) {
    return;
  }
  // The opener has our answer and its keys: now it is a session.
  const auto alive = leash_.sight();
  adopt(std::move(pending->agreed), std::move(pending->opener), index);
  if (!alive.expired() && up_) {
    take(index, packet, header);
  }
}

void Transport::take(int index, ConstBytes packet, const Header& header) {
  const ConstBytes body = ConstBytes(scratch_).first(body_size_);
  if (!in_place_ && !core::decode(body, frames_)) {
    ++totals_.malformed;
    end_session("the peer sends what this version does not understand");
    return;
  }
  const core::Outcome outcome = core::step(*core_,
                                           {.kind = core::EventKind::Arrived,
                                            .path = index,
                                            .size = static_cast<std::uint32_t>(packet.size()),
                                            .number = header.number,
                                            .frames = &frames_},
                                           boottime_now());
  if (outcome.refused) {
    end_session("the peer breaks the protocol");
    return;
  }
  if (outcome.closed) {
    end_session("the peer said goodbye");
    return;
  }
  if (outcome.keep_length > 0 && !in_place_) {
    const std::uint64_t skip = outcome.keep_from - frames_.offset;
    std::memcpy(in_[frames_.klass].at(outcome.keep_from, outcome.keep_length).data(),
                body.data() + frames_.data_at + skip, outcome.keep_length);
  }
  if (outcome.grown != 0) {
    deliver(frames_.klass);
  }
}

// Hands over all messages of the stream that are whole now.
void Transport::deliver(int klass) {
  const auto alive = leash_.sight();
  const auto index = static_cast<std::size_t>(klass);
  const std::uint64_t session = agreed_.session;
  while (up_ && agreed_.session == session) {
    const core::ReceiveStream& stream = core_->in[index];
    const std::uint64_t there = stream.whole - stream.consumed;
    if (there < core::kMessageHead) {
      return;
    }
    const std::uint8_t* head = in_[index].at(stream.consumed, core::kMessageHead).data();
    const std::uint32_t length =
        static_cast<std::uint32_t>(head[0]) | static_cast<std::uint32_t>(head[1]) << 8 |
        static_cast<std::uint32_t>(head[2]) << 16 | static_cast<std::uint32_t>(head[3]) << 24;
    if (length > kMessageMax) {
      end_session("the peer sends a message that is too long");
      return;
    }
    if (there < core::kMessageHead + length) {
      return;
    }
    totals_.bytes_received += length;
    const std::uint64_t end = stream.consumed + core::kMessageHead + length;
    if (calls_.on_message) {
      calls_.on_message(static_cast<Priority>(klass),
                        in_[index].at(stream.consumed + core::kMessageHead, length));
      if (alive.expired()) {
        return;
      }
    }
    if (up_ && agreed_.session == session) {
      core::step(*core_, {.kind = core::EventKind::Consumed, .klass = klass, .offset = end},
                 boottime_now());
    }
  }
}

void Transport::tell_room() {
  const auto alive = leash_.sight();
  for (int klass = 0; klass < kPriorities && up_; ++klass) {
    bool& waited_for = waited_for_[static_cast<std::size_t>(klass)];
    if (!waited_for || free_room(klass) == 0) {
      continue;
    }
    waited_for = false;
    if (calls_.on_room) {
      calls_.on_room(static_cast<Priority>(klass));
      if (alive.expired()) {
        return;
      }
    }
  }
}

}  // namespace cb::transport
