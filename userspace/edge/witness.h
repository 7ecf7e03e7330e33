// SPDX-License-Identifier: Apache-2.0
//
// A pairing's witness, asked from the loop (docs/protocol-witness.md). One thing is asked at a time
// and asked again until it is answered; an answer that does not come is never guessed. The grant of
// the address goes before everything else, and what it interrupts is asked again after it: every
// operation may be repeated.
//
// While nothing is asked the witness is read every second, so that its absence is known before it
// is needed. Its absence alone changes nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "config/ir.h"
#include "core/types.h"
#include "loop/done.h"
#include "loop/loop.h"
#include "witness/message.h"

namespace cb::edge {

struct WitnessAnswer {
  std::optional<core::witness::Result> result;  // nothing: nobody knows what was done
  core::witness::Record record;                 // as the witness has it now; with Done and Refused
  std::string text;                             // for people
};

struct WitnessFacts {
  bool answers = false;  // within its deadline
  Instant answered_at;   // zero: never
  Duration round_trip{};
  core::witness::Record record;  // of the newest answer
  std::string trouble;           // what is wrong, for people; empty: nothing
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  std::uint64_t dropped = 0;  // datagrams that were not authentic, or answered nothing asked
};

class WitnessEdge {
 public:
  struct Options {
    config::Address address;
    std::uint16_t port = witness::kPort;
    std::uint64_t pairing = 0;
    core::volume::Node node = 0;  // 0: this node is the pairing's primary
    witness::Key key{};
    Duration deadline{};          // silent for so long, it is taken to be down
    std::function<bool()> holds;  // does this node serve without the other's lease?
    // It answers again, or no longer: at once, then at most once a minute.
    std::function<void(bool answers, const std::string& text)> on_change;
  };
  static Result<std::unique_ptr<WitnessEdge>> open(loop::Loop& loop, Options options);
  ~WitnessEdge();
  WitnessEdge(const WitnessEdge&) = delete;
  WitnessEdge& operator=(const WitnessEdge&) = delete;

  // The address for `term`. Answered once by the deadline, unless taken back by what is returned;
  // that gives nothing back, since it may have been granted: release() does. A newer question takes
  // back an older one.
  std::function<void()> grant(std::uint64_t term, Instant deadline,
                              std::function<void(core::Verdict, const std::string& text)> done);
  // Gives the address back, for as long as it takes, until it is asked for again.
  void release();
  // Takes it from whoever holds it, for as long as it takes: an operator forced this node to serve.
  void seize(std::uint64_t term);

  // The volume's register. Answered once by the deadline, in a later turn. A swap that took place
  // is Done, also when that was only seen by reading.
  using OnAnswer = std::function<void(const WitnessAnswer&)>;
  void read(Instant deadline, OnAnswer done);
  void swap(const core::volume::Register& expected, const core::volume::Register& wanted,
            Instant deadline, OnAnswer done);
  // The newest register that this node knows of, for a witness that lost its memory.
  void know(const core::volume::Register& known) { known_ = known; }

  WitnessFacts facts() const { return facts_; }

 private:
  struct Ask {
    std::uint64_t id = 0;
    core::witness::Request request;
    OnAnswer done;
    loop::TimerId timer;
  };
  WitnessEdge(loop::Loop& loop, Options options);
  Result<> open_socket();
  void add(core::witness::Request request, Instant deadline, OnAnswer done);
  void finish(std::uint64_t id, const WitnessAnswer& answer);
  void wake();
  std::uint64_t best() const;
  void pump();
  void send();
  void send_hello();
  void send_request();
  void put(const witness::Datagram& bytes);
  void on_readable();
  void on_message(const witness::Message& message, std::span<const std::byte> bytes);
  void on_answer(const witness::Message& message);
  void on_tick();
  void judge(Instant now);

  loop::Loop& loop_;
  Options options_;
  witness::Key request_key_{};  // the node's, not a session's
  witness::Key answer_key_{};
  Fd socket_;

  // the session
  bool has_session_ = false;
  witness::Nonce client_{};
  witness::Nonce server_{};
  witness::Key session_request_{};
  witness::Key session_answer_{};
  std::uint64_t sequence_ = 0;

  // what is wanted
  std::optional<Ask> grant_;
  bool release_ = false;
  std::optional<std::uint64_t> seize_;  // for this term
  bool later_ = false;                  // what was to be given back or taken is said again
  bool look_ = true;
  std::deque<Ask> asks_;
  std::uint64_t last_id_ = 0;
  core::volume::Register known_;

  // what is being asked
  std::uint64_t asking_ = 0;  // an Ask's id, or one of the two that need none; 0: nothing
  core::witness::Request request_;
  unsigned sends_ = 0;
  Instant sent_at_;
  loop::TimerId resend_;
  bool woken_ = false;

  WitnessFacts facts_;
  Instant opened_at_;
  std::optional<bool> said_;
  Instant said_at_;
  loop::TimerId tick_;
  loop::Leash leash_;
};

// For people: "nobody", "the primary", "the secondary".
const char* text_of(core::witness::Holder holder) noexcept;

}  // namespace cb::edge
