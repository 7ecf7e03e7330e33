// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tests/pairing/loop_nodes.h"

namespace cb::pairing {
namespace {

using test::address;
using test::prefix;
using PairingOnTheLoop = test::LoopNodes;

TEST_F(PairingOnTheLoop, LeavesTheSamePairingOnBothDisks) {
  listen_on_secondary();
  const auto code = server->create_code();
  ASSERT_TRUE(code);
  loop->reset_longest_turn();
  const PairOutcome outcome = pair(*code);
  ASSERT_TRUE(outcome.pair) << outcome.failure.what;
  RecordProperty("longest_turn_us", static_cast<int>(loop->stats().longest_turn.as_us()));
  EXPECT_FALSE(outcome.renewed);
  EXPECT_EQ(steps, (std::vector{PairStep::Connecting, PairStep::Asking, PairStep::Looking,
                                PairStep::Proving, PairStep::Committing, PairStep::Saving}));

  const auto ours = on_disk(primary_disk);
  const auto theirs = on_disk(secondary_disk);
  ASSERT_EQ(ours.size(), 1u);
  ASSERT_EQ(theirs.size(), 1u);
  EXPECT_EQ(ours[0], *outcome.pair);
  EXPECT_EQ(ours[0].key, theirs[0].key);
  EXPECT_EQ(ours[0].id, theirs[0].id);
  EXPECT_EQ(theirs[0].self_role, core::Role::Secondary);
  EXPECT_EQ(theirs[0].peer_name, "mse1");
  EXPECT_EQ(server->counters().paired, 1u);
  EXPECT_EQ(server->counters().refused, 0u);
}

TEST_F(PairingOnTheLoop, WorksOverIpv6) {
  primary.hm_address = address("fd00:66::1");
  primary.networks = {prefix("fd00:66::1/64")};
  primary.virtual_addresses = {prefix("fd00:66::11/64")};
  secondary.hm_address = address("fd00:66::2");
  secondary.networks = {prefix("fd00:66::2/64")};
  listen_on_secondary();
  const PairOutcome outcome = pair(*server->create_code());
  ASSERT_TRUE(outcome.pair) << outcome.failure.what;
  ASSERT_EQ(secondary.pairs.size(), 1u);
  EXPECT_EQ(secondary.pairs[0].key, outcome.pair->key);
}

TEST_F(PairingOnTheLoop, AgainRenewsAndKeepsTheKey) {
  listen_on_secondary();
  const PairOutcome first = pair(*server->create_code());
  ASSERT_TRUE(first.pair);
  primary.virtual_addresses = {prefix("10.66.0.12/24")};
  const PairOutcome second = pair(*server->create_code());
  ASSERT_TRUE(second.pair) << second.failure.what;
  EXPECT_TRUE(second.renewed);
  EXPECT_EQ(second.pair->key, first.pair->key);
  EXPECT_EQ(on_disk(secondary_disk).at(0).virtual_addresses, primary.virtual_addresses);
}

TEST_F(PairingOnTheLoop, WithWrongCodesEndsTheCode) {
  listen_on_secondary();
  const std::string code = *server->create_code();
  for (int i = 0; i < kCodeTries; ++i) {
    EXPECT_EQ(pair(code_text(make_code())).failure.refusal, Refusal::WrongCode);
  }
  EXPECT_EQ(pair(code).failure.refusal, Refusal::NoCode);
  EXPECT_EQ(server->counters().wrong_code, 3u);
  EXPECT_TRUE(asked_to_save.empty());
  EXPECT_TRUE(on_disk(primary_disk).empty());
}

TEST_F(PairingOnTheLoop, ADryRunSavesNothing) {
  listen_on_secondary();
  const PairOutcome outcome = pair("", true);
  ASSERT_TRUE(outcome.pair) << outcome.failure.what;
  EXPECT_EQ(outcome.pair->peer_name, "mse2");
  EXPECT_EQ(outcome.pair->id, 0u);
  EXPECT_TRUE(asked_to_save.empty());
}

TEST_F(PairingOnTheLoop, APrimaryGivesNoCode) {
  auto opened = PairingServer::open(
      *loop, primary,
      {[](const config::Pair&, const Answer&) {}, [](std::uint64_t, const Answer&) {}});
  ASSERT_TRUE(opened);
  EXPECT_FALSE(opened->create_code());
}

TEST_F(PairingOnTheLoop, TwoListenersOnOneAddressAreRefusedWithTheAddress) {
  listen_on_secondary();
  secondary.port = server_port;
  const auto second = PairingServer::open(
      *loop, secondary,
      {[](const config::Pair&, const Answer&) {}, [](std::uint64_t, const Answer&) {}});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().what.find("10.66.0.2"), std::string::npos);
}

// ---- what an operator can get wrong

TEST_F(PairingOnTheLoop, SaysThatNobodyListens) {
  listen_on_secondary();
  server.reset();
  ASSERT_TRUE(loop->turn(boottime_now()));  // the accept that was under way ends
  const PairOutcome outcome = pair(code_text(make_code()));
  EXPECT_EQ(outcome.failure.refusal, Refusal::Unreachable);
  EXPECT_NE(outcome.failure.what.find("10.66.0.2"), std::string::npos);
  EXPECT_NE(outcome.failure.what.find("refused"), std::string::npos);
  EXPECT_FALSE(outcome.failure.next.empty());
}

TEST_F(PairingOnTheLoop, SaysThatThereIsNoRoute) {
  secondary.hm_address = address("10.200.0.1");
  const PairOutcome outcome = pair(code_text(make_code()));
  EXPECT_EQ(outcome.failure.refusal, Refusal::Unreachable);
}

TEST_F(PairingOnTheLoop, SaysThatItsOwnAddressIsNotThere) {
  primary.hm_address = address("10.99.0.1");
  const PairOutcome outcome = pair(code_text(make_code()));
  EXPECT_EQ(outcome.failure.refusal, Refusal::NoOwnAddress);
  EXPECT_NE(outcome.failure.what.find("10.99.0.1"), std::string::npos);
}

TEST_F(PairingOnTheLoop, FindsAMistypedCodeBeforeItConnects) {
  listen_on_secondary();
  const PairOutcome outcome = pair("K7QM-3XWD-9FX");
  EXPECT_EQ(outcome.failure.refusal, Refusal::BadCode);
  EXPECT_EQ(server->counters().accepted, 0u);
}

TEST_F(PairingOnTheLoop, SaysThatThisNodeIsNoPrimary) {
  primary.role = core::Role::Secondary;
  EXPECT_EQ(pair(code_text(make_code())).failure.refusal, Refusal::SelfNotPrimary);
}

TEST_F(PairingOnTheLoop, SaysThatThePeerSpeaksSomethingElse) {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(0x0a420002);  // 10.66.0.2
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  socklen_t length = sizeof at;
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &length), 0);
  server_port = ntohs(at.sin_port);
  std::vector<Fd> accepted;
  loop->accept(listener.get(), [&](Fd fd) {
    const std::string_view answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)!::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    accepted.push_back(std::move(fd));
  });
  const PairOutcome outcome = pair(code_text(make_code()));
  EXPECT_EQ(outcome.failure.refusal, Refusal::Malformed);
}

