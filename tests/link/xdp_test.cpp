// SPDX-License-Identifier: Apache-2.0
//
// The heartbeats' XDP program lets the replication's frames pass, natively attached at both ends.
// (That packets arrive through it whole is in packet_test.cpp and udp_test.cpp.)
#include "drivers/link/frame.h"
#include "tests/link/ends.h"

namespace cb::test {
namespace {

std::uint32_t verdict(const bpf_program* program, Bytes frame) {
  Bytes out(frame.size() + 256);
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  run.data_in = frame.data();
  run.data_size_in = static_cast<__u32>(frame.size());
  run.data_out = out.data();
  run.data_size_out = static_cast<__u32>(out.size());
  EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program), &run), 0);
  return run.retval;
}

TEST(Xdp, PassesTheFramesOfTheLinks) {
  Bed bed;
  Xdp xdp("edg0", false);
  const Mac to{{2, 0, 0, 0, 0, 1}};
  const Mac from{{2, 0, 0, 0, 0, 2}};
  Bytes plain(link::kPlainHeader + 1000);
  link::write_plain(std::span(plain).first<link::kPlainHeader>(), to, from, link::FrameKind::Packet,
                    0, 1000);
  EXPECT_EQ(verdict(xdp.program(), plain), static_cast<std::uint32_t>(XDP_PASS));
  Bytes super(link::kSuperHeader + 1000);
  link::write_super(std::span(super).first<link::kSuperHeader>(), to, from, link::FrameKind::Packet,
                    0, 1, 1000);
  EXPECT_EQ(verdict(xdp.program(), super), static_cast<std::uint32_t>(XDP_PASS));
  // A datagram to the replication's port; one to the heartbeats' port that is none is dropped, so
  // the program did look.
  Bytes datagram(14 + 28 + 500);
  datagram[12] = 0x08;
  datagram[14] = 0x45;
  datagram[16] = (28 + 500) >> 8;
  datagram[17] = (28 + 500) & 0xff;
  datagram[23] = 17;
  datagram[30] = 10;
  datagram[36] = link::kPort >> 8;
  datagram[37] = link::kPort & 0xff;
  datagram[38] = (8 + 500) >> 8;
  datagram[39] = (8 + 500) & 0xff;
  EXPECT_EQ(verdict(xdp.program(), datagram), static_cast<std::uint32_t>(XDP_PASS));
  datagram[36] = CB_UDP_PORT_DEFAULT >> 8;
  datagram[37] = CB_UDP_PORT_DEFAULT & 0xff;
  EXPECT_EQ(verdict(xdp.program(), datagram), static_cast<std::uint32_t>(XDP_DROP));
}

// With XDP the sender's kernel cuts superframes into frames, which the receiver's merges again.
TEST(Xdp, SuperframesAreMergedBehindTheProgram) {
  for (const std::size_t mtu : {std::size_t{1500}, std::size_t{9000}}) {
    Pair pair({mtu, true, true});
    ASSERT_TRUE(pair.wait_for_superframes());
    for (std::size_t i = 0; i < 100; ++i) {
      expect_carried(*pair.loop, *pair.near, *pair.far,
                     {packet(pair.near->link().packet_max(), i)});
    }
    EXPECT_TRUE(pair.near->facts().how.starts_with("superframes, cut by the kernel"))
        << pair.near->facts().how;
    EXPECT_TRUE(pair.far->facts().how.ends_with("arriving merged")) << pair.far->facts().how;
  }
}

TEST(Xdp, WithoutMergingTheyArriveInPieces) {
  Pair pair({1500, true, false});
  ASSERT_TRUE(pair.wait_for_superframes());
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(50'000, 1)});
  EXPECT_TRUE(pair.far->facts().how.ends_with("arriving in pieces (GRO is off)"))
      << pair.far->facts().how;
}

// The program that is attached while packets flow: a monitor starts.
TEST(Xdp, MayComeAndGoWhileTheLinkWorks) {
  Pair pair;
  ASSERT_TRUE(pair.wait_for_superframes());
  {
    Xdp near("edg0", false);
    auto far = pair.bed.in_peer([] { return std::make_unique<Xdp>("edg1", false); });
    expect_carried(*pair.loop, *pair.near, *pair.far, {packet(60'000, 1), packet(100, 2)});
    expect_carried(*pair.loop, *pair.far, *pair.near, {packet(60'000, 1), packet(100, 2)});
  }
  pair.bed.node("ip link set edg0 xdp off");
  pair.bed.peer_run("ip link set edg1 xdp off");
  expect_carried(*pair.loop, *pair.near, *pair.far, {packet(60'000, 1), packet(100, 2)});
}

}  // namespace
}  // namespace cb::test
