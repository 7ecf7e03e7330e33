// SPDX-License-Identifier: Apache-2.0
//
// The service without its sockets: a datagram comes, at most one goes back, of the same size, so it
// can make nobody louder than he is. Everything that comes is hostile until its tag says otherwise,
// and nothing is changed by what could have been recorded:
//
//   A session is two nonces; the witness's is a function of the node's, of a secret of this run and
//   of the number of sessions that the node has had, so a challenge costs no memory, and neither an
//   old session nor one before a restart can be begun again. It begins with its first request; the
//   one before it is then over, and what is still on its way in it is lost. Requests are numbered.
//   The newest is answered again as it was; an older one is dropped.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/instant.h"
#include "witness/message.h"
#include "witness/store.h"

namespace cb::witness {

struct Counts {
  std::uint64_t received = 0;
  std::uint64_t answered = 0;
  std::uint64_t changes = 0;
  std::uint64_t malformed = 0;   // dropped, as all below
  std::uint64_t strangers = 0;   // of a pairing that is not known
  std::uint64_t forged = 0;      // tag
  std::uint64_t old = 0;         // sequence
  std::uint64_t too_many = 0;    // rate
  std::uint64_t in_trouble = 0;  // our record cannot be read or written
};

// So many at once, then so many a second.
class Bucket {
 public:
  Bucket(unsigned most, unsigned per_second) : most_(most), per_second_(per_second) {}
  bool take(Instant now);

 private:
  unsigned most_;
  unsigned per_second_;
  std::int64_t spent_ns_ = 0;  // of most_ seconds' worth
  Instant at_;
};

class Service {
 public:
  explicit Service(Store& store);

  std::optional<Datagram> on_datagram(std::span<const std::byte> bytes, Instant now);
  // After its answer has left.
  void settle() { store_.settle(); }

  // A command of an operator and its answer, both text: "status", "list", "add LINE", "forget ID",
  // the first two also with " --json". An answer that begins with "error: " is one.
  std::string on_command(std::string_view command, Instant now);

  const Counts& counts() const { return counts_; }

 private:
  struct Node {
    bool has_session = false;
    Nonce client{};
    Nonce server{};
    Key request_key{};
    Key answer_key{};
    std::uint64_t sessions = 0;
    std::uint64_t sequence = 0;
    std::optional<Datagram> answer;  // to `sequence`
    Instant heard;
    Bucket hellos{20, 10};
    Bucket changes{40, 20};
    Bucket hints{5, 5};
  };
  using NodeId = std::pair<std::uint64_t, core::volume::Node>;

  std::optional<Datagram> on_hello(const Store::Entry& entry, const Message& message,
                                   std::span<const std::byte> bytes, Instant now);
  std::optional<Datagram> on_request(Store::Entry& entry, const Message& message,
                                     std::span<const std::byte> bytes, Instant now);
  std::optional<Datagram> no_session(const Store::Entry& entry, const Message& message,
                                     std::span<const std::byte> bytes, Instant now);
  std::optional<Datagram> answer(Store::Entry& entry, Node& node, const Message& message,
                                 Instant now);
  Nonce nonce_for(const Message& message, std::uint64_t sessions) const;
  Node& node_of(const Message& message);
  std::string status(bool json, Instant now) const;
  std::string list(bool json, Instant now) const;
  std::string add(std::string_view line);
  std::string forget(std::string_view pairing);

  Store& store_;
  Key secret_{};  // of this run
  std::map<NodeId, Node> nodes_;
  Counts counts_;
  Bucket stranger_hints_{10, 10};
  Instant started_;
};

}  // namespace cb::witness
