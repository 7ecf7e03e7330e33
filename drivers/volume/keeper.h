// SPDX-License-Identifier: Apache-2.0
//
// The keeper: a small process that holds the descriptors of a volume's file system, so that it, the
// device on it and what is mounted there outlive the volume process. It does nothing but hand them
// to the next one, over a Unix socket to which only root may speak.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace cb::volume {

struct Kept {
  Fd fuse;    // /dev/fuse
  Fd memory;  // of the FusePool
};

// What the keeper at this socket holds; nothing when there is no keeper. Waits for it two seconds
// at the most.
Result<std::optional<Kept>> ask_keeper(const std::string& socket_path);

// Starts one: command is executed with the socket and the descriptors, and calls run_keeper().
// Answers when it was heard.
Result<> start_keeper(const std::string& socket_path, const std::vector<std::string>& command,
                      int fuse, int memory);

// Ends it and removes its socket. Nothing happens when there is none.
Result<> end_keeper(const std::string& socket_path);

// The keeper's whole life, in the process that start_keeper made. Returns its exit code.
int run_keeper();

}  // namespace cb::volume
