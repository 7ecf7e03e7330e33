// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as crossbeat.toml and as a pairing's file: a clear answer, and what is accepted is
// written and read back as it was.
#include <cstdlib>
#include <string_view>

#include "config/config.h"
#include "tests/config/machine.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace cb::config;
  static const MachineFacts machine = test::machine();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto node = parse_node(text, "fuzz.toml", machine);
  if (node.ok() && node.value.hm_address == Address{}) {
    abort();
  }
  const auto pair = parse_pair(text, "pair.toml");
  if (pair.ok()) {
    const auto again = parse_pair(pair_to_toml(pair.value), "pair.toml");
    if (!again.ok()) {
      abort();
    }
  }
  return 0;
}
