// SPDX-License-Identifier: Apache-2.0
//
// The kernel edge: what open() attaches and pins, what a restart keeps, what it leaves alone, what
// detach() removes.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "tests/bpf/bed.h"

namespace cb::test {
namespace {

using edge::Kernel;
using edge::KernelOptions;
using edge::XdpMode;
using ::testing::Test;
namespace fs = std::filesystem;

// How many raw tracepoint links run cb_exit, machine-wide; the bed's own is among them.
int exit_links() {
  int count = 0;
  uint32_t id = 0;
  while (bpf_link_get_next_id(id, &id) == 0) {
    Fd fd(bpf_link_get_fd_by_id(id));
    bpf_link_info info{};
    uint32_t size = sizeof info;
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 ||
        info.type != BPF_LINK_TYPE_RAW_TRACEPOINT) {
      continue;
    }
    Fd program(bpf_prog_get_fd_by_id(info.prog_id));
    bpf_prog_info what{};
    size = sizeof what;
    if (program && bpf_obj_get_info_by_fd(program.get(), &what, &size) == 0 &&
        std::string(what.name) == "cb_exit") {
      ++count;
    }
  }
  return count;
}

class Loader : public Test {
 protected:
  KernelOptions options() const { return options(XdpMode::Native); }
  KernelOptions options(XdpMode mode) const {
    return {
        .root = root.path(), .direct_ifname = "dir0", .service_ifname = "svc0", .xdp_mode = mode};
  }
  static uint32_t xdp_program(const std::string& name, uint8_t* mode = nullptr) {
    bpf_xdp_query_opts query{};
    query.sz = sizeof query;
    EXPECT_EQ(bpf_xdp_query(static_cast<int>(if_nametoindex(name.c_str())), 0, &query), 0);
    if (mode != nullptr) {
      *mode = query.attach_mode;
    }
    return query.prog_id;
  }
  static std::string filters(const std::string& name) {
    return run({"tc", "filter", "show", "dev", name, "ingress"}) +
           run({"tc", "filter", "show", "dev", name, "egress"});
  }
  static std::string qdiscs(const std::string& name) {
    return run({"tc", "qdisc", "show", "dev", name});
  }
  static size_t count(const std::string& text, const std::string& what) {
    size_t n = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
      ++n;
    }
    return n;
  }
  static void attach_foreign_xdp(const std::string& name) {
    const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign_fw", "GPL", pass, 2, nullptr));
    ASSERT_TRUE(program) << std::strerror(errno);
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(if_nametoindex(name.c_str())), program.get(),
                             XDP_FLAGS_DRV_MODE, nullptr),
              0);
  }
  static void attach_foreign_filter(const std::string& name, bpf_tc_attach_point point,
                                    uint32_t pref, uint32_t handle) {
    const bpf_insn go_on[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, -1},
                              {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign_tc", "GPL", go_on, 2, nullptr));
    ASSERT_TRUE(program) << std::strerror(errno);
    bpf_tc_hook hook{};
    hook.sz = sizeof hook;
    hook.ifindex = static_cast<int>(if_nametoindex(name.c_str()));
    hook.attach_point = point;
    bpf_tc_opts at{};
    at.sz = sizeof at;
    at.prog_fd = program.get();
    at.priority = pref;
    at.handle = handle;
    ASSERT_EQ(bpf_tc_attach(&hook, &at), 0);
  }
  void expect_nothing_is_left() {
    EXPECT_EQ(xdp_program("dir0"), 0u);
    EXPECT_EQ(filters("svc0"), "");
    EXPECT_EQ(qdiscs("svc0").find("clsact"), std::string::npos);
    EXPECT_FALSE(fs::exists(root.pins()));
  }

  Network network;
  Root root;
  Cable direct{"dir0", "dir1"};
  Cable service{"svc0", "svc1", Mac{{2, 0, 0, 0, 1, 1}}, Mac{{2, 0, 0, 0, 1, 2}}};
};

