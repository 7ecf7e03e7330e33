// SPDX-License-Identifier: Apache-2.0
//
// cb_stream: the sealed stream between two namespaces, as the volume's process would send it. One
// end sends messages for as long as it is told to, the other counts; both print what they saw as
// one line of JSON.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/net.h"
#include "base/text.h"
#include "drivers/link/list.h"
#include "transport/sealed.h"

namespace {

using namespace cb;

constexpr const char* kUsage =
    "usage: cb_stream --node 0|1 [--interface NAME] [--udp SELF PEER] [--send SECONDS] [--message "
    "BYTES]\n"
    "                 [--class control|log|resync] [--superframes no] [--until SECONDS]\n"
    "  a link for --interface (raw), one for --udp; at least one\n";

struct Arguments {
  int node = 0;
  std::string interface;
  std::string self;
  std::string peer;
  double send = 0;
  double until = 10;
  std::size_t message = 128 * 1024;
  transport::Priority priority = transport::Priority::Log;
  bool superframes = true;
};

double cpu_seconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (i + 1 >= argc) {
      return false;
    }
    const char* value = argv[++i];
    if (name == "--node") {
      out.node = std::strcmp(value, "1") == 0 ? 1 : 0;
    } else if (name == "--interface") {
      out.interface = value;
    } else if (name == "--udp" && i + 1 < argc) {
      out.self = value;
      out.peer = argv[++i];
    } else if (name == "--send") {
      out.send = std::strtod(value, nullptr);
    } else if (name == "--until") {
      out.until = std::strtod(value, nullptr);
    } else if (name == "--message") {
      out.message = std::strtoull(value, nullptr, 10);
    } else if (name == "--class") {
      out.priority = std::strcmp(value, "control") == 0  ? transport::Priority::Control
                     : std::strcmp(value, "resync") == 0 ? transport::Priority::Resync
                                                         : transport::Priority::Log;
    } else if (name == "--superframes") {
      out.superframes = std::strcmp(value, "no") != 0;
    } else {
      return false;
    }
  }
  return !out.interface.empty() || !out.self.empty();
}

Result<transport::Options> options_of(loop::Loop& loop, const Arguments& arguments) {
  transport::Options options;
  options.psk.fill(42);  // of this measurement alone
  options.node = arguments.node;
  options.instance = 1;
  if (!arguments.interface.empty()) {
    link::PacketOptions packet;
    packet.interface = arguments.interface;
    packet.superframes = arguments.superframes ? link::Superframes::Auto : link::Superframes::Never;
    CB_TRY(link, link::open_packet(loop, packet));
    options.links.push_back(std::move(link));
  }
  if (!arguments.self.empty()) {
    link::UdpOptions udp;
    udp.self = parse_ipv4(arguments.self).value_or(Ipv4{});
    udp.peer = parse_ipv4(arguments.peer).value_or(Ipv4{});
    CB_TRY(link, link::open_udp(loop, udp));
    options.links.push_back(std::move(link));
  }
  return options;
}

int failed(const Error& error) {
  std::fprintf(stderr, "cb_stream: %s\n", to_text(error).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  auto loop = loop::Loop::open();
  if (!loop) {
    return failed(loop.error());
  }
  auto options = options_of(**loop, arguments);
  if (!options) {
    return failed(options.error());
  }
  auto opened = transport::Transport::open(**loop, *std::move(options));
  if (!opened) {
    return failed(opened.error());
  }
  transport::Transport& stream = **opened;
  std::uint64_t bytes = 0;
  Instant first;
  Instant last;
  double cpu_first = 0;
  double cpu_last = 0;
  stream.listen({.on_up = {},
                 .on_down = {},
                 .on_message =
                     [&](transport::Priority, transport::ConstBytes message) {
                       last = (*loop)->now();
                       if (bytes == 0) {
                         first = last;
                         cpu_first = cpu_seconds();
                       }
                       bytes += message.size();
                     },
                 .on_room = {}});
  std::vector<std::uint8_t> message(arguments.message, 0x5a);
  const transport::ConstBytes part(message);
  const Instant begun = boottime_now();
  const Instant end = begun + Duration::from_ms(static_cast<std::int64_t>(arguments.until * 1000));
  Instant sending;
  while (boottime_now() < end) {
    const bool may =
        arguments.send > 0 && stream.facts().up && stream.facts().paths[0].packet_max >= 1300;
    if (may) {
      if (sending == Instant{}) {
        sending = boottime_now();
        cpu_first = cpu_seconds();
      }
      if (boottime_now() - sending >
          Duration::from_ms(static_cast<std::int64_t>(arguments.send * 1000))) {
        break;
      }
      while (stream.room(arguments.priority) > 0) {
        stream.send(arguments.priority, std::span(&part, 1));
      }
    }
    if (!(*loop)->turn(boottime_now() + Duration::from_ms(may || arguments.send > 0 ? 5 : 100))) {
      return 1;
    }
    if (arguments.send == 0 && bytes > 0 && !stream.facts().up) {
      break;
    }
    if (bytes > 0) {
      cpu_last = cpu_seconds();
    }
  }
  const transport::Facts facts = stream.facts();
  if (arguments.send > 0) {
    bytes = facts.bytes_sent;
    first = sending;
    last = boottime_now();
    cpu_last = cpu_seconds();
  }
  const double seconds = 1e-9 * static_cast<double>((last - first).as_ns());
  std::printf(
      "{\"node\":%d,\"bytes\":%llu,\"seconds\":%.3f,\"GBps\":%.3f,\"cpu\":%.2f,\"again\":%llu,"
      "\"cipher\":\"%s\","
      "\"dropped\":%llu,\"turns\":%llu,\"paths\":[",
      arguments.node, static_cast<unsigned long long>(bytes), seconds,
      1e-9 * static_cast<double>(bytes) / seconds, (cpu_last - cpu_first) / seconds,
      static_cast<unsigned long long>(facts.bytes_sent_again), facts.cipher.c_str(),
      static_cast<unsigned long long>(facts.dropped),
      static_cast<unsigned long long>((*loop)->stats().turns));
  for (const transport::PathFacts& path : facts.paths) {
    std::printf("%s{\"link\":\"%s\",\"packet\":%zu,\"rtt_us\":%lld,\"lost\":%llu}",
                &path == &facts.paths[0] ? "" : ",", path.link.c_str(), path.packet_max,
                static_cast<long long>(path.round_trip.as_us()),
                static_cast<unsigned long long>(path.lost));
  }
  std::printf("]}\n");
  return 0;
}
