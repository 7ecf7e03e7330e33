// SPDX-License-Identifier: Apache-2.0
//
// Calls between paired nodes, authenticated with the pairing key: unpair, peer info, and tell,
// which hands over bytes. Either node may call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/ir.h"
#include "pairing/identity.h"
#include "pairing/message.h"
#include "pairing/refusal.h"

namespace cb::loop {
class Loop;
}

namespace cb::pairing {

// What a node says of itself, checked.
struct PeerInfo {
  core::Role role = core::Role::Primary;
  std::string name;
  std::string version;
  std::string udi;
  config::Address hm_address;
  std::vector<config::Prefix> virtual_addresses;
  bool direct = false;
  bool automatic_failover = false;
  bool automatic_failback = false;
};

struct CallOutcome {
  // Unpair: the peer removed the pairing, or never knew it. The caller may always go on and remove
  // its own half, except when `failure.refusal` is NotNow: the living peer said that it must not be
  // removed now.
  bool peer_done = false;
  std::optional<PeerInfo> info;
  Failure failure;  // when the call did not succeed
  // For the operator after an unpair, empty when there is nothing to say: "10.0.0.3 could not be
  // told; ..."
  std::string note;
  bool may_remove() const { return failure.refusal != Refusal::NotNow; }
};

// One call. Destroying it cancels.
class Call {
 public:
  // Exactly once, in a later turn, unless the call was destroyed before; may destroy it.
  using DoneCallback = std::function<void(CallOutcome)>;

  // port 0: identity.port. Tells the peer to remove the pairing; at most about 25 s, when the peer
  // answers at every last moment; 5 s when it is gone. The agent then removes its own half with
  // config::remove_pair when outcome.may_remove(), also when the peer is gone.
  static Call unpair(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                     std::uint16_t port, DoneCallback done, bool delete_licence = false);
  // Gives the peer the text of this node's configuration to keep, sealed.
  static Call keep(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                   std::uint16_t port, std::string text, DoneCallback done);
  static Call peer_info(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                        std::uint16_t port, DoneCallback done);
  // told: at most kTellMax bytes (message.h), for the on_told of the peer's server.
  static Call tell(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                   std::uint16_t port, std::string told, DoneCallback done);
  Call(Call&&) noexcept;
  Call& operator=(Call&&) noexcept;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  bool running() const;

 private:
  struct Inner;
  static Call start(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                    std::uint16_t port, Request request, DoneCallback done);
  explicit Call(std::shared_ptr<Inner> inner);
  std::shared_ptr<Inner> inner_;
};

}  // namespace cb::pairing