TEST_F(Loader, AttachesEverythingAndTakesItAllAway) {
  const int exits = exit_links();
  auto kernel = Kernel::open(options());
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Native);
  EXPECT_FALSE(kernel->facts().xdp_frags);
  EXPECT_FALSE(kernel->facts().kept);
  EXPECT_EQ(kernel->facts().pin_directory, root.pins());
  EXPECT_FALSE(kernel->facts().release.empty());
  EXPECT_EQ(kernel->node()->maps_version, static_cast<uint32_t>(CB_MAPS_VERSION));
  uint8_t mode = 0;
  EXPECT_NE(xdp_program("dir0", &mode), 0u);
  EXPECT_EQ(mode, XDP_ATTACHED_DRV);
  const std::string ingress = run({"tc", "filter", "show", "dev", "svc0", "ingress"});
  EXPECT_LT(ingress.find("cb_network"), ingress.find("cb_guard_in")) << ingress;
  EXPECT_NE(run({"tc", "filter", "show", "dev", "svc0", "egress"}).find("cb_guard_out"),
            std::string::npos);
  EXPECT_EQ(exit_links(), exits + 1);
  struct stat folder {};
  ASSERT_EQ(stat(root.pins().c_str(), &folder), 0);
  EXPECT_EQ(folder.st_mode & 0777, 0700u);
  for (const char* map : {"cb_node", "cb_pairs", "cb_leases", "cb_paths", "cb_probes", "cb_keys",
                          "cb_index", "cb_addresses", "cb_drops", "cb_guarded", "cb_changes"}) {
    EXPECT_TRUE(fs::exists(root.pins() + "/" + map)) << map;
  }

  EXPECT_TRUE(kernel->detach().has_value());
  expect_nothing_is_left();
  EXPECT_TRUE(kernel->detach().has_value()) << "twice is no error";
  EXPECT_EQ(kernel->node()->maps_version, static_cast<uint32_t>(CB_MAPS_VERSION))
      << "mappings stay readable";
  // The descriptors go with the object, and with them the last trace.
  kernel = fail(0, "gone");
  EXPECT_EQ(exit_links(), exits);
}

TEST_F(Loader, PinnedMapsReadWellInBpftool) {
  auto kernel = Kernel::open(options());
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  kernel->leases()[0].lease_until_ns = 123456789;
  const auto dump = [this](const std::string& map) {
    return run({"bpftool", "map", "dump", "pinned", root.pins() + "/" + map});
  };
  EXPECT_NE(dump("cb_leases").find("\"lease_until_ns\": 123456789"), std::string::npos);
  EXPECT_NE(dump("cb_paths").find("\"rtt_histogram\""), std::string::npos);
  EXPECT_NE(dump("cb_paths").find("\"monitor_age_us\""), std::string::npos);
  EXPECT_NE(dump("cb_pairs").find("\"guard_mode\""), std::string::npos);
  EXPECT_NE(dump("cb_node").find("\"fresh_until_ns\""), std::string::npos);
  EXPECT_NE(dump("cb_guarded").find("\"dropped_lease\""), std::string::npos);
  EXPECT_NE(run({"bpftool", "prog", "show"}).find("name cb_network"), std::string::npos);
  EXPECT_TRUE(kernel->detach().has_value());
}

TEST_F(Loader, ARestartKeepsWhatTheMapsKnowAndReplacesThePrograms) {
  auto first = Kernel::open(options());
  ASSERT_TRUE(first.has_value()) << to_text(first.error());
  first->leases()[2].granted_until_ns = 777;
  first->pairs()[2].guard_mode = CB_GUARD_SOLO;
  ASSERT_TRUE(first->set_address(2, edge::guard_key(Ipv4{{10, 1, 1, 1}})).has_value());
  const uint32_t program = xdp_program("dir0");
  const int exits = exit_links();
  {
    // As after a kill: nothing is detached, descriptors close.
    const Kernel gone = *std::move(first);
  }
  EXPECT_EQ(xdp_program("dir0"), program);

  auto second = Kernel::open(options());
  ASSERT_TRUE(second.has_value()) << to_text(second.error());
  EXPECT_TRUE(second->facts().kept);
  EXPECT_EQ(second->facts().xdp_mode, XdpMode::Native);
  EXPECT_EQ(second->leases()[2].granted_until_ns, 777u);
  EXPECT_EQ(second->pairs()[2].guard_mode, static_cast<uint32_t>(CB_GUARD_SOLO));
  EXPECT_NE(xdp_program("dir0"), program) << "an upgrade must reach the kernel";
  EXPECT_EQ(count(filters("svc0"), "id "), 3u) << filters("svc0");
  EXPECT_EQ(exit_links(), exits);
  EXPECT_TRUE(second->detach().has_value());
  expect_nothing_is_left();
}

