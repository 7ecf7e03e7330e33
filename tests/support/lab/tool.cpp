// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/tool.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

namespace cb::lab {
namespace {

volatile std::sig_atomic_t stop = 0;

void on_stop(int) { stop = 1; }

}  // namespace

void fail(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, what.c_str());
  std::exit(1);
}

void fail_errno(const std::string& what) { fail(what + ": " + std::strerror(errno)); }

Options::Options(int argc, char** argv, std::string usage, std::set<std::string> valued,
                 std::set<std::string> flags)
    : usage_(std::move(usage)) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--help" || word == "-h") {
      std::fputs(usage_.c_str(), stdout);
      std::exit(0);
    }
    if (!word.starts_with("--")) {
      words_.push_back(std::move(word));
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (flags.contains(name)) {
      values_[name] = "yes";
    } else if (!valued.contains(name)) {
      usage_error("unknown option --" + name);
    } else if (equals != std::string::npos) {
      values_[name] = word.substr(equals + 1);
    } else if (i + 1 < argc) {
      values_[name] = argv[++i];
    } else {
      usage_error("--" + name + " needs a value");
    }
  }
}

void Options::usage_error(const std::string& what) const {
  std::fprintf(stderr, "%s: %s\n%s", program_invocation_short_name, what.c_str(), usage_.c_str());
  std::exit(2);
}

bool Options::has(const std::string& name) const { return values_.contains(name); }

std::string Options::text(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    usage_error("--" + name + " is missing");
  }
  return found->second;
}

std::string Options::text(const std::string& name, const std::string& otherwise) const {
  return has(name) ? text(name) : otherwise;
}

int64_t Options::number(const std::string& name) const {
  return to_number(text(name), "--" + name);
}

int64_t Options::number(const std::string& name, int64_t otherwise) const {
  return has(name) ? number(name) : otherwise;
}

std::vector<std::string> Options::list(const std::string& name) const {
  return has(name) ? split(text(name), ',') : std::vector<std::string>{};
}

int64_t to_number(const std::string& text, const std::string& what) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    fail(what + ": '" + text + "' is not a number");
  }
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size()) {
    size_t end = text.find(separator, begin);
    if (end == std::string::npos) {
      end = text.size();
    }
    if (end > begin) {
      parts.push_back(text.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return parts;
}

int64_t boottime_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

void enter_netns(const std::string& path) {
  const Fd netns(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) {
    fail_errno("open the network namespace " + path);
  }
  if (setns(netns.get(), CLONE_NEWNET) != 0) {
    fail_errno("enter the network namespace " + path);
  }
}

std::string become_realtime(int priority) {
  mlockall(MCL_CURRENT | MCL_FUTURE);  // ignored: a page fault costs microseconds, not the result
  sched_param param{};
  param.sched_priority = priority;
  return sched_setscheduler(0, SCHED_FIFO, &param) == 0 ? "fifo" : "normal";
}

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() { return stop != 0; }

std::string mac_text(const uint8_t* mac) {
  char text[18];
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                mac[4], mac[5]);
  return text;
}

}  // namespace cb::lab
