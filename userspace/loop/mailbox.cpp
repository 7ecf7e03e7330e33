// SPDX-License-Identifier: Apache-2.0
//
// A stack that any thread pushes on and the owner takes whole; reversed, it is in order. The bell
// is an eventfd. rung_ spares the write when the owner has not yet answered the last ring: the
// owner clears it before it takes, so whatever was pushed before a spared write is in what it
// takes.
#include "loop/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cb::loop {

Result<Fd> Mailbox::open_bell(bool blocking) {
  Fd bell(eventfd(0, EFD_CLOEXEC | (blocking ? 0 : EFD_NONBLOCK)));
  if (!bell) {
    return fail(errno, "create an eventfd");
  }
  return bell;
}

Mailbox::~Mailbox() { take(); }

void Mailbox::put(std::function<void()> letter) {
  auto* mine = new Letter{std::move(letter), newest_.load()};
  while (!newest_.compare_exchange_weak(mine->older, mine)) {
  }
  ring();
}

void Mailbox::ring() noexcept {
  if (rung_.exchange(true)) {
    return;
  }
  const int saved = errno;
  const std::uint64_t one = 1;
  // ignored: it can only fail when the counter is full, and then the bell is ringing
  [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &one, sizeof one);
  errno = saved;
}

void Mailbox::answer() noexcept {
  std::uint64_t count = 0;
  while (::read(bell_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
  rung_.store(false);
}

std::vector<std::function<void()>> Mailbox::take() {
  std::vector<std::function<void()>> letters;
  Letter* letter = newest_.exchange(nullptr);
  while (letter != nullptr) {
    letters.push_back(std::move(letter->text));
    delete std::exchange(letter, letter->older);
  }
  std::reverse(letters.begin(), letters.end());
  return letters;
}

}  // namespace cb::loop
