// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cstring>

namespace cb {

std::string to_text(const Error& error) {
  if (error.code == 0) {
    return error.what;
  }
  const char* meaning = ::strerrordesc_np(error.code);
  const std::string reason =
      meaning != nullptr ? std::string(meaning) : "error " + std::to_string(error.code);
  return error.what.empty() ? reason : error.what + ": " + reason;
}

}  // namespace cb
