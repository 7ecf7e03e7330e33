// SPDX-License-Identifier: Apache-2.0
//
// cb_rtt: the round trip of one small message, measured the same way whoever answers: the peer's
// eBPF program (an authenticated heartbeat), the peer's kernel (ICMP echo), or a program (UDP
// echo). One request at a time, at a steady pace, from a real-time thread; the time is taken just
// before send and just after receive.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "base/text.h"
#include "bpf/heartbeat.h"
#include "pairing/keys.h"
#include "tests/support/lab/frame.h"
#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage = R"(cb_rtt MODE [options]: round trips, one at a time

  cb_rtt icmp --to ADDRESS
  cb_rtt udp --to ADDRESS --port N         a program there echoes (cb_echo)
  cb_rtt beat --interface IFACE --pair FILE   heartbeats of the direct link; FILE: the pairing without its
                                           suffix, .toml and .key are read. We speak for the primary,
                                           whose own monitor must not run
  --count N          (default 4000)        --interval-us N   (default 500)

Prints percentiles in us as JSON. An answer after 100 ms is lost.
)";

// The struct: a function has the same name.
using Heartbeat = struct cb_heartbeat;

constexpr int64_t kLostAfterNs = 100'000'000;

// Sends request `number`; `take` says whether what is there to read answers it.
class Echo {
 public:
  virtual ~Echo() = default;
  virtual void send(uint64_t number) = 0;
  virtual bool take(uint64_t number) = 0;
  const Fd& socket() const { return socket_; }

 protected:
  Fd socket_;
};

void connect_to(const Fd& fd, const std::string& address, uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = ipv4(address);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    fail_errno("no way to " + address);
  }
}

class Udp : public Echo {
 public:
  Udp(const std::string& to, uint16_t port) {
    socket_ = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    connect_to(socket_, to, port);
  }
  // As long as a heartbeat, so that only the answerer differs.
  void send(uint64_t number) override {
    std::array<uint8_t, sizeof(Heartbeat)> message{};
    std::memcpy(message.data(), &number, sizeof(number));
    (void)::send(socket_.get(), message.data(), message.size(), 0);  // ignored: counted as lost
  }
  bool take(uint64_t number) override {
    std::array<uint8_t, sizeof(Heartbeat)> message{};
    while (recv(socket_.get(), message.data(), message.size(), 0) > 0) {
      uint64_t answered = 0;
      std::memcpy(&answered, message.data(), sizeof(answered));
      if (answered == number) {
        return true;
      }
    }
    return false;
  }
};

class Icmp : public Echo {
 public:
  explicit Icmp(const std::string& to) : id_(static_cast<uint16_t>(getpid())) {
    socket_ = Fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP));
    connect_to(socket_, to, 0);
  }
  void send(uint64_t number) override {
    std::array<uint8_t, sizeof(Heartbeat)> message{};
    icmphdr header{};
    header.type = ICMP_ECHO;
    header.un.echo.id = htons(id_);
    header.un.echo.sequence = htons(static_cast<uint16_t>(number));
    std::memcpy(message.data(), &header, sizeof(header));
    header.checksum = internet_checksum(message);
    std::memcpy(message.data(), &header, sizeof(header));
    (void)::send(socket_.get(), message.data(), message.size(), 0);  // ignored: counted as lost
  }
  bool take(uint64_t number) override {
    std::array<uint8_t, 256> message{};
    while (recv(socket_.get(), message.data(), message.size(), 0) > 0) {
      icmphdr header{};
      std::memcpy(&header, &message[20], sizeof(header));
      if (header.type == ICMP_ECHOREPLY && header.un.echo.id == htons(id_) &&
          ntohs(header.un.echo.sequence) == static_cast<uint16_t>(number)) {
        return true;
      }
    }
    return false;
  }

 private:
  uint16_t id_;
};

