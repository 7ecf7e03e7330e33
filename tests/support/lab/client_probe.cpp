// SPDX-License-Identifier: Apache-2.0
//
// cb_client_probe: a client that asks for an address every 250 us and remembers every answer.
// Requests go through its kernel's own neighbour table, so it finds the new owner of a moved
// address as any client does. Answers are read with a packet socket, because only there it is seen
// which machine gave them.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "tests/support/lab/frame.h"
#include "tests/support/lab/probe_log.h"
#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage =
    R"(cb_client_probe ADDRESS [options]: probe an address and report its outages

  --interface IFACE        where the answers come in (default eth0)
  --interval-us N          between probes (default 250)
  --answer-within-ms N     a later answer is no answer (default 50)
  --max-ms N               end after this (default 60000)
  --until-recovered-ms N   end when answers have come again for N ms after an outage
  --until-moved-ms N       the same, after an outage that another machine ended
  --min-lost N             what counts as an outage for --until-recovered-ms (default 2 probes)
  --dump FILE              every probe as "sent_ns answered_ns mac"

On SIGUSR1 --until-recovered-ms forgets the outages so far: the next one is meant.
Prints {"ready":true} when the address first answers ten times in a row, and the report as JSON at the end or
on SIGTERM. All times are CLOCK_BOOTTIME in ns. Exit status 0 whatever was found; 1: could not probe.
)";

struct Payload {
  uint64_t nonce;
  uint64_t number;
};
constexpr size_t kEthernet = 14;
constexpr size_t kIp = 20;
constexpr int kReadyAfter = 10;

// Only echo replies from the address with our identifier wake us.
std::vector<sock_filter> answers_from(uint32_t address, uint16_t id) {
  const uint32_t source = ntohl(address);
  return {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 9),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 7),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 26),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, source, 0, 5),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 34),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 38),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 256),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
}

volatile std::sig_atomic_t arm_requested = 0;
void on_arm(int) { arm_requested = 1; }

