// SPDX-License-Identifier: Apache-2.0
//
// Two nodes that may be paired, and texts for their addresses.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/text.h"
#include "pairing/identity.h"

namespace cb::pairing::test {

inline config::Address address(std::string_view text) {
  config::Address result;
  if (const auto v4 = parse_ipv4(text)) {
    result.bytes[10] = result.bytes[11] = 0xff;
    std::copy(v4->bytes.begin(), v4->bytes.end(), result.bytes.begin() + 12);
  } else {
    const auto v6 = parse_ipv6(text);
    EXPECT_TRUE(v6) << text;
    result.bytes = v6 ? v6->bytes : result.bytes;
  }
  return result;
}

inline config::Prefix prefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto length = parse_number(text.substr(slash + 1), 128);
  EXPECT_TRUE(slash != std::string_view::npos && length) << text;
  return {address(text.substr(0, slash)), static_cast<int>(length.value_or(0))};
}

inline LocalIdentity primary_node() {
  LocalIdentity node;
  node.role = core::Role::Primary;
  node.name = "mse1";
  node.version = "0.1.0";
  node.udi = "AIR-MSE-VA-K9:V01:mse1_1234";
  node.hm_address = address("10.66.0.1");
  node.networks = {prefix("10.66.0.1/24")};
  node.virtual_addresses = {prefix("10.66.0.11/24")};
  node.direct = true;
  node.automatic_failover = true;
  node.automatic_failback = false;
  node.failover_wait = Duration::from_s(7);
  node.instance_number = 5;
  return node;
}

inline LocalIdentity secondary_node() {
  LocalIdentity node;
  node.role = core::Role::Secondary;
  node.name = "mse2";
  node.version = "0.1.0";
  node.udi = "AIR-MSE-VA-K9:V01:mse2_5678";
  node.hm_address = address("10.66.0.2");
  node.networks = {prefix("10.66.0.2/24")};
  node.direct = true;
  node.failover_wait = Duration::from_s(10);
  return node;
}

// A pairing of a secondary with some other primary.
inline config::Pair other_pair(int number) {
  config::Pair pair;
  pair.id = 1000u + static_cast<unsigned>(number);
  pair.self_role = core::Role::Secondary;
  pair.primary_hm = address("10.66.0." + std::to_string(100 + number));
  pair.secondary_hm = address("10.66.0.2");
  pair.virtual_addresses = {prefix("10.66.0." + std::to_string(150 + number) + "/24")};
  pair.key[0] = static_cast<std::uint8_t>(number + 1);
  return pair;
}

}  // namespace cb::pairing::test
