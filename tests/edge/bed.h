// SPDX-License-Identifier: Apache-2.0
//
//   this thread's namespace                         the peer's namespace
//   edg0 10.99.0.1/24, 02:00:00:00:00:01  <-veth->  edg1 10.99.0.2/24, 02:00:00:00:00:02
//
// Two namespaces without names, gone with the Bed. Nothing that the kernel sends by itself disturbs
// them: no duplicate address detection, no router solicitation, no multicast reports, but for what
// a test asks for.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/net.h"
#include "base/text.h"
#include "config/address.h"
#include "loop/hands.h"
#include "tests/loop/turning.h"

namespace cb::test {

using Bytes = std::vector<std::uint8_t>;

inline config::Prefix prefix(const char* text) { return *config::parse_prefix(text); }
inline Ipv4 v4(const char* text) { return *parse_ipv4(text); }
inline Mac mac(const char* text) { return *parse_mac(text); }

class Bed {
 public:
  Bed() {
    before_ = open_current();
    EXPECT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    peer_ = open_current();
    quiet(true);
    EXPECT_EQ(unshare(CLONE_NEWNET), 0);
    node_ = open_current();
    quiet(false);
    make_veth();
  }
  ~Bed() { EXPECT_EQ(setns(before_.get(), CLONE_NEWNET), 0); }
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;

  // Does something with this thread in the peer's namespace.
  template <class F>
  auto in_peer(F f) {
    EXPECT_EQ(setns(peer_.get(), CLONE_NEWNET), 0);
    auto result = f();
    EXPECT_EQ(setns(node_.get(), CLONE_NEWNET), 0);
    return result;
  }

  void make_veth() {
    const std::string peer =
        "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(peer_.get());
    // Two indexes: the kernel tells at once of carrier when they differ, and a second late when
    // not.
    next_index_ += 2;
    node("ip link add edg0 index " + std::to_string(next_index_) +
         " address 02:00:00:00:00:01 type veth peer name edg1 index " +
         std::to_string(next_index_ + 1) + " address 02:00:00:00:00:02 netns " + peer);
    node("ip addr add 10.99.0.1/24 dev edg0");
    node("ip link set edg0 up");
    peer_run("ip addr add 10.99.0.2/24 dev edg1");
    peer_run("ip link set edg1 up");
    wait_for_carrier("edg0");
    in_peer([] { return wait_for_carrier("edg1"); });
  }

  // The kernel tells of carrier a moment after both ends are up.
  static bool wait_for_carrier(const char* interface) {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    const Instant end = boottime_now() + Duration::from_s(10);
    do {
      EXPECT_EQ(ioctl(socket.get(), SIOCGIFFLAGS, &request), 0);
      sched_yield();
    } while ((request.ifr_flags & IFF_RUNNING) == 0 && boottime_now() < end);
    EXPECT_NE(request.ifr_flags & IFF_RUNNING, 0) << interface;
    return (request.ifr_flags & IFF_RUNNING) != 0;
  }

  // Runs a command line (words separated by spaces) in a namespace; its output. A failure fails the
  // test.
  std::string node(const std::string& line) { return run(node_, line, true); }
  std::string peer_run(const std::string& line) { return run(peer_, line, true); }
  // The same, where failure is no surprise.
  std::string node_try(const std::string& line) { return run(node_, line, false); }

