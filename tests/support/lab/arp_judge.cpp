// SPDX-License-Identifier: Apache-2.0
//
// cb_arp_judge: listens to everything that crosses the switch and judges who served an address
// (judge.h). It listens on the bridge itself, behind the wires: what a cut wire has lost, it does
// not see.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <span>

#include "tests/support/lab/frame.h"
#include "tests/support/lab/judge.h"
#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage = R"(cb_arp_judge ADDRESS... [options]: judge who serves an address

  --interface IFACE   the bridge, in the current network namespace (default br0)
  --moves N           it is also wrong if the address does not move exactly N times

Prints {"ready":true} when it listens, and on SIGTERM the verdict as JSON: per address the tenures (who, from
when to when, frames, answers, announcements) and the violations: frames of a machine that was not the owner.
Exit status 0: never two machines at a time; 1: a violation, or frames were missed so that nobody can say.
)";

// IPv4 as ::ffff:a.b.c.d.
using Address = std::array<uint8_t, 16>;

Address parse_address(const std::string& text) {
  Address address{};
  if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1) {
    return address;
  }
  address[10] = address[11] = 0xff;
  const uint32_t v4 = ipv4(text);
  std::memcpy(&address[12], &v4, sizeof(v4));
  return address;
}

Address mapped(const uint8_t* v4) {
  Address address{};
  address[10] = address[11] = 0xff;
  std::copy_n(v4, 4, &address[12]);
  return address;
}

Address wide(const uint8_t* v6) {
  Address address{};
  std::copy_n(v6, 16, address.begin());
  return address;
}

struct Seen {
  Address address{};
  Mac mac{};
  Claim kind = Claim::Traffic;
};

constexpr size_t kEthernet = 14;

std::optional<Seen> read_arp(std::span<const uint8_t> arp) {
  if (arp.size() < 28 || arp[4] != 6 || arp[5] != 4) {
    return {};
  }
  Seen seen;
  std::copy_n(&arp[8], 6, seen.mac.begin());
  seen.address = mapped(&arp[14]);
  const bool gratuitous = std::equal(&arp[14], &arp[18], &arp[24]);
  const bool reply = arp[7] == 2;
  seen.kind = gratuitous ? Claim::Announce : reply ? Claim::Answer : Claim::Traffic;
  return seen;
}

std::optional<Seen> read_ipv6(std::span<const uint8_t> ip, const Mac& source) {
  if (ip.size() < 40) {
    return {};
  }
  constexpr uint8_t kNeighbourAdvertisement = 136;
  constexpr uint8_t kSolicited = 0x40;
  if (ip[6] == IPPROTO_ICMPV6 && ip.size() >= 64 && ip[40] == kNeighbourAdvertisement) {
    return Seen{wide(&ip[48]), source,
                (ip[44] & kSolicited) != 0 ? Claim::Answer : Claim::Announce};
  }
  return Seen{wide(&ip[8]), source, Claim::Traffic};
}

std::optional<Seen> read_frame(std::span<const uint8_t> frame) {
  if (frame.size() < kEthernet) {
    return {};
  }
  Mac source{};
  std::copy_n(&frame[6], 6, source.begin());
  const auto payload = frame.subspan(kEthernet);
  switch ((frame[12] << 8) | frame[13]) {
    case ETH_P_ARP: return read_arp(payload);
    case ETH_P_IP:
      return payload.size() < 20 ? std::nullopt
                                 : std::optional(Seen{mapped(&payload[12]), source, {}});
    case ETH_P_IPV6: return read_ipv6(payload, source);
    default: return {};
  }
}

// ARP and IPv6 altogether, of IPv4 only what comes from the addresses.
std::vector<sock_filter> filter_for(const std::vector<Address>& addresses) {
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 128),         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 128),         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 0),           BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 26),
  };
  for (const Address& address : addresses) {
    uint32_t v4 = 0;
    std::memcpy(&v4, &address[12], sizeof(v4));
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(v4), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, 128));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  return filter;
}

nlohmann::json verdict_json(const std::string& address, const Judge& judge) {
  nlohmann::json out{{"address", address},
                     {"tenures", nlohmann::json::array()},
                     {"violations", nlohmann::json::array()}};
  for (const Tenure& t : judge.tenures()) {
    out["tenures"].push_back({{"mac", mac_text(t.mac.data())},
                              {"first_ns", t.first_ns},
                              {"last_ns", t.last_ns},
                              {"frames", t.frames},
                              {"answers", t.answers},
                              {"announces", t.announces}});
  }
  for (const Violation& v : judge.violations()) {
    out["violations"].push_back({{"mac", mac_text(v.stray.data())},
                                 {"owner", mac_text(v.owner.data())},
                                 {"first_ns", v.first_ns},
                                 {"last_ns", v.last_ns},
                                 {"frames", v.frames}});
  }
  return out;
}

class Bench {  // as in a court
 public:
  explicit Bench(const Options& options) : texts_(options.words()) {
    for (const std::string& text : texts_) {
      addresses_.push_back(parse_address(text));
    }
    judges_.resize(addresses_.size());
    const std::string interface = options.text("interface", "br0");
    socket_ = packet_socket(interface, ETH_P_ALL, filter_for(addresses_));
    become_promiscuous(socket_, interface);
    enable_stamps(socket_);
    set_receive_buffer(socket_, 32 << 20);
  }

  void run() {
    std::puts("{\"ready\":true}");
    std::fflush(stdout);
    while (!stop_requested()) {
      pollfd descriptor{socket_.get(), POLLIN, 0};
      poll(&descriptor, 1, 1000);
      drain();
    }
    drain();
  }

  bool report(int64_t moves) {  // negative: any number of them
    nlohmann::json out{{"frames", frames_}, {"addresses", nlohmann::json::array()}};
    const uint64_t missed = drops_of(socket_);
    bool holds = missed == 0;
    for (size_t i = 0; i < judges_.size(); ++i) {
      judges_[i].finish();
      const auto seen = static_cast<int64_t>(judges_[i].tenures().size());
      holds = holds && judges_[i].violations().empty() && (moves < 0 || seen - 1 == moves);
      out["addresses"].push_back(verdict_json(texts_[i], judges_[i]));
    }
    out["missed"] = missed;
    out["holds"] = holds;
    std::puts(out.dump().c_str());
    return holds;
  }

 private:
  void drain() {
    uint8_t frame[128];
    while (true) {
      const Received received = receive(socket_, frame);
      if (received.length == 0) {
        return;
      }
      const auto seen = read_frame({frame, received.length});
      if (!seen) {
        continue;
      }
      const auto known = std::find(addresses_.begin(), addresses_.end(), seen->address);
      if (known != addresses_.end()) {
        ++frames_;
        judges_[static_cast<size_t>(known - addresses_.begin())].claim(
            seen->mac, clock_.to_boottime(received.realtime_ns), seen->kind);
      }
    }
  }

  std::vector<std::string> texts_;
  std::vector<Address> addresses_;
  std::vector<Judge> judges_;
  Fd socket_;
  StampClock clock_;
  uint64_t frames_ = 0;
};

int run(const Options& options) {
  if (options.words().empty()) {
    options.usage_error("an ADDRESS is needed");
  }
  stop_on_signals();
  Bench bench(options);
  bench.run();
  return bench.report(options.number("moves", -1)) ? 0 : 1;
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  return cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage, {"interface", "moves"}));
}
