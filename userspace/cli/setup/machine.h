// SPDX-License-Identifier: Apache-2.0
//
// What the wizard asks of the world, and the one door through which it starts programs. Either the
// running machine, or a tree (an image that is being made) in which nothing runs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace cb::cli::setup {

class Machine {
 public:
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  virtual ~Machine() = default;

  // false: a tree; then nothing is started and nothing can be tried.
  virtual bool is_live() const = 0;
  virtual Result<config::MachineFacts> facts() = 0;
  // nullopt: that cannot be told here.
  virtual std::optional<bool> gateway_answers(const std::string& address) = 0;
  virtual std::optional<bool> ntp_enabled() = 0;
  virtual bool monitor_runs() = 0;
  virtual Result<> run(const std::vector<std::string>& command) = 0;
};

std::unique_ptr<Machine> live_machine();
// interfaces: of the machine that the tree is for.
std::unique_ptr<Machine> tree_machine(std::vector<std::string> interfaces);

}  // namespace cb::cli::setup
