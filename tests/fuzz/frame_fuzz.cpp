// SPDX-License-Identifier: Apache-2.0
//
// What a stranger may put on the cable: the eBPF programs' parser and body, natively.
#include "tests/frame/fuzz_one.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  cb::test::fuzz_one(data, size);
  return 0;
}
