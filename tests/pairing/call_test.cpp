// SPDX-License-Identifier: Apache-2.0
#include "pairing/call.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/pairing/nodes.h"

namespace cb::pairing {
namespace {

using test::address;

// One call between the two paired nodes, in memory.
struct CallRun {
  CallRun() {
    EXPECT_TRUE(crypto_ready());
    config::Pair pair;
    pair.id = 42;
    pair.primary_hm = primary.hm_address;
    pair.secondary_hm = secondary.hm_address;
    pair.virtual_addresses = primary.virtual_addresses;
    pair.key[0] = 9;
    pair.self_role = core::Role::Primary;
    primary.pairs = {pair};
    pair.self_role = core::Role::Secondary;
    secondary.pairs = {pair};
  }

  LocalIdentity primary = test::primary_node();
  LocalIdentity secondary = test::secondary_node();
  bool primary_calls = true;
  Verb verb = Verb::Unpair;
  Refusal answer = Refusal::None;  // of the node that shall remove
  std::function<void(int, std::string&)> middle = [](int, std::string&) {};

  std::string text;  // of a Keep
  std::string kept;
  bool deletes = false;
  std::vector<std::string> seen;
  std::vector<std::uint64_t> removed;
  std::vector<std::string> told;
  Refusal refusal = Refusal::None;

