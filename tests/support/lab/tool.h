// SPDX-License-Identifier: Apache-2.0
//
// What the lab's small programs share: options, failure, clocks, namespaces, priority. They are
// tools of one task each, run by scripts: the first thing that goes wrong ends them with one line
// that says so.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"

namespace cb::lab {

// Ends the program with status 1; fail_errno adds the system's reason.
[[noreturn]] void fail(const std::string& what);
[[noreturn]] void fail_errno(const std::string& what);

// "--name value", "--name=value", "--flag" and positional words. Names not listed are refused, so
// that a misspelt option does not silently mean nothing; --help prints the usage and ends with 0.
class Options {
 public:
  Options(int argc, char** argv, std::string usage, std::set<std::string> valued,
          std::set<std::string> flags = {});

  bool has(const std::string& name) const;
  std::string text(const std::string& name) const;  // fails when absent
  std::string text(const std::string& name, const std::string& otherwise) const;
  int64_t number(const std::string& name) const;
  int64_t number(const std::string& name, int64_t otherwise) const;
  std::vector<std::string> list(const std::string& name) const;  // separated by commas
  const std::vector<std::string>& words() const { return words_; }
  [[noreturn]] void usage_error(const std::string& what) const;

 private:
  std::string usage_;
  std::map<std::string, std::string> values_;
  std::vector<std::string> words_;
};

int64_t to_number(const std::string& text, const std::string& what);
std::vector<std::string> split(const std::string& text, char separator);

int64_t boottime_ns();

// Moves this thread into a network namespace, named by its file (/run/netns/NAME).
void enter_netns(const std::string& path);

// SCHED_FIFO and memory locked, as far as it is granted; answers what was got: "fifo" or "normal".
std::string become_realtime(int priority);

// SIGINT and SIGTERM end a loop in place of the program.
void stop_on_signals();
bool stop_requested();

// "02:cb:00:00:00:0a" and back.
std::string mac_text(const uint8_t* mac);

}  // namespace cb::lab