 private:
  static Fd open_current() { return Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

  // A kernel without a link-local address has no route for multicast and hears no advertisement.
  static void quiet(bool link_local) {
    for (const char* name : {"all", "default"}) {
      write_setting(std::string("ipv6/conf/") + name + "/accept_dad", "0");
      write_setting(std::string("ipv6/conf/") + name + "/router_solicitations", "0");
      write_setting(std::string("ipv6/conf/") + name + "/addr_gen_mode", link_local ? "0" : "1");
    }
  }

 public:
  static void write_setting(const std::string& name, const std::string& value) {
    const std::string path = "/proc/sys/net/" + name;
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_TRUE(file) << path;
    EXPECT_EQ(::write(file.get(), value.data(), value.size()), static_cast<ssize_t>(value.size()))
        << path;
  }

 private:
  static std::string run(const Fd& where, const std::string& line, bool must) {
    std::vector<std::string> words;
    for (const auto word : split(line, ' ')) {
      words.emplace_back(word);
    }
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    const Fd reader(ends[0]);
    Fd writer(ends[1]);
    std::vector<char*> arguments;
    for (std::string& word : words) {
      arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      if (setns(where.get(), CLONE_NEWNET) == 0 && dup2(writer.get(), 1) == 1 &&
          dup2(writer.get(), 2) == 2) {
        execvp(arguments[0], arguments.data());
      }
      _exit(127);
    }
    writer.reset();
    std::string output;
    std::array<char, 4096> bytes{};
    for (ssize_t n = 0; (n = ::read(reader.get(), bytes.data(), bytes.size())) > 0;) {
      output.append(bytes.data(), static_cast<std::size_t>(n));
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (must) {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << line << "\n" << output;
    }
    return output;
  }

  int next_index_ = 100;
  Fd before_;
  Fd node_;
  Fd peer_;
};

// Whoever is at the other end of the wire, with the frames that arrive there.
class Wire {
 public:
  // In the current namespace, on this interface.
  explicit Wire(const std::string& interface, std::uint16_t ether_type = 0x0003) {
    socket_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_TRUE(socket_);
    const int one = 1;
    EXPECT_EQ(setsockopt(socket_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one), 0);
    index_ = static_cast<int>(if_nametoindex(interface.c_str()));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = __builtin_bswap16(ether_type);
    address.sll_ifindex = index_;
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  // Frames are collected while the loop turns; on_frame (if any) sees each at once.
  void listen(loop::Loop& loop, std::function<void(const Bytes&)> on_frame = nullptr) {
    loop_ = &loop;
    loop.watch(socket_.get(), [this, call = std::move(on_frame)] {
      for (;;) {
        Bytes bytes(2000);
        const ssize_t n = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
        if (n < 0) {
          return;
        }
        bytes.resize(static_cast<std::size_t>(n));
        frames.push_back(bytes);
        if (call != nullptr) {
          call(frames.back());
        }
      }
    });
  }

  ~Wire() {
    if (loop_ != nullptr) {
      loop_->unwatch(socket_.get());
    }
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void send(std::span<const std::uint8_t> frame) {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = index_;
    EXPECT_EQ(::sendto(socket_.get(), frame.data(), frame.size(), 0,
                       reinterpret_cast<sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(frame.size()))
        << strerror(errno);
  }

  std::vector<Bytes> frames;

 private:
  Fd socket_;
  int index_ = 0;
  loop::Loop* loop_ = nullptr;
};

// A filter that drops everything that leaves an interface, as a closed guard does.
class ClosedGate {
 public:
  explicit ClosedGate(const char* interface) {
    const std::array<bpf_insn, 2> drop = {{
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT},
        {.code = BPF_JMP | BPF_EXIT},
    }};
    program_ = Fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "edg_drop", "GPL", drop.data(),
                                drop.size(), nullptr));
    EXPECT_TRUE(program_) << strerror(errno);
    std::memset(&hook_, 0, sizeof hook_);  // libbpf looks at the padding too
    hook_.sz = sizeof hook_;
    hook_.ifindex = static_cast<int>(if_nametoindex(interface));
    hook_.attach_point = BPF_TC_EGRESS;
    EXPECT_EQ(bpf_tc_hook_create(&hook_), 0);
    bpf_tc_opts options;
    std::memset(&options, 0, sizeof options);
    options.sz = sizeof options;
    options.prog_fd = program_.get();
    EXPECT_EQ(bpf_tc_attach(&hook_, &options), 0);
  }
  ~ClosedGate() {
    hook_.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    EXPECT_EQ(bpf_tc_hook_destroy(&hook_), 0);
  }
  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;

 private:
  Fd program_;
  bpf_tc_hook hook_;
};

// What every test of an edge on a real network has.
class NetworkTest : public testing::Test {
 protected:
  NetworkTest() : loop(open_loop()) {
    hands = std::move(*loop::Hands::start(*loop, {.name = "test-hands", .fifo = {}}));
  }

  bool until(const std::function<bool()>& condition, Duration limit = Duration::from_s(10)) {
    return turn_until(*loop, condition, limit);
  }
  // Turns for this long: for what must not happen meanwhile.
  void turn_for(Duration span) {
    bool over = false;
    loop->after(span, [&] { over = true; });
    EXPECT_TRUE(until([&] { return over; }, span + Duration::from_s(10)));
  }

  Bed bed;  // first: the hands' thread and every socket are born in its namespace
  std::unique_ptr<loop::Loop> loop;
  std::unique_ptr<loop::Hands> hands;
};

}  // namespace cb::test
