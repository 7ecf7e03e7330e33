// SPDX-License-Identifier: Apache-2.0
//
// Both sides of a call between paired nodes, without input and output. Four messages: ask,
// challenge, request, reply. Both nonces are in every MAC, so nothing recorded can be played again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/ir.h"
#include "pairing/caller.h"
#include "pairing/session.h"

namespace cb::pairing {

class CallerSession {
 public:
  // told: what a Tell hands over, or the text of a Keep.
  CallerSession(const config::Pair& pair, Verb verb, std::string told = {});

  Move begin();
  Move on_frame(const Frame& frame);
  Move on_lost(Refusal how, std::string_view detail = {});
  const CallOutcome& outcome() const { return outcome_; }

 private:
  Move on_reply(std::string_view body);
  Move fail_with(Refusal refusal, std::string_view detail = {});

  enum class State : std::uint8_t { Challenge, Reply, Ended };
  config::Address peer_;
  core::Role peer_role_;
  Request request_;
  CallKeys keys_;
  CallContext context_;
  State state_ = State::Challenge;
  CallOutcome outcome_;
};

class ListenerSession {
 public:
  // self: the server's, live.
  ListenerSession(const LocalIdentity& self, const config::Address& source);

  Move on_frame(const Frame& frame);  // Next::Remove: have pairing() removed, then on_removed()
  // Next::Save: have kept() saved for pairing(), then on_kept().
  Move on_kept(Refusal refusal);
  const std::string& kept() const { return kept_; }
  Move on_removed(Refusal refusal);
  // After Next::Told: the owner has taken told(), or why not.
  Move on_told(Refusal refusal);
  const std::string& told() const { return told_; }
  Move on_lost(Refusal how);
  std::uint64_t pairing() const { return context_.pairing; }
  bool deletes_licence() const { return verb_ == Verb::UnpairAndDelete; }
  Refusal refusal() const { return refusal_; }

 private:
  Move on_ask(std::string_view body);
  Move on_request(std::string_view body);
  Move on_keep(std::string_view body);
  Move refuse(Refusal refusal);
  Move reply(const Reply& reply);

  enum class State : std::uint8_t { Ask, Request, Removing, Telling, Keeping, Ended };
  const LocalIdentity& self_;
  config::Address source_;
  State state_ = State::Ask;
  std::optional<CallKeys> keys_;
  CallContext context_;
  Verb verb_ = Verb::PeerInfo;
  std::string kept_;
  Refusal refusal_ = Refusal::None;
  std::string told_;
};

}  // namespace cb::pairing
