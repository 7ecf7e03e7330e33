// SPDX-License-Identifier: Apache-2.0
//
// The list of what doctor looks at, in the order in which it tells.
#pragma once

#include <vector>

#include "cli/doctor/finding.h"
#include "cli/doctor/probe.h"

namespace cb::cli::doctor {

struct Check {
  const char* id;
  void (*look)(const Probe& probe, Report& report);
};

const std::vector<Check>& checks();

// All of them; a check that says nothing is a bug.
std::vector<Finding> examine(const Probe& probe);

// check_pair.cpp: the monitor and what it says of the pair
void check_configuration(const Probe& probe, Report& report);
void check_monitor(const Probe& probe, Report& report);
void check_start(const Probe& probe, Report& report);
void check_pairing(const Probe& probe, Report& report);
void check_both_active(const Probe& probe, Report& report);
void check_synchronization(const Probe& probe, Report& report);
void check_links(const Probe& probe, Report& report);
void check_version(const Probe& probe, Report& report);
void check_platform(const Probe& probe, Report& report);
void check_services(const Probe& probe, Report& report);
void check_automatic(const Probe& probe, Report& report);
void check_frames(const Probe& probe, Report& report);
void check_gateway(const Probe& probe, Report& report);
void check_witness(const Probe& probe, Report& report);

// check_network.cpp
void check_interfaces(const Probe& probe, Report& report);
void check_mtu(const Probe& probe, Report& report);
void check_offloads(const Probe& probe, Report& report);
void check_xdp(const Probe& probe, Report& report);
void check_network_manager(const Probe& probe, Report& report);
void check_left_over_address(const Probe& probe, Report& report);

// check_machine.cpp
void check_kernel(const Probe& probe, Report& report);
void check_clock(const Probe& probe, Report& report);
void check_real_time(const Probe& probe, Report& report);
void check_volume_memory(const Probe& probe, Report& report);
void check_swap(const Probe& probe, Report& report);
void check_disk(const Probe& probe, Report& report);
void check_resources(const Probe& probe, Report& report);
void check_governor(const Probe& probe, Report& report);

}  // namespace cb::cli::doctor
