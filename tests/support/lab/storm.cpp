// SPDX-License-Identifier: Apache-2.0
//
// cb_storm: an enemy on the wire. It records the real heartbeats that pass, and sends them again:
// as they were, mirrored, cut short, with bits turned, with fields changed, with made-up tags; and
// noise besides. It knows the layout of the frames as everybody does, and not the keys.
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <random>

#include "bpf/crossbeat_wire.h"
#include "tests/support/lab/frame.h"
#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage = R"(cb_storm IFACE [options]: hostile frames to the node behind a port

  IFACE          the port of the cable or of the switch, in the current network namespace
  --link LINK    direct (EtherType 0x88B5) or network (UDP)
  --record IFACE where to listen for real frames (default: the same port)
  --port N       UDP port of the heartbeats (default 7388)
  --count N      how many frames (default 1000000)
  --rate N       at most so many a second (default 100000)
  --seed N       of the changes (default: random, printed)
  --wait-ms N    how long to wait for the first real frames (default 2000)

Prints what was sent, by kind, as JSON. Exit status 1: no real frame was seen, so nothing was proved.
)";

enum Kind : uint8_t {
  kReplayed,
  kMirrored,
  kBitTurned,
  kTruncated,
  kLengthened,
  kOtherFields,
  kForgedTag,
  kNoise,
  kKinds,
};
constexpr std::array<const char*, kKinds> kKindNames = {"replayed",   "mirrored",   "bit_turned",
                                                        "truncated",  "lengthened", "other_fields",
                                                        "forged_tag", "noise"};

using Frame = std::vector<uint8_t>;

struct Place {  // of the heartbeat in the frame
  bool network = false;
  size_t at() const { return network ? kEthernet + kIp + kUdp : kEthernet; }
  static constexpr size_t kEthernet = 14;
  static constexpr size_t kIp = 20;
  static constexpr size_t kUdp = 8;
};

std::vector<sock_filter> heartbeats_only(const Place& place, uint16_t port) {
  if (!place.network) {
    return {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CB_ETHERTYPE, 0, 1), BPF_STMT(BPF_RET | BPF_K, 512),
            BPF_STMT(BPF_RET | BPF_K, 0)};
  }
  return {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 5),
          BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
          BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 36),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, 512),
          BPF_STMT(BPF_RET | BPF_K, 0)};
}

void store16(Frame& frame, size_t at, size_t value) {
  frame[at] = static_cast<uint8_t>(value >> 8);
  frame[at + 1] = static_cast<uint8_t>(value);
}

// A changed frame must reach the program that judges heartbeats: its outer headers stay correct.
void repair_headers(Frame& frame, const Place& place) {
  if (!place.network || frame.size() < place.at()) {
    return;
  }
  constexpr size_t ip = Place::kEthernet;
  constexpr size_t udp = ip + Place::kIp;
  store16(frame, ip + 2, frame.size() - ip);
  store16(frame, ip + 10, 0);
  const uint16_t sum = internet_checksum({&frame[ip], Place::kIp});
  std::memcpy(&frame[ip + 10], &sum, sizeof(sum));
  store16(frame, udp + 4, frame.size() - udp);
  store16(frame, udp + 6, 0);  // no UDP checksum, as IPv4 allows
}

