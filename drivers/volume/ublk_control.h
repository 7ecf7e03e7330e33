// SPDX-License-Identifier: Apache-2.0
//
// What can be asked of /dev/ublk-control. Each is answered once, in a later turn; the kernel may
// take its time, since some wait for requests that are not answered yet.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "drivers/volume/ublk_kernel.h"
#include "drivers/volume/ublk_ring.h"

namespace cb::volume {

// error: 0 or errno.
using UblkDone = std::function<void(int error)>;

// Their numbers, from /sys: waits for nobody.
std::vector<std::uint32_t> ublk_devices();

std::string ublk_device_path(std::uint32_t number);   // the block device
std::string ublk_channel_path(std::uint32_t number);  // where its requests are fetched
std::string ublk_queue_path(std::uint32_t number);    // its settings, in /sys

void ublk_info(UblkRing& ring, std::uint32_t number,
               std::function<void(int error, const ublksrv_ctrl_dev_info&)> done);
void ublk_params_of(UblkRing& ring, std::uint32_t number,
                    std::function<void(int error, const ublk_params&)> done);
// A new device, whose number and features the answer has.
void ublk_add(UblkRing& ring, const ublksrv_ctrl_dev_info& wanted,
              std::function<void(int error, const ublksrv_ctrl_dev_info&)> done);
void ublk_set_params(UblkRing& ring, std::uint32_t number, const ublk_params& params,
                     UblkDone done);
// kUblkStart, kUblkStop, kUblkRemove, kUblkRecover, kUblkRecovered.
void ublk_do(UblkRing& ring, std::uint32_t operation, std::uint32_t number, UblkDone done);

}  // namespace cb::volume
