// SPDX-License-Identifier: Apache-2.0
#include "drivers/link/writable.h"

#include <sys/epoll.h>

#include <cerrno>

namespace cb::link {

Result<std::unique_ptr<Writable>> Writable::open(loop::Loop& loop, int socket,
                                                 std::function<void()> call) {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLONESHOT;
  if (!epoll || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket, &event) != 0) {
    return fail(errno, "watch a socket for room");
  }
  // Errors and hang-ups are always told: taken away at once, so that the first ask() arms it.
  epoll_wait(epoll.get(), &event, 1, 0);
  return std::unique_ptr<Writable>(new Writable(loop, socket, std::move(call), std::move(epoll)));
}

Writable::Writable(loop::Loop& loop, int socket, std::function<void()> call, Fd epoll)
    : loop_(loop), socket_(socket), call_(std::move(call)), epoll_(std::move(epoll)) {
  loop_.watch(epoll_.get(), [this] { on_ready(); });
}

Writable::~Writable() {
  loop_.unwatch(epoll_.get());
  loop_.cancel(timer_);
}

void Writable::ask() {
  if (asked_) {
    return;
  }
  asked_ = true;
  epoll_event event{};
  event.events = EPOLLOUT | EPOLLONESHOT;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket_, &event);
}

void Writable::ask_after(Duration span) {
  if (timer_) {
    return;
  }
  timer_ = loop_.after(span, [this] {
    timer_ = {};
    call_();
  });
}

void Writable::on_ready() {
  epoll_event event{};
  if (epoll_wait(epoll_.get(), &event, 1, 0) == 1 && asked_) {
    asked_ = false;
    call_();
  }
}

}  // namespace cb::link
