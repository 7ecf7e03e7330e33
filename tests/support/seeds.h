// SPDX-License-Identifier: Apache-2.0
//
// What the mains of all simulators do: run seeds, say which failed and how to replay it, and count
// how many it takes until the judges see a bug that was planted.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>

namespace cb::sim_support {

struct Run {
  std::uint64_t seed = 0;
  int planted = 0;  // 0: none
  bool verbose = false;
};

struct Failure {
  std::string options;    // what the seed switched on
  std::string objection;  // of the judges
};

struct Simulator {
  const char* name = "";        // of the program
  const char* more_usage = "";  // its own options
  std::uint64_t seeds = 1;      // by default 1..seeds
  int bugs = 1;                 // that can be planted, none of them included
  std::function<const char*(int bug)> name_of;
  std::function<const char*(int bug)> what_is;
  std::function<std::optional<Failure>(const Run&)> run;
  // True: it is one of its own options.
  std::function<bool(const std::string& option, Run& run)> takes = [](const auto&, auto&) {
    return false;
  };
  std::function<std::string()> replay_with = [] { return std::string(); };  // " --option"
  std::function<std::string()> summary = [] { return std::string(); };      // "; slowest ..."
};

inline int usage(const Simulator& sim) {
  std::fprintf(stderr,
               "usage: %s [--seed N] [--seeds A..B] [--planted NAME]%s [-v] [--list]\n"
               "  default: --seeds 1..%llu\n",
               sim.name, sim.more_usage, static_cast<unsigned long long>(sim.seeds));
  return 2;
}

inline std::optional<int> find_planted(const Simulator& sim, const std::string& name) {
  for (int bug = 0; bug < sim.bugs; ++bug) {
    if (name == sim.name_of(bug)) {
      return bug;
    }
  }
  return std::nullopt;
}

inline int run_seeds(const Simulator& sim, std::uint64_t first, std::uint64_t last, Run run) {
  int failed = 0;
  for (run.seed = first; run.seed <= last; ++run.seed) {
    const auto failure = sim.run(run);
    if (!failure) {
      continue;
    }
    ++failed;
    std::printf("FAILED %s\n  %s\n  replay: %s%s --seed %llu%s%s -v\n", failure->options.c_str(),
                failure->objection.c_str(), sim.name, sim.replay_with().c_str(),
                static_cast<unsigned long long>(run.seed), run.planted != 0 ? " --planted " : "",
                run.planted != 0 ? sim.name_of(run.planted) : "");
    if (run.planted != 0) {
      std::printf("planted bug '%s' seen after %llu seeds\n", sim.name_of(run.planted),
                  static_cast<unsigned long long>(run.seed - first + 1));
      return 0;
    }
  }
  std::printf("seeds %llu..%llu: %d failed%s\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(last), failed, sim.summary().c_str());
  return run.planted != 0 || failed > 0 ? 1 : 0;
}

inline int main_of(const Simulator& sim, int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::uint64_t first = 1;
  std::uint64_t last = sim.seeds;
  Run run;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (sim.takes(option, run)) {
      continue;
    }
    if (option == "-v") {
      run.verbose = true;
    } else if (option == "--list") {
      for (int bug = 1; bug < sim.bugs; ++bug) {
        std::printf("%-20s %s\n", sim.name_of(bug), sim.what_is(bug));
      }
      return 0;
    } else if (option == "--seed" && value != nullptr) {
      first = last = std::strtoull(value, nullptr, 10);
      ++i;
    } else if (option == "--seeds" && value != nullptr) {
      char* dots = nullptr;
      first = std::strtoull(value, &dots, 10);
      if (std::strncmp(dots, "..", 2) != 0) {
        return usage(sim);
      }
      last = std::strtoull(dots + 2, nullptr, 10);
      ++i;
    } else if (option == "--planted" && value != nullptr) {
      const auto bug = find_planted(sim, value);
      if (!bug) {
        std::fprintf(stderr, "%s: no planted bug is called '%s'; see --list\n", sim.name, value);
        return 2;
      }
      run.planted = *bug;
      ++i;
    } else {
      return usage(sim);
    }
  }
  return run_seeds(sim, first, last, run);
}

}  // namespace cb::sim_support