class RestartsLoseNoProbe : public Loader, public ::testing::WithParamInterface<XdpMode> {};

TEST_P(RestartsLoseNoProbe, OverTheDirectLink) {
  direct.pass_xdp_at_far();
  auto kernel = Kernel::open(options(GetParam()));
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  ASSERT_EQ(kernel->facts().xdp_mode, GetParam());
  NativeNode far;
  far.node.boot = 2;
  far.pairs[0].pairing = 5;
  kernel->node()->boot = 1;
  kernel->pairs()[0].pairing = 5;
  ASSERT_TRUE(kernel->set_index(5, 0).has_value());

  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  int lost = 0;
  std::thread prober([&] {
    Wire wire("dir1");
    while (!stop) {
      const Heartbeat probe = far.probe(0, CB_LINK_DIRECT, now_ns());
      wire.send(direct_frame(probe));
      const auto answer = wire.receive(
          [&](const Bytes& frame) {
            return frame.size() == 142 && heartbeat_of(frame).sequence == probe.sequence;
          },
          3000);
      answer.has_value() ? ++answered : ++lost;
    }
  });
  for (int i = 0; i < 5; ++i) {
    const int before = answered;
    auto next = Kernel::open(options(GetParam()));
    EXPECT_TRUE(next.has_value()) << to_text(next.error());
    if (next) {
      EXPECT_TRUE(next->facts().kept);
      kernel = *std::move(next);
    }
    while (answered == before && lost == 0) {
      std::this_thread::yield();
    }
  }
  stop = true;
  prober.join();
  EXPECT_EQ(lost, 0);
  EXPECT_GE(answered, 5);
  EXPECT_EQ(static_cast<int>(kernel->paths()[0].answers_sent), answered);
  EXPECT_TRUE(kernel->detach().has_value());
}

INSTANTIATE_TEST_SUITE_P(Modes, RestartsLoseNoProbe,
                         ::testing::Values(XdpMode::Native, XdpMode::Tc));

TEST_F(Loader, AKilledMonitorLeavesItsProgramsAndItsExitMark) {
  direct.pass_xdp_at_far();
  const pid_t monitor = fork();
  if (monitor == 0) {
    auto kernel = Kernel::open(options());
    if (!kernel) {
      _exit(1);
    }
    kernel->node()->boot = 1;
    kernel->node()->monitor_tgid = kernel->facts().tgid;
    kernel->pairs()[0].pairing = 5;
    if (!kernel->set_index(5, 0)) {
      _exit(2);
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(monitor, &status, 0), monitor);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;

  NativeNode far;
  far.node.boot = 2;
  far.pairs[0].pairing = 5;
  Wire wire("dir1");
  wire.send(direct_frame(far.probe(0, CB_LINK_DIRECT, now_ns())));
  const auto answer = wire.receive([](const Bytes& frame) { return frame.size() == 142; });
  ASSERT_TRUE(answer.has_value());
  EXPECT_NE(CB_BE32(heartbeat_of(*answer).flags) & CB_FACT_MONITOR_EXITED, 0u);
  auto next = Kernel::open(options());
  ASSERT_TRUE(next.has_value()) << to_text(next.error());
  EXPECT_TRUE(next->facts().kept);
  EXPECT_NE(next->node()->exit_ns, 0u);
  EXPECT_TRUE(next->detach().has_value());
}

TEST_F(Loader, GenericModeIsUsedWhereAskedForAndTcWhereTheDriverHasNoNativeOne) {
  KernelOptions generic = options();
  generic.xdp_mode = XdpMode::Generic;
  auto kernel = Kernel::open(generic);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Generic);
  uint8_t mode = 0;
  xdp_program("dir0", &mode);
  EXPECT_EQ(mode, XDP_ATTACHED_SKB);
  // Asked for the other mode, a restart changes it; asked for any, it keeps what there is.
  KernelOptions native = options();
  native.xdp_mode = XdpMode::Native;
  kernel = Kernel::open(native);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Native);
  kernel = Kernel::open(generic);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  kernel = Kernel::open(options(XdpMode::Auto));
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Generic);
  EXPECT_TRUE(kernel->detach().has_value());

  run({"ip", "link", "add", "br0", "type", "bridge"});
  KernelOptions bridge = options(XdpMode::Generic);
  bridge.direct_ifname = "br0";
  kernel = Kernel::open(bridge);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Generic);
  EXPECT_TRUE(kernel->detach().has_value());
  bridge.xdp_mode = XdpMode::Auto;
  kernel = Kernel::open(bridge);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Tc) << "a driver without XDP";
  EXPECT_TRUE(kernel->detach().has_value());
  bridge.xdp_mode = XdpMode::Native;
  kernel = Kernel::open(bridge);
  ASSERT_FALSE(kernel.has_value());
  EXPECT_NE(to_text(kernel.error()).find("set xdp = \"auto\""), std::string::npos)
      << to_text(kernel.error());
  expect_nothing_is_left();
}

