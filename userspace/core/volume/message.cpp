// SPDX-License-Identifier: Apache-2.0
#include "core/volume/message.h"

namespace cb::core::volume {
namespace {

constexpr uint8_t kVersion = 1;

bool carries_epochs(MessageKind kind) {
  return kind == MessageKind::Hello || kind == MessageKind::Copy;
}

void put_epoch(Put& put, const Epoch& epoch) {
  const std::size_t begin = put.at();
  put(epoch.number)(epoch.generation.high)(epoch.generation.low)(epoch.start)(epoch.digest.high)(
      epoch.digest.low)(epoch.writer);
  put.skip_to(begin + kEpochWireBytes);
}

bool take_epoch(Get& get, Epoch& epoch) {
  epoch.number = get.take<uint64_t>();
  epoch.generation.high = get.take<uint64_t>();
  epoch.generation.low = get.take<uint64_t>();
  epoch.start = get.take<uint64_t>();
  epoch.digest.high = get.take<uint64_t>();
  epoch.digest.low = get.take<uint64_t>();
  epoch.writer = get.take<uint8_t>();
  const bool reserved = get.take<uint8_t>() == 0 && get.take<uint16_t>() == 0 &&
                        get.take<uint32_t>() == 0 && get.take<uint64_t>() == 0;
  return reserved && epoch.writer <= 1 && epoch.start % kBlock == 0;
}

bool in_order(const Epochs& epochs) {
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    if (epochs[i].generation.none() || (i > 0 && (epochs[i - 1].start > epochs[i].start ||
                                                  epochs[i - 1].number >= epochs[i].number))) {
      return false;
    }
  }
  return true;
}

bool aligned(const Message& m) {
  return (m.position | m.end | m.synced | m.committed | m.flush) % kBlock == 0;
}

}  // namespace

std::size_t encode(const Message& m, const Epochs& epochs, Bytes out) {
  const bool with_epochs = carries_epochs(m.kind);
  Put put(out);
  put(kVersion)(static_cast<uint8_t>(m.kind))(static_cast<uint8_t>(m.standing))(
      static_cast<uint8_t>(m.serving))(static_cast<uint8_t>(m.node))(
      static_cast<uint8_t>(with_epochs ? epochs.size() : 0))(uint16_t{0});
  put(m.session)(m.to_session)(m.number)(m.position)(m.end)(m.synced)(m.committed)(m.flush);
  put(m.digest.high)(m.digest.low)(m.copying)(m.extent)(m.granted);
  put(m.instance_high)(m.instance_low)(m.volume_length);
  put_epoch(put, m.epoch);
  put.skip_to(kMessageBytes);
  if (with_epochs) {
    for (const Epoch& epoch : epochs) {
      put_epoch(put, epoch);
    }
  }
  return put.at();
}

std::optional<Decoded> decode_message(ConstBytes in) {
  if (in.size() < kMessageBytes) {
    return std::nullopt;
  }
  Get get(in);
  if (get.take<uint8_t>() != kVersion) {
    return std::nullopt;
  }
  const uint8_t kind = get.take<uint8_t>();
  const uint8_t standing = get.take<uint8_t>();
  const uint8_t serving = get.take<uint8_t>();
  const uint8_t node = get.take<uint8_t>();
  const std::size_t epochs = get.take<uint8_t>();
  if (kind < static_cast<uint8_t>(MessageKind::Hello) ||
      kind > static_cast<uint8_t>(MessageKind::GiveSums) ||
      standing > static_cast<uint8_t>(Standing::Outdated) || serving > 1 || node > 1 ||
      epochs > kEpochsMax || get.take<uint16_t>() != 0) {
    return std::nullopt;
  }
  std::optional<Decoded> decoded(std::in_place);
  Message& m = decoded->message;
  m.kind = static_cast<MessageKind>(kind);
  m.standing = static_cast<Standing>(standing);
  m.serving = serving != 0;
  m.node = node;
  for (uint64_t* field :
       {&m.session, &m.to_session, &m.number, &m.position, &m.end, &m.synced, &m.committed,
        &m.flush, &m.digest.high, &m.digest.low, &m.copying, &m.extent, &m.granted,
        &m.instance_high, &m.instance_low, &m.volume_length}) {
    *field = get.take<uint64_t>();
  }
  const bool with_epochs = carries_epochs(m.kind);
  if (!take_epoch(get, m.epoch) || !get.zero_to(kMessageBytes) || !aligned(m) ||
      (epochs > 0 && !with_epochs) || in.size() < kMessageBytes + epochs * kEpochWireBytes ||
      (m.to_session == 0 && m.kind != MessageKind::Hello) || m.session == 0) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < epochs; ++i) {
    Epoch epoch;
    if (!take_epoch(get, epoch)) {
      return std::nullopt;
    }
    decoded->epochs.push(epoch);
  }
  if (!in_order(decoded->epochs)) {
    return std::nullopt;
  }
  decoded->used = kMessageBytes + epochs * kEpochWireBytes;
  return decoded;
}

}  // namespace cb::core::volume
