// SPDX-License-Identifier: Apache-2.0
//
// A volume's files: superblock, map, log, home, all in one folder; log and home may be links to
// block devices. Everything here blocks: it is for the command line and for a Hands.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "core/volume/batch.h"
#include "core/volume/superblock.h"

namespace cb::replication {

struct Format {
  std::string folder;
  std::uint64_t volume_bytes = 0;
  std::uint64_t log_bytes = 0;
  core::volume::Node node = 0;
  std::uint64_t instance_high = 0;
  std::uint64_t instance_low = 0;
  bool fresh = false;       // holds nothing: waits for the peer's copy. Always so on node 1
  std::string log_device;   // empty: a file
  std::string home_device;  // empty: a sparse file
  bool overwrite = false;   // whatever the devices hold
};

inline constexpr std::uint64_t kLogBytesMin = 8u << 20;

// Makes the folder and the files, durably. Refuses (EEXIST) when there is a superblock already, and
// what is left of a create that was interrupted is begun anew.
Result<> create(const Format& format);
// Why it would not, as far as that can be seen without changing anything.
Result<> could_create(const Format& format);

struct OpenFiles {
  Fd superblock, map, log, home;
  Fd sums;  // of the home image (sums.h); invalid where there is none and none can be made
};

// What a start finds.
struct Found {
  core::volume::Record record;
  std::vector<std::uint64_t> map;  // the dirty map's words
  bool map_lost = false;           // the map that the superblock names cannot be read
  core::volume::Position end = 0;
  core::volume::Digest digest;
  core::volume::Position committed = 0;
  core::volume::Position damaged_until = 0;
  bool one_copy = false;  // only one of the superblock's copies can be read
  std::uint64_t batches = 0;
  // A bit for each extent of the volume that the log changes behind the checkpoint.
  std::vector<std::uint64_t> changed;
};

// Direct where the file system takes it, else through the page cache. errno when it fails.
Fd open_direct(const std::string& path, int flags);
Result<OpenFiles> open_files(const std::string& folder, bool writable);
// Superblock, map, and the log from the checkpoint on. Changes nothing.
Result<Found> inspect(const OpenFiles& files);
std::uint64_t map_slot_bytes(std::uint64_t volume_bytes);
// errno or 0.
int sync_folder(const std::string& folder);

}  // namespace cb::replication