TEST_F(Loader, AVethIsAnsweredByTcUnlessXdpIsAskedFor) {
  auto kernel = Kernel::open(options(XdpMode::Auto));
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Tc);
  EXPECT_EQ(xdp_program("dir0"), 0u);
  EXPECT_EQ(count(filters("dir0"), "handle 0xcd"), 1u) << filters("dir0");
  // The new one before the old one goes; none stays behind.
  kernel = Kernel::open(options(XdpMode::Native));
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Native);
  EXPECT_NE(xdp_program("dir0"), 0u);
  EXPECT_EQ(filters("dir0"), "");
  EXPECT_EQ(qdiscs("dir0").find("clsact"), std::string::npos);
  kernel = Kernel::open(options(XdpMode::Tc));
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(xdp_program("dir0"), 0u);
  kernel = Kernel::open(options(XdpMode::Auto));
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(count(filters("dir0"), "handle 0xcd"), 1u) << "replaced, not doubled";

  run({"tc", "qdisc", "del", "dev", "dir0", "clsact"});
  auto restored = kernel->restore_filters();
  ASSERT_TRUE(restored.has_value()) << to_text(restored.error());
  EXPECT_EQ(*restored, 1);
  EXPECT_EQ(count(filters("dir0"), "handle 0xcd"), 1u);
  EXPECT_EQ(*kernel->restore_filters(), 0);

  // Another cable: the program of the former one goes.
  KernelOptions moved = options(XdpMode::Auto);
  moved.direct_ifname = "dir1";
  kernel = Kernel::open(moved);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(filters("dir0"), "");
  EXPECT_EQ(count(filters("dir1"), "handle 0xcd"), 1u);
  EXPECT_TRUE(kernel->detach().has_value());
  EXPECT_EQ(filters("dir1"), "");
  expect_nothing_is_left();
}

TEST_F(Loader, SomebodyElsesFilterInTheCablesPlaceIsReportedAndLeftAlone) {
  run({"tc", "qdisc", "add", "dev", "dir0", "clsact"});
  attach_foreign_filter("dir0", BPF_TC_INGRESS, 1, 0xcd);
  const std::string before = filters("dir0");
  const auto kernel = Kernel::open(options(XdpMode::Auto));
  ASSERT_FALSE(kernel.has_value());
  EXPECT_NE(to_text(kernel.error()).find("foreign_tc"), std::string::npos)
      << to_text(kernel.error());
  EXPECT_EQ(filters("dir0"), before);
  EXPECT_EQ(filters("svc0"), "") << "nothing half done";
}

TEST_F(Loader, ALargeMtuIsAttachedNativelyToo) {
  const Cable jumbo("big0", "big1", Mac{{2, 0, 0, 0, 2, 1}}, Mac{{2, 0, 0, 0, 2, 2}}, 9000);
  KernelOptions large = options();
  large.direct_ifname = "big0";
  auto kernel = Kernel::open(large);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Native);
  EXPECT_TRUE(kernel->facts().xdp_frags);
  kernel = Kernel::open(large);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_TRUE(kernel->facts().xdp_frags);
  EXPECT_TRUE(kernel->detach().has_value());
}

