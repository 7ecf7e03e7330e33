// SPDX-License-Identifier: Apache-2.0
//
// A whole pairing in memory: two sessions, a desk with codes, two disks, and somebody in the middle
// who sees every message, may change it, or may cut the line.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pairing/session.h"
#include "tests/pairing/nodes.h"

namespace cb::pairing::test {

// What a node keeps on its disk for this peer.
struct Disk {
  std::optional<config::Pair> pair;
  int saves = 0;
  int removals = 0;
  Refusal answer = Refusal::None;  // to a save

  Refusal save(const config::Pair& wanted) {
    if (answer == Refusal::None) {
      pair = wanted;
      ++saves;
    }
    return answer;
  }
};

class PairRun {
 public:
  // Message 0 is the primary's hello, 1 the secondary's, and so on.
  static constexpr int kMessages = 9;

  PairRun() { EXPECT_TRUE(crypto_ready()); }

  LocalIdentity primary = primary_node();
  LocalIdentity secondary = secondary_node();
  Disk primary_disk;
  Disk secondary_disk;
  CodeDesk desk;
  Instant now = Instant{} + Duration::from_s(1000);
  bool dry_run = false;
  bool recover = false;
  Finding primary_looks;  // what each finds when it looks at the network
  Finding secondary_looks;
  // Changes a message on its way (the frame's bytes); an empty one is lost and the line with it.
  std::function<void(int index, std::string& bytes)> middle = [](int, std::string&) {};
  std::vector<std::string> seen;  // every message of the last run, as sent

  Failure failure;                  // of the primary, in the last run
  Refusal refusal = Refusal::None;  // of the secondary
  bool renewed = false;
  std::optional<Restored> restored;
  std::vector<RuleLine> rules;
  std::string detail;

  std::string new_code() { return desk.create(now); }

  // True when the primary says so.
  bool go(const std::string& code_text) {
    // What is on the disks is what the nodes hold.
    take_from_disk(primary, primary_disk, address("10.66.0.2"));
    take_from_disk(secondary, secondary_disk, address("10.66.0.1"));
    std::optional<CodeSecret> code;
    if (!code_text.empty()) {
      auto parsed = parse_code(code_text);
      EXPECT_TRUE(parsed) << code_text;
      code = std::move(*parsed);
    }
    PrimarySession initiator(primary, address("10.66.0.2"), std::move(code), aim());
    SecondarySession responder(secondary, desk, address("10.66.0.1"));
    seen.clear();
    run(initiator, responder);
    failure = initiator.failure();
    refusal = responder.refusal();
    renewed = initiator.renewed();
    rules = initiator.rules();
    restored = initiator.restored();
    detail = responder.detail();
    return !failure;
  }
  bool go() { return go(new_code()); }

  PrimarySession::Aim aim() const {
    return recover   ? PrimarySession::Aim::Recover
           : dry_run ? PrimarySession::Aim::DryRun
                     : PrimarySession::Aim::Pair;
  }

  // Both ends of one stream, each with what it still has to say.
  void run(PrimarySession& initiator, SecondarySession& responder) {
    FrameReader at_secondary;
    FrameReader at_primary;
    Move move = settle(initiator, initiator.begin());
    bool to_secondary = true;
    bool line = true;
    while (line && !move.send.empty()) {
      const int index = static_cast<int>(seen.size());
      std::string bytes = move.send;
      seen.push_back(bytes);
      middle(index, bytes);
      FrameReader& reader = to_secondary ? at_secondary : at_primary;
      if (bytes.empty()) {
        line = false;
      } else if (!reader.feed(bytes)) {
        move = to_secondary ? responder.on_lost(Refusal::Malformed)
                            : initiator.on_lost(Refusal::Malformed);
        line = false;
      } else if (const auto frame = reader.next()) {
        move = to_secondary ? settle(responder, responder.on_frame(*frame, now))
                            : settle(initiator, initiator.on_frame(*frame));
        to_secondary = !to_secondary;
      } else {
        line = false;  // the rest never comes
      }
    }
    // Whoever still waits hears that the line is gone.
    (void)settle(initiator, initiator.on_lost(Refusal::Disconnected));
    (void)settle(responder, responder.on_lost(Refusal::Disconnected));
  }

 private:
  static void take_from_disk(LocalIdentity& node, const Disk& disk, const config::Address& peer) {
    std::erase_if(node.pairs, [&](const config::Pair& pair) {
      return (node.role == core::Role::Primary ? pair.secondary_hm : pair.primary_hm) == peer;
    });
    if (disk.pair) {
      node.pairs.push_back(*disk.pair);
    }
  }

  Move settle(PrimarySession& session, Move move) {
    while (move.next == Move::Next::Save || move.next == Move::Next::Look) {
      if (move.next == Move::Next::Look) {
        move = session.on_looked(primary_looks);
        continue;
      }
      move = session.on_saved(primary_disk.save(session.pair()));
    }
    return move;
  }
  Move settle(SecondarySession& session, Move move) {
    while (move.next == Move::Next::Save || move.next == Move::Next::Remove ||
           move.next == Move::Next::Look) {
      if (move.next == Move::Next::Look) {
        move = session.on_looked(secondary_looks);
      } else if (move.next == Move::Next::Save) {
        move = session.on_saved(secondary_disk.save(session.pair()));
      } else {
        secondary_disk.pair = session.former();
        ++secondary_disk.removals;
        move = session.on_removed(Refusal::None);
      }
    }
    return move;
  }
};

}  // namespace cb::pairing::test
