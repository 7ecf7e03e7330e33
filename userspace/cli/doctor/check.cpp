// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor/check.h"

#include <algorithm>

#include "base/check.h"

namespace cb::cli::doctor {

const char* name_of(Severity severity) {
  switch (severity) {
    case Severity::Fine: return "fine";
    case Severity::Skipped: return "skipped";
    case Severity::Note: return "note";
    case Severity::Warning: return "warning";
    case Severity::Problem: return "problem";
  }
  return "?";
}

Severity worst_of(const std::vector<Finding>& findings) {
  Severity worst = Severity::Fine;
  for (const Finding& finding : findings) {
    worst = std::max(worst, finding.severity);
  }
  return worst;
}

const std::vector<Check>& checks() {
  static const std::vector<Check> list = {{"configuration", check_configuration},
                                          {"monitor", check_monitor},
                                          {"start", check_start},
                                          {"pairing", check_pairing},
                                          {"both active", check_both_active},
                                          {"synchronization", check_synchronization},
                                          {"links", check_links},
                                          {"version", check_version},
                                          {"platform", check_platform},
                                          {"services", check_services},
                                          {"automatic", check_automatic},
                                          {"frames", check_frames},
                                          {"gateway", check_gateway},
                                          {"witness", check_witness},
                                          {"interfaces", check_interfaces},
                                          {"mtu", check_mtu},
                                          {"offloads", check_offloads},
                                          {"xdp", check_xdp},
                                          {"network manager", check_network_manager},
                                          {"left-over address", check_left_over_address},
                                          {"kernel", check_kernel},
                                          {"clock", check_clock},
                                          {"real time", check_real_time},
                                          {"volume memory", check_volume_memory},
                                          {"swap", check_swap},
                                          {"disk", check_disk},
                                          {"resources", check_resources},
                                          {"governor", check_governor}};
  return list;
}

std::vector<Finding> examine(const Probe& probe) {
  Report report;
  for (const Check& check : checks()) {
    const std::size_t before = report.size();
    report.begin(check.id);
    check.look(probe, report);
    CB_CHECK_MSG(report.size() > before, "a check of doctor said nothing");
  }
  return report.findings();
}

}  // namespace cb::cli::doctor
