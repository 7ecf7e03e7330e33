// SPDX-License-Identifier: Apache-2.0
#include "loop/done.h"

#include <cerrno>

#include "loop/loop.h"

namespace cb::loop {

Done answer_by(Loop& loop, Instant deadline, Done done) {
  struct Answer {
    Loop& loop;
    Done done;
    TimerId timer;
  };
  const auto answer = std::make_shared<Answer>(Answer{loop, std::move(done), {}});
  const auto give = [](Answer& to, int error) {
    if (to.done == nullptr) {
      return;
    }
    to.loop.cancel(to.timer);
    const Done once = std::exchange(to.done, nullptr);
    once(error);
  };
  if (!deadline.is_never()) {
    answer->timer = loop.at(deadline, [answer, give] { give(*answer, ETIMEDOUT); });
  }
  return [answer, give](int error) { give(*answer, error); };
}

}  // namespace cb::loop
