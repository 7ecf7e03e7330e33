// SPDX-License-Identifier: Apache-2.0
//
// The kernel's loop devices: /dev/loopN over a file, with direct I/O, so that the kernel keeps no
// copy between a file system and the volume. Everything here blocks, also on answers of whoever
// serves the file: for an Errand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace cb::volume {

std::string loop_device_path(int number);

// The devices whose file has this path. Reads /sys: waits for nobody.
std::vector<int> loop_devices_on(const std::string& path);

// A new device over the open file. name: as losetup shows it.
Result<int> make_loop_device(int file, const std::string& name, const std::string& path);

// Whether it is what make_loop_device makes: direct I/O, 4 KiB blocks, so many bytes, discard.
Result<> check_loop_device(int number, std::uint64_t bytes);

// The file behind it has got longer, and so has the device when this is answered.
Result<> grow_loop_device(int number, const std::string& path, std::uint64_t bytes);

// Whether the kernel flushes the device ("write back" in sysfs), or takes each answered write for
// durable ("write through"), which a file system then need not flush at all. The kernel keeps this
// for the number's next user: it is on again before the device goes.
Result<> set_write_cache(int number, bool on);

// fsync of the device.
Result<> flush_loop_device(int number);

// EBUSY: somebody has it open, and it stays as it was. ENXIO: there is none.
Result<> remove_loop_device(int number);

// Now, or when its last user closes it. For devices whose file is dead.
Result<> give_up_loop_device(int number);

}  // namespace cb::volume
