// SPDX-License-Identifier: Apache-2.0
//
// cb_replication_stream: how fast bytes go from one node to the other, by a link alone (with the
// simplest window that keeps its rings from overflowing) or by the whole sealed transport. One
// process an end.
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "drivers/link/list.h"
#include "loop/loop.h"
#include "tests/support/lab/tool.h"
#include "transport/sealed.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage =
    R"(cb_replication_stream link|sealed send|receive --interface IFACE [options]

  --seconds N              how long to send (default 3)
  --udp SELF,PEER          over UDP between these addresses, in place of raw frames
  --plain                  no superframes
  --message BYTES          of the sealed stream (default 262144)
  --window BYTES           of the link alone (default 4194304)
  --together N             packets in one call of the link alone (default 4, with --plain 64)

Prints {"ready":true}; the sender ends by itself, the receiver when told to (SIGTERM). Each reports bytes,
seconds, processor seconds and what the link says as JSON.
)";

using link::ConstBytes;

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// From the first byte to the last.
class Meter {
 public:
  void add(size_t bytes) {
    if (bytes_ == 0) {
      began_ = boottime_ns();
      processor_ = processor_seconds();
    }
    bytes_ += bytes;
    ended_ = boottime_ns();
    processor_end_ = -1;
  }
  // Now and then: asking costs.
  void note() { processor_end_ = processor_seconds(); }
  nlohmann::json report() {
    if (processor_end_ < 0) {
      note();
    }
    const double seconds = static_cast<double>(ended_ - began_) / 1e9;
    return {{"bytes", bytes_},
            {"seconds", seconds},
            {"gbytes_per_s", seconds > 0 ? static_cast<double>(bytes_) / seconds / 1e9 : 0.0},
            {"processor_s", processor_end_ - processor_},
            {"processor_share", seconds > 0 ? (processor_end_ - processor_) / seconds : 0.0}};
  }

 private:
  uint64_t bytes_ = 0;
  int64_t began_ = 0;
  int64_t ended_ = 0;
  double processor_ = 0;
  double processor_end_ = -1;
};

nlohmann::json facts_of(const link::Facts& facts) {
  return {{"name", facts.name},       {"how", facts.how},
          {"sent", facts.sent},       {"received", facts.received},
          {"refused", facts.refused}, {"dropped_here", facts.dropped_here},
          {"foreign", facts.foreign}, {"incomplete", facts.incomplete},
          {"mtu", facts.mtu}};
}

