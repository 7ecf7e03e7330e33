// SPDX-License-Identifier: Apache-2.0
#include "tests/pairing/loop_nodes.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>

namespace cb::pairing::test {

Fd LoopNodes::stranger(const char* from) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in own{};
  own.sin_family = AF_INET;
  inet_pton(AF_INET, from, &own.sin_addr);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0) << from;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server_port);
  inet_pton(AF_INET, "10.66.0.2", &to.sin_addr);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

std::optional<std::string> LoopNodes::hear_out(const Fd& socket, Duration limit) {
  std::string heard;
  bool closed = false;
  // Something happens in the loop at each step of the server; a short timer lets us look as well.
  const Instant end = boottime_now() + limit;
  while (!closed && boottime_now() < end) {
    EXPECT_TRUE(loop->turn(boottime_now() + Duration::from_ms(2)));
    char bytes[4096];
    const ssize_t n = ::recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
      heard.append(bytes, static_cast<std::size_t>(n));
    }
    closed = n == 0 || (n < 0 && errno != EAGAIN);
  }
  return closed ? std::optional(heard) : std::nullopt;
}

}  // namespace cb::pairing::test
