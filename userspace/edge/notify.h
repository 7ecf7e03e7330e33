// SPDX-License-Identifier: Apache-2.0
//
// Tells the service manager how we are (sd_notify(3)): READY, STATUS, STOPPING, WATCHDOG. Written
// so that it never blocks: a service manager that does not read loses a notice, not us a turn.
// Without a service manager everything here does nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/instant.h"

namespace cb::edge {

class Notify {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; a socket that cannot be used is logged, and
  // left.
  static Notify open();

  void ready(std::string_view status);
  void status(std::string_view text);
  void reloading();
  void stopping(std::string_view status);
  void watchdog();  // tell at half of watchdog_interval()
  void main_pid(int pid);
  // When the service manager wants to hear watchdog(); nothing when it does not.
  std::optional<Duration> watchdog_interval() const noexcept { return watchdog_; }
  bool connected() const noexcept { return static_cast<bool>(socket_); }

 private:
  void send(const std::string& text);
  Fd socket_;
  std::string last_status_;
  std::optional<Duration> watchdog_;
};

}  // namespace cb::edge
