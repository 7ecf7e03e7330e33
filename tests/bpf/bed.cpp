// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/bed.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <stdexcept>

#include "base/prng.h"
#include "base/text.h"
#include "edge/kernel_attach.h"

namespace cb::test {

namespace {

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::unique_ptr<Bed> shared_bed;

// Everything below happens in namespaces of this process, so nothing can be left behind in the
// machine's own.
class OwnNamespaces : public ::testing::Environment {
 public:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNS | CLONE_NEWNET), 0) << std::strerror(errno);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0)
        << std::strerror(errno);
    run({"ip", "link", "set", "dev", "lo", "up"});
  }
  void TearDown() override { shared_bed.reset(); }
};
[[maybe_unused]] const auto* const own_namespaces =
    ::testing::AddGlobalTestEnvironment(new OwnNamespaces);

void write_setting(const std::string& path, const std::string& value) {
  Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) {
    return;  // ignored: a kernel without IPv6 needs no quieting
  }
  if (write(fd.get(), value.data(), value.size()) < 0) {
    give_up("write " + path);
  }
}

Fd program_by_id(uint32_t id) {
  Fd fd(bpf_prog_get_fd_by_id(id));
  if (!fd) {
    give_up("open program " + std::to_string(id));
  }
  return fd;
}

Fd filter_program(int ifindex, bpf_tc_attach_point point, uint32_t priority,
                  uint32_t handle = 0xcb) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = ifindex;
  hook.attach_point = point;
  bpf_tc_opts at{};
  at.sz = sizeof at;
  at.handle = handle;
  at.priority = priority;
  if (bpf_tc_query(&hook, &at) != 0) {
    give_up("query a tc filter");
  }
  return program_by_id(at.prog_id);
}

}  // namespace

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

std::string run(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    give_up("pipe");
  }
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> arguments;
    for (const std::string& word : command) {
      arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  std::string printed;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
    printed.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << command[0] << " " << command.back() << ": " << printed;
  return printed;
}

Root::Root() {
  std::string name = "/tmp/bpf-test-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    give_up("make a folder");
  }
  path_ = name;
}

Root::~Root() {
  // MNT_DETACH: a pin may still be open in here.
  umount2((path_ + "/sys/fs/bpf").c_str(), MNT_DETACH);
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Network::Network() : former_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (!former_ || unshare(CLONE_NEWNET) != 0) {
    give_up("make a network namespace");
  }
}

Network::~Network() { EXPECT_EQ(setns(former_.get(), CLONE_NEWNET), 0); }

Cable::Cable(std::string near_name, std::string far_name, Mac near_mac, Mac far_mac, int mtu)
    : near(std::move(near_name)), far(std::move(far_name)) {
  run({"ip", "link", "add", near, "address", to_text(near_mac), "mtu", std::to_string(mtu), "type",
       "veth", "peer", "name", far, "address", to_text(far_mac), "mtu", std::to_string(mtu)});
  for (const std::string& name : {near, far}) {
    // No router solicitations and the like among the frames that tests count.
    write_setting("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6", "1");
    run({"ip", "link", "set", "dev", name, "up"});
  }
}

Cable::~Cable() { run({"ip", "link", "del", "dev", near}); }

void Cable::pass_xdp_at_far() {
  const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "test_pass", "GPL", pass, 2, nullptr));
  if (!program || bpf_xdp_attach(static_cast<int>(if_nametoindex(far.c_str())), program.get(),
                                 XDP_FLAGS_DRV_MODE, nullptr) != 0) {
    give_up("attach a pass program to " + far);
  }
}

Wire::Wire(const std::string& interface)
    : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const int on = 1;
  if (!fd_ || bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      setsockopt(fd_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0) {
    give_up("listen on " + interface);
  }
}

bool Wire::try_send(const Bytes& frame) {
  return ::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
}

void Wire::send(const Bytes& frame) {
  if (!try_send(frame)) {
    give_up("send a frame");
  }
}

