// SPDX-License-Identifier: Apache-2.0
//
// What waits for requests of our own device: the work of Errands.
#pragma once

#include <cstdint>

#include "drivers/volume/errand.h"

namespace cb::volume {

// Lets no more requests out at a time than so many, and flushes the device.
Report settle_ublk(std::uint32_t number, unsigned requests);

// EBUSY: it is mounted, used by another device, or open in some process.
Report check_ublk_unused(std::uint32_t number);

}  // namespace cb::volume