class Storm {
 public:
  explicit Storm(const Options& options)
      : place_{options.text("link") == "network"},
        count_(options.number("count", 1'000'000)),
        rate_(std::max<int64_t>(options.number("rate", 100'000), 1)),
        wait_ns_(options.number("wait-ms", 2000) * 1'000'000),
        seed_(static_cast<uint64_t>(options.number("seed", boottime_ns()))),
        random_(seed_),
        out_(packet_socket(options.words()[0], 0)) {
    const std::string ears = options.text("record", options.words()[0]);
    const auto port = static_cast<uint16_t>(options.number("port", CB_UDP_PORT_DEFAULT));
    in_ = packet_socket(ears, ETH_P_ALL, heartbeats_only(place_, port));
    become_promiscuous(in_, ears);
    // Past the queueing layer, and so past the taps: we do not record ourselves.
    const int on = 1;
    if (setsockopt(out_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0) {
      fail_errno("bypass the queueing layer");
    }
  }

  void run() {
    const int64_t begin = boottime_ns();
    while (recorded_.size() < 8) {
      listen();
      if (boottime_ns() - begin > wait_ns_) {
        fail("no heartbeat passed within " + std::to_string(wait_ns_ / 1'000'000) +
             " ms: nothing to record, nothing proved");
      }
      pause(1'000'000);
    }
    constexpr int64_t kBatch = 32;
    const int64_t batch_ns = kBatch * 1'000'000'000 / rate_;
    int64_t next = boottime_ns();
    begin_ns_ = next;
    for (int64_t sent = 0; sent < count_ && !stop_requested(); ++sent) {
      if (sent % kBatch == 0) {
        listen();
        next += batch_ns;
        if (const int64_t early = next - boottime_ns(); early > 0) {
          pause(early);
        }
      }
      send();
    }
    end_ns_ = boottime_ns();
  }

  nlohmann::json report() const {
    nlohmann::json by_kind = nlohmann::json::object();
    uint64_t total = 0;
    for (size_t kind = 0; kind < kKinds; ++kind) {
      by_kind[kKindNames[kind]] = sent_[kind];
      total += sent_[kind];
    }
    return {{"sent", total},
            {"by_kind", by_kind},
            {"not_sent", not_sent_},
            {"real_frames_seen", seen_},
            {"seconds", static_cast<double>(end_ns_ - begin_ns_) / 1e9},
            {"seed", seed_}};
  }

 private:
  // Keeps the newest real frames: fresh ones are the dangerous ones.
  void listen() {
    uint8_t bytes[512];
    while (true) {
      const Received received = receive(in_, bytes);
      if (received.length == 0) {
        return;
      }
      if (received.length < place_.at() + sizeof(cb_heartbeat)) {
        continue;
      }
      ++seen_;
      recorded_.emplace_back(bytes, bytes + received.length);
      if (recorded_.size() > 256) {
        recorded_.pop_front();
      }
    }
  }

  uint64_t draw(uint64_t below) { return random_() % below; }

  void fill(Frame& frame, size_t from, size_t to) {
    for (size_t i = from; i < to && i < frame.size(); ++i) {
      frame[i] = static_cast<uint8_t>(random_());
    }
  }

  Frame make(Kind kind) {
    Frame frame = recorded_[draw(recorded_.size())];
    const size_t at = place_.at();
    switch (kind) {
      case kReplayed: return frame;
      case kMirrored:  // addresses swapped: what the node itself said comes back
        std::swap_ranges(&frame[0], &frame[6], &frame[6]);
        if (place_.network) {
          std::swap_ranges(&frame[26], &frame[30], &frame[30]);
        }
        return frame;
      case kBitTurned:
        frame[at + draw(sizeof(cb_heartbeat))] ^= static_cast<uint8_t>(1U << draw(8));
        break;
      case kTruncated: frame.resize(at + draw(sizeof(cb_heartbeat))); break;
      case kLengthened:  // and its tag broken: a longer frame with a good one would be a replay
        frame[at + CB_TAGGED_BYTES] ^= 1;
        frame.resize(frame.size() + 1 + draw(200));
        break;
      case kOtherFields: {  // a newer sequence, a later stamp, a higher term, another state ...
        constexpr std::array<size_t, 8> kFields = {
            offsetof(cb_heartbeat, sequence), offsetof(cb_heartbeat, stamp_ns),
            offsetof(cb_heartbeat, heard_ns), offsetof(cb_heartbeat, term),
            offsetof(cb_heartbeat, grant_us), offsetof(cb_heartbeat, state),
            offsetof(cb_heartbeat, kind),     offsetof(cb_heartbeat, boot)};
        const size_t field = at + kFields[draw(kFields.size())];
        frame[field] = static_cast<uint8_t>(frame[field] + 1);
        break;
      }
      case kForgedTag:
        fill(frame, at + offsetof(cb_heartbeat, tag), at + sizeof(cb_heartbeat));
        break;
      case kNoise:
        frame.resize(at + draw(300));
        fill(frame, at, frame.size());
        break;
      case kKinds: break;
    }
    repair_headers(frame, place_);
    return frame;
  }

  void send() {
    const Kind kind = static_cast<Kind>(draw(kKinds));
    const Frame frame = make(kind);
    if (::send(out_.get(), frame.data(), frame.size(), MSG_DONTWAIT) < 0) {
      ++not_sent_;
      return;
    }
    ++sent_[kind];
  }

  static void pause(int64_t for_ns) {
    const timespec time{for_ns / 1'000'000'000, for_ns % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);  // tidy-allow: sleep it is the rate
  }

  Place place_;
  int64_t count_;
  int64_t rate_;
  int64_t wait_ns_;
  uint64_t seed_;
  std::mt19937_64 random_;
  Fd out_;
  Fd in_;
  std::deque<Frame> recorded_;
  std::array<uint64_t, kKinds> sent_{};
  uint64_t not_sent_ = 0;
  uint64_t seen_ = 0;
  int64_t begin_ns_ = 0;
  int64_t end_ns_ = 0;
};

void run(const Options& options) {
  if (options.words().size() != 1 ||
      (options.text("link") != "direct" && options.text("link") != "network")) {
    options.usage_error("one IFACE and --link direct|network are needed");
  }
  stop_on_signals();
  Storm storm(options);
  storm.run();
  std::puts(storm.report().dump().c_str());
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage,
                                {"link", "record", "port", "count", "rate", "seed", "wait-ms"}));
  return 0;
}
