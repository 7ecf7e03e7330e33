// SPDX-License-Identifier: Apache-2.0
//
// cb_power_off: takes a node's power away. One store silences all its wires, also for what its
// kernel would still answer; then its processes stand still. Everything that can be prepared is
// prepared before, so that the moments are close together and the first of them, t0, is known
// exactly.
//
// All machines of the lab share one kernel, and a dead machine must not slow the living ones down
// by the way it dies: its processes are stopped at once and killed a little later, since their end
// costs processor time, and carriers can drop later too, since taking an interface down holds the
// lock that all network configuration of this kernel needs, sometimes for 10 ms. A real card is no
// faster: it tells its kernel of a lost carrier milliseconds after the fact.
#include <dirent.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

#include "tests/support/lab/tool.h"
#include "tests/support/lab/wire_map.h"

namespace cb::lab {
namespace {

constexpr int64_t kStrikeWithinNs = 3'000'000;
constexpr int64_t kKilledWithinNs = 5'000'000'000;

constexpr const char* kUsage = R"(cb_power_off DIR --node N [options]: take a node's power away

  DIR              where the lab's wires are pinned
  --node N         the node's number: its wires go silent first
  --kill NETNS     then stop every process whose network namespace is this (a path), and kill it later
  --down LIST      then take these interfaces down (carrier loss), each as NETNS:IFACE, with commas
  --down-later LIST  and these when the processes are killed
  --later-ms N     when that is (default 20 ms after the rest)

Prints JSON: t0_ns (CLOCK_BOOTTIME, just before the wires went silent), and how long after it each part was
done. Without --kill and --down the wires are cut silently and the node runs on.
)";

// Everything before t0 may take its time; after it nothing allocates, opens or looks up.
class CarrierDrop {
 public:
  explicit CarrierDrop(const std::string& place) {
    const size_t colon = place.rfind(':');
    if (colon == std::string::npos) {
      fail("--down wants NETNS:IFACE, not '" + place + "'");
    }
    name_ = place;
    enter_netns(place.substr(0, colon));
    socket_.reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket_) {
      fail_errno("open a netlink socket in " + place);
    }
    const unsigned index = if_nametoindex(place.substr(colon + 1).c_str());
    if (index == 0) {
      fail_errno("interface " + place);
    }
    request_.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
    request_.header.nlmsg_type = RTM_NEWLINK;
    request_.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request_.link.ifi_family = AF_UNSPEC;
    request_.link.ifi_index = static_cast<int>(index);
    request_.link.ifi_change = IFF_UP;
  }

  // rtnetlink works in the caller's context: when this returns the interface is down.
  void drop() const {
    if (send(socket_.get(), &request_, request_.header.nlmsg_len, 0) < 0) {
      fail_errno("take down " + name_);
    }
    char answer[512];
    const ssize_t length = recv(socket_.get(), answer, sizeof(answer), 0);
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
    if (length < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))) ||
        header->nlmsg_type != NLMSG_ERROR) {
      fail("take down " + name_ + ": no answer from the kernel");
    }
    const auto* error = reinterpret_cast<const nlmsgerr*>(answer + NLMSG_HDRLEN);
    if (error->error != 0) {
      errno = -error->error;
      fail_errno("take down " + name_);
    }
  }

 private:
  struct {
    nlmsghdr header{};
    ifinfomsg link{};
  } request_;
  std::string name_;
  Fd socket_;
};

// The processes of a network namespace, found by comparing inodes in /proc.
std::vector<pid_t> processes_in(const std::string& netns) {
  struct stat wanted {};
  if (stat(netns.c_str(), &wanted) != 0) {
    fail_errno("look at " + netns);
  }
  std::vector<pid_t> found;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) {
    fail_errno("read /proc");
  }
  while (const dirent* entry = readdir(proc)) {
    const std::string name = entry->d_name;
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    const auto pid = static_cast<pid_t>(to_number(name, "/proc"));
    struct stat theirs {};
    const std::string path = "/proc/" + name + "/ns/net";
    if (pid != getpid() && stat(path.c_str(), &theirs) == 0 && theirs.st_ino == wanted.st_ino &&
        theirs.st_dev == wanted.st_dev) {
      found.push_back(pid);
    }
  }
  closedir(proc);
  return found;
}

// Children that were born while we killed are killed in the next round.
size_t kill_the_rest(const std::string& netns, int64_t deadline_ns) {
  while (true) {
    const std::vector<pid_t> left = processes_in(netns);
    if (left.empty() || boottime_ns() > deadline_ns) {
      return left.size();
    }
    for (const pid_t pid : left) {
      kill(pid, SIGKILL);
    }
    poll(nullptr, 0, 1);
  }
}

void run(const Options& options) {
  if (options.words().size() != 1) {
    options.usage_error("one DIR is needed");
  }
  const WireMap wires(options.words()[0]);
  const int64_t node = options.number("node");
  const std::string netns = options.text("kill", "");
  std::vector<CarrierDrop> drops;
  for (const std::string& place : options.list("down")) {
    drops.emplace_back(place);
  }
  std::vector<CarrierDrop> later;
  for (const std::string& place : options.list("down-later")) {
    later.emplace_back(place);
  }
  become_realtime(70);
  const std::vector<pid_t> victims = netns.empty() ? std::vector<pid_t>{} : processes_in(netns);

  // Power fails at any moment. Ours would come when a heartbeat's timer has just woken the
  // processor that we waited for, always in the same phase: so we spin for a random while.
  std::random_device random;
  const int64_t strike =
      boottime_ns() + std::uniform_int_distribution<int64_t>(0, kStrikeWithinNs)(random);
  while (boottime_ns() < strike) {
  }
  const int64_t t0 = boottime_ns();
  wires.set_dead(node, true);
  const int64_t silent = boottime_ns();
  for (const pid_t pid : victims) {
    kill(pid, SIGSTOP);
  }
  const int64_t stopped = boottime_ns();
  for (const CarrierDrop& drop : drops) {
    drop.drop();
  }
  const int64_t down = boottime_ns();

  nlohmann::json out{
      {"t0_ns", t0}, {"silent_after_ns", silent - t0}, {"processes", victims.size()}};
  if (!netns.empty()) {
    out["stopped_after_ns"] = stopped - t0;
  }
  if (!drops.empty()) {
    out["carrier_down_after_ns"] = down - t0;
  }
  if (!netns.empty() || !later.empty()) {
    poll(nullptr, 0, static_cast<int>(options.number("later-ms", 20)));
  }
  for (const CarrierDrop& drop : later) {
    drop.drop();
  }
  if (!netns.empty()) {
    const size_t left = kill_the_rest(netns, boottime_ns() + kKilledWithinNs);
    if (left != 0) {
      fail(std::to_string(left) + " processes of the node cannot be killed");
    }
  }
  std::puts(out.dump().c_str());
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage,
                                {"node", "kill", "down", "down-later", "later-ms"}));
  return 0;
}