void say(const nlohmann::json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

std::unique_ptr<link::Link> open_link(loop::Loop& loop, const Options& options) {
  link::Options what;
  if (options.has("udp")) {
    const auto ends = options.list("udp");
    if (ends.size() != 2 || !parse_ipv4(ends[0]) || !parse_ipv4(ends[1])) {
      options.usage_error("--udp SELF,PEER");
    }
    what = link::UdpOptions{.interface = options.text("interface"),
                            .self = *parse_ipv4(ends[0]),
                            .peer = *parse_ipv4(ends[1])};
  } else {
    what = link::PacketOptions{
        .interface = options.text("interface"),
        .superframes = options.has("plain") ? link::Superframes::Never : link::Superframes::Auto};
  }
  auto opened = link::open(loop, what);
  if (!opened) {
    fail(to_text(opened.error()));
  }
  return std::move(*opened);
}

void turn(loop::Loop& loop, Instant until) {
  if (const auto turned = loop.turn(until); !turned) {
    fail(to_text(turned.error()));
  }
}

constexpr Duration kTellEvery = Duration::from_ms(100);

// ---- a link alone. Data: 0 and where the packet ends in the stream. Answer: 1 and how far it
// came.

constexpr size_t kHead = 16;
constexpr uint64_t kAnswerEvery = 256 * 1024;

struct Head {
  uint64_t kind;
  uint64_t end;
};
static_assert(sizeof(Head) == kHead);

void receive_link(loop::Loop& loop, const Options& options) {
  const auto link = open_link(loop, options);
  Meter meter;
  uint64_t newest = 0;
  uint64_t answered = 0;
  const auto answer = [&] {
    const Head head{1, newest};
    const ConstBytes bytes(reinterpret_cast<const uint8_t*>(&head), sizeof head);
    link->send(std::span(&bytes, 1));
    answered = newest;
  };
  link->listen({.on_packets =
                    [&](std::span<const ConstBytes> packets) {
                      for (const ConstBytes packet : packets) {
                        Head head{};
                        if (packet.size() < kHead) {
                          continue;
                        }
                        std::memcpy(&head, packet.data(), kHead);
                        if (head.kind == 0) {
                          meter.add(packet.size());
                          newest = std::max(newest, head.end);
                        }
                      }
                      if (newest - answered >= kAnswerEvery) {
                        answer();
                      }
                    },
                .on_writable = [] {},
                .on_changed = [] {}});
  say({{"ready", true}});
  stop_on_signals();
  while (!stop_requested()) {
    turn(loop, boottime_now() + kTellEvery);
    meter.note();
    if (newest != answered) {
      answer();
    }
  }
  auto report = meter.report();
  report["link"] = facts_of(link->facts());
  report["lost_bytes"] = newest - report["bytes"].get<uint64_t>();
  say(report);
}

void send_link(loop::Loop& loop, const Options& options) {
  const auto link = open_link(loop, options);
  const auto window = static_cast<uint64_t>(options.number("window", 4 << 20));
  // As few buffers as serve: a sender's bytes are in its cache.
  const auto wanted =
      static_cast<size_t>(options.number("together", options.has("plain") ? 64 : 4));
  Meter meter;
  uint64_t given = 0;
  uint64_t arrived = 0;
  bool running = false;
  bool blocked = false;
  std::vector<std::vector<uint8_t>> buffers(wanted);
  const auto push = [&] {
    const size_t size = link->packet_max();
    while (running && !blocked && size != 0 && given + size <= arrived + window) {
      const size_t count = std::min<uint64_t>(wanted, (arrived + window - given) / size);
      std::vector<ConstBytes> packets(count);
      for (size_t i = 0; i < count; ++i) {
        buffers[i].resize(size, 0x5a);
        const Head head{0, given + (i + 1) * size};
        std::memcpy(buffers[i].data(), &head, kHead);
        packets[i] = buffers[i];
      }
      const size_t taken = link->send(packets);
      blocked = taken < count;
      given += taken * size;
    }
  };
  link->listen({.on_packets =
                    [&](std::span<const ConstBytes> packets) {
                      for (const ConstBytes packet : packets) {
                        Head head{};
                        if (packet.size() < kHead) {
                          continue;
                        }
                        std::memcpy(&head, packet.data(), kHead);
                        if (head.kind == 1 && head.end > arrived) {
                          meter.add(head.end - arrived);
                          arrived = head.end;
                        }
                      }
                      push();
                    },
                .on_writable =
                    [&] {
                      blocked = false;
                      push();
                    },
                .on_changed = [] {}});
  say({{"ready", true}});
  const Instant patience = boottime_now() + Duration::from_s(3);
  while (boottime_now() < patience && !options.has("plain") && !options.has("udp") &&
         link->packet_max() <= link->facts().mtu) {
    turn(loop, patience);
  }
  const Instant end = boottime_now() + Duration::from_s(options.number("seconds", 3));
  running = true;
  push();
  uint64_t before = 0;
  Instant look = boottime_now() + kTellEvery;
  while (boottime_now() < end) {
    turn(loop, std::min(end, look));
    if (boottime_now() >= look) {
      // The last of the window was lost: what was given is gone.
      if (arrived == before && given != arrived) {
        arrived = given;
        push();
      }
      before = arrived;
      look = boottime_now() + kTellEvery;
    }
  }
  running = false;
  auto report = meter.report();
  report["packet_bytes"] = link->packet_max();
  report["link"] = facts_of(link->facts());
  say(report);
}

// ---- the sealed transport

std::unique_ptr<transport::Transport> open_transport(loop::Loop& loop, const Options& options,
                                                     int node) {
  transport::Options what;
  what.psk.fill(0x42);
  what.node = node;
  what.instance = 1;
  what.links.push_back(open_link(loop, options));
  auto opened = transport::Transport::open(loop, std::move(what));
  if (!opened) {
    fail(to_text(opened.error()));
  }
  return std::move(*opened);
}

nlohmann::json facts_of(const transport::Facts& facts) {
  nlohmann::json told = {{"cipher", facts.cipher},
                         {"bytes_sent_again", facts.bytes_sent_again},
                         {"refused", facts.refused}};
  for (const auto& path : facts.paths) {
    told["paths"].push_back({{"link", path.link},
                             {"packet_max", path.packet_max},
                             {"round_trip_us", path.round_trip.as_us()},
                             {"lost", path.lost}});
  }
  return told;
}

void receive_sealed(loop::Loop& loop, const Options& options) {
  const auto transport = open_transport(loop, options, 1);
  Meter meter;
  transport->listen(
      {.on_up = [] {},
       .on_down = [] {},
       .on_message = [&](transport::Priority, ConstBytes message) { meter.add(message.size()); },
       .on_room = [](transport::Priority) {}});
  say({{"ready", true}});
  stop_on_signals();
  while (!stop_requested()) {
    turn(loop, boottime_now() + kTellEvery);
    meter.note();
  }
  auto report = meter.report();
  report["transport"] = facts_of(transport->facts());
  say(report);
}

void send_sealed(loop::Loop& loop, const Options& options) {
  const auto transport = open_transport(loop, options, 0);
  const std::vector<uint8_t> message(static_cast<size_t>(options.number("message", 256 * 1024)),
                                     0x5a);
  Meter meter;
  bool up = false;
  bool running = false;
  const auto push = [&] {
    const ConstBytes part(message);
    while (running && transport->room(transport::Priority::Log) >= message.size()) {
      transport->send(transport::Priority::Log, std::span(&part, 1));
      meter.add(message.size());
    }
  };
  transport->listen({.on_up = [&] { up = true; },
                     .on_down = [&] { up = false; },
                     .on_message = [](transport::Priority, ConstBytes) {},
                     .on_room = [&](transport::Priority) { push(); }});
  say({{"ready", true}});
  const Instant patience = boottime_now() + Duration::from_s(5);
  const auto probed = [&] {
    const auto facts = transport->facts();
    return up && !facts.paths.empty() &&
           (facts.paths[0].packet_max > 16'000 || options.has("plain") || options.has("udp"));
  };
  while (boottime_now() < patience && !probed()) {
    turn(loop, patience);
  }
  if (!up) {
    fail("no session with the other end");
  }
  const Instant end = boottime_now() + Duration::from_s(options.number("seconds", 3));
  running = true;
  push();
  while (boottime_now() < end) {
    turn(loop, end);
    push();
  }
  running = false;
  auto report = meter.report();
  report["transport"] = facts_of(transport->facts());
  say(report);
}

void run(const Options& options) {
  const auto& words = options.words();
  if (words.size() != 2 || !options.has("interface")) {
    options.usage_error("what is to be done?");
  }
  auto loop = loop::Loop::open();
  if (!loop) {
    fail(to_text(loop.error()));
  }
  const bool sends = words[1] == "send";
  if (words[0] == "link" && (sends || words[1] == "receive")) {
    sends ? send_link(**loop, options) : receive_link(**loop, options);
  } else if (words[0] == "sealed" && (sends || words[1] == "receive")) {
    sends ? send_sealed(**loop, options) : receive_sealed(**loop, options);
  } else {
    options.usage_error("what is to be done?");
  }
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage,
                                {"interface", "seconds", "udp", "message", "window", "together"},
                                {"plain"}));
  return 0;
}
