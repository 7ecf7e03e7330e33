// SPDX-License-Identifier: Apache-2.0
//
// Whole files: read with a limit, written so that a crash leaves the old content or the new, never
// a mix. These calls block; a turn of the loop must not make them.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace cb {

// Errors carry the errno and the path.
Result<Fd> open_readonly(const std::string& path);

// The rest of the file, or EFBIG when it is longer than limit bytes. Also for files that do not
// know their size, such as those in /proc.
Result<std::string> read_all(const Fd& fd, std::size_t limit);
Result<std::string> read_all(const std::string& path, std::size_t limit);

// All of it, or an error; after an error some of it may have been written.
Result<> write_all(int fd, std::string_view bytes);

// Writes PATH.new with this mode (the umask does not matter), makes it durable, renames it over
// path, makes the name durable. When it fails, the old file is untouched and PATH.new is gone. One
// writer at a time.
Result<> write_atomically(const std::string& path, std::string_view bytes, mode_t mode);

}  // namespace cb
