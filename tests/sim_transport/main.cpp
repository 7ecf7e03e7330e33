// SPDX-License-Identifier: Apache-2.0
//
// cb_sim_transport: runs seeds. The seed is always printed with a failure.
//
//   cb_sim_transport --seeds A..B             both included
//   cb_sim_transport --seed N [-v]
//   cb_sim_transport --planted NAME [--seeds A..B]   how many seeds until the judges see that bug
//   cb_sim_transport --list                   names of the planted bugs
#include <cstdio>

#include "tests/sim_transport/world.h"
#include "tests/support/seeds.h"

using namespace cb::sim_transport;
using cb::sim_support::Failure;
using cb::sim_support::Run;

int main(int argc, char** argv) {
  cb::sim_support::Simulator sim;
  sim.name = "cb_sim_transport";
  sim.seeds = 100;
  sim.bugs = kPlanted;
  sim.name_of = [](int bug) { return name_of(static_cast<Planted>(bug)); };
  sim.what_is = [](int bug) { return what_is(static_cast<Planted>(bug)); };
  sim.run = [](const Run& run) -> std::optional<Failure> {
    Options options = draw(run.seed, static_cast<Planted>(run.planted));
    options.verbose = run.verbose;
    if (run.verbose) {
      std::printf("%s\n", options.text().c_str());
    }
    World world(options);
    return world.run() ? std::nullopt : std::optional(Failure{options.text(), world.objection()});
  };
  return cb::sim_support::main_of(sim, argc, argv);
}
