// SPDX-License-Identifier: Apache-2.0
//
// The primary's side of a pairing, on the loop: connects to the secondary, runs the protocol, has
// the result saved and says how it ended. docs/protocol-pairing.md has the messages and what a lost
// connection leaves behind.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/ir.h"
#include "pairing/identity.h"
#include "pairing/refusal.h"
#include "pairing/server.h"

namespace cb::loop {
class Loop;
}

namespace cb::pairing {

enum class PairStep : std::uint8_t {
  Connecting,  // to the secondary
  Asking,      // who are you; do the rules allow it
  Looking,     // at the network, with ARP
  Proving,     // the key exchange
  Committing,  // the secondary saves
  Saving,      // this node saves
};
std::string_view text_of(PairStep step);  // "asking the peer who it is"

struct PairRequest {
  config::Address peer;    // the secondary's health monitor address
  std::uint16_t port = 0;  // 0: identity.port
  std::string code;        // as typed
  bool dry_run = false;    // ask and check the rules, prove nothing, save nothing, use no try
};

struct PairOutcome {
  std::optional<config::Pair> pair;  // with its key; after a dry run without key and id
  std::vector<RuleLine> rules;       // every rule in words, as far as they were looked at
  bool renewed = false;  // the nodes were paired already: same key, settings brought up to date
  Failure failure;       // when !pair
};

struct ClientCallbacks {
  // Both sides have proved the code and the secondary has saved: save the pairing durably and
  // answer. Any refusal makes the client take it back at the secondary and fail with OwnSaveFailed.
  std::function<void(const config::Pair&, Answer)> save;
  std::function<void(PairStep)> progress;  // may be empty
  Look look = {};                          // empty: nobody looks
  // Exactly once, unless the client was destroyed before; may destroy the client.
  std::function<void(PairOutcome)> done;
};

// One attempt. Destroying it cancels (nothing is called any more).
class PairingClient {
 public:
  // Everything is reported by `done` in a later turn, also what can be seen at once (a mistyped
  // code, this node is no primary). The loop must outlive the client.
  static PairingClient start(loop::Loop& loop, const LocalIdentity& identity,
                             const PairRequest& request, ClientCallbacks callbacks);
  PairingClient(PairingClient&&) noexcept;
  PairingClient& operator=(PairingClient&&) noexcept;
  PairingClient(const PairingClient&) = delete;
  PairingClient& operator=(const PairingClient&) = delete;
  ~PairingClient();

  bool running() const;

 private:
  struct Inner;
  explicit PairingClient(std::shared_ptr<Inner> inner);
  std::shared_ptr<Inner> inner_;
};

}  // namespace cb::pairing
