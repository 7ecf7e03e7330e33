// SPDX-License-Identifier: Apache-2.0
#include "edge/fence.h"

#include <cerrno>
#include <utility>

namespace cb::edge {

FenceEdge::FenceEdge(loop::Loop& loop, std::unique_ptr<fence::Fence> driver)
    : loop_(loop), driver_(std::move(driver)) {}

FenceEdge::~FenceEdge() = default;

void FenceEdge::start(const fence::Target& target, Instant deadline, FenceDone done) {
  // The driver answers by the deadline and says why; a driver that does not is not waited for.
  auto text = std::make_shared<std::string>();
  auto answer = loop::answer_by(
      loop_, deadline + Duration::from_ms(1), [text, done = std::move(done)](int error) {
        done(error, error == ETIMEDOUT && text->empty() ? "no answer in time" : *text);
      });
  driver_->start(target, deadline, leash_.guard([text, answer](int error, const std::string& said) {
    *text = said;
    answer(error);
  }));
}

}  // namespace cb::edge