class Client {
 public:
  explicit Client(const Options& options)
      : address_(ipv4(options.words()[0])),
        interval_ns_(options.number("interval-us", 250) * 1000),
        max_ns_(options.number("max-ms", 60'000) * 1'000'000),
        settle_ns_(
            std::max(options.number("until-recovered-ms", 0), options.number("until-moved-ms", 0)) *
            1'000'000),
        min_lost_(static_cast<size_t>(options.number("min-lost", 2))),
        id_(static_cast<uint16_t>(getpid() & 0xffff)),
        nonce_(static_cast<uint64_t>(boottime_ns())),
        log_(interval_ns_, options.number("answer-within-ms", 50) * 1'000'000,
             static_cast<size_t>(max_ns_ / std::max<int64_t>(interval_ns_, 1)) + 16),
        answers_(packet_socket(options.text("interface", "eth0"), ETH_P_IP,
                               answers_from(address_, id_))),
        requests_(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP)) {
    if (!requests_) {
      fail_errno("open a raw socket");
    }
    // The raw socket only sends; without this every answer would be copied to it as well.
    sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const sock_fprog program{1, nothing};
    setsockopt(requests_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = address_;
    if (connect(requests_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
      fail_errno("no route to " + options.words()[0]);
    }
    if (options.number("until-moved-ms", 0) != 0) {
      log_.mean_moves();
    }
    enable_stamps(answers_);
    set_receive_buffer(answers_, 4 << 20);
  }

  void run() {
    const int64_t begin = boottime_ns();
    int64_t next = begin;
    while (!stop_requested() && !log_.full()) {
      drain();
      const int64_t now = boottime_ns();
      if (now - begin >= max_ns_) {
        ended_ = "deadline";
        break;
      }
      if (arm_requested != 0) {
        arm_requested = 0;
        log_.arm();
      }
      int64_t since = 0;
      if (settle_ns_ != 0 && log_.recovered(min_lost_, &since) && now - since >= settle_ns_) {
        ended_ = "recovered";
        break;
      }
      if (now >= next) {
        send(now);
        // After a stall of our own the missed probes are not sent in a heap: they would all be
        // late.
        next = now - next > 4 * interval_ns_ ? now + interval_ns_ : next + interval_ns_;
        continue;
      }
      wait(next - now);
    }
    const int64_t grace = boottime_ns() + 60'000'000;  // for the answers still on their way
    while (boottime_ns() < grace) {
      wait(1'000'000);
      drain();
    }
  }

  nlohmann::json report(const std::string& scheduling) const;
  void dump(const std::string& path) const;

 private:
  void send(int64_t now) {
    const size_t number = log_.sent(now);
    struct {
      icmphdr header;
      Payload payload;
    } packet{};
    packet.header.type = ICMP_ECHO;
    packet.header.un.echo.id = htons(id_);
    packet.header.un.echo.sequence = htons(static_cast<uint16_t>(number));
    packet.payload = {nonce_, number};
    const auto* bytes = reinterpret_cast<const uint8_t*>(&packet);
    packet.header.checksum = internet_checksum({bytes, sizeof(packet)});
    if (::send(requests_.get(), &packet, sizeof(packet), 0) < 0) {
      // Told here: that a former probe came back as "host unreachable". It was lost, and so is this
      // one, unless our own queue was full.
      ++send_errors_;
      if (errno == ENOBUFS || errno == EAGAIN) {
        log_.forget_last();
      }
    }
  }

  void drain() {
    uint8_t frame[256];
    while (true) {
      const Received received = receive(answers_, frame);
      if (received.length == 0) {
        return;
      }
      Payload payload{};
      if (received.outgoing ||
          received.length < kEthernet + kIp + sizeof(icmphdr) + sizeof(payload)) {
        continue;
      }
      std::memcpy(&payload, frame + kEthernet + kIp + sizeof(icmphdr), sizeof(payload));
      if (payload.nonce != nonce_) {
        continue;
      }
      const int64_t now = boottime_ns();
      const int64_t stamp = clock_.to_boottime(received.realtime_ns);
      const bool sane = stamp <= now && now - stamp < 1'000'000'000;
      Mac mac{};
      std::copy_n(frame + ETH_ALEN, ETH_ALEN, mac.begin());
      log_.answered(payload.number, sane ? stamp : now, mac);
      if (!ready_ && ++answered_in_a_row_ == kReadyAfter) {
        ready_ = true;
        std::puts("{\"ready\":true}");
        std::fflush(stdout);
      }
    }
  }

  void wait(int64_t for_ns) {
    pollfd descriptor{answers_.get(), POLLIN, 0};
    const timespec timeout{for_ns / 1'000'000'000, for_ns % 1'000'000'000};
    ppoll(&descriptor, 1, &timeout, nullptr);
  }

  uint32_t address_;
  int64_t interval_ns_;
  int64_t max_ns_;
  int64_t settle_ns_;
  size_t min_lost_;
  uint16_t id_;
  uint64_t nonce_;
  ProbeLog log_;
  Fd answers_;
  Fd requests_;
  StampClock clock_;
  uint64_t send_errors_ = 0;
  int answered_in_a_row_ = 0;
  bool ready_ = false;
  const char* ended_ = "asked to";
};

nlohmann::json outage_json(const Outage& outage, const std::vector<Mac>& macs) {
  const auto mac = [&](int index) -> nlohmann::json {
    if (index < 0) {
      return nullptr;
    }
    return mac_text(macs[static_cast<size_t>(index)].data());
  };
  nlohmann::json out{{"first_lost_ns", outage.first_lost_ns},
                     {"lost", outage.lost},
                     {"own_stall_us", outage.own_stall_ns / 1000},
                     {"mac_before", mac(outage.mac_before)},
                     {"mac_after", mac(outage.mac_after)},
                     {"last_answer_ns", nullptr},
                     {"first_answer_ns", nullptr},
                     {"ms", nullptr}};
  if (outage.last_answer_ns != 0) {
    out["last_answer_ns"] = outage.last_answer_ns;
  }
  if (outage.first_answer_ns != 0) {
    out["first_answer_ns"] = outage.first_answer_ns;
    if (outage.last_answer_ns != 0) {
      out["ms"] = static_cast<double>(outage.first_answer_ns - outage.last_answer_ns) / 1e6;
    }
  }
  return out;
}

nlohmann::json Client::report(const std::string& scheduling) const {
  std::vector<int64_t> round_trips;
  uint64_t late = 0;
  int64_t longest_stall = 0;
  const auto& probes = log_.probes();
  for (size_t i = 0; i < probes.size(); ++i) {
    if (log_.in_time(probes[i])) {
      round_trips.push_back(probes[i].answered_ns - probes[i].sent_ns);
    } else if (probes[i].answered_ns != 0) {
      ++late;
    }
    if (i > 0) {
      longest_stall =
          std::max(longest_stall, probes[i].sent_ns - probes[i - 1].sent_ns - interval_ns_);
    }
  }
  std::sort(round_trips.begin(), round_trips.end());
  const auto at = [&](double share) -> nlohmann::json {
    if (round_trips.empty()) {
      return nullptr;
    }
    const auto last = static_cast<double>(round_trips.size() - 1);
    return static_cast<double>(round_trips[static_cast<size_t>(share * last)]) / 1000;
  };
  nlohmann::json by_mac = nlohmann::json::object();
  for (size_t i = 0; i < log_.macs().size(); ++i) {
    by_mac[mac_text(log_.macs()[i].data())] = log_.answers_by_mac()[i];
  }
  nlohmann::json outages = nlohmann::json::array();
  uint64_t lost = 0;
  for (const Outage& outage : log_.outages()) {
    lost += static_cast<uint64_t>(outage.lost);
    if (outages.size() < 1000) {
      outages.push_back(outage_json(outage, log_.macs()));
    }
  }
  return {{"sent", probes.size()},
          {"answered", round_trips.size()},
          {"lost", lost},
          {"late", late},
          {"duplicates", log_.duplicates()},
          {"send_errors", send_errors_},
          {"answered_by", by_mac},
          {"outages", outages},
          {"rtt_us", {{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}}},
          {"interval_us", interval_ns_ / 1000},
          {"longest_own_stall_us", longest_stall / 1000},
          {"unread_answers", drops_of(answers_)},
          {"scheduling", scheduling},
          {"ended", ended_}};
}

void Client::dump(const std::string& path) const {
  FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    fail_errno("write " + path);
  }
  for (const Probe& probe : log_.probes()) {
    const bool answered = probe.answered_ns != 0;
    std::fprintf(file, "%lld %lld %s\n", static_cast<long long>(probe.sent_ns),
                 static_cast<long long>(probe.answered_ns),
                 answered ? mac_text(log_.macs()[probe.mac].data()).c_str() : "-");
  }
  std::fclose(file);
}

void run(const Options& options) {
  if (options.words().size() != 1) {
    options.usage_error("one ADDRESS is needed");
  }
  stop_on_signals();
  struct sigaction action {};
  action.sa_handler = on_arm;
  sigaction(SIGUSR1, &action, nullptr);
  Client client(options);
  const std::string scheduling = become_realtime(60);
  client.run();
  std::puts(client.report(scheduling).dump().c_str());
  if (options.has("dump")) {
    client.dump(options.text("dump"));
  }
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage,
                                {"interface", "interval-us", "answer-within-ms", "max-ms",
                                 "until-recovered-ms", "until-moved-ms", "min-lost", "dump"}));
  return 0;
}
