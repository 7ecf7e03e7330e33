// SPDX-License-Identifier: Apache-2.0
//
// The system calls that make a process. Blocks until the program is executed: for a Hands.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"

namespace cb::loop {

struct Launched {
  int error = 0;  // errno when the program could not be executed; then there is no process
  pid_t pid = 0;
  Fd pidfd;
};

// command[0] must be a path. output: becomes standard output and error output. input: what the
// process may read from its standard input, whole and without anybody writing it meanwhile; empty:
// /dev/null.
Launched launch(const std::vector<std::string>& command,
                const std::vector<std::string>& environment, const Fd& output,
                const std::string& input = {});

// The path of a program by the rules of execvp, over kChildPath; empty when there is none.
std::string find_program(const std::string& name);

}  // namespace cb::loop
