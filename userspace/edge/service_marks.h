// SPDX-License-Identifier: Apache-2.0
//
// What lets a restarted monitor take running services over: one small file a service under
// <root>/run/crossbeat/services/<instance>/, with the boot it is of and the service's process.
// These calls block.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "drivers/service/service.h"

namespace cb::edge {

class ServiceMarks {
 public:
  ServiceMarks(const std::string& root, const std::string& instance);

  int put(const std::string& service, const service::Process& process) const;  // 0 or errno
  int remove(const std::string& service) const;
  // Those of this boot, by service.
  std::map<std::string, service::Process> read(const std::vector<std::string>& services) const;

 private:
  std::string path_of(const std::string& service) const;
  std::string folder_;
};

// A name of a service or instance as the name of a file.
std::string file_name_of(const std::string& name);

}  // namespace cb::edge
