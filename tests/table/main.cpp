// SPDX-License-Identifier: Apache-2.0
//
// cb_table             prints the whole table: tests/table/state_table.md
// cb_table --into FILE puts the condensed one between the markers of FILE: docs/state-machine.md
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/table/table.h"

namespace {

int put_into(const char* path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  const std::string renewed = cb::table::with_table(text.str(), cb::table::condensed_table());
  if (!in || renewed.empty()) {
    std::fprintf(stderr,
                 "cb_table: %s cannot be read, or lacks the lines BEGIN and END state x event\n",
                 path);
    return 1;
  }
  in.close();
  std::ofstream out(path, std::ios::trunc);
  out << renewed << std::flush;
  if (!out) {
    std::fprintf(stderr, "cb_table: %s cannot be written\n", path);
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--into") == 0) {
    return put_into(argv[2]);
  }
  if (argc != 1) {
    std::fprintf(stderr, "usage: cb_table [--into FILE]\n");
    return 2;
  }
  std::fputs(cb::table::full_table().c_str(), stdout);
  return 0;
}
