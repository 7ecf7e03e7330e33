// SPDX-License-Identifier: Apache-2.0
//
// Writes of a file system wait for the process behind its volume: the memory that this process
// needs must not wait for such writes. For the calling thread and those that it starts from then
// on.
#pragma once

namespace cb::volume {

// Asks the kernel for it (PR_SET_IO_FLUSHER, needs CAP_SYS_RESOURCE): 0, or the errno with which it
// refuses, which the log says once.
int become_io_flusher();

}  // namespace cb::volume