std::optional<Bytes> Wire::receive(const std::function<bool(const Bytes&)>& wanted, int within_ms) {
  const uint64_t until = now_ns() + static_cast<uint64_t>(within_ms) * kMillisecond;
  for (;;) {
    const uint64_t now = now_ns();
    pollfd ready{fd_.get(), POLLIN, 0};
    if (now > until || poll(&ready, 1, static_cast<int>((until - now) / kMillisecond) + 1) <= 0) {
      return std::nullopt;
    }
    Bytes frame(10000);
    const ssize_t got = recv(fd_.get(), frame.data(), frame.size(), 0);
    if (got < 0) {
      give_up("receive a frame");
    }
    frame.resize(static_cast<size_t>(got));
    if (wanted(frame)) {
      return frame;
    }
  }
}

Bed& Bed::shared() {
  if (shared_bed == nullptr) {
    shared_bed = std::make_unique<Bed>();
  }
  return *shared_bed;
}

Bed::Bed() : root_(new Root), cable_(new Cable("near0", "far0")) {
  ifindex_ = static_cast<int>(if_nametoindex("near0"));
  const auto open = [this](edge::XdpMode mode) {
    auto kernel = edge::Kernel::open({.root = root_->path(),
                                      .direct_ifname = "near0",
                                      .service_ifname = "near0",
                                      .xdp_mode = mode});
    if (!kernel) {
      throw std::runtime_error(to_text(kernel.error()));
    }
    kernel_ = std::make_unique<edge::Kernel>(*std::move(kernel));
  };
  // The program outlives its place on the interface, with the same maps.
  open(edge::XdpMode::Tc);
  Fd direct_tc = filter_program(ifindex_, BPF_TC_INGRESS, 1, 0xcd);
  open(edge::XdpMode::Native);
  uint32_t direct = 0;
  if (bpf_xdp_query_id(ifindex_, 0, &direct) != 0) {
    give_up("query XDP");
  }
  fds_ = {program_by_id(direct), filter_program(ifindex_, BPF_TC_INGRESS, 1),
          filter_program(ifindex_, BPF_TC_INGRESS, 2), filter_program(ifindex_, BPF_TC_EGRESS, 2),
          std::move(direct_tc)};
}

Bed::~Bed() { EXPECT_TRUE(kernel_->detach().has_value()); }

RunResult Bed::run(Program program, const Bytes& frame, int repeat) {
  RunResult result;
  result.out.resize(frame.size() + 64);
  bpf_test_run_opts run{};
  __sk_buff skb{};
  skb.ifindex = static_cast<uint32_t>(ifindex_);
  run.sz = sizeof run;
  run.data_in = frame.data();
  run.data_size_in = static_cast<uint32_t>(frame.size());
  run.data_out = result.out.data();
  run.data_size_out = static_cast<uint32_t>(result.out.size());
  run.repeat = repeat;
  if (program != Program::Direct) {
    run.ctx_in = &skb;
    run.ctx_size_in = sizeof skb;
  }
  EXPECT_EQ(bpf_prog_test_run_opts(fd(program), &run), 0) << std::strerror(errno);
  result.verdict = run.retval;
  result.out.resize(run.data_size_out);
  result.nanoseconds = run.duration;
  return result;
}

void Bed::reset(uint64_t boot) {
  for (unsigned slot = 0; slot < CB_PAIRINGS_MAX; ++slot) {
    ASSERT_TRUE(kernel_->clear_slot(slot).has_value());
    kernel_->leases()[slot] = {};
  }
  for (cb_probes& probes : kernel_->probes()) {
    probes = {};
  }
  cb_node& node = *kernel_->node();
  node = {};
  node.maps_version = CB_MAPS_VERSION;
  node.boot = boot;
  node.session = 0x5e55;
  node.udp_port = kPort;
  node.beat_ns = now_ns();
  node.fresh_until_ns = node.beat_ns + 3600 * kSecond;
  keys_ = {};
  const auto drops = kernel_->drops();
  ASSERT_TRUE(drops.has_value());
  drops_before_ = *drops;
  changes();
}

