// SPDX-License-Identifier: Apache-2.0
//
// cb_sim_volume: runs seeds. The seed is always printed with a failure.
//
//   cb_sim_volume --seeds A..B             both included
//   cb_sim_volume --seed N [-v|-vv]   -vv: with every message
//   cb_sim_volume --planted NAME [--seeds A..B]   how many seeds until the judges see that bug
//   cb_sim_volume --list                   names of the planted bugs
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim_volume/world.h"

namespace {

using namespace cb::sim_volume;

int usage() {
  std::fputs(
      "usage: cb_sim_volume [--seed N] [--seeds A..B] [--planted NAME] [--forsake] [-v]\n"
      "                     [--list]\n"
      "  default: --seeds 1..100\n",
      stderr);
  return 2;
}

bool find_planted(const std::string& name, Planted& out) {
  for (int i = 0; i < kPlanted; ++i) {
    if (name == name_of(static_cast<Planted>(i))) {
      out = static_cast<Planted>(i);
      return true;
    }
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  uint64_t first = 1;
  uint64_t last = 100;
  Planted planted = Planted::None;
  bool verbose = false;
  bool trace = false;
  bool forsake = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (arg == "-v" || arg == "-vv") {
      verbose = true;
      trace = arg == "-vv";
    } else if (arg == "--list") {
      for (int bug = 1; bug < kPlanted; ++bug) {
        std::printf("%-20s %s\n", name_of(static_cast<Planted>(bug)),
                    what_is(static_cast<Planted>(bug)));
      }
      return 0;
    } else if (arg == "--forsake") {
      forsake = true;
    } else if (arg == "--seed" && value != nullptr) {
      first = last = std::strtoull(value, nullptr, 10);
      ++i;
    } else if (arg == "--seeds" && value != nullptr) {
      char* dots = nullptr;
      first = std::strtoull(value, &dots, 10);
      if (std::strncmp(dots, "..", 2) != 0) {
        return usage();
      }
      last = std::strtoull(dots + 2, nullptr, 10);
      ++i;
    } else if (arg == "--planted" && value != nullptr) {
      if (!find_planted(value, planted)) {
        std::fprintf(stderr, "cb_sim_volume: no planted bug is called '%s'; see --list\n", value);
        return 2;
      }
      ++i;
    } else {
      return usage();
    }
  }
  int failed = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    Options options = forsake ? forsaken(draw(seed, planted)) : draw(seed, planted);
    options.verbose = verbose;
    options.trace = trace;
    if (verbose) {
      std::printf("%s\n", options.text().c_str());
    }
    World world(options);
    if (world.run()) {
      continue;
    }
    ++failed;
    std::printf("FAILED %s\n  %s\n  replay: cb_sim_volume%s --seed %llu%s%s -v\n",
                options.text().c_str(), world.objection().c_str(), forsake ? " --forsake" : "",
                static_cast<unsigned long long>(seed),
                planted != Planted::None ? " --planted " : "",
                planted != Planted::None ? name_of(planted) : "");
    if (planted != Planted::None) {
      std::printf("planted bug '%s' seen after %llu seeds\n", name_of(planted),
                  static_cast<unsigned long long>(seed - first + 1));
      return 0;
    }
  }
  std::printf("seeds %llu..%llu: %d failed\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(last), failed);
  return planted != Planted::None || failed > 0 ? 1 : 0;
}
