// SPDX-License-Identifier: Apache-2.0
//
// The folder of pins: <root>/sys/fs/bpf/crossbeat, on a BPF file system that is mounted there if
// need be. Part of the kernel edge.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace cb::edge {

// Returns the folder's path; it exists then, mode 0700. An unmounted <root>/sys/fs/bpf is mounted.
Result<std::string> make_pin_directory(const std::string& root);

// The object pinned at path; a Fd that holds nothing when there is none.
Result<Fd> open_pin(const std::string& path);

// Success when there is none.
Result<> remove_pin(const std::string& path);

// Pins, replacing what was pinned there before: at every moment path is the old or the new one.
Result<> replace_pin(int fd, const std::string& path);

// libbpf's complaints on this thread: the reason behind a bare errno. Once listened to, it prints
// nothing by itself.
void listen_to_libbpf();
void forget_libbpf();
std::string libbpf_said();  // the first line since it was forgotten; empty: nothing

// Appends what to do where the errno tells: privileges, mostly.
Error explain(int code, std::string what);

}  // namespace cb::edge
