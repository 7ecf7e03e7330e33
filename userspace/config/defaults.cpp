// SPDX-License-Identifier: Apache-2.0
#include "config/defaults.h"

#include "base/check.h"

namespace cb::config {

const ProfileNumbers& numbers_of(Profile profile) {
  for (const ProfileNumbers& numbers : kProfiles) {
    if (numbers.profile == profile) {
      return numbers;
    }
  }
  CB_CHECK_MSG(false, "a profile without numbers");
  return kProfiles[0];
}

std::string_view name_of(Profile profile) noexcept {
  for (const ProfileNumbers& numbers : kProfiles) {
    if (numbers.profile == profile) {
      return numbers.name;
    }
  }
  return "custom";
}

Node default_node() {
  Node node;
  const ProfileNumbers& numbers = numbers_of(Profile::Normal);
  node.heartbeat.direct = {numbers.interval, numbers.answer_within, numbers.probes_lost};
  node.heartbeat.network = node.heartbeat.direct;
  node.heartbeat.burst_interval = numbers.burst_interval;
  node.heartbeat.monitor_grace = kMonitorGrace;
  node.port = CB_UDP_PORT_DEFAULT;
  node.failover_wait = kFailoverWait;
  node.hold_down = kHoldDown;
  node.wait_for_peer = kWaitForPeer;
  node.automatic_moves_max = kAutomaticMovesMax;
  node.automatic_moves_window = kAutomaticMovesWindow;
  node.arbitration = {"gateway"};
  node.arbitration_deadline = kArbitrationDeadline;
  node.defend_wait = kDefendWait;
  node.witness_port = kWitnessPort;
  node.witness_deadline = kWitnessDeadline;
  node.fence_deadline = kFenceDeadline;
  node.announce_schedule.assign(kAnnounceSchedule.begin(), kAnnounceSchedule.end());
  node.announce_refresh = kAnnounceRefresh;
  node.planned_restart_grant = kPlannedRestartGrant;
  node.instance_number = kInstanceNumber;
  node.instance_prefix = kInstancePrefix;
  node.volume_directory = kVolumeDirectory;
  node.volume_stuck_after = kVolumeStuckAfter;
  node.volume_front_end = kVolumeFrontEnd;
  node.volume_write_cache = kVolumeWriteCache;
  node.volume_cpu_latency = kVolumeCpuLatency;
  return node;
}

}  // namespace cb::config
