// SPDX-License-Identifier: Apache-2.0
//
// These tests talk over real sockets, in a network namespace that nobody else has: a loopback with
// the addresses of two nodes. Nothing leaves it, and it is gone with the process.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/fd.h"

namespace {

struct In6Request {  // the kernel's struct in6_ifreq, whose header does not live with the library's
  in6_addr address;
  std::uint32_t prefix_length;
  int interface;
};

bool set_address(const cb::Fd& socket, const char* label, const char* address, const char* mask) {
  ifreq request{};
  std::strncpy(request.ifr_name, label, IFNAMSIZ - 1);
  auto* in = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  in->sin_family = AF_INET;
  inet_pton(AF_INET, address, &in->sin_addr);
  if (ioctl(socket.get(), SIOCSIFADDR, &request) != 0) {
    return false;
  }
  inet_pton(AF_INET, mask, &in->sin_addr);
  return ioctl(socket.get(), SIOCSIFNETMASK, &request) == 0;
}

bool set_address6(const cb::Fd& socket, const char* address) {
  In6Request request{};
  inet_pton(AF_INET6, address, &request.address);
  request.prefix_length = 64;
  request.interface = 1;  // lo, the first of every namespace
  return ioctl(socket.get(), SIOCSIFADDR, &request) == 0 || errno == EEXIST;
}

// Without root: in a user namespace, as its root.
bool enter_namespaces() {
  if (geteuid() == 0) {
    return unshare(CLONE_NEWNET) == 0;
  }
  const auto uid = geteuid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    return false;
  }
  std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
  return true;
}

bool make_network() {
  if (!enter_namespaces()) {
    return false;
  }
  const cb::Fd v4(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const cb::Fd v6(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq lo{};
  std::strncpy(lo.ifr_name, "lo", IFNAMSIZ - 1);
  lo.ifr_flags = IFF_UP;
  return v4 && v6 && ioctl(v4.get(), SIOCSIFFLAGS, &lo) == 0 &&
         set_address(v4, "lo:1", "10.66.0.1", "255.255.255.0") &&
         set_address(v4, "lo:2", "10.66.0.2", "255.255.255.0") && set_address6(v6, "fd00:66::1") &&
         set_address6(v6, "fd00:66::2");
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!make_network()) {
    std::fprintf(stderr, "SKIPPED: cannot make a network namespace here: %s\n",
                 std::strerror(errno));
    return std::getenv("CB_REQUIRE_KERNEL") != nullptr ? 1 : 77;
  }
  return RUN_ALL_TESTS();
}
