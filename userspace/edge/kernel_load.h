// SPDX-License-Identifier: Apache-2.0
//
// Loading one program's skeleton. For kernel.cpp and kernel_direct.cpp only.
#pragma once

#include <cstring>
#include <string>

#include "edge/kernel_parts.h"

namespace cb::edge {

inline constexpr const char* kDirectLink = "link_direct";

inline Error refused(int code, const char* what, const std::string& release) {
  const std::string why = libbpf_said();
  return explain(code, std::string("load the eBPF program ") + what + " into kernel " + release +
                           (why.empty() ? "" : " (" + why + ")") +
                           "; Crossbeat needs Linux 5.15 or newer with eBPF, XDP and clsact");
}

inline bpf_object_open_opts pinned_under(const std::string& folder) {
  bpf_object_open_opts options;
  std::memset(&options, 0, sizeof options);
  options.sz = sizeof options;
  options.pin_root_path = folder.c_str();
  return options;
}

// prepare(skeleton) sets what must be set before the kernel sees the program.
template <class Smart, class Skeleton, class Prepare>
Result<Smart> load(Skeleton* (*open)(const bpf_object_open_opts*), int (*load)(Skeleton*),
                   const char* what, const KernelFacts& facts, Prepare prepare) {
  forget_libbpf();
  const auto options = pinned_under(facts.pin_directory);
  Smart skeleton(open(&options));
  if (!skeleton) {
    return refused(errno, what, facts.release);
  }
  prepare(*skeleton);
  if (const int error = load(skeleton.get()); error != 0) {
    return refused(-error, what, facts.release);
  }
  return skeleton;
}

template <class Smart, class Skeleton>
Result<Smart> load(Skeleton* (*open)(const bpf_object_open_opts*), int (*load)(Skeleton*),
                   const char* what, const KernelFacts& facts) {
  return edge::load<Smart>(open, load, what, facts, [](Skeleton&) {});
}

}  // namespace cb::edge
