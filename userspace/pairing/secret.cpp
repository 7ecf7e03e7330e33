// SPDX-License-Identifier: Apache-2.0
#include "pairing/secret.h"

namespace cb::pairing {

Result<> crypto_ready() {
  if (sodium_init() < 0) {
    return fail(0, "start libsodium: the system gives no random numbers");
  }
  return {};
}

}  // namespace cb::pairing
