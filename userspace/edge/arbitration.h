// SPDX-License-Identifier: Apache-2.0
//
// "Dead, or cut off?" through the configured kinds, in their order (DESIGN.md section 6). Every
// kind must grant: the first that does not is the verdict. An empty list grants nothing.
//
// Knows no other edge: who asks the network and who runs the fence is handed in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/types.h"
#include "loop/done.h"
#include "loop/loop.h"

namespace cb::edge {

struct ArbitrationAnswer {
  core::Verdict verdict = core::Verdict::Unavailable;
  std::string text;  // what each kind said: for the log and the event's remarks
  Duration took{};
};

// Asks one kind. Must answer once; an answer after the deadline is not waited for. Returns how to
// take the question back (may be empty).
using ArbitrationAsk = std::function<std::function<void()>(
    Instant deadline, std::function<void(core::Verdict, const std::string& text)> done)>;

struct ArbitrationKinds {
  ArbitrationAsk gateway;  // empty: answers Unavailable ("not configured")
  ArbitrationAsk fence;
  ArbitrationAsk witness;  // should come last: what it grants it refuses the peer
};

class ArbitrationEdge {
 public:
  using QuestionId = std::uint64_t;

  // kinds: "gateway", "witness", "fence", "none", as config::Node::arbitration.
  ArbitrationEdge(loop::Loop& loop, std::vector<std::string> kinds);
  ~ArbitrationEdge();

  // One question, with what is asked for this pairing. Answered once by the deadline (Unavailable
  // when a kind gave no answer, but Isolated when that kind was the gateway), unless cancelled.
  QuestionId ask(ArbitrationKinds with, Instant deadline,
                 std::function<void(const ArbitrationAnswer&)> done);
  void cancel(QuestionId id);

 private:
  struct Question;
  void next(QuestionId id);
  void on_verdict(QuestionId id, std::size_t place, core::Verdict verdict, const std::string& text);
  void finish(QuestionId id, core::Verdict verdict);

  loop::Loop& loop_;
  std::vector<std::string> kinds_;
  QuestionId last_ = 0;
  std::map<QuestionId, std::unique_ptr<Question>> questions_;
  loop::Leash leash_;
};

}  // namespace cb::edge
