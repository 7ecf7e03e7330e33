// SPDX-License-Identifier: Apache-2.0
//
// crossbeatd: options -> configuration -> Agent::run(). Thin; everything else is in
// userspace/agent/.
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "agent/agent.h"
#include "agent/exit_code.h"
#include "base/log.h"
#include "config/config.h"
#include "crossbeat_version.h"

namespace {

constexpr char kHelp[] =
    R"(crossbeatd - the health monitor of a Crossbeat node

Usage: crossbeatd [--root DIR] [--check]

  --root DIR   all paths below DIR in place of / (also: CROSSBEAT_ROOT). Two nodes on one host differ
               only in this and in their network namespace.
  --check      read the configuration and the pairings, print every problem, start nothing
  --version    print the version
  --help       this text

The monitor stays in the foreground and is started by systemd: systemctl start crossbeat.
Signals: TERM and INT stop it gracefully (the peer is told); HUP restarts the log file.

Exit codes: 0 stopped as asked, 1 failed, 2 wrong option, 6 the configuration has errors, 7 needs privileges.

Examples:
  crossbeatd --check
  crossbeatd --root /run/crossbeat-lab/demo/a
)";

// Everything that real-time work must not meet later: big thread stacks locked in memory, a second
// malloc arena, memory given back and faulted in again.
void tame_memory() {
  pthread_attr_t small;
  if (pthread_attr_init(&small) == 0) {
    (void)pthread_attr_setstacksize(&small, 256 * 1024);  // ignored: the default only costs memory
    (void)pthread_setattr_default_np(&small);
    (void)pthread_attr_destroy(&small);
  }
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_MMAP_MAX, 0);
}

bool report(const std::vector<cb::config::Problem>& problems) {
  bool ok = true;
  for (const auto& problem : problems) {
    fprintf(stderr, "%s\n", problem.text().c_str());
    ok = ok && problem.warning;
  }
  return ok;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace cb;
  tame_memory();
  (void)prctl(PR_SET_DUMPABLE, 0);  // keys never reach a core dump

  agent::Options options;
  if (const char* root = getenv("CROSSBEAT_ROOT"); root != nullptr) {
    options.root = root;
  }
  bool check_only = false;
  static const option kOptions[] = {{"root", required_argument, nullptr, 'r'},
                                    {"check", no_argument, nullptr, 'c'},
                                    {"version", no_argument, nullptr, 'v'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {nullptr, 0, nullptr, 0}};
  for (int c = 0; (c = getopt_long(argc, argv, "r:h", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'r': options.root = optarg; break;
      case 'c': check_only = true; break;
      case 'v': puts("crossbeatd " CROSSBEAT_VERSION); return agent::kExitDone;
      case 'h': fputs(kHelp, stdout); return agent::kExitDone;
      default: fprintf(stderr, "Try: crossbeatd --help\n"); return agent::kExitUsage;
    }
  }
  if (optind < argc) {
    fprintf(stderr, "crossbeatd: unexpected argument '%s'. Try: crossbeatd --help\n", argv[optind]);
    return agent::kExitUsage;
  }
  while (options.root.size() > 1 && options.root.back() == '/') {
    options.root.pop_back();
  }
  if (options.root == "/") {
    options.root.clear();
  }

  auto machine = config::read_machine_facts();
  if (!machine) {
    fprintf(stderr, "crossbeatd: %s\n", to_text(machine.error()).c_str());
    return agent::kExitFailed;
  }
  auto node = config::load_node(options.root, *machine);
  auto pairs = config::load_pairs(options.root);
  const bool node_ok = report(node.problems);
  const bool pairs_ok = report(pairs.problems);
  if (!node_ok || !pairs_ok) {
    fprintf(
        stderr,
        "crossbeatd: nothing was started. Correct the lines above, then: crossbeat config check\n");
    return agent::kExitConfig;
  }
  if (check_only) {
    puts("The configuration is in order.");
    return agent::kExitDone;
  }
  if (geteuid() != 0) {
    fprintf(stderr,
            "crossbeatd: loading eBPF programs and moving addresses needs root. Start it with: "
            "sudo systemctl start crossbeat\n");
    return agent::kExitPrivileges;
  }
  return agent::run(options, std::move(node.value), std::move(pairs.value));
}