TEST_F(Loader, SomebodyElsesXdpProgramIsReportedAndLeftAlone) {
  attach_foreign_xdp("dir0");
  const uint32_t theirs = xdp_program("dir0");
  const auto kernel = Kernel::open(options());
  ASSERT_FALSE(kernel.has_value());
  const std::string text = to_text(kernel.error());
  EXPECT_NE(text.find("dir0"), std::string::npos) << text;
  EXPECT_NE(text.find(std::to_string(theirs)), std::string::npos) << text;
  EXPECT_NE(text.find("foreign_fw"), std::string::npos) << text;
  EXPECT_NE(text.find("ip link set dev dir0 xdp off"), std::string::npos) << text;
  EXPECT_EQ(xdp_program("dir0"), theirs);
  EXPECT_EQ(filters("svc0"), "") << "nothing half done";
  EXPECT_EQ(qdiscs("svc0").find("clsact"), std::string::npos);
  EXPECT_FALSE(fs::exists(root.pins()));
}

TEST_F(Loader, SomebodyElsesFiltersAreLeftAlone) {
  run({"tc", "qdisc", "add", "dev", "svc0", "clsact"});
  attach_foreign_filter("svc0", BPF_TC_INGRESS, 50, 1);
  attach_foreign_filter("svc0", BPF_TC_INGRESS, 1, 1);  // beside ours, at the same pref
  const std::string before = filters("svc0");
  auto kernel = Kernel::open(options());
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_TRUE(kernel->detach().has_value());
  EXPECT_EQ(filters("svc0"), before);

  attach_foreign_filter("svc0", BPF_TC_EGRESS, 2, 0xcb);
  const std::string taken = filters("svc0");
  kernel = Kernel::open(options());
  ASSERT_FALSE(kernel.has_value());
  const std::string text = to_text(kernel.error());
  EXPECT_NE(text.find("foreign_tc"), std::string::npos) << text;
  EXPECT_NE(text.find("tc filter show dev svc0 egress"), std::string::npos) << text;
  EXPECT_EQ(filters("svc0"), taken);
  EXPECT_FALSE(fs::exists(root.pins()));
}

TEST_F(Loader, MapsOfAnotherLayoutAreNotTouched) {
  auto kernel = Kernel::open(options());
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  kernel->node()->maps_version = 99;
  const uint32_t program = xdp_program("dir0");
  const std::string before = filters("svc0");
  const auto other = Kernel::open(options());
  ASSERT_FALSE(other.has_value());
  EXPECT_NE(to_text(other.error()).find("99"), std::string::npos) << to_text(other.error());
  EXPECT_NE(to_text(other.error()).find("stop Crossbeat"), std::string::npos)
      << to_text(other.error());
  EXPECT_EQ(xdp_program("dir0"), program);
  EXPECT_EQ(filters("svc0"), before);
  EXPECT_TRUE(kernel->detach().has_value());
}

TEST_F(Loader, ARestartFollowsTheConfigurationToOtherInterfaces) {
  auto kernel = Kernel::open(options());
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  KernelOptions moved = options();
  moved.direct_ifname = "";
  moved.service_ifname = "svc1";
  kernel = Kernel::open(moved);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(kernel->facts().xdp_mode, XdpMode::Auto);
  EXPECT_EQ(xdp_program("dir0"), 0u);
  EXPECT_EQ(filters("svc0"), "");
  EXPECT_EQ(count(filters("svc1"), "id "), 3u);
  KernelOptions back = options();
  back.direct_ifname = "dir1";
  kernel = Kernel::open(back);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(xdp_program("dir0"), 0u);
  EXPECT_NE(xdp_program("dir1"), 0u);
  EXPECT_TRUE(kernel->detach().has_value());
  EXPECT_EQ(xdp_program("dir1"), 0u);
}

TEST_F(Loader, AnInterfaceThatWasMadeAnewIsAttachedAgain) {
  const Root other_root;
  KernelOptions options = this->options();
  options.root = other_root.path();
  options.direct_ifname = "tmp0";
  {
    const Cable first("tmp0", "tmp1");
    ASSERT_TRUE(Kernel::open(options).has_value());
  }
  const Cable second("tmp0", "tmp1");
  EXPECT_EQ(xdp_program("tmp0"), 0u);
  auto kernel = Kernel::open(options);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_TRUE(kernel->facts().kept);
  EXPECT_NE(xdp_program("tmp0"), 0u);
  EXPECT_TRUE(kernel->detach().has_value());
}

