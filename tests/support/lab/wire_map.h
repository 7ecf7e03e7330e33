// SPDX-License-Identifier: Apache-2.0
//
// The wires' pinned maps in our memory: one store cuts a wire, without a system call.
#pragma once

#include <string>

#include "tests/support/lab/wire.h"

namespace cb::lab {

// What is pinned in the lab's directory, besides the programs wire_in, wire_out and wire_pass.
inline constexpr const char* kWirePorts = "wire_ports";
inline constexpr const char* kWireDead = "wire_dead";

class WireMap {
 public:
  explicit WireMap(const std::string& directory);  // ends the program when there is no lab
  ~WireMap();
  WireMap(const WireMap&) = delete;
  WireMap& operator=(const WireMap&) = delete;

  volatile wire_port& port(int64_t interface_index) const;
  void set_dead(int64_t node, bool dead) const;
  bool dead(int64_t node) const;

 private:
  wire_port* ports_ = nullptr;
  wire_dead* dead_ = nullptr;
};

}  // namespace cb::lab