TEST_F(PairingOnTheLoop, ARuleIsToldByThePeer) {
  listen_on_secondary();
  secondary.version = "0.2.0";
  server->update(secondary);
  const PairOutcome outcome = pair(*server->create_code());
  EXPECT_EQ(outcome.failure.refusal, Refusal::SoftwareVersion);
  EXPECT_EQ(outcome.failure.exit_code, 4);
}

// ---- disks and lives

TEST_F(PairingOnTheLoop, TakesBackWhatThePrimaryCannotSave) {
  listen_on_secondary();
  client_answer = Refusal::SaveFailed;
  const PairOutcome outcome = pair(*server->create_code());
  EXPECT_EQ(outcome.failure.refusal, Refusal::OwnSaveFailed);
  EXPECT_TRUE(cb::test::turn_until(*loop, [&] { return !asked_to_remove.empty(); }));
  EXPECT_TRUE(cb::test::turn_until(*loop, [&] { return secondary.pairs.empty(); }));
  EXPECT_TRUE(on_disk(secondary_disk).empty());
}

TEST_F(PairingOnTheLoop, RestoresTheFormerPairingWhenARenewalCannotBeSaved) {
  listen_on_secondary();
  const PairOutcome first = pair(*server->create_code());
  ASSERT_TRUE(first.pair);
  primary.virtual_addresses = {prefix("10.66.0.12/24")};
  client_answer = Refusal::SaveFailed;
  EXPECT_EQ(pair(*server->create_code()).failure.refusal, Refusal::OwnSaveFailed);
  EXPECT_TRUE(cb::test::turn_until(*loop, [&] { return asked_to_save.size() == 3; }));
  EXPECT_TRUE(cb::test::turn_until(*loop, [&] {
    return secondary.pairs.at(0).virtual_addresses == first.pair->virtual_addresses;
  }));
  EXPECT_EQ(on_disk(secondary_disk).at(0).virtual_addresses, first.pair->virtual_addresses);
  EXPECT_EQ(on_disk(primary_disk).at(0), *first.pair);
}

