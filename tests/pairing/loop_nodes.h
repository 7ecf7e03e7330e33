// SPDX-License-Identifier: Apache-2.0
//
// A secondary that listens and a primary that calls, both on one loop, each with a folder as its
// disk.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "config/config.h"
#include "pairing/caller.h"
#include "pairing/code.h"
#include "pairing/initiator.h"
#include "pairing/message.h"
#include "pairing/rules.h"
#include "pairing/server.h"
#include "tests/base/temporary_folder.h"
#include "tests/loop/turning.h"
#include "tests/pairing/nodes.h"

namespace cb::pairing::test {

class LoopNodes : public ::testing::Test {
 protected:
  using LoopPtr = std::unique_ptr<loop::Loop>;

  LoopNodes() {
    primary.port = secondary.port = 0;
    primary.failover_wait = Duration::from_s(7);
  }

  // The node's disk: what on_paired and save do, and what an agent does afterwards.
  static Refusal save(LocalIdentity& node, const cb::test::TemporaryFolder& disk,
                      const config::Pair& pair) {
    const auto saved = config::save_pair(disk.path(), pair);
    EXPECT_TRUE(saved) << to_text(saved.error());
    std::erase_if(node.pairs,
                  [&](const config::Pair& old) { return old.primary_hm == pair.primary_hm; });
    node.pairs.push_back(pair);
    return saved ? Refusal::None : Refusal::SaveFailed;
  }
  static Refusal remove(LocalIdentity& node, const cb::test::TemporaryFolder& disk,
                        std::uint64_t id) {
    for (const config::Pair& pair : std::vector(node.pairs)) {
      if (pair.id == id) {
        const auto removed = config::remove_pair(disk.path(), pair);
        EXPECT_TRUE(removed) << to_text(removed.error());
        std::erase_if(node.pairs, [&](const config::Pair& old) { return old.id == id; });
      }
    }
    return Refusal::None;
  }
  static std::vector<config::Pair> on_disk(const cb::test::TemporaryFolder& disk) {
    const auto pairs = config::load_pairs(disk.path());
    for (const auto& problem : pairs.problems) {
      ADD_FAILURE() << problem.text();
    }
    return pairs.value;
  }

  // Opens the node's listener. Saving and removing are answered one turn later, as a real disk
  // would.
  PairingServer listen(LocalIdentity& node, const cb::test::TemporaryFolder& disk,
                       std::unique_ptr<PairingServer>& holder) {
    ServerCallbacks callbacks;
    callbacks.on_paired = [&](const config::Pair& pair, const Answer& answer) {
      asked_to_save.push_back(pair);
      if (hold_answers) {
        held_answers.push_back(answer);
        return;
      }
      loop->post([&, pair, answer] {
        const Refusal refusal =
            server_answer != Refusal::None ? server_answer : save(node, disk, pair);
        if (holder) {
          holder->update(node);
        }
        answer(refusal);
      });
    };
    callbacks.on_unpaired = [&](std::uint64_t id, const Answer& answer) {
      asked_to_remove.push_back(id);
      loop->post([&, id, answer] {
        const Refusal refusal =
            server_answer != Refusal::None ? server_answer : remove(node, disk, id);
        if (holder) {
          holder->update(node);
        }
        answer(refusal);
      });
    };
    auto opened = PairingServer::open(*loop, node, std::move(callbacks));
    EXPECT_TRUE(opened) << to_text(opened.error());
    return std::move(*opened);
  }
  void listen_on_secondary() {
    server = std::make_unique<PairingServer>(listen(secondary, secondary_disk, server));
    server_port = server->port();
  }

  // The primary's attempt, to its end.
  PairOutcome pair(const std::string& code, bool dry_run = false,
                   Duration limit = Duration::from_s(20)) {
    std::optional<PairOutcome> outcome;
    steps.clear();
    ClientCallbacks callbacks;
    callbacks.save = [&](const config::Pair& pair, const Answer& answer) {
      loop->post([&, pair, answer] {
        answer(client_answer != Refusal::None ? client_answer : save(primary, primary_disk, pair));
      });
    };
    callbacks.progress = [&](PairStep step) { steps.push_back(step); };
    callbacks.done = [&](PairOutcome result) { outcome = std::move(result); };
    const PairingClient client = PairingClient::start(
        *loop, primary, {secondary.hm_address, server_port, code, dry_run}, std::move(callbacks));
    EXPECT_FALSE(outcome);  // never from within start()
    EXPECT_TRUE(client.running());
    EXPECT_TRUE(cb::test::turn_until(
        *loop, [&] { return outcome.has_value(); }, limit));
    EXPECT_FALSE(client.running());
    return outcome.value_or(PairOutcome{});
  }

  // For a server that was just flooded: tries again while it is busy.
  PairOutcome pair_when_there_is_room(const std::string& code) {
    PairOutcome outcome;
    const Instant end = boottime_now() + Duration::from_s(10);
    do {
      outcome = pair(code);
      bool waited = false;
      loop->after(Duration::from_ms(50), [&] { waited = true; });
      EXPECT_TRUE(cb::test::turn_until(*loop, [&] { return waited; }));
    } while (!outcome.pair && boottime_now() < end);
    return outcome;
  }

  CallOutcome call_from(const LocalIdentity& node, std::uint16_t port, bool unpair) {
    std::optional<CallOutcome> outcome;
    const auto done = [&](CallOutcome result) { outcome = std::move(result); };
    const Call call = unpair ? Call::unpair(*loop, node, node.pairs.at(0), port, done)
                             : Call::peer_info(*loop, node, node.pairs.at(0), port, done);
    EXPECT_TRUE(cb::test::turn_until(*loop, [&] { return outcome.has_value(); }));
    EXPECT_FALSE(call.running());
    return outcome.value_or(CallOutcome{});
  }

  // A stranger's own socket, connected to the server.
  Fd stranger(const char* from = "10.66.0.9");
  static void say(const Fd& socket, std::string_view bytes) {
    EXPECT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Everything that comes until the server closes. nullopt: it does not.
  std::optional<std::string> hear_out(const Fd& socket, Duration limit = Duration::from_s(10));

  cb::test::TemporaryFolder primary_disk;
  cb::test::TemporaryFolder secondary_disk;
  LocalIdentity primary = primary_node();
  LocalIdentity secondary = secondary_node();
  std::vector<config::Pair> asked_to_save;
  std::vector<std::uint64_t> asked_to_remove;
  std::vector<PairStep> steps;
  Refusal server_answer = Refusal::None;
  Refusal client_answer = Refusal::None;
  bool hold_answers = false;
  std::vector<Answer> held_answers;
  LoopPtr loop = cb::test::open_loop();
  std::unique_ptr<PairingServer> server;
  std::uint16_t server_port = 0;
};

}  // namespace cb::pairing::test
