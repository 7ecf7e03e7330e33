// SPDX-License-Identifier: Apache-2.0
//
// Frames, written as they nest: Frame(to, from).vlan(7).ipv4(a, b).udp(7388,
// 7388).heartbeat(hb).bytes(). Lengths and types are filled in by the layer that comes next; what a
// test wants wrong, it makes wrong after.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "base/net.h"
#include "bpf/parse.h"

namespace cb::test {

using Bytes = std::vector<uint8_t>;

class Frame {
 public:
  Frame(Mac to, Mac from) {
    append(to.bytes.data(), 6);
    append(from.bytes.data(), 6);
    type_at_ = bytes_.size();
    append16(0);
  }

  Frame& vlan(uint16_t tag, uint16_t type = CB_ETH_VLAN) {
    put16(type_at_, type);
    append16(tag);
    type_at_ = bytes_.size();
    append16(0);
    return *this;
  }

  Frame& ipv4(Ipv4 from, Ipv4 to, uint8_t protocol = CB_IP_UDP, unsigned options_words = 0,
              uint16_t fragment = 0) {
    put16(type_at_, CB_ETH_IPV4);
    ip_at_ = bytes_.size();
    header_bytes_ = 20 + options_words * 4;
    const uint8_t start[12] = {static_cast<uint8_t>(0x45 + options_words),
                               0,
                               0,
                               0,
                               0,
                               1,
                               static_cast<uint8_t>(fragment >> 8),
                               static_cast<uint8_t>(fragment),
                               64,
                               protocol};
    append(start, 12);
    append(from.bytes.data(), 4);
    append(to.bytes.data(), 4);
    bytes_.insert(bytes_.end(), options_words * 4, 1);  // "no operation"
    return *this;
  }

  Frame& ipv6(Ipv6 from, Ipv6 to, uint8_t next) {
    put16(type_at_, CB_ETH_IPV6);
    const uint8_t start[8] = {0x60, 0, 0, 0, 0, 0, next, 255};
    append(start, 8);
    append(from.bytes.data(), 16);
    append(to.bytes.data(), 16);
    return *this;
  }

  // Neighbour discovery (RFC 4861).
  Frame& nd(uint8_t type, Ipv6 target) {
    const uint8_t start[8] = {type};
    append(start, 8);
    append(target.bytes.data(), 16);
    return *this;
  }

  Frame& arp(uint16_t operation, Mac sender_mac, Ipv4 sender, Ipv4 target) {
    put16(type_at_, CB_ETH_ARP);
    const uint8_t start[6] = {0, 1, 8, 0, 6, 4};
    append(start, 6);
    append16(operation);
    append(sender_mac.bytes.data(), 6);
    append(sender.bytes.data(), 4);
    bytes_.insert(bytes_.end(), 6, 0);
    append(target.bytes.data(), 4);
    return *this;
  }

  Frame& udp(uint16_t from, uint16_t to) {
    udp_at_ = bytes_.size();
    append16(from);
    append16(to);
    append16(0);
    append16(0);
    return *this;
  }

  Frame& heartbeat(const struct cb_heartbeat& hb) {
    if (udp_at_ == 0) {
      put16(type_at_, CB_ETHERTYPE);
    }
    append(&hb, sizeof hb);
    return *this;
  }

  Frame& payload(const void* data, size_t size) {
    append(data, size);
    return *this;
  }

  // A UDP checksum, which senders of IPv4 may leave out.
  Frame& checksummed() {
    checksummed_ = true;
    return *this;
  }

  Bytes bytes() const {
    Frame done = *this;
    if (ip_at_ != 0) {
      done.put16(ip_at_ + 2, static_cast<uint16_t>(bytes_.size() - ip_at_));
      done.put16(ip_at_ + 10, sum(0, done.bytes_.data() + ip_at_, header_bytes_));
    }
    if (udp_at_ != 0) {
      done.put16(udp_at_ + 4, static_cast<uint16_t>(bytes_.size() - udp_at_));
    }
    if (udp_at_ != 0 && checksummed_) {
      done.put16(udp_at_ + 6, udp_sum(done.bytes_, ip_at_, udp_at_));
    }
    return done.bytes_;
  }

  // The checksum a datagram should have; its own field does not count.
  static uint16_t udp_sum(const Bytes& bytes, size_t ip_at, size_t udp_at) {
    Bytes copy = bytes;
    copy[udp_at + 6] = copy[udp_at + 7] = 0;
    const size_t length = copy.size() - udp_at;
    const uint8_t pseudo[4] = {0, CB_IP_UDP, static_cast<uint8_t>(length >> 8),
                               static_cast<uint8_t>(length)};
    uint32_t start = add(0, copy.data() + ip_at + 12, 8);
    start = add(start, pseudo, 4);
    const uint16_t value = sum(start, copy.data() + udp_at, length);
    return value == 0 ? 0xffff : value;
  }

 private:
  static uint32_t add(uint32_t total, const uint8_t* data, size_t size) {
    for (size_t i = 0; i < size; i += 2) {
      total += static_cast<uint32_t>(data[i] << 8) | (i + 1 < size ? data[i + 1] : 0u);
    }
    return total;
  }
  static uint16_t sum(uint32_t start, const uint8_t* data, size_t size) {
    uint32_t total = add(start, data, size);
    while (total >> 16) {
      total = (total & 0xffff) + (total >> 16);
    }
    return static_cast<uint16_t>(~total);
  }
  void append(const void* data, size_t size) {
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  void append16(uint16_t value) {
    bytes_.push_back(static_cast<uint8_t>(value >> 8));
    bytes_.push_back(static_cast<uint8_t>(value));
  }
  void put16(size_t at, uint16_t value) {
    bytes_[at] = static_cast<uint8_t>(value >> 8);
    bytes_[at + 1] = static_cast<uint8_t>(value);
  }

  Bytes bytes_;
  size_t type_at_ = 0;
  size_t ip_at_ = 0;
  size_t udp_at_ = 0;
  size_t header_bytes_ = 0;
  bool checksummed_ = false;
};

inline Bytes cut_to(Bytes bytes, size_t size) {
  bytes.resize(size);
  return bytes;
}

}  // namespace cb::test
