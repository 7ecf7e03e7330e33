// SPDX-License-Identifier: Apache-2.0
//
// cb_sim_volume: runs seeds. The seed is always printed with a failure.
//
//   cb_sim_volume --seeds A..B             both included
//   cb_sim_volume --seed N [-v|-vv]   -vv: with every message
//   cb_sim_volume --planted NAME [--seeds A..B]   how many seeds until the judges see that bug
//   cb_sim_volume --list                   names of the planted bugs
#include <cstdio>
#include <string>

#include "tests/sim_volume/world.h"
#include "tests/support/seeds.h"

using namespace cb::sim_volume;
using cb::sim_support::Failure;
using cb::sim_support::Run;

int main(int argc, char** argv) {
  bool trace = false;
  bool forsake = false;
  cb::sim_support::Simulator sim;
  sim.name = "cb_sim_volume";
  sim.more_usage = " [--forsake] [-vv]";
  sim.seeds = 100;
  sim.bugs = kPlanted;
  sim.name_of = [](int bug) { return name_of(static_cast<Planted>(bug)); };
  sim.what_is = [](int bug) { return what_is(static_cast<Planted>(bug)); };
  sim.takes = [&](const std::string& option, Run& run) {
    if (option == "--forsake") {
      forsake = true;
      return true;
    }
    if (option == "-vv") {
      run.verbose = trace = true;
      return true;
    }
    return false;
  };
  sim.replay_with = [&] { return std::string(forsake ? " --forsake" : ""); };
  sim.run = [&](const Run& run) -> std::optional<Failure> {
    const auto planted = static_cast<Planted>(run.planted);
    Options options = forsake ? forsaken(draw(run.seed, planted)) : draw(run.seed, planted);
    options.verbose = run.verbose;
    options.trace = trace;
    if (run.verbose) {
      std::printf("%s\n", options.text().c_str());
    }
    World world(options);
    return world.run() ? std::nullopt : std::optional(Failure{options.text(), world.objection()});
  };
  return cb::sim_support::main_of(sim, argc, argv);
}
