// SPDX-License-Identifier: Apache-2.0
//
// What may come over a cable. The first byte chooses: bytes as a stranger sends them, to a node
// that is opening; the body of a packet; or what a hostile peer that has the keys makes the core
// do, body after body.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/instant.h"
#include "core/transport/step.h"
#include "transport/opening.h"

namespace {

using cb::Duration;
using cb::Instant;
namespace core = cb::core::transport;
namespace transport = cb::transport;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// A stranger: nothing that he says has a right MAC, so nothing may be answered or agreed.
void stranger(core::ConstBytes bytes) {
  std::array<std::uint8_t, 32> psk{};
  psk.fill(5);
  transport::Opening::Options options{.psk = transport::Key(psk),
                                      .node = bytes.empty() ? 0 : bytes[0] & 1,
                                      .instance = 1,
                                      .ciphers = 2};
  transport::Opening opening(std::move(options));
  const Instant now = Instant::from_ns(1'000'000'000);
  opening.start(now);
  opening.open(now);
  const std::optional<transport::Header> header = transport::decode(bytes);
  if (!header) {
    return;
  }
  require(opening.on_open(bytes, *header, now).empty());
  require(!opening.on_accept(bytes, *header));
  require(!opening.on_retry(bytes, *header, now));
  static_cast<void>(transport::decode_offer(bytes));
}

void body(core::ConstBytes bytes) {
  static core::Frames frames;
  if (!core::decode(bytes, frames)) {
    return;
  }
  frames.pad_to = 0;
  std::vector<std::uint8_t> again(bytes.size() + core::kFrontMax);
  static_cast<void>(core::encode(frames, again));
}

// Each body: two bytes of length, one of path and waiting, the rest.
void peer(core::ConstBytes bytes) {
  static auto state = std::make_unique<core::State>();
  static core::Frames frames;
  static core::Packet packet;
  Instant now = Instant::from_ns(1'000'000'000);
  *state = core::State{};
  for (int path = 0; path < 2; ++path) {
    core::step(
        *state,
        {.kind = core::EventKind::PathChanged, .path = path, .carrier = true, .packet_max = 9000},
        now);
  }
  core::begin(*state, core::Settings{}, {1 << 16, 1 << 16, 1 << 16}, 0, now);
  std::uint64_t number = 0;
  while (bytes.size() >= 3 && state->alive) {
    const std::size_t length =
        std::min<std::size_t>((bytes[0] | bytes[1] << 8) % 1500, bytes.size() - 3);
    const std::uint8_t how = bytes[2];
    const core::ConstBytes one = bytes.subspan(3, length);
    bytes = bytes.subspan(3 + length);
    now += Duration::from_us((how >> 1) * 100);
    number += 1 + (how & 0x10) * 1000u;
    core::step(
        *state,
        {.kind = core::EventKind::Given, .klass = how % 3, .offset = state->out[how % 3].end + 500},
        now);
    if (core::decode(one, frames)) {
      const core::Outcome outcome = core::step(*state,
                                               {.kind = core::EventKind::Arrived,
                                                .path = how & 1,
                                                .size = static_cast<std::uint32_t>(length + 32),
                                                .number = number,
                                                .frames = &frames},
                                               now);
      if (outcome.refused || outcome.closed) {
        return;
      }
      require(outcome.keep_length <= frames.length);
    }
    core::step(*state, {.kind = core::EventKind::Tick}, now);
    for (int path = 0; path < 2; ++path) {
      for (int i = 0; i < 20 && core::next_packet(*state, path, now, packet); ++i) {
        require(packet.size <= 9000);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const core::ConstBytes rest(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0: stranger(rest); break;
    case 1: body(rest); break;
    default: peer(rest); break;
  }
  return 0;
}
