// SPDX-License-Identifier: Apache-2.0
//
// What crossbeat exits with: an interface, in --help and in crossbeat(1). The monitor's refusals
// carry the same numbers.
#pragma once

namespace cb::cli {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNotRunning = 3,
  kRefused = 4,
  kTimedOut = 5,
  kConfig = 6,
  kPrivileges = 7,
  kWarnings = 8,  // of doctor: what it found is no worse than a warning
  kProblems = 9,  // of doctor: it found a problem
};

}  // namespace cb::cli
