// SPDX-License-Identifier: Apache-2.0
//
// The programs in a running network stack: real sockets, real ARP, checksums that somebody checks.
//
//   this namespace                 another one
//   [ near0 192.0.2.1 ]============[ far0 192.0.2.2 ]
//     direct, network, guard         a bare kernel and the test's sockets
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

using edge::Kernel;

constexpr Ipv4 kVip{{192, 0, 2, 100}};

class OnTheWire : public ::testing::Test {
 protected:
  void SetUp() override {
    near_space = Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    far_space = Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(setns(near_space.get(), CLONE_NEWNET), 0);
    const std::string path =
        "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(far_space.get());
    run({"ip", "link", "set", "dev", "far0", "netns", path});
    run({"ip", "address", "add", "192.0.2.1/24", "dev", "near0"});
    at_far([] {
      run({"ip", "link", "set", "dev", "far0", "up"});
      run({"ip", "address", "add", "192.0.2.2/24", "dev", "far0"});
    });
  }
  void TearDown() override {
    if (kernel) {
      EXPECT_TRUE(kernel->detach().has_value());
    }
  }

  void at_far(const std::function<void()>& what) {
    ASSERT_EQ(setns(far_space.get(), CLONE_NEWNET), 0);
    what();
    ASSERT_EQ(setns(near_space.get(), CLONE_NEWNET), 0);
  }
  std::unique_ptr<Wire> wire_at_far() {
    std::unique_ptr<Wire> wire;
    at_far([&] { wire = std::make_unique<Wire>("far0"); });
    return wire;
  }
  void open(const std::string& direct, edge::XdpMode mode = edge::XdpMode::Auto) {
    auto opened = Kernel::open({.root = root.path(),
                                .direct_ifname = direct,
                                .service_ifname = "near0",
                                .xdp_mode = mode});
    ASSERT_TRUE(opened.has_value()) << to_text(opened.error());
    kernel = std::make_unique<Kernel>(*std::move(opened));
    kernel->node()->boot = 1;
    kernel->node()->udp_port = kPort;
    kernel->pairs()[0].pairing = 5;
    ASSERT_TRUE(kernel->set_index(5, 0).has_value());
    far.node.boot = 2;
    far.node.udp_port = kPort;
    far.pairs[0].pairing = 5;
  }

  Network network;
  Root root;
  Fd near_space;
  Fd far_space;  // outlives the cable: an end in a dying namespace takes the other one along
  Cable cable{"near0", "far0"};
  std::unique_ptr<Kernel> kernel;
  NativeNode far;
};

// Neither mode needs anything of the peer's end.
class AnswersABarePeer : public OnTheWire, public ::testing::WithParamInterface<edge::XdpMode> {};

