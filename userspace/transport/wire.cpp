// SPDX-License-Identifier: Apache-2.0
#include "transport/wire.h"

namespace cb::transport {

namespace {

template <class T>
void put(std::uint8_t*& at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    *at++ = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

template <class T>
T take(const std::uint8_t*& at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<std::uint64_t>(*at++) << (8 * i);
  }
  return static_cast<T>(value);
}

}  // namespace

HeaderBytes encode(const Header& header) {
  HeaderBytes bytes{};
  std::uint8_t* at = bytes.data();
  put(at, static_cast<std::uint8_t>(header.kind));
  put(at, header.detail);
  put(at, std::uint16_t{0});
  put(at, header.connection);
  put(at, header.number);
  return bytes;
}

std::optional<Header> decode(ConstBytes packet) {
  if (packet.size() < kHeaderBytes || packet[2] != 0 || packet[3] != 0 || packet[0] < 0x11 ||
      packet[0] > 0x14) {
    return std::nullopt;
  }
  Header header;
  header.kind = static_cast<Kind>(packet[0]);
  header.detail = packet[1];
  const std::uint8_t* at = packet.data() + 4;
  header.connection = take<std::uint32_t>(at);
  header.number = take<std::uint64_t>(at);
  return header;
}

OfferBytes encode(const Offer& offer) {
  OfferBytes bytes{};
  std::uint8_t* at = bytes.data();
  put(at, offer.connection);
  put(at, std::uint32_t{0});
  put(at, offer.ciphers);
  put(at, std::uint8_t{0});
  put(at, std::uint16_t{0});
  for (const std::uint64_t room : offer.room) {
    put(at, room);
  }
  return bytes;
}

std::optional<Offer> decode_offer(ConstBytes bytes) {
  if (bytes.size() != kOfferBytes) {
    return std::nullopt;
  }
  const std::uint8_t* at = bytes.data();
  Offer offer;
  offer.connection = take<std::uint32_t>(at);
  const auto features = take<std::uint32_t>(at);
  offer.ciphers = take<std::uint8_t>(at);
  static_cast<void>(features);  // of later versions: what both offer is used, and this one has none
  const bool zero = at[0] == 0 && at[1] == 0 && at[2] == 0;
  at += 3;
  for (std::uint64_t& room : offer.room) {
    room = take<std::uint64_t>(at);
  }
  if (offer.connection == 0 || offer.ciphers == 0 || !zero) {
    return std::nullopt;
  }
  return offer;
}

}  // namespace cb::transport
