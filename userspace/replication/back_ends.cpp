// SPDX-License-Identifier: Apache-2.0
#include "replication/back_ends.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/text.h"
#include "drivers/link/list.h"
#include "drivers/volume/fuse.h"
#include "drivers/volume/ublk.h"
#include "loop/child.h"
#include "replication/apart.h"
#include "replication/front_choice.h"
#include "transport/sealed.h"

namespace cb::replication {

namespace {

// The interface that has this address; empty: none.
std::string interface_of(const Ipv4& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return {};
  }
  std::string found;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) {
      continue;
    }
    sockaddr_in here{};
    std::memcpy(&here, one->ifa_addr, sizeof here);
    if (std::memcmp(&here.sin_addr, &address, sizeof here.sin_addr) == 0) {
      found = one->ifa_name;
    }
  }
  ::freeifaddrs(list);
  return found;
}

Result<std::unique_ptr<link::Link>> open_network(loop::Loop& loop, const NetworkPath& network) {
  const auto self = parse_ipv4(network.address);
  const auto peer = parse_ipv4(network.peer);
  if (!self || !peer) {
    return fail(EINVAL, "config: network: '" + (self ? network.peer : network.address) +
                            "' is no IPv4 address");
  }
  link::UdpOptions options;
  options.self = *self;
  options.peer = *peer;
  options.port = network.port;
  options.interface = network.interface.empty() ? interface_of(*self) : network.interface;
  if (options.interface.empty()) {
    return fail(EADDRNOTAVAIL, "no interface has the address " + network.address);
  }
  return link::open_udp(loop, options);
}

// The cable first: it is preferred while it answers.
Result<std::unique_ptr<transport::Carriage>> open_carriage(loop::Loop& loop,
                                                           const Settings& settings,
                                                           std::uint64_t instance) {
  if (settings.cable.empty() && !settings.network) {
    return std::unique_ptr<transport::Carriage>(new NoCarriage());
  }
  transport::Options options;
  options.psk = settings.key.bytes();
  options.node = settings.node;
  options.instance = instance;
  if (!settings.cable.empty()) {
    link::PacketOptions cable;
    cable.interface = settings.cable;
    cable.channel =
        static_cast<std::uint16_t>(instance ^ instance >> 16 ^ instance >> 32 ^ instance >> 48);
    CB_TRY(opened, link::open_packet(loop, cable));
    options.links.push_back(std::move(opened));
  }
  if (settings.network) {
    CB_TRY(opened, open_network(loop, *settings.network));
    options.links.push_back(std::move(opened));
  }
  CB_TRY(opened, transport::Transport::open(loop, std::move(options)));
  return std::unique_ptr<transport::Carriage>(std::move(opened));
}

constexpr Duration kTestDeadline = Duration::from_s(10);

// The self-test, in a process that is killed when it takes too long, and not waited for after that.
void test_ublk(loop::Loop& loop, loop::Hands& hands, const Places& places,
               const std::string& program, std::function<void(const std::string&)> done) {
  if (::access("/dev/ublk-control", F_OK) != 0) {
    done(
        "no ublk: there is no /dev/ublk-control (the kernel has it not, or the module ublk_drv is "
        "not loaded)");
    return;
  }
  auto last = std::make_shared<std::string>("nothing was said");
  loop::ChildPlan plan;
  plan.command = {program, "test-ublk", "--instance", places.instance};
  if (!places.root.empty()) {
    plan.command.insert(plan.command.end(), {"--root", places.root});
  }
  plan.end_group = true;
  loop::run_command(
      loop, hands, std::move(plan), boottime_now() + kTestDeadline,
      [last](std::string_view line) { *last = line; },
      [last, done = std::move(done)](int error, const std::string& text) {
        done(error == 0 ? "" : "no ublk: its self-test has failed: " + *last + " (" + text + ")");
      });
}

}  // namespace

Makers real_makers(loop::Hands& hands, const Places& places, const std::string& program) {
  const std::string folder = places.device_folder();
  const auto fuse_left = [folder] { return ::access((folder + ".keeper").c_str(), F_OK) == 0; };
  const auto ublk_left = [folder] { return volume::has_ublk_left(folder); };
  Makers makers;
  makers.carriage = open_carriage;
  makers.front_end = [=, &hands](
                         loop::Loop& loop,
                         const Settings& settings) -> Result<std::unique_ptr<volume::FrontEnd>> {
    const std::string& wish = settings.front_end;
    if (wish == "none") {
      return std::unique_ptr<volume::FrontEnd>(new NoFrontEnd());
    }
    if (wish != "auto" && wish != "fuse" && wish != "ublk") {
      return fail(EOPNOTSUPP, "config: front_end: auto, fuse, ublk or none");
    }
    FrontChoice choice;
    choice.fuse = [&loop, folder, program, cache = settings.write_cache] {
      volume::FuseOptions options;
      options.folder = folder;
      options.keeper = {program, "keeper"};
      options.write_cache = cache;
      return std::make_unique<volume::Fuse>(loop, std::move(options));
    };
    choice.ublk = [&loop, folder, cache = settings.write_cache] {
      return std::make_unique<volume::Ublk>(loop, volume::UblkOptions{folder, cache});
    };
    choice.fuse_left = fuse_left;
    choice.ublk_left = ublk_left;
    choice.wished = wish == "ublk";
    if (wish == "fuse") {
      choice.test = [](const auto& done) { done("as configured"); };
    } else {
      choice.test = [=, &loop, &hands](auto done) {
        test_ublk(loop, hands, places, program, std::move(done));
      };
    }
    return std::unique_ptr<volume::FrontEnd>(new ChosenFrontEnd(std::move(choice)));
  };
  makers.left_behind = [=] { return fuse_left() || ublk_left(); };
  return makers;
}

}  // namespace cb::replication
