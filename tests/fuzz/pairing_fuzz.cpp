// SPDX-License-Identifier: Apache-2.0
//
// What a stranger may send to a node's pairing port: codes, frames, messages, conversations.
#include "tests/pairing/fuzz_one.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const bool ready = cb::pairing::crypto_ready().has_value();
  cb::pairing::test::require(ready);
  cb::pairing::test::fuzz_one({reinterpret_cast<const char*>(data), size});
  return 0;
}
