// SPDX-License-Identifier: Apache-2.0
//
// Both sides of a pairing without input and output: a frame in, a Move out. The shells (server.h,
// initiator.h) own sockets, timers and callbacks; the tests join two sessions with a string.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/instant.h"
#include "config/ir.h"
#include "pairing/code.h"
#include "pairing/identity.h"
#include "pairing/message.h"
#include "pairing/pake.h"
#include "pairing/refusal.h"
#include "pairing/rules.h"

namespace cb::pairing {

// What the shell does after an event: send these bytes (if any), then go on as `next` says.
struct Move {
  enum class Next : std::uint8_t {
    Read,    // wait for the next frame
    Look,    // look at the network for wanted(), then on_looked()
    Save,    // have pair() saved durably, then on_saved()
    Remove,  // have the pairing removed (or the former one restored), then on_removed()
    Told,    // have what was told taken by the owner, then on_told()
    End,     // over: failure() says how
  };
  std::string send;
  Next next = Next::Read;
};

// What the two nodes must find true of their network: the peer answers to ARP, and nobody but the
// peer has a virtual address.
struct Wanted {
  config::Address peer;
  std::vector<config::Prefix> virtual_addresses;
};

class PrimarySession {
 public:
  enum class Aim : std::uint8_t {
    Pair,
    DryRun,   // the rules alone; no code
    Recover,  // get back a pairing that this node lost
  };
  PrimarySession(LocalIdentity self, const config::Address& peer, std::optional<CodeSecret> code,
                 Aim aim);
  ~PrimarySession();
  PrimarySession(const PrimarySession&) = delete;
  PrimarySession& operator=(const PrimarySession&) = delete;

  Move begin();
  Move on_frame(const Frame& frame);
  const Wanted& wanted() const { return wanted_; }
  Move on_looked(const Finding& finding);
  Move on_saved(Refusal refusal);
  // The connection is gone or late: Disconnected, TimedOut, Malformed, Unreachable.
  Move on_lost(Refusal how, std::string_view detail = {});

  enum class State : std::uint8_t { Hello, Looking, Share, Proof, Committed, Saving, Ended };
  State state() const { return state_; }
  const std::optional<Restored>& restored() const { return restored_; }  // Aim::Recover
  bool renewed() const { return renewed_; }
  const config::Pair& pair() const { return pair_; }             // in Saving and after a success
  const Failure& failure() const { return failure_; }            // in Ended: false means success
  const std::vector<RuleLine>& rules() const { return rules_; }  // once the peer has said hello

 private:
  Move on_hello(std::string_view body);
  Move on_share(std::string_view body);
  Move on_proof(std::string_view body);
  Move on_committed(std::string_view body);
  Move on_restored(std::string_view body);
  Move fail_by_verdict(Refusal verdict);
  Move prove();
  Move fail_with(Refusal refusal, std::string_view detail, bool tell_peer);

  LocalIdentity self_;
  config::Address peer_;
  std::optional<CodeSecret> code_;
  Aim aim_;
  std::optional<Restored> restored_;
  State state_ = State::Hello;
  Hello own_hello_;
  Hello peer_hello_;
  std::string own_bytes_;
  std::string peer_bytes_;
  Wanted wanted_;
  std::vector<RuleLine> rules_;
  std::string session_id_;
  std::optional<Pake> run_;
  std::optional<PairingSecrets> secrets_;
  bool renewed_ = false;
  config::Pair pair_;
  Failure failure_;
};

class SecondarySession {
 public:
  // self, desk: the server's, live: they may change between frames. source: where the connection
  // comes from.
  SecondarySession(const LocalIdentity& self, CodeDesk& desk, const config::Address& source);
  ~SecondarySession();
  SecondarySession(const SecondarySession&) = delete;
  SecondarySession& operator=(const SecondarySession&) = delete;

  Move on_frame(const Frame& frame, Instant now);
  const Wanted& wanted() const { return wanted_; }
  Move on_looked(const Finding& finding);
  Move on_saved(Refusal refusal);
  Move on_removed(Refusal refusal);
  Move on_lost(Refusal how);

  enum class State : std::uint8_t {
    Hello,
    Looking,
    Share,
    Proof,
    Commit,
    Saving,
    Finish,
    Removing,
    Ended
  };
  State state() const { return state_; }
  const config::Pair& pair() const { return pair_; }
  // What pair() replaced; an undo restores it.
  const std::optional<config::Pair>& former() const { return former_; }
  bool saved() const { return saved_; }         // holds the pairing, as far as this session knows
  Refusal refusal() const { return refusal_; }  // in Ended: None means success
  const std::string& detail() const { return detail_; }
  const Finding& verdict() const { return verdict_; }
  // After a success: the pairing that was given back, if that is what it was about.
  const std::optional<config::Pair>& recovered() const { return recovered_; }

 private:
  Move on_hello(std::string_view body);
  Move on_share(std::string_view body, Instant now);
  Move on_proof(std::string_view body, Instant now);
  Move on_commit(std::string_view body);
  Move on_restore(std::string_view body);
  Move on_finish(std::string_view body);
  Move answer_hello();
  Move refuse(Refusal refusal, std::string detail = {});
  Move end(Refusal refusal);

  const LocalIdentity& self_;
  CodeDesk& desk_;
  config::Address source_;
  State state_ = State::Hello;
  Hello peer_hello_;
  Hello own_hello_;
  std::string peer_bytes_;
  std::string own_bytes_;
  Wanted wanted_;
  Finding verdict_;  // a rule that does not hold; told in our hello, and then the run is refused
  std::string session_id_;
  std::uint64_t generation_ = 0;
  std::optional<Pake> run_;
  std::optional<PairingSecrets> secrets_;
  config::Pair pair_;
  std::optional<config::Pair> former_;
  std::optional<config::Pair> recovered_;
  bool saved_ = false;
  Refusal refusal_ = Refusal::None;
  std::string detail_;
};

// What both sides feed to the key exchange (docs/protocol-pairing.md): the session id is both
// nonces, the channel names both nodes and the protocol.
std::string session_id_of(const Hello& primary, const Hello& secondary);
std::string channel_of(const Hello& primary, const Hello& secondary);

}  // namespace cb::pairing
