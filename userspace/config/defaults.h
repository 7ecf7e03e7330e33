// SPDX-License-Identifier: Apache-2.0
//
// Every number that holds when the configuration does not say otherwise, and the ranges that are
// accepted. docs/configuration.md repeats them; a test compares.
#pragma once

#include <array>
#include <string_view>

#include "bpf/crossbeat_wire.h"
#include "config/ir.h"

namespace cb::config {

// The profiles: one row each, everything that is tuned together.
struct ProfileNumbers {
  Profile profile;
  std::string_view name;
  Duration interval;  // on the direct link; on the network link when it is the only one
  Duration answer_within;
  int probes_lost;
  Duration network_interval;  // on the network link beside a direct one
  Duration burst_interval;    // ... while the direct link is suspect or silent
};

inline constexpr std::array kProfiles = {
    ProfileNumbers{Profile::Fast, "fast", 200_us, 100_us, 4, 10_ms, 75_us},
    ProfileNumbers{Profile::Normal, "normal", 2_ms, 2_ms, 5, 20_ms, 500_us},
    ProfileNumbers{Profile::Relaxed, "relaxed", 100_ms, 100_ms, 5, 500_ms, 20_ms},
};

const ProfileNumbers& numbers_of(Profile profile);  // not for Custom
std::string_view name_of(Profile profile) noexcept;

// No grant is longer, so nobody who waited this long can find its peer still holding a lease.
inline constexpr Duration kLongestGrant = Duration{std::int64_t{CB_GRANT_US_MAX} * 1000};

inline constexpr Duration kIntervalMin = 100_us;
inline constexpr Duration kIntervalMax = 10_s;
inline constexpr int kProbesLostMin = 2;
inline constexpr int kProbesLostMax = CB_PROBE_RING / 2;
inline constexpr int kLabelMax = 15;  // IFNAMSIZ - 1

inline constexpr Duration kMonitorGrace = 500_ms;
inline constexpr Duration kFailoverWait = 10_s;
inline constexpr Duration kHoldDown = 60_s;
inline constexpr Duration kWaitForPeer = 15_s;
inline constexpr int kAutomaticMovesMax = 3;
inline constexpr int kAutomaticMovesLimit = 8;  // core::State remembers so many
inline constexpr Duration kAutomaticMovesWindow = 900_s;
inline constexpr Duration kArbitrationDeadline = 50_ms;
inline constexpr Duration kWitnessArbitrationDeadline = 500_ms;  // its disk is part of it
inline constexpr int kWitnessPort = 7391;
inline constexpr Duration kWitnessDeadline = 5_s;
inline constexpr Duration kDefendWait = 150_us;
// How much longer than the proof of silence takes a grant lasts: so much later may the probes of
// both nodes leave at once without the right to serve running out.
inline constexpr Duration kLateProbe = 300_us;
inline constexpr Duration kFenceDeadline = 20_s;
inline constexpr std::array kAnnounceSchedule = {0_ms, 20_ms, 200_ms, 1_s, 5_s, 15_s};
inline constexpr Duration kAnnounceRefresh = 60_s;
inline constexpr Duration kServiceStartWithin = 60_s;
inline constexpr Duration kServiceStopWithin = 60_s;
inline constexpr int kServiceRestarts = 2;
inline constexpr Duration kHookWithin = 30_s;
inline constexpr Duration kHealthInterval = 5_s;
inline constexpr int kHealthRise = 2;
inline constexpr int kHealthFall = 3;
inline constexpr Duration kPlannedRestartGrant = 5_s;
inline constexpr int kInstanceNumber = 3;
inline constexpr std::string_view kUdiProduct = "CROSSBEAT";
inline constexpr std::string_view kUdiVersion = "V01";
inline constexpr std::string_view kInstancePrefix = "mse";
inline constexpr std::string_view kVolumeDirectory = "/var/lib/crossbeat/volumes";
inline constexpr Duration kVolumeStuckAfter = 120_s;
inline constexpr const char* kVolumeFrontEnd = "auto";
inline constexpr bool kVolumeWriteCache = false;
inline constexpr const char* kVolumeCpuLatency = "auto";
inline constexpr uint64_t kVolumeBytesMin = 16ull << 20;
inline constexpr uint64_t kVolumeBytesMax = 64ull << 40;
inline constexpr uint64_t kVolumeLogBytes = 256ull << 20;
inline constexpr uint64_t kVolumeLogBytesMin = 16ull << 20;
inline constexpr uint64_t kVolumeLogBytesMax = 1ull << 40;
inline constexpr uint64_t kVolumeStep = 1ull << 20;  // sizes are multiples of it
inline constexpr std::string_view kFileSystem = "ext4";
inline constexpr std::string_view kMountOptions = "noatime";
inline constexpr uint16_t kVolumePort = 7389;

// For the core alone: not configured.
inline constexpr Duration kActionDeadline = 2_s;
inline constexpr Duration kHandOverDeadline = 5_s;  // besides the services, when they come first

// A volume's log may have to be replayed, and its file system's journal.
inline constexpr Duration kVolumeDeadline = 20_s;

// A Node as if nothing were configured and nothing known of the machine.
Node default_node();

}  // namespace cb::config