TEST_F(PairingOnTheLoop, TellsThatTheSecondaryCouldNotSave) {
  listen_on_secondary();
  server_answer = Refusal::SaveFailed;
  EXPECT_EQ(pair(*server->create_code()).failure.refusal, Refusal::SaveFailed);
  EXPECT_TRUE(on_disk(primary_disk).empty());
}

TEST_F(PairingOnTheLoop, SurvivesAPrimaryThatGoesWhileTheSecondarySaves) {
  listen_on_secondary();
  hold_answers = true;
  ClientCallbacks callbacks;
  callbacks.save = [](const config::Pair&, const Answer&) { FAIL() << "it is gone"; };
  callbacks.done = [](const PairOutcome&) { FAIL() << "it is gone"; };
  {
    const PairingClient client = PairingClient::start(
        *loop, primary, {secondary.hm_address, server_port, *server->create_code()},
        std::move(callbacks));
    ASSERT_TRUE(cb::test::turn_until(*loop, [&] { return !held_answers.empty(); }));
  }
  // The connection's end is noticed before the disk is done.
  ASSERT_TRUE(cb::test::turn_until(*loop, [&] { return server->counters().refused == 1; }));
  held_answers[0](Refusal::None);
  held_answers[0](Refusal::None);  // twice: once counts
  EXPECT_EQ(server->counters().paired, 1u);
  // What is left is replaced by the next attempt.
  hold_answers = false;
  (void)save(secondary, secondary_disk, asked_to_save[0]);
  server->update(secondary);
  const PairOutcome again = pair(*server->create_code());
  ASSERT_TRUE(again.pair) << again.failure.what;
  EXPECT_EQ(on_disk(secondary_disk).at(0).id, again.pair->id);
}

TEST_F(PairingOnTheLoop, AnAnswerAfterTheServersEndDoesNothing) {
  listen_on_secondary();
  hold_answers = true;
  std::optional<PairOutcome> outcome;
  ClientCallbacks callbacks;
  callbacks.save = [](const config::Pair&, const Answer&) {};
  callbacks.done = [&](PairOutcome result) { outcome = std::move(result); };
  const PairingClient client = PairingClient::start(
      *loop, primary, {secondary.hm_address, server_port, *server->create_code()},
      std::move(callbacks));
  ASSERT_TRUE(cb::test::turn_until(*loop, [&] { return !held_answers.empty(); }));
  server.reset();
  held_answers[0](Refusal::None);
  ASSERT_TRUE(cb::test::turn_until(*loop, [&] { return outcome.has_value(); }));
  EXPECT_EQ(outcome->failure.refusal, Refusal::Disconnected);
  EXPECT_NE(outcome->failure.next.find("replaces"), std::string::npos);
}

