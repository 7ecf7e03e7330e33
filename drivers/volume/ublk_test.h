// SPDX-License-Identifier: Apache-2.0
//
// The self-test of the front end `ublk`, for a process of its own that somebody ends when it takes
// too long: kernels are known whose ublk refuses, loses requests or hangs.
#pragma once

#include <string>

namespace cb::volume {

// Makes a small device of memory, writes, reads, flushes, discards, kills who serves it and lets
// another one go on, and takes the device away. Says on standard output what it is about to do, and
// at the end what went wrong. folder: as in UblkOptions, of the test alone. Returns the exit code.
int run_ublk_test(const std::string& folder);

}  // namespace cb::volume
