// SPDX-License-Identifier: Apache-2.0
//
// The machine that the configurations of these tests are for.
#pragma once

#include "config/address.h"
#include "config/config.h"

namespace cb::config::test {

inline Prefix prefix(std::string_view text) { return parse_prefix(text).value(); }
inline Address address(std::string_view text) { return parse_address(text).value(); }

inline MachineFacts machine() {
  MachineFacts facts;
  facts.host_name = "mse1";
  facts.machine_id = "666f2046569911e1b1b10050568901d9";
  facts.interfaces = {
      {.name = "lo",
       .up = true,
       .carrier = true,
       .addresses = {prefix("127.0.0.1/8"), prefix("::1/128")},
       .labels = {"lo", "lo"}},
      {.name = "eth0",
       .up = true,
       .carrier = true,
       .addresses = {prefix("10.10.10.12/24"), prefix("fd00::12/64"), prefix("fe80::1/64")},
       .labels = {"eth0", "eth0", "eth0"}},
      {.name = "eth1",
       .up = true,
       .carrier = true,
       .addresses = {prefix("1.1.1.1/24")},
       .labels = {"eth1"}},
      {.name = "eth2", .up = true, .carrier = false, .addresses = {}, .labels = {}},
  };
  facts.default_gateway = address("10.10.10.1");
  return facts;
}

}  // namespace cb::config::test
