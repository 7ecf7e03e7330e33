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
    Save,    // have pair() saved durably, then on_saved()
    Remove,  // have the pairing removed (or the former one restored), then on_removed()
    Told,    // have what was told taken by the owner, then on_told()
    End,     // over: failure() says how
  };
  std::string send;
  Next next = Next::Read;
};

class PrimarySession {
 public:
  // code may be empty for a dry run.
  PrimarySession(LocalIdentity self, const config::Address& peer, std::optional<CodeSecret> code,
                 bool dry_run);
  ~PrimarySession();
  PrimarySession(const PrimarySession&) = delete;
  PrimarySession& operator=(const PrimarySession&) = delete;

  Move begin();
  Move on_frame(const Frame& frame);
  Move on_saved(Refusal refusal);
  // The connection is gone or late: Disconnected, TimedOut, Malformed, Unreachable.
  Move on_lost(Refusal how, std::string_view detail = {});

  enum class State : std::uint8_t { Hello, Share, Proof, Committed, Saving, Ended };
  State state() const { return state_; }
  bool renewed() const { return renewed_; }
  const config::Pair& pair() const { return pair_; }   // in Saving and after a success
  const Failure& failure() const { return failure_; }  // in Ended: false means success

 private:
  Move on_hello(std::string_view body);
  Move on_share(std::string_view body);
  Move on_proof(std::string_view body);
  Move on_committed(std::string_view body);
  Move fail_with(Refusal refusal, std::string_view detail, bool tell_peer);

  LocalIdentity self_;
  config::Address peer_;
  std::optional<CodeSecret> code_;
  bool dry_run_;
  State state_ = State::Hello;
  Hello own_hello_;
  std::string own_bytes_;
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
  Move on_saved(Refusal refusal);
  Move on_removed(Refusal refusal);
  Move on_lost(Refusal how);

  enum class State : std::uint8_t { Hello, Share, Proof, Commit, Saving, Finish, Removing, Ended };
  State state() const { return state_; }
  const config::Pair& pair() const { return pair_; }
  // What pair() replaced; an undo restores it.
  const std::optional<config::Pair>& former() const { return former_; }
  bool saved() const { return saved_; }         // holds the pairing, as far as this session knows
  Refusal refusal() const { return refusal_; }  // in Ended: None means success
  const std::string& detail() const { return detail_; }

 private:
  Move on_hello(std::string_view body);
  Move on_share(std::string_view body, Instant now);
  Move on_proof(std::string_view body, Instant now);
  Move on_commit(std::string_view body);
  Move on_finish(std::string_view body);
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
  std::string session_id_;
  std::uint64_t generation_ = 0;
  std::optional<Pake> run_;
  std::optional<PairingSecrets> secrets_;
  config::Pair pair_;
  std::optional<config::Pair> former_;
  bool saved_ = false;
  Refusal refusal_ = Refusal::None;
  std::string detail_;
};

// What both sides feed to the key exchange (docs/protocol-pairing.md): the session id is both
// nonces, the channel names both nodes and the protocol.
std::string session_id_of(const Hello& primary, const Hello& secondary);
std::string channel_of(const Hello& primary, const Hello& secondary);

}  // namespace cb::pairing