// Real probes with real tags, from a boot that the peer has never heard of: it answers, and
// believes nothing.
class Beat : public Echo {
 public:
  Beat(const std::string& interface, const std::string& pair) : keys_(read_keys(pair)) {
    // Answers only: what the product's own program on this side would take.
    socket_ = packet_socket(interface, CB_ETHERTYPE,
                            {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + offsetof(Heartbeat, kind)),
                             BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CB_ANSWER, 0, 1),
                             BPF_STMT(BPF_RET | BPF_K, 512), BPF_STMT(BPF_RET | BPF_K, 0)});
    const int on = 1;
    if (setsockopt(socket_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0) {
      fail_errno("bypass the queueing layer");
    }
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    if (ioctl(socket_.get(), SIOCGIFHWADDR, &request) != 0) {
      fail_errno("read the address of " + interface);
    }
    std::memset(frame_.data(), 0xff, ETH_ALEN);
    std::memcpy(&frame_[ETH_ALEN], request.ifr_hwaddr.sa_data, ETH_ALEN);
    frame_[12] = CB_ETHERTYPE >> 8;
    frame_[13] = CB_ETHERTYPE & 0xff;
    probe_.magic = htonl(CB_MAGIC);
    probe_.version = CB_VERSION;
    probe_.kind = CB_PROBE;
    probe_.link = CB_LINK_DIRECT;
    probe_.pairing = id_;
    probe_.boot = htobe64(static_cast<uint64_t>(boottime_ns()));
    base_ = static_cast<uint64_t>(boottime_ns());
  }
  void send(uint64_t number) override {
    probe_.sequence = htobe64(base_ + number);
    probe_.stamp_ns = htobe64(static_cast<uint64_t>(boottime_ns()));
    probe_.tag = cb_sign(keys_.transmit[CB_LINK_DIRECT], &probe_);
    std::memcpy(&frame_[ETH_HLEN], &probe_, sizeof(probe_));
    (void)::send(socket_.get(), frame_.data(), frame_.size(), 0);  // ignored: counted as lost
  }
  bool take(uint64_t number) override {
    std::array<uint8_t, 512> frame{};
    while (recv(socket_.get(), frame.data(), frame.size(), 0) >=
           static_cast<ssize_t>(ETH_HLEN + sizeof(Heartbeat))) {
      Heartbeat answer{};
      std::memcpy(&answer, &frame[ETH_HLEN], sizeof(answer));
      if (answer.tag == cb_sign(keys_.receive[CB_LINK_DIRECT], &answer) &&
          answer.sequence == htobe64(base_ + number)) {
        return true;
      }
    }
    return false;
  }

 private:
  cb_keys read_keys(const std::string& pair) {
    const auto text = read_all(pair + ".key", 128);
    if (!text) {
      fail("read the key of " + pair);
    }
    const auto bytes = unhex(text->substr(0, 64));
    if (bytes.size() != 32) {
      fail("the key of " + pair + " is damaged");
    }
    const auto toml = read_all(pair + ".toml", 65536);
    const size_t at = toml ? toml->find("id = \"") : std::string::npos;
    const auto id =
        at == std::string::npos ? std::vector<uint8_t>{} : unhex(toml->substr(at + 6, 16));
    if (id.size() != sizeof(id_)) {
      fail("the pairing " + pair + " has no id");
    }
    std::memcpy(&id_, id.data(), sizeof(id_));
    return pairing::heartbeat_keys(pairing::PairingKey(bytes.data(), 32), core::Role::Primary);
  }

  static std::vector<uint8_t> unhex(const std::string& text) {
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
      const int high = digit(text[i]);
      const int low = digit(text[i + 1]);
      if (high < 0 || low < 0) {
        return {};
      }
      bytes.push_back(static_cast<uint8_t>(high << 4 | low));
    }
    return bytes;
  }
  static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  }

  uint64_t id_ = 0;  // as on the wire
  cb_keys keys_;
  Heartbeat probe_{};
  uint64_t base_ = 0;
  std::array<uint8_t, ETH_HLEN + sizeof(Heartbeat)> frame_{};
};

// The round trip in ns, or -1.
int64_t once(Echo& echo, uint64_t number) {
  const int64_t begin = boottime_ns();
  echo.send(number);
  while (true) {
    if (echo.take(number)) {
      return boottime_ns() - begin;
    }
    const int64_t left = kLostAfterNs - (boottime_ns() - begin);
    if (left <= 0) {
      return -1;
    }
    pollfd descriptor{echo.socket().get(), POLLIN, 0};
    const timespec timeout{0, left};
    ppoll(&descriptor, 1, &timeout, nullptr);
  }
}

std::unique_ptr<Echo> make_echo(const Options& options) {
  const std::string mode = options.words().size() == 1 ? options.words()[0] : "";
  if (mode == "icmp") {
    return std::make_unique<Icmp>(options.text("to"));
  }
  if (mode == "udp") {
    return std::make_unique<Udp>(options.text("to"), static_cast<uint16_t>(options.number("port")));
  }
  if (mode == "beat") {
    return std::make_unique<Beat>(options.text("interface"), options.text("pair"));
  }
  options.usage_error("MODE is icmp, udp or beat");
}

void run(const Options& options) {
  const auto echo = make_echo(options);
  const auto count = static_cast<uint64_t>(options.number("count", 4000));
  const int64_t interval_ns = options.number("interval-us", 500) * 1000;
  std::vector<int64_t> trips;
  trips.reserve(count);
  const std::string scheduling = become_realtime(50);
  once(*echo, 0);  // warms caches and neighbour tables
  uint64_t lost = 0;
  int64_t next = boottime_ns();
  for (uint64_t number = 1; number <= count && !stop_requested(); ++number) {
    next += interval_ns;
    const timespec wake{next / 1'000'000'000, next % 1'000'000'000};
    clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &wake, nullptr);  // tidy-allow: sleep the pace
    const int64_t trip = once(*echo, number);
    if (trip < 0) {
      ++lost;
    } else {
      trips.push_back(trip);
    }
    next = std::max(next, boottime_ns() - interval_ns);  // no heap of requests after a long answer
  }
  std::sort(trips.begin(), trips.end());
  const auto at = [&](double share) -> nlohmann::json {
    if (trips.empty()) {
      return nullptr;
    }
    const double rank = std::ceil(share * static_cast<double>(trips.size()));
    return static_cast<double>(trips[static_cast<size_t>(std::max(rank, 1.0)) - 1]) / 1000;
  };
  const nlohmann::json report{
      {"count", trips.size()}, {"lost", lost}, {"p50", at(0.5)}, {"p99", at(0.99)},
      {"p999", at(0.999)},     {"max", at(1)}, {"unit", "us"},   {"scheduling", scheduling}};
  std::puts(report.dump().c_str());
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage,
                                {"to", "port", "interface", "pair", "count", "interval-us"}));
  return 0;
}