  CallOutcome go() {
    LocalIdentity& caller_node = primary_calls ? primary : secondary;
    LocalIdentity& listener_node = primary_calls ? secondary : primary;
    CallerSession caller(caller_node.pairs[0], verb, verb == Verb::Tell ? "news" : text);
    ListenerSession listener(listener_node, caller_node.hm_address);
    FrameReader at_listener;
    FrameReader at_caller;
    seen.clear();
    Move move = caller.begin();
    bool to_listener = true;
    while (!move.send.empty()) {
      std::string bytes = move.send;
      seen.push_back(bytes);
      middle(static_cast<int>(seen.size()) - 1, bytes);
      FrameReader& reader = to_listener ? at_listener : at_caller;
      const auto frame = reader.feed(bytes) ? reader.next() : std::nullopt;
      if (!frame) {
        break;
      }
      move = to_listener ? listener.on_frame(*frame) : caller.on_frame(*frame);
      if (move.next == Move::Next::Save) {
        kept = listener.kept();
        move = listener.on_kept(answer);
      }
      if (move.next == Move::Next::Remove) {
        deletes = listener.deletes_licence();
        if (answer == Refusal::None) {
          removed.push_back(listener.pairing());
        }
        move = listener.on_removed(answer);
      } else if (move.next == Move::Next::Told) {
        told.push_back(listener.told());
        move = listener.on_told(answer);
      }
      to_listener = !to_listener;
    }
    (void)caller.on_lost(Refusal::Disconnected);
    (void)listener.on_lost(Refusal::Disconnected);
    refusal = listener.refusal();
    return caller.outcome();
  }
};

TEST(Unpair, IsDoneByThePeerWhoeverCalls) {
  for (const bool primary_calls : {true, false}) {
    CallRun run;
    run.primary_calls = primary_calls;
    const CallOutcome outcome = run.go();
    EXPECT_FALSE(outcome.failure) << outcome.failure.what;
    EXPECT_TRUE(outcome.peer_done);
    EXPECT_TRUE(outcome.note.empty());
    EXPECT_TRUE(outcome.may_remove());
    EXPECT_EQ(run.removed, std::vector<std::uint64_t>{42});
  }
}

TEST(Unpair, MayTakeTheLicenceOfTheCalledNodeWithIt) {
  CallRun run;
  EXPECT_FALSE(run.go().failure);
  EXPECT_FALSE(run.deletes);
  run.verb = Verb::UnpairAndDelete;
  EXPECT_TRUE(run.go().peer_done);
  EXPECT_TRUE(run.deletes);
}

TEST(Keep, GivesTheTextToTheSecondarySealed) {
  CallRun run;
  run.verb = Verb::Keep;
  run.text = "[fence]\ncommand = [\"/bin/off\", \"a password\"]\n" + std::string(20'000, '#');
  const CallOutcome outcome = run.go();
  EXPECT_TRUE(outcome.peer_done) << outcome.failure.what;
  EXPECT_EQ(run.kept, run.text);
  for (const std::string& message : run.seen) {
    EXPECT_EQ(message.find("password"), std::string::npos);
  }
  run.text = std::string(kKeptMax + 1, 'x');
  EXPECT_FALSE(run.go().peer_done);
}

TEST(Keep, IsNothingForAPrimary) {
  CallRun run;
  run.verb = Verb::Keep;
  run.text = "x";
  run.primary_calls = false;
  EXPECT_EQ(run.go().failure.refusal, Refusal::NotNow);
  EXPECT_TRUE(run.kept.empty());
}

TEST(Keep, BentInAnyByteIsNotKept) {
  CallRun run;
  run.verb = Verb::Keep;
  run.text = "[node]\nname = \"mse1\"\n";
  ASSERT_TRUE(run.go().peer_done);
  const std::vector<std::string> straight = run.seen;
  for (std::size_t index = 0; index < 3; ++index) {
    for (std::size_t at = 0; at < straight[index].size(); ++at) {
      run.kept.clear();
      run.middle = [&](int i, std::string& bytes) {
        if (static_cast<std::size_t>(i) == index) {
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
        }
      };
      EXPECT_FALSE(run.go().peer_done) << index << " " << at;
      EXPECT_TRUE(run.kept.empty()) << index << " " << at;
    }
  }
}

TEST(Unpair, GoesOnWithANoteWhenThePeerDoesNotKnowThePairing) {
  CallRun run;
  run.secondary.pairs.clear();
  const CallOutcome outcome = run.go();
  EXPECT_EQ(outcome.failure.refusal, Refusal::UnknownPairing);
  EXPECT_TRUE(outcome.may_remove());
  EXPECT_TRUE(outcome.peer_done);
  EXPECT_FALSE(outcome.note.empty());
}

TEST(Unpair, GoesOnWithANoteWhenThePeerIsGone) {
  CallRun run;
  run.middle = [](int, std::string& bytes) { bytes = "X"; };
  const CallOutcome outcome = run.go();
  EXPECT_EQ(outcome.failure.refusal, Refusal::Disconnected);
  EXPECT_TRUE(outcome.may_remove());
  EXPECT_FALSE(outcome.peer_done);
  EXPECT_NE(outcome.note.find("crossbeat unpair"), std::string::npos);
  EXPECT_TRUE(run.removed.empty());
}

TEST(Unpair, StopsWhenThePeerSaysNotNow) {
  CallRun run;
  run.answer = Refusal::NotNow;
  const CallOutcome outcome = run.go();
  EXPECT_EQ(outcome.failure.refusal, Refusal::NotNow);
  EXPECT_FALSE(outcome.may_remove());
}

TEST(Unpair, ANotNowWithoutAKeyForbidsNothing) {
  CallRun run;
  run.middle = [](int index, std::string& bytes) {
    if (index == 1) {
      bytes = frame_bytes(Kind::Refuse, encode_refuse(Refusal::NotNow));
    }
  };
  EXPECT_TRUE(run.go().may_remove());
}

TEST(Unpair, WithAnotherKeyRemovesNothing) {
  CallRun run;
  run.secondary.pairs[0].key[0] = 8;
  const CallOutcome outcome = run.go();
  EXPECT_EQ(outcome.failure.refusal, Refusal::BadMac);
  EXPECT_EQ(run.refusal, Refusal::BadMac);
  EXPECT_TRUE(run.removed.empty());
}

TEST(PeerInfo, TellsWhoThePeerIs) {
  CallRun run;
  run.verb = Verb::PeerInfo;
  const CallOutcome outcome = run.go();
  ASSERT_TRUE(outcome.info) << outcome.failure.what;
  EXPECT_EQ(outcome.info->name, "mse2");
  EXPECT_EQ(outcome.info->role, core::Role::Secondary);
  EXPECT_EQ(outcome.info->hm_address, address("10.66.0.2"));
  EXPECT_TRUE(run.removed.empty());

  run.primary_calls = false;
  const CallOutcome back = run.go();
  ASSERT_TRUE(back.info);
  EXPECT_EQ(back.info->name, "mse1");
  EXPECT_EQ(back.info->virtual_addresses, run.primary.virtual_addresses);
}

TEST(Tell, HandsBytesOverWhoeverCalls) {
  for (const bool primary_calls : {true, false}) {
    CallRun run;
    run.primary_calls = primary_calls;
    run.verb = Verb::Tell;
    const CallOutcome outcome = run.go();
    EXPECT_FALSE(outcome.failure) << outcome.failure.what;
    EXPECT_TRUE(outcome.peer_done);
    EXPECT_EQ(run.told, std::vector<std::string>{"news"});
  }
}

TEST(Tell, IsNotDoneWhenTheOtherDoesNotTakeIt) {
  CallRun run;
  run.verb = Verb::Tell;
  run.answer = Refusal::NotNow;
  const CallOutcome outcome = run.go();
  EXPECT_FALSE(outcome.peer_done);
  EXPECT_EQ(outcome.failure.refusal, Refusal::NotNow);
}

TEST(Calls, BentInAnyByteDoNothing) {
  for (const Verb verb : {Verb::Unpair, Verb::PeerInfo, Verb::Tell}) {
    CallRun straight;
    straight.verb = verb;
    ASSERT_FALSE(straight.go().failure);
    const std::vector<std::string> sizes = straight.seen;
    ASSERT_EQ(sizes.size(), 4u);
    for (std::size_t index = 0; index < sizes.size(); ++index) {
      for (std::size_t at = 0; at < sizes[index].size(); ++at) {
        CallRun run;
        run.verb = verb;
        run.middle = [&](int i, std::string& bytes) {
          if (i == static_cast<int>(index)) {
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
          }
        };
        const CallOutcome outcome = run.go();
        EXPECT_TRUE(outcome.failure) << index << " " << at;
        EXPECT_FALSE(outcome.info);
        EXPECT_TRUE(outcome.may_remove());
        // Only the reply may be lost after the deed.
        EXPECT_EQ(run.removed.empty(), verb != Verb::Unpair || index < 3) << index << " " << at;
        EXPECT_EQ(run.told.empty(), verb != Verb::Tell || index < 3) << index << " " << at;
      }
    }
  }
}

TEST(Calls, RecordedAndPlayedAgainDoNothing) {
  CallRun run;
  ASSERT_FALSE(run.go().failure);
  ListenerSession listener(run.secondary, address("10.66.0.1"));
  for (const std::size_t index : {0u, 2u}) {
    FrameReader reader;
    ASSERT_TRUE(reader.feed(run.seen[index]));
    EXPECT_NE(listener.on_frame(*reader.next()).next, Move::Next::Remove);
  }
  EXPECT_EQ(listener.refusal(), Refusal::BadMac);
}

TEST(Calls, SentBackToTheirCallerDoNothing) {
  // The stranger lets the primary call itself: the primary's listener gets the primary's own call.
  CallRun run;
  CallerSession caller(run.primary.pairs[0], Verb::Unpair);
  ListenerSession listener(run.primary, address("10.66.0.2"));
  const auto cut = [](const std::string& bytes) {
    FrameReader reader;
    EXPECT_TRUE(reader.feed(bytes));
    return *reader.next();
  };
  const Move challenge = listener.on_frame(cut(caller.begin().send));
  ASSERT_EQ(cut(challenge.send).kind, Kind::Challenge);
  const Move request = caller.on_frame(cut(challenge.send));
  EXPECT_NE(listener.on_frame(cut(request.send)).next, Move::Next::Remove);
  EXPECT_EQ(listener.refusal(), Refusal::BadMac);
}

}  // namespace
}  // namespace cb::pairing