TEST_P(AnswersABarePeer, InGenericModeAndByTc) {
  open("near0", GetParam());
  ASSERT_EQ(kernel->facts().xdp_mode, GetParam());
  const auto wire = wire_at_far();
  for (const Mac to : {kNear, kBroadcast}) {
    const Heartbeat probe = far.probe(0, CB_LINK_DIRECT, now_ns());
    wire->send(direct_frame(probe, to));
    const auto answer = wire->receive([](const Bytes& frame) { return frame.size() == 142; });
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(cut_to(*answer, 12), cut_to(Frame(kFar, kNear).bytes(), 12));
    EXPECT_EQ(heartbeat_of(*answer).sequence, probe.sequence);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, AnswersABarePeer,
                         ::testing::Values(edge::XdpMode::Generic, edge::XdpMode::Tc));

// Every way in which a checksum can be somebody else's business: the answer must be right on the
// wire all the same.
TEST_F(OnTheWire, AUdpSocketGetsItsAnswerWhoeverComputesChecksums) {
  open("");
  Fd socket_at_far;
  at_far([&] {
    socket_at_far = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in self{};
    self.sin_family = AF_INET;
    self.sin_port = htons(kPort);
    std::memcpy(&self.sin_addr, kFarIp.bytes.data(), 4);
    ASSERT_EQ(bind(socket_at_far.get(), reinterpret_cast<sockaddr*>(&self), sizeof self), 0);
    std::memcpy(&self.sin_addr, kNearIp.bytes.data(), 4);
    ASSERT_EQ(connect(socket_at_far.get(), reinterpret_cast<sockaddr*>(&self), sizeof self), 0);
  });
  for (const char* near_tx : {"on", "off"}) {
    for (const char* far_tx : {"on", "off"}) {
      SCOPED_TRACE(std::string("near's card: ") + near_tx + ", far's card: " + far_tx);
      run({"ethtool", "-K", "near0", "tx", near_tx, "rx", "off"});
      at_far([&] { run({"ethtool", "-K", "far0", "tx", far_tx, "rx", "off"}); });
      const Heartbeat probe = far.probe(0, CB_LINK_NETWORK, now_ns());
      ASSERT_EQ(send(socket_at_far.get(), &probe, sizeof probe, 0),
                static_cast<ssize_t>(sizeof probe));
      pollfd ready{socket_at_far.get(), POLLIN, 0};
      ASSERT_EQ(poll(&ready, 1, 3000), 1) << "no answer that far's kernel would accept";
      Heartbeat answer{};
      ASSERT_EQ(recv(socket_at_far.get(), &answer, sizeof answer, 0),
                static_cast<ssize_t>(sizeof answer));
      EXPECT_EQ(answer.kind, CB_ANSWER);
      EXPECT_EQ(answer.sequence, probe.sequence);
    }
  }
  EXPECT_EQ(kernel->paths()[CB_LINK_NETWORK].answers_sent, 4u);
}

TEST_F(OnTheWire, AnotherVlansHeartbeatIsNotOursButAPriorityTagIs) {
  open("");
  const auto wire = wire_at_far();
  const auto tagged = [&](uint16_t tag) {
    return Frame(kNear, kFar)
        .vlan(tag)
        .ipv4(kFarIp, kNearIp)
        .udp(kPort, kPort)
        .heartbeat(far.probe(0, CB_LINK_NETWORK, now_ns()))
        .bytes();
  };
  wire->send(tagged(5));
  wire->send(tagged(0xa000));  // priority 5, no VLAN
  // Frames stay in order, so the answer to the second says that the first was not answered.
  const auto answer = wire->receive([](const Bytes& frame) { return frame.size() >= 170; });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CB_BE64(heartbeat_of(*answer).sequence), 2u);
  EXPECT_EQ(kernel->paths()[CB_LINK_NETWORK].probes_received, 1u);
}

TEST_F(OnTheWire, TheKernelsOwnArpIsSilentForAShutAddress) {
  run({"ip", "address", "add", "192.0.2.100/32", "dev", "near0"});
  open("");
  ASSERT_TRUE(kernel->set_address(0, edge::guard_key(kVip)).has_value());
  kernel->pairs()[0].guard_mode = CB_GUARD_LEASED;
  kernel->node()->fresh_until_ns = now_ns() + 3600 * kSecond;
  const auto wire = wire_at_far();
  const auto who_has = [](Ipv4 address) {
    return Frame(kBroadcast, kFar).arp(1, kFar, kFarIp, address).bytes();
  };
  const auto reply_from = [](const Bytes& frame, Ipv4 address) {
    return frame.size() >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2 &&
           std::memcmp(frame.data() + 28, address.bytes.data(), 4) == 0;
  };
  // Is the address answered for? The node's own, asked next, says when to stop waiting.
  const auto is_answered = [&] {
    bool answered = false;
    wire->send(who_has(kVip));
    wire->send(who_has(kNearIp));
    EXPECT_TRUE(wire->receive([&](const Bytes& frame) {
                      answered |= reply_from(frame, kVip);
                      return reply_from(frame, kNearIp);
                    })
                    .has_value());
    return answered;
  };
  EXPECT_FALSE(is_answered());
  EXPECT_EQ(kernel->guarded(0)->dropped_lease, 1u);
  kernel->leases()[0].lease_until_ns = now_ns() + 3600 * kSecond;
  EXPECT_TRUE(is_answered());
  EXPECT_EQ(kernel->guarded(0)->passed, 2u) << "the question and the reply";
  kernel->node()->fresh_until_ns = now_ns();
  EXPECT_FALSE(is_answered());
  EXPECT_EQ(kernel->guarded(0)->dropped_monitor, 1u);
}

