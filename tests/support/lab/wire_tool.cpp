// SPDX-License-Identifier: Apache-2.0
//
// cb_wire: puts the lab's wires up and sets what they lose.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <nlohmann/json.hpp>

#include <cstdio>

#include "tests/support/lab/tool.h"
#include "tests/support/lab/wire_map.h"
#include "wire.skel.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage = R"(cb_wire: the wires of the lab

  cb_wire load DIR                        load the programs, pin them and their maps in DIR (a bpffs)
  cb_wire attach DIR IFACE [--node N] [--forward-to INDEX] [--pass-only]
                                          make IFACE, in the current network namespace, the end of a wire
                                          of node N; what comes in leaves by the interface INDEX
                                          (default: the bridge forwards). --pass-only: no wire, only
                                          what an XDP program on the other end needs
  cb_wire lose DIR INDEX in|out|both PPM  lose frames at random; 1000000: cut. "in": out of the node
  cb_wire dead DIR NODE on|off            silence all ports of a node at once
  cb_wire show DIR                        all ports and their counters, as JSON
)";

void load(const std::string& directory) {
  wire_bpf* wires = wire_bpf__open_and_load();
  if (wires == nullptr) {
    fail_errno("load the wires' programs");
  }
  for (const auto& [program, name] :
       {std::pair{wires->progs.wire_in, "wire_in"}, std::pair{wires->progs.wire_out, "wire_out"},
        std::pair{wires->progs.wire_pass, "wire_pass"}}) {
    if (bpf_program__pin(program, (directory + "/" + name).c_str()) != 0) {
      fail_errno("pin " + directory + "/" + name);
    }
  }
  for (const auto& [map, name] : {std::pair{wires->maps.wire_ports, kWirePorts},
                                  std::pair{wires->maps.wire_dead, kWireDead}}) {
    if (bpf_map__pin(map, (directory + "/" + name).c_str()) != 0) {
      fail_errno("pin " + directory + "/" + name);
    }
  }
  wire_bpf__destroy(wires);
}

Fd pinned_program(const std::string& directory, const char* name) {
  Fd program(bpf_obj_get((directory + "/" + name).c_str()));
  if (!program) {
    fail_errno("open " + directory + "/" + name + " (is the lab up?)");
  }
  return program;
}

void attach_tc(unsigned index, bpf_tc_attach_point point, const Fd& program) {
  libbpf_set_print(nullptr);  // it complains about a clsact that is there already
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(index), .attach_point = point);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program.get(), .flags = BPF_TC_F_REPLACE,
              .handle = 1, .priority = 1);
  if (const int error = bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST) {
    errno = -error;
    fail_errno("create clsact");
  }
  if (const int error = bpf_tc_attach(&hook, &options); error != 0) {
    errno = -error;
    fail_errno("attach the wire's tc program");
  }
}

void attach(const Options& options, const std::string& directory, const std::string& interface) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) {
    fail_errno("interface " + interface);
  }
  const Fd pass = pinned_program(directory, "wire_pass");
  if (options.has("forward-to") || options.has("pass-only")) {
    const int error =
        bpf_xdp_attach(static_cast<int>(index), pass.get(), XDP_FLAGS_DRV_MODE, nullptr);
    if (error != 0) {
      errno = -error;
      fail_errno("attach XDP to " + interface);
    }
  }
  if (options.has("pass-only")) {
    return;
  }
  const WireMap wires(directory);
  volatile wire_port& port = wires.port(index);
  port.lost_ppm[WIRE_IN] = 0;
  port.lost_ppm[WIRE_OUT] = 0;
  port.node = static_cast<uint32_t>(options.number("node", 0));
  port.forward_to = static_cast<uint32_t>(options.number("forward-to", 0));
  attach_tc(index, BPF_TC_INGRESS, pinned_program(directory, "wire_in"));
  attach_tc(index, BPF_TC_EGRESS, pinned_program(directory, "wire_out"));
}

void lose(const std::string& directory, int64_t index, const std::string& direction, int64_t ppm) {
  if (ppm < 0 || ppm > WIRE_CUT) {
    fail("a loss is between 0 and 1000000 per million");
  }
  const WireMap wires(directory);
  if (direction != "in" && direction != "out" && direction != "both") {
    fail("the direction is in, out or both, not '" + direction + "'");
  }
  if (direction != "out") {
    wires.port(index).lost_ppm[WIRE_IN] = static_cast<uint32_t>(ppm);
  }
  if (direction != "in") {
    wires.port(index).lost_ppm[WIRE_OUT] = static_cast<uint32_t>(ppm);
  }
}

nlohmann::json port_json(int index, const volatile wire_port& port) {
  const auto side = [&](wire_direction d) {
    return nlohmann::json{{"lost_ppm", uint32_t{port.lost_ppm[d]}},
                          {"passed", uint64_t{port.passed[d]}},
                          {"dropped", uint64_t{port.dropped[d]}}};
  };
  return {{"index", index},
          {"node", uint32_t{port.node}},
          {"forward_to", uint32_t{port.forward_to}},
          {"in", side(WIRE_IN)},
          {"out", side(WIRE_OUT)}};
}

void show(const std::string& directory) {
  const WireMap wires(directory);
  nlohmann::json out{{"ports", nlohmann::json::array()}, {"dead", nlohmann::json::array()}};
  for (int index = 1; index < WIRE_PORTS; ++index) {
    const volatile wire_port& port = wires.port(index);
    if (port.node != 0 || port.passed[WIRE_IN] + port.passed[WIRE_OUT] != 0) {
      out["ports"].push_back(port_json(index, port));
    }
  }
  for (int node = 1; node < WIRE_NODES; ++node) {
    if (wires.dead(node)) {
      out["dead"].push_back(node);
    }
  }
  std::puts(out.dump().c_str());
}

void run(const Options& options) {
  const auto& words = options.words();
  const std::string verb = words.empty() ? "" : words[0];
  if (verb == "load" && words.size() == 2) {
    load(words[1]);
  } else if (verb == "attach" && words.size() == 3) {
    attach(options, words[1], words[2]);
  } else if (verb == "lose" && words.size() == 5) {
    lose(words[1], to_number(words[2], "INDEX"), words[3], to_number(words[4], "PPM"));
  } else if (verb == "dead" && words.size() == 4 && (words[3] == "on" || words[3] == "off")) {
    WireMap(words[1]).set_dead(to_number(words[2], "NODE"), words[3] == "on");
  } else if (verb == "show" && words.size() == 2) {
    show(words[1]);
  } else {
    options.usage_error("what is to be done?");
  }
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(
      cb::lab::Options(argc, argv, cb::lab::kUsage, {"node", "forward-to"}, {"pass-only"}));
  return 0;
}
