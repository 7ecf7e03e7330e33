// SPDX-License-Identifier: Apache-2.0
//
// cb_sim: runs seeds. The seed is always printed; `cb_sim --seed N -v` replays one with every
// transition.
//
//   cb_sim --seeds A..B           both included
//   cb_sim --seed N [-v]
//   cb_sim --planted NAME [--seeds A..B]   how many seeds until the judges see that bug
//   cb_sim --list                          names of the planted bugs
#include <algorithm>
#include <cstdio>
#include <string>

#include "tests/sim/options.h"
#include "tests/sim/world.h"
#include "tests/support/seeds.h"

using namespace cb::sim;
using cb::sim_support::Failure;
using cb::sim_support::Run;

int main(int argc, char** argv) {
  long long slowest = 0;
  cb::sim_support::Simulator sim;
  sim.name = "cb_sim";
  sim.seeds = 500;
  sim.bugs = kPlanted;
  sim.name_of = [](int bug) { return name_of(static_cast<Planted>(bug)); };
  sim.what_is = [](int bug) { return what_is(static_cast<Planted>(bug)); };
  sim.run = [&slowest](const Run& run) -> std::optional<Failure> {
    Options options = draw(run.seed);
    options.planted = static_cast<Planted>(run.planted);
    options.verbose = run.verbose;
    if (run.verbose) {
      std::printf("%s\n", options.text().c_str());
    }
    World world(options);
    const bool fine = world.run();
    slowest = std::max(slowest, static_cast<long long>(world.converged_after() / kMs));
    return fine ? std::nullopt : std::optional(Failure{options.text(), world.objection()});
  };
  sim.summary = [&slowest] {
    return "; slowest convergence after a heal " + std::to_string(slowest) + " ms";
  };
  return cb::sim_support::main_of(sim, argc, argv);
}
