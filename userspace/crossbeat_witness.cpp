// SPDX-License-Identifier: Apache-2.0
//
// crossbeat-witness: the third voice. Serves, or speaks to the one that serves.
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "crossbeat_version.h"
#include "witness/message.h"
#include "witness/server.h"

namespace {

using cb::witness::command_service;

constexpr std::size_t kLineMax = 400;

constexpr const char* kHelp =
    R"(Usage: crossbeat-witness [OPTION]... COMMAND

The third voice of pairs of appliances: it gives one right to one node, and remembers.
It watches nobody and decides nothing; a pair that sees each other does not need it.

Commands:
  run               serve (systemd does this)
  add [FILE]        enrol a pairing: the line that `crossbeat witness key` printed on one of
                    its nodes, from FILE or standard input:
                      crossbeat witness key | ssh WITNESS sudo crossbeat-witness add
  list              every pairing: who holds its address and its volume, who was heard
  status            counters
  forget PAIRING    remove a pairing. Enrolled again it is new: it gives nothing before both of
                    its nodes have been heard

Options:
  --listen ADDRESS[:PORT]   run: IPv4, IPv6 or [IPv6] (default [::]:7391, all addresses)
  --state FOLDER            run: what is remembered (default $STATE_DIRECTORY, or
                            /var/lib/crossbeat-witness)
  --control PATH            the operator's socket (default /run/crossbeat-witness/control)
  --json                    list, status: for programs
  --help, --version

Exit codes: 0 done, 1 failed, 2 wrong usage.
)";

int usage(const std::string& what) {
  std::fprintf(stderr, "crossbeat-witness: %s; see crossbeat-witness --help\n", what.c_str());
  return 2;
}

int failed(const cb::Error& error) {
  std::fprintf(stderr, "crossbeat-witness: %s\n", cb::to_text(error).c_str());
  return 1;
}

// "10.0.0.1", "10.0.0.1:7391", "fd00::1", "[fd00::1]:7391".
bool parse_listen(const std::string& text, cb::witness::ServerOptions& options) {
  std::string address = text;
  std::string port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string::npos || (end + 1 < text.size() && text[end + 1] != ':')) {
      return false;
    }
    address = text.substr(1, end - 1);
    port = end + 1 < text.size() ? text.substr(end + 2) : "";
  } else if (text.find(':') == text.rfind(':') && text.find(':') != std::string::npos) {
    address = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  if (!port.empty()) {
    const auto number = cb::parse_number(port, 65535);
    if (!number || *number == 0) {
      return false;
    }
    options.port = static_cast<std::uint16_t>(*number);
  }
  options.address = address;
  return cb::parse_ipv4(address).has_value() || cb::parse_ipv6(address).has_value();
}

int tell(const std::string& control, const std::string& command) {
  const auto reply = command_service(control, command);
  if (!reply) {
    return failed(reply.error());
  }
  const bool error = reply->starts_with("error: ");
  std::fprintf(error ? stderr : stdout, "%s%s", error ? "crossbeat-witness: " : "", reply->c_str());
  return error ? 1 : 0;
}

int add(const std::string& control, const std::vector<std::string>& words) {
  const bool from_file = words.size() > 1 && words[1] != "-";
  if (!from_file && ::isatty(STDIN_FILENO) != 0) {
    std::fprintf(stderr, "The line that `crossbeat witness key` printed, then Enter and Ctrl-D:\n");
  }
  auto line = from_file ? cb::read_all(words[1], kLineMax)
                        : cb::read_all(cb::Fd(::dup(STDIN_FILENO)), kLineMax);
  if (!line) {
    return failed(line.error());
  }
  return tell(control, "add " + std::string(cb::trim(*line)));
}

}  // namespace

int main(int argc, char** argv) {
  enum { kListen = 256, kState, kControl, kJson, kHelpOption, kVersionOption };
  const option long_options[] = {{"listen", required_argument, nullptr, kListen},
                                 {"state", required_argument, nullptr, kState},
                                 {"control", required_argument, nullptr, kControl},
                                 {"json", no_argument, nullptr, kJson},
                                 {"help", no_argument, nullptr, kHelpOption},
                                 {"version", no_argument, nullptr, kVersionOption},
                                 {nullptr, 0, nullptr, 0}};
  cb::witness::ServerOptions options;
  options.port = cb::witness::kPort;
  const char* state = std::getenv("STATE_DIRECTORY");
  options.state = state != nullptr ? state : "/var/lib/crossbeat-witness";
  options.control = "/run/crossbeat-witness/control";
  bool json = false;
  for (int got = 0; (got = getopt_long(argc, argv, "h", long_options, nullptr)) != -1;) {
    switch (got) {
      case kListen:
        if (!parse_listen(optarg, options)) {
          return usage("--listen " + std::string(optarg) + " is no ADDRESS[:PORT]");
        }
        break;
      case kState: options.state = optarg; break;
      case kControl: options.control = optarg; break;
      case kJson: json = true; break;
      case 'h':
      case kHelpOption: std::fputs(kHelp, stdout); return 0;
      case kVersionOption: std::puts("crossbeat-witness " CROSSBEAT_VERSION); return 0;
      default: return usage("unknown option");
    }
  }
  const std::vector<std::string> words(argv + optind, argv + argc);
  const std::string verb = words.empty() ? "" : words[0];
  const std::size_t most = verb == "add" || verb == "forget" ? 2 : 1;
  if (verb.empty() || words.size() > most) {
    return usage(verb.empty() ? "which command?" : "too many words");
  }
  if (verb == "run") {
    const auto served = cb::witness::serve(options);
    return served ? 0 : failed(served.error());
  }
  if (verb == "status" || verb == "list") {
    return tell(options.control, verb + (json ? " --json" : ""));
  }
  if (verb == "add") {
    return add(options.control, words);
  }
  if (verb == "forget") {
    return words.size() == 2 ? tell(options.control, "forget " + words[1])
                             : usage("forget which pairing?");
  }
  return usage("unknown command '" + verb + "'");
}
