// SPDX-License-Identifier: Apache-2.0
//
// crossbeat: the command line. Thin; everything else is in userspace/cli/.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "cli/run.h"

int main(int argc, char** argv) {
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  const char* kind = std::getenv("TERM");
  const bool dumb = kind == nullptr || std::strcmp(kind, "dumb") == 0;
  return cb::cli::run(argc, argv,
                      {.out = std::cout,
                       .err = std::cerr,
                       .in = std::cin,
                       .colour = terminal && !dumb && std::getenv("NO_COLOR") == nullptr,
                       .out_is_terminal = terminal,
                       .in_is_terminal = isatty(STDIN_FILENO) == 1});
}
