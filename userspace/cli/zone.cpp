// SPDX-License-Identifier: Apache-2.0
#include "cli/zone.h"

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace cb::cli {

std::string zone_name(const std::string& root) {
  if (const char* zone = std::getenv("TZ"); root.empty() && zone != nullptr && *zone != '\0') {
    return *zone == ':' ? zone + 1 : zone;
  }
  std::error_code error;
  const std::string target = std::filesystem::read_symlink(root + "/etc/localtime", error).string();
  const std::string folder = "zoneinfo/";
  if (const auto at = target.rfind(folder); !error && at != std::string::npos) {
    return target.substr(at + folder.size());
  }
  const std::string text = read_all(root + "/etc/timezone", 4096).value_or("");
  const std::string name(trim(text));
  return name.empty() ? "UTC" : name;
}

}  // namespace cb::cli
