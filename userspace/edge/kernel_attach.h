// SPDX-License-Identifier: Apache-2.0
//
// Attaching programs: XDP by a pinned link, tc by filters of fixed places, the exit mark by a
// pinned link. Each function may be repeated, replaces an earlier attachment of ours without a gap,
// and leaves those of others alone. Part of the kernel edge; it knows no map.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"

namespace cb::edge {

struct Interface {
  std::string name;
  int index = 0;
  bool ethernet = false;
  Mac mac;
};
Result<Interface> find_interface(const std::string& name, const std::string& purpose);

// The name of the driver, as `ethtool -i` shows it; empty where it does not say.
std::string driver_of(const std::string& interface);

struct ProgramName {
  uint32_t id = 0;
  std::string name;
};
ProgramName name_of_program(uint32_t id);

// ---- XDP

struct XdpNow {
  uint32_t program = 0;  // 0: none
  bool generic = false;
};
Result<XdpNow> read_xdp(const Interface& interface);

// A link pinned by us, and where it is attached; interface 0: nowhere any more.
struct XdpLink {
  Fd fd;
  int interface = 0;
  uint32_t program = 0;
};
Result<XdpLink> open_xdp_link(const std::string& pin);

// Detaches at once, whoever else holds the link.
Result<> close_xdp_link(XdpLink& link, const std::string& pin);

// ---- tc

enum class Filter : uint8_t { Network, GuardIn, GuardOut, Direct };
// Those of the service interface.
inline constexpr std::array kFilters = {Filter::Network, Filter::GuardIn, Filter::GuardOut};
const char* program_of(Filter filter) noexcept;  // the program's name

// Is a program of this filter's name in its place?
bool has_filter(int interface, Filter filter);
// Returns whether it is new there, that is, did not replace one of ours.
Result<bool> attach_filter(const Interface& interface, Filter filter, int program);
// Success when there is none of ours.
Result<> detach_filter(int interface, Filter filter);
// After the last filter is gone: the clsact qdisc too, unless others have filters there.
Result<> remove_empty_clsact(int interface);
// Other interfaces of this network namespace that still carry one of these filters of ours.
std::vector<int> interfaces_with_filters(int except, std::span<const Filter> filters);

// ---- the exit mark

Result<> attach_exit_mark(int program, const std::string& pin);

}  // namespace cb::edge
