// SPDX-License-Identifier: Apache-2.0
//
// Exit codes of crossbeatd, and the `code` of a refused control request (what the command line
// exits with).
#pragma once

namespace cb::agent {

enum ExitCode : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitNotRunning = 3,
  kExitRefused = 4,
  kExitTimedOut = 5,
  kExitConfig = 6,
  kExitPrivileges = 7,
};

}  // namespace cb::agent
