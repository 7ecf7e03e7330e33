// SPDX-License-Identifier: Apache-2.0
//
// What all instances of a node share: the loop, the kernel side and the edges that exist once.
// Owned by the Monitor, in the order of construction; destroyed in reverse.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "config/ir.h"
#include "config/volume_folder.h"
#include "edge/address.h"
#include "edge/announce.h"
#include "edge/arbitration.h"
#include "edge/arp.h"
#include "edge/events.h"
#include "edge/hooks.h"
#include "edge/kernel.h"
#include "edge/link.h"
#include "edge/notify.h"
#include "edge/prober.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::agent {

struct World {
  std::string root;
  config::Node node;
  std::string udi;
  std::string volume_program;  // crossbeat-volume, beside this program or in the path
  std::optional<config::VolumeId> volume_id;  // of this primary's first copy, when pairing asks
  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<loop::Hands> urgent;  // what a failover waits for
  std::unique_ptr<loop::Hands> slow;    // files, children
  std::unique_ptr<edge::Kernel> kernel;
  std::unique_ptr<edge::LinkEdge> link;
  std::unique_ptr<edge::AddressEdge> address;
  std::unique_ptr<edge::AnnounceEdge> announce;
  std::unique_ptr<edge::ArpEdge> arp;
  std::unique_ptr<edge::ArbitrationEdge> arbitration;
  std::unique_ptr<edge::EventLog> events;
  std::unique_ptr<edge::HookEdge> hooks;
  edge::Notify notify = edge::Notify::open();
  std::unique_ptr<edge::Prober> prober;
  bool has_v4_gateway() const { return node.gateway.is_v4() && node.gateway != config::Address{}; }
};

// The IPv4 address in its ::ffff: form as base/net.h's value.
Ipv4 v4_of(const config::Address& address);

}  // namespace cb::agent