TEST_F(PairingOnTheLoop, DoneMayDropTheClient) {
  listen_on_secondary();
  std::optional<PairingClient> client;
  bool done = false;
  ClientCallbacks callbacks;
  callbacks.save = [](const config::Pair&, const Answer& answer) { answer(Refusal::None); };
  callbacks.done = [&](const PairOutcome& outcome) {
    EXPECT_TRUE(outcome.pair);
    client.reset();
    done = true;
  };
  client = PairingClient::start(*loop, primary,
                                {secondary.hm_address, server_port, *server->create_code()},
                                std::move(callbacks));
  EXPECT_TRUE(cb::test::turn_until(*loop, [&] { return done; }));
}

// ---- unpair and peer info

TEST_F(PairingOnTheLoop, UnpairRemovesBothHalves) {
  listen_on_secondary();
  ASSERT_TRUE(pair(*server->create_code()).pair);
  const CallOutcome outcome = call_from(primary, server_port, true);
  EXPECT_TRUE(outcome.peer_done) << outcome.failure.what;
  EXPECT_TRUE(outcome.note.empty());
  ASSERT_TRUE(outcome.may_remove());
  (void)remove(primary, primary_disk, primary.pairs[0].id);
  EXPECT_TRUE(on_disk(primary_disk).empty());
  EXPECT_TRUE(on_disk(secondary_disk).empty());
  EXPECT_EQ(server->counters().unpaired, 1u);
}

TEST_F(PairingOnTheLoop, UnpairFromTheSecondaryReachesThePrimary) {
  listen_on_secondary();
  ASSERT_TRUE(pair(*server->create_code()).pair);
  std::unique_ptr<PairingServer> of_primary;
  of_primary = std::make_unique<PairingServer>(listen(primary, primary_disk, of_primary));
  const CallOutcome outcome = call_from(secondary, of_primary->port(), true);
  EXPECT_TRUE(outcome.peer_done) << outcome.failure.what;
  EXPECT_TRUE(on_disk(primary_disk).empty());
}

TEST_F(PairingOnTheLoop, UnpairSucceedsWithANoteWhenThePeerIsGone) {
  listen_on_secondary();
  ASSERT_TRUE(pair(*server->create_code()).pair);
  server.reset();
  const CallOutcome outcome = call_from(primary, server_port, true);
  EXPECT_FALSE(outcome.peer_done);
  EXPECT_TRUE(outcome.may_remove());
  EXPECT_NE(outcome.note.find("10.66.0.2 could not be told"), std::string::npos) << outcome.note;
}

TEST_F(PairingOnTheLoop, UnpairIsHeldUpByALivingPeerThatMustNot) {
  listen_on_secondary();
  ASSERT_TRUE(pair(*server->create_code()).pair);
  server_answer = Refusal::NotNow;
  EXPECT_FALSE(call_from(primary, server_port, true).may_remove());
  EXPECT_EQ(on_disk(secondary_disk).size(), 1u);
}

TEST_F(PairingOnTheLoop, PeerInfoTellsWhoThePeerIsNow) {
  listen_on_secondary();
  ASSERT_TRUE(pair(*server->create_code()).pair);
  secondary.version = "0.3.0";
  server->update(secondary);
  const CallOutcome outcome = call_from(primary, server_port, false);
  ASSERT_TRUE(outcome.info) << outcome.failure.what;
  EXPECT_EQ(outcome.info->version, "0.3.0");
}

}  // namespace
}  // namespace cb::pairing