void Bed::pair(unsigned slot, NativeNode& far, uint64_t seed, uint64_t far_boot) {
  Prng random(seed);
  const uint64_t id = random.next() | 1;
  cb_keys keys{};
  for (auto& key : keys.transmit) {
    key[0] = random.next();
    key[1] = random.next();
  }
  for (auto& key : keys.receive) {
    key[0] = random.next();
    key[1] = random.next();
  }
  keys_[slot] = keys;
  far.node.boot = far_boot;
  far.node.session = random.next();
  far.node.udp_port = kPort;
  far.node.beat_ns = now_ns();
  far.pairs[0].pairing = id;
  cb_facts_of(&far.pairs[0])->term = 7;
  std::memcpy(far.keys[0].transmit, keys.receive, sizeof keys.receive);
  std::memcpy(far.keys[0].receive, keys.transmit, sizeof keys.transmit);

  ASSERT_TRUE(kernel_->set_keys(slot, keys).has_value());
  cb_facts facts{};
  facts.term = 9;
  facts.position = 1234;
  facts.flags = CB_FACT_ELIGIBLE | CB_FACT_IN_STEP;
  facts.state = 2;
  kernel_->write_facts(slot, facts);
  kernel_->pairs()[slot].pairing = id;
  ASSERT_TRUE(kernel_->set_index(id, slot).has_value());
}

Heartbeat Bed::probe(unsigned slot, unsigned link, uint64_t now) {
  cb_probes& sent = kernel_->probes()[slot * CB_LINKS + link];
  const cb_view view = kernel_->view(slot, link);
  const uint64_t sequence = sent.sequence + 1;
  Heartbeat hb{};
  EXPECT_EQ(cb_make_probe(&view, &hb, link, sequence, now), 1);
  sent.sent_ns[sequence % CB_PROBE_RING] = now;
  sent.sequence = sequence;
  return hb;
}

NativeNode Bed::copy() {
  NativeNode node;
  node.node = *kernel_->node();
  std::copy(kernel_->pairs().begin(), kernel_->pairs().end(), node.pairs.begin());
  std::copy(kernel_->leases().begin(), kernel_->leases().end(), node.leases.begin());
  std::copy(kernel_->paths().begin(), kernel_->paths().end(), node.paths.begin());
  std::copy(kernel_->probes().begin(), kernel_->probes().end(), node.probes.begin());
  node.keys = keys_;
  return node;
}

uint64_t Bed::dropped(cb_drop why) {
  const auto drops = kernel_->drops();
  EXPECT_TRUE(drops.has_value());
  return (*drops)[why] - drops_before_[why];
}

uint64_t Bed::dropped_in_all() {
  uint64_t sum = 0;
  for (unsigned why = 0; why < CB_DROPS; ++why) {
    sum += dropped(static_cast<cb_drop>(why));
  }
  return sum;
}

std::vector<cb_change> Bed::changes() {
  std::vector<cb_change> changes;
  kernel_->drain_changes([&changes](const cb_change& change) { changes.push_back(change); });
  return changes;
}

Bytes direct_frame(const Heartbeat& hb, Mac to, Mac from) {
  return Frame(to, from).heartbeat(hb).bytes();
}

Bytes network_frame(const Heartbeat& hb, bool checksummed) {
  Frame frame(kNear, kFar);
  frame.ipv4(kFarIp, kNearIp).udp(kPort, kPort).heartbeat(hb);
  return checksummed ? frame.checksummed().bytes() : frame.bytes();
}

Heartbeat heartbeat_of(const Bytes& frame) {
  Heartbeat hb{};
  if (frame.size() < sizeof hb) {
    ADD_FAILURE() << "a frame of " << frame.size() << " bytes";
    return hb;
  }
  std::memcpy(&hb, frame.data() + frame.size() - sizeof hb, sizeof hb);
  return hb;
}

void sign(Heartbeat& hb, const NativeNode& sender, unsigned slot) {
  hb.tag = cb_sign(sender.keys[slot].transmit[hb.link & (CB_LINKS - 1)], &hb);
}

}  // namespace cb::test
