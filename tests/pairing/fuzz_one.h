// SPDX-License-Identifier: Apache-2.0
//
// Any bytes at everything of pairing that reads what a stranger sends. Aborts when a promise is
// broken. Shared by the fuzzer and by a bounded test.
#pragma once

#include <cstdlib>
#include <string_view>

#include "pairing/call.h"
#include "pairing/session.h"
#include "tests/pairing/nodes.h"

namespace cb::pairing::test {

inline void require(bool promise) {
  if (!promise) {
    abort();
  }
}

// The first byte chooses how the rest is used.
inline void fuzz_one(std::string_view input) {
  if (input.empty()) {
    return;
  }
  static const LocalIdentity secondary_self = [] {
    LocalIdentity self = secondary_node();
    self.pairs = {other_pair(0)};
    return self;
  }();
  static const LocalIdentity primary_self = primary_node();
  static const Secret<32> key;
  const int use = static_cast<std::uint8_t>(input[0]) % 8;
  const std::string_view bytes = input.substr(1);
  const Instant now = Instant{} + Duration::from_s(1);

  if (use == 0) {
    if (const auto hello = decode_hello(bytes)) {
      const auto again = encode_hello(*hello);
      require(again && decode_hello(*again) == *hello);
      (void)check_rules(*hello, make_hello(secondary_self, hello->hm_address), {});
      (void)check_rules(make_hello(primary_self, hello->hm_address), *hello, {});
      (void)explain_rules(*hello, make_hello(secondary_self, hello->hm_address), {});
      (void)check_room(secondary_self, *hello);
    }
  } else if (use == 1) {
    // Nobody without the key says anything that is believed.
    require(!decode_commit(Kind::Commit, bytes, "run", key));
    require(!decode_request(bytes, {}, key));
    require(!decode_reply(bytes, {}, key));
    require(!decode_restored(bytes, "run", key));
    require(!decode_keep(bytes, {}, key));
    (void)decode_refuse(bytes);
    (void)decode_ask(bytes);
    (void)decode_challenge(bytes);
    (void)decode_share(bytes);
    (void)decode_proof(bytes);
  } else if (use == 2) {
    (void)parse_code(bytes);
  } else if (use == 3) {
    FrameReader whole;
    FrameReader split;
    const bool fine = whole.feed(bytes);
    bool split_fine = true;
    for (const char c : bytes) {
      split_fine = split_fine && split.feed(std::string_view(&c, 1));
    }
    require(fine == split_fine);
    if (fine) {
      const auto frame = whole.next();
      const auto other = split.next();
      require(frame.has_value() == other.has_value());
      require(!frame || (frame->kind == other->kind && frame->body == other->body));
      require(!frame || frame_bytes(frame->kind, frame->body) == bytes);
    }
  } else {
    // A stranger talks to a node: kinds and bodies cut from the input. Nothing is ever saved or
    // removed.
    CodeDesk desk;
    (void)desk.create(now);
    SecondarySession secondary(secondary_self, desk, address("10.66.0.1"));
    ListenerSession listener(secondary_self, address("10.66.0.1"));
    PrimarySession primary(primary_self, address("10.66.0.2"), make_code(),
                           PrimarySession::Aim::Pair);
    (void)primary.begin();
    std::string_view rest = bytes;
    for (int turn = 0; turn < 6 && rest.size() >= 2; ++turn) {
      const auto kind = static_cast<Kind>(1 + static_cast<std::uint8_t>(rest[0]) % 14);
      std::size_t length = static_cast<std::uint8_t>(rest[1]);
      if (kind == Kind::Hello) {
        length *= 4;
      }
      rest.remove_prefix(2);
      length = std::min(length, rest.size());
      const Frame frame{kind, std::string(rest.substr(0, length))};
      rest.remove_prefix(length);
      Move move = use == 4   ? listener.on_frame(frame)
                  : use == 5 ? primary.on_frame(frame)
                             : secondary.on_frame(frame, now);
      if (move.next == Move::Next::Look) {
        move = use == 5 ? primary.on_looked({}) : secondary.on_looked({});
      }
      require(move.next != Move::Next::Save && move.next != Move::Next::Remove);
    }
  }
}

// Inputs to begin from: one of every kind, well formed.
inline std::vector<std::string> fuzz_seeds() {
  const std::string primary_hello = *encode_hello(make_hello(primary_node(), address("10.66.0.2")));
  const std::string secondary_hello =
      *encode_hello(make_hello(secondary_node(), address("10.66.0.1")));
  const auto said = [](Kind kind, const std::string& body) {
    const std::size_t unit = kind == Kind::Hello ? 4 : 1;
    std::string out(1, static_cast<char>(static_cast<int>(kind) - 1));
    out.push_back(static_cast<char>((body.size() + unit - 1) / unit));
    return out + body;
  };
  const Pake run =
      Pake::start({Side::Initiator, "c", "s", "a", "b"},
                  std::span<const std::uint8_t>(reinterpret_cast<const std::uint8_t*>("x"), 1));
  std::vector<std::string> seeds;
  seeds.push_back('\0' + primary_hello);
  seeds.push_back('\0' + secondary_hello);
  seeds.push_back('\1' + std::string(33, 'm'));
  seeds.push_back("\2K7QM-3XWD-9FN");
  seeds.push_back('\3' + frame_bytes(Kind::Hello, primary_hello));
  seeds.push_back('\3' + frame_bytes(Kind::Refuse, encode_refuse(Refusal::WrongCode)));
  seeds.push_back('\4' + said(Kind::Ask, encode_ask({other_pair(0).id, {}})) +
                  said(Kind::Request, std::string(33, 'r')));
  seeds.push_back('\5' + said(Kind::Hello, secondary_hello));
  seeds.push_back('\6' + said(Kind::Hello, primary_hello));
  seeds.push_back(
      '\7' + said(Kind::Hello, primary_hello) + said(Kind::Share, encode_share(run.share())) +
      said(Kind::Proof, std::string(kProofBytes, 'p')) + said(Kind::Commit, std::string(33, 'c')));
  return seeds;
}

}  // namespace cb::pairing::test
