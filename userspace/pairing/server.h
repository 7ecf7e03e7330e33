// SPDX-License-Identifier: Apache-2.0
//
// The listener of a node: TCP on its health monitor address, the port of the heartbeats. A
// secondary takes pairings here while a code is live; both roles take calls from nodes they are
// paired with (unpair, peer info). It never blocks a turn and never trusts a byte: few connections,
// a rate, a time limit for each message. The key exchange costs about 0.15 ms of a turn, at most
// kCodeTries times a code.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/ir.h"
#include "pairing/identity.h"
#include "pairing/refusal.h"
#include "pairing/session.h"

namespace cb::loop {
class Loop;
}

namespace cb::pairing {

// Called exactly once, in this turn or in a later one: None when it is done durably. Calling it
// after the server is gone does nothing.
using Answer = std::function<void(Refusal)>;

// Looks at the network for what a pairing needs (session.h: Wanted), within kLookTime. No refusal:
// all is as it should be.
using LookAnswer = std::function<void(const Finding&)>;
using Look = std::function<void(const Wanted&, LookAnswer)>;
inline constexpr Duration kLookTime = Duration::from_ms(1500);

struct ServerCallbacks {
  // A peer proved to know the code and asks to commit: save the pairing durably
  // (config::save_pair), take it into use, then answer. A pairing with the same primary
  // (primary_hm) is replaced. Refusal::SaveFailed when it could not be saved, NotNow when the
  // node's state forbids it.
  std::function<void(const config::Pair&, Answer)> on_paired;
  // The peer unpairs, or takes a pairing back that it could not save: remove it durably, stop using
  // it, then answer. The peer's request was authentic.
  std::function<void(std::uint64_t pairing, Answer)> on_unpaired;
  // The peer of this pairing hands over bytes (at most kTellMax); authentic, and a stranger's all
  // the same. None when they were taken, NotNow or Malformed when not. Optional.
  std::function<void(std::uint64_t pairing, const std::string& told, Answer)> on_told{};
  // The primary's configuration, to be kept durably for its recovery; empty: nothing is kept.
  std::function<void(std::uint64_t pairing, std::string text, Answer)> on_keep = {};
  // A primary got its pairing back.
  std::function<void(const config::Pair&)> on_recovered = {};
  // Before on_unpaired, when the peer asks for that too: remove this node's licence.
  std::function<void()> on_delete_licence = {};
  Look look = {};  // empty: nobody looks
  // A pairing was refused by a rule of this node; for the operator's event log.
  std::function<void(const config::Address& primary, const Failure&)> on_refused = {};
};

class PairingServer {
 public:
  // Listens on identity.hm_address, identity.port. The loop must outlive the server.
  static Result<PairingServer> open(loop::Loop& loop, const LocalIdentity& identity,
                                    ServerCallbacks callbacks);
  PairingServer(PairingServer&&) noexcept;
  PairingServer& operator=(PairingServer&&) noexcept;
  PairingServer(const PairingServer&) = delete;
  PairingServer& operator=(const PairingServer&) = delete;
  ~PairingServer();

  // The agent calls this whenever its identity or its set of pairings changed. Address and port
  // stay.
  void update(const LocalIdentity& identity);

  // Secondary only: makes a one-time code for the operator, ends the former one. Valid for
  // kCodeLife.
  Result<std::string> create_code();

  struct Counters {
    std::uint64_t accepted = 0;
    std::uint64_t turned_away = 0;  // over the limit of connections or the rate
    std::uint64_t refused = 0;      // by a rule, a bad message or a bad MAC
    std::uint64_t wrong_code = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t paired = 0;
    std::uint64_t unpaired = 0;
    std::uint64_t told = 0;
  };
  const Counters& counters() const;
  std::uint16_t port() const;  // as bound

 private:
  struct Inner;
  explicit PairingServer(std::shared_ptr<Inner> inner);
  std::shared_ptr<Inner> inner_;
};

}  // namespace cb::pairing
