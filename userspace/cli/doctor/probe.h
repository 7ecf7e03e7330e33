// SPDX-License-Identifier: Apache-2.0
//
// All that the checks may look at. Tests put their own machine here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "cli/json.h"
#include "config/config.h"

namespace cb::cli::doctor {

struct Disk {
  std::uint64_t bytes = 0;
  std::uint64_t bytes_free = 0;
  std::uint64_t files = 0;  // inodes; 0: the file system has no limit
  std::uint64_t files_free = 0;
};

struct File {
  std::string path;  // as the other paths here: below the root
  std::uint64_t bytes = 0;
};

// What the monitor said, or why it said nothing.
struct Asked {
  std::optional<Json> status;
  bool running = false;  // it has a socket, whether it answers or not
  Error error;
};

struct Configured {
  config::Node node;
  std::vector<config::Pair> pairs;
  std::vector<config::Problem> problems;
};

class Probe {
 public:
  Probe() = default;
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  virtual ~Probe() = default;

  // Files of the machine: /proc and /sys are the kernel's own, all else is below the root.
  virtual std::optional<std::string> read(const std::string& path) const = 0;
  virtual bool is_there(const std::string& path) const = 0;
  virtual std::vector<std::string> names_in(const std::string& path) const = 0;
  virtual std::optional<Disk> disk(const std::string& path) const = 0;
  // Plain files, the largest first, a few of them; of the same file system only.
  virtual std::vector<File> largest_below(const std::string& path) const = 0;
  // Where a file of the checks is for the rest of the machine.
  virtual std::string real(const std::string& path) const = 0;
  virtual Result<CommandOutput> run(const std::vector<std::string>& command) const = 0;
  virtual config::MachineFacts machine() const = 0;
  virtual std::string kernel_release() const = 0;
  virtual const Asked& asked() const = 0;
  virtual const Configured& configured() const = 0;
};

std::unique_ptr<Probe> machine_probe(const std::string& root, Asked asked);

}  // namespace cb::cli::doctor