TEST_F(Loader, ACableThatIsMadeAnewWhileTheMonitorRunsIsAttachedAgain) {
  const Root other_root;
  KernelOptions options = this->options();
  options.root = other_root.path();
  options.direct_ifname = "tmp0";
  auto first = std::make_unique<Cable>("tmp0", "tmp1");
  auto kernel = Kernel::open(options);
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  const uint32_t old_index = kernel->facts().direct_ifindex;
  kernel->pairs()[3].pairing = 77;
  first.reset();
  const auto gone = kernel->attach_direct_again();
  ASSERT_FALSE(gone.has_value());
  EXPECT_THAT(to_text(gone.error()), ::testing::HasSubstr("tmp0"));

  const Cable second("tmp0", "tmp1");
  EXPECT_EQ(xdp_program("tmp0"), 0u);
  std::optional<Result<Kernel::DirectAgain>> again;
  std::thread([&] { again.emplace(kernel->attach_direct_again()); }).join();
  ASSERT_TRUE(again->has_value()) << to_text(again->error());
  EXPECT_NE(xdp_program("tmp0"), 0u);
  EXPECT_EQ(kernel->facts().direct_ifindex, old_index) << "untouched until it is adopted";
  kernel->adopt(**again);
  EXPECT_EQ(kernel->facts().direct_ifindex, if_nametoindex("tmp0"));
  EXPECT_NE(kernel->facts().direct_ifindex, old_index);
  EXPECT_EQ(kernel->pairs()[3].pairing, 77u) << "the maps are the same";
  again.reset();
  EXPECT_NE(xdp_program("tmp0"), 0u) << "it stays";
  EXPECT_TRUE(kernel->detach().has_value());
  EXPECT_EQ(xdp_program("tmp0"), 0u);
}

TEST_F(Loader, SaysWhatIsMissing) {
  KernelOptions wrong = options();
  wrong.service_ifname = "nosuch0";
  auto kernel = Kernel::open(wrong);
  ASSERT_FALSE(kernel.has_value());
  EXPECT_NE(to_text(kernel.error()).find("service interface 'nosuch0'"), std::string::npos);
  wrong = options();
  wrong.direct_ifname = "lo";
  kernel = Kernel::open(wrong);
  ASSERT_FALSE(kernel.has_value());
  EXPECT_NE(to_text(kernel.error()).find("no Ethernet"), std::string::npos);
  EXPECT_FALSE(fs::exists(root.pins()));
}

TEST_F(Loader, SaysWhichPrivilegesItNeeds) {
  ASSERT_EQ(chmod(root.path().c_str(), 0777), 0);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) {
      _exit(1);
    }
    const auto kernel = Kernel::open(options());
    const std::string text = kernel ? "it was opened" : to_text(kernel.error());
    _exit(write(ends[1], text.data(), text.size()) > 0 ? 0 : 1);
  }
  close(ends[1]);
  char text[2000] = {};
  EXPECT_GT(read(ends[0], text, sizeof text - 1), 0);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_NE(std::string(text).find("run as root, or with CAP_BPF"), std::string::npos) << text;
}

TEST_F(Loader, AFilterThatSomebodyRemovedComesBack) {
  auto kernel = Kernel::open(options());
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(*kernel->restore_filters(), 0);
  run({"tc", "filter", "del", "dev", "svc0", "egress"});
  EXPECT_EQ(*kernel->restore_filters(), 1);
  EXPECT_EQ(count(filters("svc0"), "id "), 3u);
  run({"tc", "qdisc", "del", "dev", "svc0", "clsact"});
  EXPECT_EQ(filters("svc0"), "");
  EXPECT_EQ(*kernel->restore_filters(), 3);
  EXPECT_EQ(count(filters("svc0"), "id "), 3u);

  run({"tc", "qdisc", "del", "dev", "svc0", "clsact"});
  kernel = Kernel::open(options());  // and at a restart
  ASSERT_TRUE(kernel.has_value()) << to_text(kernel.error());
  EXPECT_EQ(count(filters("svc0"), "id "), 3u);
  EXPECT_TRUE(kernel->detach().has_value());
}

}  // namespace
}  // namespace cb::test
