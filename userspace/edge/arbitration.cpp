// SPDX-License-Identifier: Apache-2.0
#include "edge/arbitration.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace cb::edge {

struct ArbitrationEdge::Question {
  ArbitrationKinds with;
  Instant asked;
  Instant deadline;
  std::function<void(const ArbitrationAnswer&)> done;
  std::size_t place = 0;            // in kinds_
  bool at_gateway = false;          // the kind being asked is the gateway
  std::function<void()> take_back;  // of the kind being asked
  loop::TimerId timer;
  std::string text;
};

ArbitrationEdge::ArbitrationEdge(loop::Loop& loop, std::vector<std::string> kinds)
    : loop_(loop), kinds_(std::move(kinds)) {}

ArbitrationEdge::~ArbitrationEdge() {
  while (!questions_.empty()) {
    cancel(questions_.begin()->first);
  }
}

ArbitrationEdge::QuestionId ArbitrationEdge::ask(
    ArbitrationKinds with, Instant deadline, std::function<void(const ArbitrationAnswer&)> done) {
  const QuestionId id = ++last_;
  auto question = std::make_unique<Question>();
  question->with = std::move(with);
  question->asked = boottime_now();
  question->deadline = deadline;
  question->done = std::move(done);
  // Our own deadline, a little after the kind's: its own text of what did not come is the better
  // one.
  question->timer = loop_.at(deadline + Duration::from_ms(1), leash_.guard([this, id] {
    const auto found = questions_.find(id);
    if (found == questions_.end()) {
      return;
    }
    found->second->text += "no answer in time";
    finish(id, found->second->at_gateway ? core::Verdict::Isolated : core::Verdict::Unavailable);
  }));
  questions_[id] = std::move(question);
  next(id);
  return id;
}

void ArbitrationEdge::next(QuestionId id) {
  Question& question = *questions_.at(id);
  if (question.place >= kinds_.size()) {
    if (kinds_.empty()) {
      question.text = "no arbitration is configured";
    }
    finish(id, kinds_.empty() ? core::Verdict::Unavailable : core::Verdict::Granted);
    return;
  }
  const std::string& kind = kinds_[question.place];
  question.at_gateway = kind == "gateway";
  question.text += (question.text.empty() ? "" : "; ") + kind + ": ";
  const std::size_t place = question.place;
  const auto answer =
      leash_.guard([this, id, place](core::Verdict verdict, const std::string& text) {
        on_verdict(id, place, verdict, text);
      });
  if (kind == "none") {
    on_verdict(id, place, core::Verdict::Granted, "the risk is accepted by configuration");
    return;
  }
  const ArbitrationAsk& ask = kind == "gateway" ? question.with.gateway
                              : kind == "fence" ? question.with.fence
                                                : question.with.witness;
  if (!ask) {
    on_verdict(id, place, core::Verdict::Unavailable, "not configured");
    return;
  }
  auto take_back = ask(question.deadline, answer);
  // It may have answered already, and the question may be gone.
  if (const auto found = questions_.find(id);
      found != questions_.end() && found->second->place == place) {
    found->second->take_back = std::move(take_back);
  }
}

void ArbitrationEdge::on_verdict(QuestionId id, std::size_t place, core::Verdict verdict,
                                 const std::string& text) {
  const auto found = questions_.find(id);
  if (found == questions_.end() || found->second->place != place) {
    return;  // late, or answered twice
  }
  Question& question = *found->second;
  question.take_back = nullptr;
  question.text += text;
  if (verdict != core::Verdict::Granted) {
    finish(id, verdict);
    return;
  }
  ++question.place;
  next(id);
}

void ArbitrationEdge::finish(QuestionId id, core::Verdict verdict) {
  auto node = questions_.extract(id);
  Question& question = *node.mapped();
  loop_.cancel(question.timer);
  if (question.take_back) {
    question.take_back();
  }
  ArbitrationAnswer answer;
  answer.verdict = verdict;
  answer.text = std::move(question.text);
  answer.took = boottime_now() - question.asked;
  question.done(answer);
}

void ArbitrationEdge::cancel(QuestionId id) {
  auto node = questions_.extract(id);
  if (node.empty()) {
    return;
  }
  loop_.cancel(node.mapped()->timer);
  if (node.mapped()->take_back) {
    node.mapped()->take_back();
  }
}

}  // namespace cb::edge