TEST_F(OnTheWire, AnAnnouncementDoesNotLeaveAShutNode) {
  open("");
  ASSERT_TRUE(kernel->set_address(0, edge::guard_key(kVip)).has_value());
  Wire near("near0");
  const auto far_wire = wire_at_far();
  const Bytes announcement = Frame(kBroadcast, kNear).arp(1, kNear, kVip, kVip).bytes();
  EXPECT_FALSE(near.try_send(announcement));
  kernel->pairs()[0].guard_mode = CB_GUARD_SOLO;
  EXPECT_TRUE(near.try_send(announcement));
  EXPECT_TRUE(
      far_wire->receive([&](const Bytes& frame) { return frame == announcement; }).has_value());
  EXPECT_EQ(kernel->guarded(0)->dropped_closed, 1u);
}

TEST_F(OnTheWire, ATagDoesNotHideTheAddress) {
  open("");
  ASSERT_TRUE(kernel->set_address(0, edge::guard_key(kVip)).has_value());
  const auto wire = wire_at_far();
  // On a running stack the tag has left the frame before the guard sees it; the second one has not.
  wire->send(Frame(kBroadcast, kFar).vlan(5).arp(1, kFar, kFarIp, kVip).bytes());
  wire->send(Frame(kNear, kFar)
                 .vlan(5)
                 .vlan(6)
                 .ipv4(kFarIp, kVip, 6)
                 .payload("0123456789012345678901234567890", 30)
                 .bytes());
  const uint64_t until = now_ns() + 3 * kSecond;
  while (kernel->guarded(0)->dropped_closed < 2 && now_ns() < until) {
    std::this_thread::yield();
  }
  EXPECT_EQ(kernel->guarded(0)->dropped_closed, 2u);
}

TEST_F(OnTheWire, BulkTrafficOfAnOpenAddressPassesWhole) {
  run({"ip", "address", "add", "192.0.2.100/32", "dev", "near0"});
  open("");
  ASSERT_TRUE(kernel->set_address(0, edge::guard_key(kVip)).has_value());
  kernel->pairs()[0].guard_mode = CB_GUARD_SOLO;
  sockaddr_in vip{};
  vip.sin_family = AF_INET;
  vip.sin_port = htons(9000);
  std::memcpy(&vip.sin_addr, kVip.bytes.data(), 4);
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&vip), sizeof vip), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  Fd client;
  at_far([&] { client = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); });
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&vip), sizeof vip), 0)
      << std::strerror(errno);
  Fd served(accept(listener.get(), nullptr, nullptr));
  ASSERT_TRUE(served);
  constexpr size_t kBytes = 4u << 20;
  std::thread sender([&] {
    const Bytes chunk(kBytes, 0x5a);
    size_t sent = 0;
    while (sent < kBytes) {
      const ssize_t n = send(client.get(), chunk.data() + sent, kBytes - sent, MSG_NOSIGNAL);
      if (n <= 0) {
        break;
      }
      sent += static_cast<size_t>(n);
    }
    client.reset();
  });
  size_t received = 0;
  Bytes buffer(1u << 16);
  for (ssize_t n = 0; (n = recv(served.get(), buffer.data(), buffer.size(), 0)) > 0;) {
    received += static_cast<size_t>(n);
  }
  sender.join();
  EXPECT_EQ(received, kBytes);
  EXPECT_GT(kernel->guarded(0)->passed, 50u);
  EXPECT_EQ(kernel->guarded(0)->dropped_closed, 0u);
}

}  // namespace
}  // namespace cb::test
