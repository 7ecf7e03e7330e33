// SPDX-License-Identifier: Apache-2.0
//
// The programs of both links, natively: the same parser and the same body, bound to plain arrays in
// place of maps. The far node of the tests, the model that the kernel's answers are compared with,
// and what the fuzzer runs.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/net.h"
#include "bpf/heartbeat.h"
#include "bpf/parse.h"

namespace cb::test {

using Heartbeat = struct cb_heartbeat;

struct Outcome {
  enum class Kind : uint8_t { Pass, Drop, Answer, Taken };
  Kind kind = Kind::Pass;
  uint32_t why = CB_DROPS;  // for Drop: enum cb_drop
  uint32_t change = 0;      // enum cb_change_kind
  uint64_t change_value = 0;
};

struct NativeNode {
  cb_node node{};
  std::array<cb_pair, CB_PAIRINGS_MAX> pairs{};
  std::array<cb_lease, CB_PAIRINGS_MAX> leases{};
  std::array<cb_path, CB_PATHS_MAX> paths{};
  std::array<cb_probes, CB_PATHS_MAX> probes{};
  std::array<cb_keys, CB_PAIRINGS_MAX> keys{};

  cb_view view(unsigned slot, unsigned link) {
    cb_view view{};
    view.node = &node;
    view.pair = &pairs[slot];
    view.lease = &leases[slot];
    view.path = &paths[slot * CB_LINKS + link];
    view.probes = &probes[slot * CB_LINKS + link];
    view.keys = &keys[slot];
    view.granting = &leases[slot].granting;
    return view;
  }

  std::optional<unsigned> slot_of(uint64_t pairing) const {
    for (unsigned slot = 0; slot < CB_PAIRINGS_MAX; ++slot) {
      if (pairing != 0 && pairs[slot].pairing == pairing) {
        return slot;
      }
    }
    return std::nullopt;
  }

  // What the probe thread does.
  Heartbeat probe(unsigned slot, unsigned link, uint64_t now) {
    cb_probes& sent = probes[slot * CB_LINKS + link];
    const uint64_t sequence = sent.sequence + 1;
    Heartbeat hb{};
    const cb_view v = view(slot, link);
    cb_make_probe(&v, &hb, link, sequence, now);
    sent.sent_ns[sequence % CB_PROBE_RING] = now;
    sent.sequence = sequence;
    return hb;
  }

  // A frame that arrives. For Answer, frame has become the answer.
  Outcome receive(unsigned link, std::vector<uint8_t>& frame, uint64_t now, Mac self) {
    cb_cursor cursor{frame.data(), frame.data() + frame.size()};
    cb_found found{};
    int broken = 0;
    if (cb_find(&cursor, &found, link == CB_LINK_DIRECT, node.udp_port, &broken) == 0) {
      return {};
    }
    uint8_t* at = cursor.at;
    if (broken != 0 || cursor.end - cursor.at < static_cast<ptrdiff_t>(sizeof(Heartbeat))) {
      return {Outcome::Kind::Drop, CB_DROP_SHORT};
    }
    Heartbeat hb{};
    std::memcpy(&hb, at, sizeof hb);
    const Outcome outcome = take(link, hb, now, found.eth->source);
    if (outcome.kind == Outcome::Kind::Answer) {
      answer(link, found, at, hb, self);
    }
    return outcome;
  }

 private:
  Outcome take(unsigned link, Heartbeat& hb, uint64_t now, const uint8_t source[6]) {
    const uint32_t header = cb_check_header(&hb, link);
    if (header != CB_DROPS) {
      return {Outcome::Kind::Drop, header};
    }
    const auto slot = slot_of(CB_BE64(hb.pairing));
    if (!slot) {
      return {Outcome::Kind::Drop, CB_DROP_PAIRING};
    }
    const cb_view v = view(*slot, link);
    const cb_verdict verdict = cb_heartbeat(&v, &hb, link, now);
    Outcome outcome;
    outcome.change = verdict.change;
    outcome.change_value = verdict.change_value;
    if (verdict.kind == CB_VERDICT_DROP) {
      outcome.kind = Outcome::Kind::Drop;
      outcome.why = verdict.drop;
      return outcome;
    }
    if (link == CB_LINK_DIRECT && v.path->frame_ns == now) {
      std::memcpy(v.path->peer_mac, source, 6);
    }
    outcome.kind = verdict.kind == CB_VERDICT_ANSWER ? Outcome::Kind::Answer : Outcome::Kind::Taken;
    return outcome;
  }

  static void answer(unsigned link, cb_found& found, uint8_t* at, const Heartbeat& hb, Mac self) {
    const uint16_t check_was = found.udp != nullptr ? found.udp->check : uint16_t{0};
    uint32_t difference = 0;
    for (size_t i = 0; i < sizeof hb; i += 2) {
      uint16_t before = 0;
      uint16_t after = 0;
      std::memcpy(&before, at + i, 2);
      std::memcpy(&after, reinterpret_cast<const uint8_t*>(&hb) + i, 2);
      difference += static_cast<uint16_t>(~before) + uint32_t{after};
    }
    std::memcpy(at, &hb, sizeof hb);
    cb_turn_round(&found, self.bytes.data());
    if (link == CB_LINK_NETWORK && check_was != 0) {
      difference += static_cast<uint16_t>(~check_was);
      while (difference >> 16) {
        difference = (difference & 0xffff) + (difference >> 16);
      }
      const auto check = static_cast<uint16_t>(~difference);
      found.udp->check = check == 0 ? uint16_t{0xffff} : check;
    }
  }
};

}  // namespace cb::test
