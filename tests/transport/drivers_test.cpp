// SPDX-License-Identifier: Apache-2.0
//
// The transport over the real drivers: a cable (raw frames) and the service network (UDP) between
// two namespaces. The pair of the Bed is the network; the cable is added beside it.
#include <gtest/gtest.h>

#include <vector>

#include "drivers/link/list.h"
#include "tests/edge/bed.h"
#include "transport/sealed.h"

namespace cb::test {
namespace {

using transport::Priority;

struct Side {
  std::unique_ptr<transport::Transport> transport;
  std::uint64_t next = 0;  // the number of the next message to arrive
  int wrong = 0;           // messages that are not what was sent, or not in their place
  int downs = 0;
};

// A message that says which one it is, and ends with the same.
std::vector<std::uint8_t> message(std::uint64_t number) {
  std::vector<std::uint8_t> bytes(60'000 + number % 1000, static_cast<std::uint8_t>(number));
  std::memcpy(bytes.data(), &number, sizeof number);
  std::memcpy(bytes.data() + bytes.size() - sizeof number, &number, sizeof number);
  return bytes;
}

class Drivers : public testing::Test {
 protected:
  void SetUp() override {
    // The peer's end is made here and handed over, as the Bed does with its own pair.
    bed.node("ip link add cab0 index 300 type veth peer name cab1 index 301");
    const std::string peer = "/proc/" + std::to_string(getpid()) + "/fd/";
    const Fd there(
        bed.in_peer([] { return ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC); }));
    bed.node("ip link set cab1 netns " + peer + std::to_string(there.get()));
    bed.node("ip link set cab0 up");
    bed.peer_run("ip link set cab1 up");
    Bed::wait_for_carrier("cab0");
  }
  void TearDown() override {
    for (Side& side : sides) {
      side.transport.reset();
    }
  }

  void open(int node, bool cable, bool network) {
    transport::Options options;
    options.psk.fill(3);
    options.node = node;
    options.instance = 5;
    // Twenty cuts in a row: the growing distrust of a cable that fails so often is not waited out.
    options.settings.return_after = options.settings.return_after_max = Duration::from_ms(100);
    const auto links = [&] {
      if (cable) {
        link::PacketOptions packet;
        packet.interface = node == 0 ? "cab0" : "cab1";
        auto link = link::open_packet(*loop, packet);
        EXPECT_TRUE(link) << to_text(link.error());
        options.links.push_back(std::move(*link));
      }
      if (network) {
        link::UdpOptions udp;
        udp.interface = node == 0 ? "edg0" : "edg1";
        udp.self = v4(node == 0 ? "10.99.0.1" : "10.99.0.2");
        udp.peer = v4(node == 0 ? "10.99.0.2" : "10.99.0.1");
        auto link = link::open_udp(*loop, udp);
        EXPECT_TRUE(link) << to_text(link.error());
        options.links.push_back(std::move(*link));
      }
      return true;
    };
    node == 0 ? links() : bed.in_peer(links);
    auto opened = transport::Transport::open(*loop, std::move(options));
    ASSERT_TRUE(opened) << to_text(opened.error());
    Side& side = sides[static_cast<std::size_t>(node)];
    side.transport = *std::move(opened);
    side.transport->listen({.on_up = {},
                            .on_down = [&side] { ++side.downs; },
                            .on_message =
                                [&side](Priority, transport::ConstBytes bytes) {
                                  const auto wanted = message(side.next++);
                                  side.wrong += !std::ranges::equal(bytes, wanted);
                                },
                            .on_room = {}});
  }
  void open_both(bool cable, bool network) {
    open(0, cable, network);
    open(1, cable, network);
    ASSERT_TRUE(turn_until(*loop, [this] {
      return sides[0].transport->facts().up && sides[1].transport->facts().up;
    }));
  }
  // Node 0 keeps sending until node 1 has so many more; the longest wait between two arrivals.
  Duration carry(std::uint64_t more) {
    const std::uint64_t target = sides[1].next + more;
    std::uint64_t seen = sides[1].next;
    Instant last = boottime_now();
    Duration longest{};
    EXPECT_TRUE(turn_until(*loop,
                           [&] {
                             while (sent - sides[1].next < 100 &&
                                    sides[0].transport->room(Priority::Log) > 0) {
                               const auto bytes = message(sent++);
                               const transport::ConstBytes part(bytes);
                               sides[0].transport->send(Priority::Log, std::span(&part, 1));
                             }
                             if (sides[1].next != seen) {
                               seen = sides[1].next;
                               longest = std::max(longest, boottime_now() - last);
                               last = boottime_now();
                             }
                             return sides[1].next >= target;
                           }))
        << sides[1].next << " of " << target;
    return longest;
  }
  bool uses(std::size_t path) { return sides[0].transport->facts().paths[path].in_use; }

  Bed bed;
  std::unique_ptr<loop::Loop> loop = open_loop();
  std::array<Side, 2> sides;
  std::uint64_t sent = 0;
};

TEST_F(Drivers, TheCableCarriesTheStreamInLargePackets) {
  open_both(true, false);
  ASSERT_TRUE(turn_until(
      *loop, [this] { return sides[0].transport->facts().paths[0].packet_max > 60'000; }));
  carry(1000);
  EXPECT_EQ(sides[1].wrong, 0);
  EXPECT_EQ(sides[1].transport->facts().refused, 0u);
}

TEST_F(Drivers, TheNetworkCarriesTheStream) {
  open_both(false, true);
  ASSERT_TRUE(
      turn_until(*loop, [this] { return sides[0].transport->facts().paths[0].packet_max > 1400; }));
  carry(500);
  EXPECT_EQ(sides[1].wrong, 0);
}

// Cut and healed twenty times during bulk writes: no stall above a second.
TEST_F(Drivers, TheStreamMovesWhenTheCableIsCutAndBackAndLosesNothing) {
  open_both(true, true);
  carry(50);
  Duration longest{};
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(turn_until(*loop, [this] { return uses(0); })) << "round " << round;
    bed.peer_run("ip link set cab1 down");
    longest = std::max(longest, carry(20));
    ASSERT_TRUE(turn_until(*loop, [this] { return uses(1); })) << "round " << round;
    longest = std::max(longest, carry(20));
    bed.peer_run("ip link set cab1 up");
    longest = std::max(longest, carry(20));
  }
  EXPECT_LT(longest, Duration::from_s(1));
  EXPECT_EQ(sides[1].wrong, 0);
  EXPECT_EQ(sides[0].downs + sides[1].downs, 0);
  RecordProperty("longest_stall_us", static_cast<int>(longest.as_us()));
}

}  // namespace
}  // namespace cb::test
