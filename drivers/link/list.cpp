// SPDX-License-Identifier: Apache-2.0
//
// The list of the links: here a new one is named.
#include "drivers/link/list.h"

namespace cb::link {

Result<std::unique_ptr<Link>> open(loop::Loop& loop, const Options& options) {
  if (const auto* packet = std::get_if<PacketOptions>(&options)) {
    CB_TRY(link, open_packet(loop, *packet));
    return std::unique_ptr<Link>(std::move(link));
  }
  return open_udp(loop, std::get<UdpOptions>(options));
}

}  // namespace cb::link
