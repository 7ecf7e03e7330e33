// SPDX-License-Identifier: Apache-2.0
//
// cb_echo: the user-space answer to a heartbeat, for comparison: a UDP echo as simple as it can be.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>

#include "tests/support/lab/frame.h"
#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage = R"(cb_echo ADDRESS PORT [--fifo]: answer every datagram with itself

Blocks in recvfrom, as an ordinary server does. --fifo: with real-time priority and locked memory.
Prints one line when it listens; runs until it is killed.
)";

void run(const Options& options) {
  if (options.words().size() != 2) {
    options.usage_error("ADDRESS and PORT are needed");
  }
  const Fd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(static_cast<uint16_t>(to_number(options.words()[1], "PORT")));
  here.sin_addr.s_addr = ipv4(options.words()[0]);
  if (bind(udp.get(), reinterpret_cast<const sockaddr*>(&here), sizeof(here)) != 0) {
    fail_errno("listen on " + options.words()[0]);
  }
  const std::string scheduling = options.has("fifo") ? become_realtime(50) : "normal";
  std::printf("{\"ready\":true,\"scheduling\":\"%s\"}\n", scheduling.c_str());
  std::fflush(stdout);
  char datagram[2048];
  while (true) {
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    auto* peer = reinterpret_cast<sockaddr*>(&from);
    const ssize_t got = recvfrom(udp.get(), datagram, sizeof(datagram), 0, peer, &length);
    if (got >= 0) {
      // ignored: an answer that cannot be sent is a lost one, and the prober counts it
      (void)!sendto(udp.get(), datagram, static_cast<size_t>(got), 0, peer, length);
    }
  }
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage, {}, {"fifo"}));
  return 0;
}
