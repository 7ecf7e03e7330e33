// SPDX-License-Identifier: Apache-2.0
//
// Writes of a file system wait for the process behind its volume, and the kernel writes in order to
// free memory. What such a process asks of the kernel; each needs CAP_SYS_RESOURCE.
#pragma once

namespace cb::volume {

// The memory that it needs must not wait for such writes (PR_SET_IO_FLUSHER): for the calling
// thread and those that it starts from then on. 0, or the errno with which the kernel refuses,
// which the log says once.
int become_io_flusher();

// Whoever else is killed for want of memory, not this process: without it no disk, and nothing is
// freed. 0, or the errno with which the kernel refuses.
int be_spared_when_memory_ends();

}  // namespace cb::volume
