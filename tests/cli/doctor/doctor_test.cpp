// SPDX-License-Identifier: Apache-2.0
//
// Each check of doctor on a machine where all is well, and on one where it is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "cli/doctor/check.h"
#include "config/address.h"
#include "tests/cli/fake_monitor.h"

namespace cb::cli::test {
namespace {

using doctor::Finding;
using doctor::Severity;
using testing::HasSubstr;

// A healthy primary, all of it in reach of a test's hands.
class Sickbed final : public doctor::Probe {
 public:
  Sickbed() {
    config::MachineFacts::Interface eth0;
    eth0.name = "eth0";
    eth0.up = eth0.carrier = true;
    eth0.addresses = {config::parse_prefix("10.10.10.12/24").value(),
                      config::parse_prefix("10.10.10.11/24").value()};
    config::MachineFacts::Interface eth1;
    eth1.name = "eth1";
    eth1.up = eth1.carrier = true;
    machine_.interfaces = {eth0, eth1};
    configured_.node.network_interface = "eth0";
    configured_.node.direct_interface = "eth1";
    configured_.node.hm_address = config::parse_address("10.10.10.12").value();
    configured_.node.heartbeat.direct.interval = Duration::from_ms(2);
    asked_.running = true;
    asked_.status = primary_status();
    (*asked_.status)["node"]["gateway"] = "10.10.10.1";
    (*asked_.status)["node"]["gateway_answers"] = true;
    (*asked_.status)["node"]["drops"] = {{"tag", 0}, {"pairing", 0}};
    pair()["clock_offset_ms"] = 0.4;
    files_ = {{"/etc/systemd/system", ""},
              {wants("crossbeat"), ""},
              {wants("systemd-networkd"), ""},
              {"/etc/systemd/network/10-crossbeat-eth0.network",
               "[Match]\nName=eth0\n[Network]\nKeepConfiguration=static\n"},
              {"/sys/class/net/eth0/mtu", "1500\n"},
              {"/sys/class/net/eth1/mtu", "9000\n"},
              {"/sys/kernel/btf/vmlinux", ""},
              {"/proc/mounts", "bpf /sys/fs/bpf bpf rw,nosuid 0 0\n"},
              {"/proc/sys/kernel/io_uring_disabled", "0\n"},
              {"/proc/sys/vm/swappiness", "60\n"},
              {"/proc/swaps", "Filename Type Size Used Priority\n"},
              {"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"}};
    for (const char* name : {"eth0", "eth1"}) {
      answers_[std::string("ethtool -k ") + name] = "large-receive-offload: off [fixed]\n";
      answers_[std::string("ethtool -c ") + name] = "Adaptive RX: off  TX: off\n";
      answers_[std::string("ethtool --show-eee ") + name] = "EEE status: disabled\n";
    }
    answers_["timedatectl show -p NTP -p NTPSynchronized"] = "NTP=yes\nNTPSynchronized=yes\n";
    disk_ = {.bytes = 10u << 30, .bytes_free = 5u << 30, .files = 1000, .files_free = 900};
  }

  static std::string wants(const std::string& unit) {
    return "/etc/systemd/system/multi-user.target.wants/" + unit + ".service";
  }
  Json& node() { return (*asked_.status)["node"]; }
  Json& pair() { return (*asked_.status)["pairings"][0]; }

  std::optional<std::string> read(const std::string& path) const override {
    const auto found = files_.find(path);
    return found == files_.end() ? std::nullopt : std::optional(found->second);
  }
  bool is_there(const std::string& path) const override { return files_.contains(path); }
  std::vector<std::string> names_in(const std::string& path) const override {
    std::vector<std::string> names;
    for (const auto& [name, text] : files_) {
      if (name.starts_with(path + "/")) {
        names.push_back(name.substr(path.size() + 1));
      }
    }
    return names;
  }
  std::optional<doctor::Disk> disk(const std::string&) const override { return disk_; }
  std::vector<doctor::File> largest_below(const std::string& path) const override {
    std::vector<doctor::File> found;
    for (const doctor::File& file : large_) {
      if (file.path.starts_with(path + "/")) {
        found.push_back(file);
      }
    }
    return found;
  }
  std::string real(const std::string& path) const override { return "/root" + path; }
  Result<CommandOutput> run(const std::vector<std::string>& command) const override {
    std::string line;
    for (const std::string& word : command) {
      line += (line.empty() ? "" : " ") + word;
    }
    const auto found = answers_.find(line);
    if (found == answers_.end()) {
      return fail(ENOENT, "run " + line);
    }
    return CommandOutput{0, found->second};
  }
  config::MachineFacts machine() const override { return machine_; }
  std::string kernel_release() const override { return release_; }
  const doctor::Asked& asked() const override { return asked_; }
  const doctor::Configured& configured() const override { return configured_; }

  std::map<std::string, std::string> files_;
  std::map<std::string, std::string> answers_;
  std::optional<doctor::Disk> disk_;
  std::vector<doctor::File> large_;
  config::MachineFacts machine_;
  std::string release_ = "6.1.0-18-amd64";
  doctor::Asked asked_;
  doctor::Configured configured_;
};

TEST(Doctor, FindsNothingOnAHealthyNode) {
  for (const Finding& finding : doctor::examine(Sickbed())) {
    EXPECT_EQ(finding.severity, Severity::Fine) << finding.check << ": " << finding.what;
  }
}

// All that it says to do: in words, and as commands.
std::string advice(const Finding& finding) {
  std::string text = finding.remedy + "\n";
  for (const doctor::Step& step : finding.steps) {
    text += step.on + "# " + step.command + "\n";
  }
  return text;
}

struct Illness {
  const char* name;
  const char* check;
  Severity severity;
  const char* what;
  const char* remedy;
  std::function<void(Sickbed&)> fall_ill;
};

void PrintTo(const Illness& illness, std::ostream* out) { *out << illness.name; }

class DoctorFinds : public testing::TestWithParam<Illness> {};

TEST_P(DoctorFinds, TheIllnessItsRemedyAndNothingElse) {
  const Illness& illness = GetParam();
  Sickbed bed;
  illness.fall_ill(bed);
  const auto findings = doctor::examine(bed);
  int found = 0;
  for (const Finding& finding : findings) {
    if (finding.severity <= Severity::Skipped) {
      continue;
    }
    EXPECT_EQ(finding.check, illness.check) << finding.what;
    if (finding.check == illness.check) {
      ++found;
      EXPECT_EQ(finding.severity, illness.severity) << finding.what;
      EXPECT_THAT(finding.what, HasSubstr(illness.what));
      EXPECT_THAT(advice(finding), HasSubstr(illness.remedy));
    }
  }
  EXPECT_EQ(found, 1);
  EXPECT_EQ(doctor::worst_of(findings), illness.severity);
}

const std::vector<Illness> kIllnesses = {
    {"ConfigurationWrong", "configuration", Severity::Problem, "crossbeat.toml:3: error: bad",
     "crossbeat setup",
     [](Sickbed& b) {
       b.configured_.problems = {{"crossbeat.toml", 3, false, "bad"}};
     }},
    {"WitnessGone", "witness", Severity::Problem, "would neither take over nor go on alone",
     "systemctl status crossbeat-witness",
     [](Sickbed& b) {
       b.pair()["witness"] = {
           {"address", "10.9.9.9"}, {"answers", false}, {"trouble", "no answer"}};
     }},
    {"WitnessNew", "witness", Severity::Problem, "has not heard both nodes",
     "crossbeat-witness list",
     [](Sickbed& b) {
       b.pair()["witness"] = {{"address", "10.9.9.9"},
                              {"answers", true},
                              {"trouble", "the witness is new and has not heard both nodes yet"}};
     }},
    {"ConfigurationDoubtful", "configuration", Severity::Warning, "odd", "crossbeat config check",
     [](Sickbed& b) {
       b.configured_.problems = {{"crossbeat.toml", 3, true, "odd"}};
     }},
    {"MonitorDead", "monitor", Severity::Problem, "is not running", "systemctl start crossbeat",
     [](Sickbed& b) { b.asked_ = {}; }},
    {"MonitorHangs", "monitor", Severity::Problem, "does not answer", "systemctl restart",
     [](Sickbed& b) {
       b.asked_ = {.status = std::nullopt, .running = true, .error = {ETIMEDOUT, "wait"}};
     }},
    {"NotEnabled", "start", Severity::Warning, "not started with the machine",
     "systemctl enable crossbeat", [](Sickbed& b) { b.files_.erase(Sickbed::wants("crossbeat")); }},
    {"NotPaired", "pairing", Severity::Warning, "is not paired", "crossbeat pairing-code",
     [](Sickbed& b) { (*b.asked_.status)["pairings"] = Json::array(); }},
    {"PeerSilent", "pairing", Severity::Problem, "nothing is heard of mse2",
     "crossbeat unpair --force", [](Sickbed& b) { b.pair()["heartbeat"] = "Down"; }},
    {"PeerMonitorDead", "pairing", Severity::Problem, "the kernel of mse2 answers, but its monitor",
     "systemctl start crossbeat", [](Sickbed& b) { b.pair()["peer_monitor_stale"] = true; }},
    {"PeerIsNew", "pairing", Severity::Problem, "does not know this pairing",
     "# crossbeat unpair --force\nmse2# crossbeat pairing-code\n# crossbeat pair 10.10.10.13\n",
     [](Sickbed& b) {
       b.pair()["heartbeat"] = "Down";
       b.pair()["unknown_at_peer"] = true;
     }},
    {"PeerIsNewAndNobodyServes", "pairing", Severity::Problem, "does not know this pairing",
     "crossbeat failover --force",
     [](Sickbed& b) {
       b.pair()["heartbeat"] = "Down";
       b.pair()["serving"] = false;
       b.machine_.interfaces[0].addresses.resize(1);
       b.pair()["unknown_at_peer"] = true;
     }},
    {"PrimaryIsNew", "pairing", Severity::Problem, "does not know this pairing",
     "mse2# crossbeat recover --from 10.10.10.12\n",
     [](Sickbed& b) {
       b.pair()["self_role"] = "Secondary";
       b.pair()["heartbeat"] = "Down";
       b.pair()["unknown_at_peer"] = true;
     }},
    {"PeerStopped", "pairing", Severity::Warning, "stopped on purpose",
     "mse2# systemctl start crossbeat", [](Sickbed& b) { b.pair()["sub_state"] = "peer-stopped"; }},
    {"DataOld", "pairing", Severity::Warning, "data may be old", "into step",
     [](Sickbed& b) { b.pair()["stale"] = true; }},
    {"LedgerFailed", "pairing", Severity::Problem, "ledger cannot be written", "make room",
     [](Sickbed& b) { b.pair()["ledger_failed"] = true; }},
    {"BothActive", "both active", Severity::Problem, "both nodes serve 10.10.10.11",
     "crossbeat resolve-conflict", [](Sickbed& b) { b.pair()["peer_state"] = "FAILOVER_ACTIVE"; }},
    {"SynchronizationStuck", "synchronization", Severity::Warning, "is at 66 % after 40 min",
     "crossbeat unpair",
     [](Sickbed& b) {
       b.pair()["sub_state"] = "synchronizing";
       b.pair()["progress_permille"] = 660;
       b.pair()["since_ms"] = 40 * 60 * 1000;
     }},
    {"VolumeStalled", "synchronization", Severity::Problem, "the volume waits: no peer",
     "look at the links",
     [](Sickbed& b) {
       b.pair()["volume"] = {{"running", true}, {"stall", "no-peer"}, {"stall_text", "no peer"}};
     }},
    {"VolumeSplit", "synchronization", Severity::Problem, "the volume waits: two histories",
     "crossbeat resync --victim",
     [](Sickbed& b) {
       b.pair()["volume"] = {
           {"running", true}, {"stall", "split"}, {"stall_text", "two histories"}};
     }},
    {"DiskOfTheStandbyFailed", "synchronization", Severity::Problem,
     "the disk failed: EIO; tried again 3 times, next in 4.0 s",
     "crossbeat resync --full. A copy that cannot be read any more is kept aside: crossbeat volume "
     "create --aside\n# crossbeat resync\n",
     [](Sickbed& b) {
       b.pair()["self_role"] = "Secondary";
       b.pair()["serving"] = false;
       b.machine_.interfaces[0].addresses.resize(1);
       b.pair()["volume"] = {{"running", false},
                             {"stall", "disk-failed"},
                             {"text", "the disk failed: EIO"},
                             {"failure", {{"error", 5}, {"tries", 3}, {"again_in_ms", 4000}}}};
     }},
    {"DiskOfTheStandbyFull", "synchronization", Severity::Problem, "tried again in 4.0 s",
     "make room",
     [](Sickbed& b) {
       b.pair()["serving"] = false;
       b.machine_.interfaces[0].addresses.resize(1);
       b.pair()["volume"] = {{"running", true},
                             {"text", "the disk failed: ENOSPC"},
                             {"failure", {{"error", 28}, {"tries", 0}, {"again_in_ms", 4000}}}};
     }},
    {"DiskOfTheWriterFailed", "synchronization", Severity::Problem, "the services get errors",
     "mse2# crossbeat failover --accept-loss --dry-run\n",
     [](Sickbed& b) {
       b.pair()["volume"] = {{"running", true},
                             {"stall", "disk-failed"},
                             {"text", "the disk failed: EIO"},
                             {"failure", {{"error", 5}, {"tries", 0}, {"again_in_ms", nullptr}}}};
     }},
    {"VolumeNotRunning", "synchronization", Severity::Problem, "exit code 3", "see its log",
     [](Sickbed& b) {
       b.pair()["volume"] = {{"running", false}, {"text", "it ended: exit code 3"}};
     }},
    {"SynchronizationRuns", "synchronization", Severity::Note, "runs: 66 %", "",
     [](Sickbed& b) {
       b.pair()["sub_state"] = "synchronizing";
       b.pair()["progress_permille"] = 660;
       b.pair()["since_ms"] = 60 * 1000;
     }},
    {"CableOut", "links", Severity::Warning, "the direct link to mse2 (eth1) is silent",
     "check the cable", [](Sickbed& b) { b.pair()["links"][0]["state"] = "silent"; }},
    {"OtherVersion", "version", Severity::Warning, "was paired with the version 7.1",
     "the same version", [](Sickbed& b) { b.pair()["peer"]["version"] = "7.1"; }},
    {"PlatformRulesBroken", "platform", Severity::Problem, "platforms.toml:3", "config check",
     [](Sickbed& b) { b.node()["platforms"]["problem"] = "platforms.toml:3: error: bad"; }},
    {"LicenceOver", "platform", Severity::Warning, "activation: expired", "crossbeat licence add",
     [](Sickbed& b) { b.node()["activation"] = "expired"; }},
    {"PairNotAllowedAnyMore", "platform", Severity::Warning, "not in the matrix", "platforms.toml",
     [](Sickbed& b) {
       b.pair()["platform"] = {{"allowed", false}, {"text", "not in the matrix"}};
     }},
    {"ServiceFailed", "services", Severity::Problem, "the service database is failed",
     "# journalctl -n 20 -u db\n# crossbeat restart\n",
     [](Sickbed& b) {
       b.pair()["services"] = Json::array(
           {{{"name", "database"}, {"state", "failed"}, {"look", "journalctl -n 20 -u db"}}});
     }},
    {"ServiceMadeCommandMove", "services", Severity::Warning,
     "database did not run here, so mse2 serves: no room",
     "# tail -n 20 /log\n# crossbeat failback\n",
     [](Sickbed& b) {
       b.pair()["serving"] = false;
       b.pair()["state"] = "TERMINATED";
       b.pair()["sub_state"] = "peer-in-command";
       b.pair()["peer_state"] = "FAILOVER_ACTIVE";
       b.machine_.interfaces[0].addresses.resize(1);
       b.pair()["services"] = Json::array({{{"name", "database"},
                                            {"state", "stopped"},
                                            {"detail", "no room"},
                                            {"look", "tail -n 20 /log"}}});
     }},
    {"ServiceStoppedThoughServing", "services", Severity::Problem, "database is stopped",
     "crossbeat restart",
     [](Sickbed& b) {
       b.pair()["services"] =
           Json::array({{{"name", "database"}, {"state", "stopped"}, {"admin", "Enabled"}}});
     }},
    {"AutomaticOff", "automatic", Severity::Warning, "switched off", "--failover automatic",
     [](Sickbed& b) { b.pair()["automatic_off"] = true; }},
    {"Maintenance", "automatic", Severity::Note, "maintenance is on", "crossbeat maintenance off",
     [](Sickbed& b) { b.pair()["maintenance"] = true; }},
    {"ForeignKey", "frames", Severity::Warning, "12 heartbeats were dropped for their tag",
     "pair them again", [](Sickbed& b) { b.node()["drops"]["tag"] = 12; }},
    {"NoGateway", "gateway", Severity::Warning, "no gateway is configured", "crossbeat setup",
     [](Sickbed& b) { b.node()["gateway"] = nullptr; }},
    {"GatewaySilent", "gateway", Severity::Problem, "10.10.10.1 does not answer",
     "check the gateway", [](Sickbed& b) { b.node()["gateway_answers"] = false; }},
    {"InterfaceGone", "interfaces", Severity::Problem, "eth1 is not there", "ip link",
     [](Sickbed& b) { b.machine_.interfaces.pop_back(); }},
    {"InterfaceDown", "interfaces", Severity::Problem, "eth1 is down", "ip link set eth1 up",
     [](Sickbed& b) { b.machine_.interfaces[1].up = false; }},
    {"NoCarrier", "interfaces", Severity::Problem, "eth1 has no carrier", "cable",
     [](Sickbed& b) { b.machine_.interfaces[1].carrier = false; }},
    {"OwnAddressGone", "interfaces", Severity::Problem, "10.10.10.12 is not on eth0",
     "ip address add",
     [](Sickbed& b) {
       auto& addresses = b.machine_.interfaces[0].addresses;
       addresses.erase(addresses.begin());
     }},
    {"SmallMtu", "mtu", Severity::Problem, "the MTU of eth0 is 1000", "mtu 1500",
     [](Sickbed& b) { b.files_["/sys/class/net/eth0/mtu"] = "1000\n"; }},
    {"NoJumboFrames", "mtu", Severity::Note, "the MTU of the direct link is 1500", "",
     [](Sickbed& b) { b.files_["/sys/class/net/eth1/mtu"] = "1500\n"; }},
    {"LargeReceiveOffload", "offloads", Severity::Warning, "large-receive-offload is on at eth1",
     "ethtool -K eth1 lro off",
     [](Sickbed& b) { b.answers_["ethtool -k eth1"] = "large-receive-offload: on\n"; }},
    {"AdaptiveInterrupts", "offloads", Severity::Note, "adaptive-rx", "adaptive-rx off",
     [](Sickbed& b) { b.answers_["ethtool -c eth1"] = "Adaptive RX: on  TX: off\n"; }},
    {"EnergyEfficient", "offloads", Severity::Warning, "energy-efficient Ethernet is on at eth0",
     "eee off",
     [](Sickbed& b) { b.answers_["ethtool --show-eee eth0"] = "EEE status: enabled - active\n"; }},
    {"LittleMemory", "resources", Severity::Warning, "for a takeover: only 20 MB of memory",
     "end what",
     [](Sickbed& b) {
       b.node()["resources"] = {{"doubts",
                                 {"only 20 MB of memory are left (1 %): see top",
                                  "only 20 MB of disk are left below here"}}};
     }},
    {"GenericXdp", "xdp", Severity::Note, "generic mode", "xdp = \"auto\"",
     [](Sickbed& b) { b.node()["xdp_mode"] = "generic"; }},
    {"AddressRemoved", "xdp", Severity::Warning, "was removed by somebody else", "find out who",
     [](Sickbed& b) {
       b.node()["warnings"] = {"address 10.10.10.11 was removed by somebody else"};
     }},
    {"NetworkdTakesAddresses", "network manager", Severity::Warning, "systemd-networkd takes",
     "# printf '[Network]\\nKeepConfiguration=static\\n' > "
     "/root/etc/systemd/network/10-crossbeat-eth0.network.d/crossbeat.conf\n# networkctl reload\n",
     [](Sickbed& b) {
       b.files_["/etc/systemd/network/10-crossbeat-eth0.network"] = "[Match]\nName=eth0\n";
     }},
    {"NetworkManagerTakesAddresses", "network manager", Severity::Warning, "NetworkManager may",
     "unmanaged", [](Sickbed& b) { b.files_[Sickbed::wants("NetworkManager")] = ""; }},
    {"AddressLeftOver", "left-over address", Severity::Problem,
     "10.10.10.11/24 is on eth0, but this node does not serve", "vip-remove 10.10.10.11/24 eth0",
     [](Sickbed& b) { b.pair()["serving"] = false; }},
    {"OldKernel", "kernel", Severity::Problem, "5.10.0 is older than 6.1", "Debian 12",
     [](Sickbed& b) { b.release_ = "5.10.0"; }},
    {"NoBtf", "kernel", Severity::Problem, "BTF", "CONFIG_DEBUG_INFO_BTF",
     [](Sickbed& b) { b.files_.erase("/sys/kernel/btf/vmlinux"); }},
    {"NoIoUring", "kernel", Severity::Problem, "io_uring is switched off", "sysctl",
     [](Sickbed& b) { b.files_["/proc/sys/kernel/io_uring_disabled"] = "2\n"; }},
    {"ClockNotSynchronized", "clock", Severity::Warning, "not synchronized", "timesync-status",
     [](Sickbed& b) {
       b.answers_["timedatectl show -p NTP -p NTPSynchronized"] = "NTP=yes\nNTPSynchronized=no\n";
     }},
    {"NoNtp", "clock", Severity::Warning, "NTP is not enabled", "crossbeat setup",
     [](Sickbed& b) {
       b.answers_["timedatectl show -p NTP -p NTPSynchronized"] = "NTP=no\nNTPSynchronized=no\n";
     }},
    {"ClocksApart", "clock", Severity::Warning, "the clock of mse2 is 250 ms behind",
     "mse2# timedatectl set-ntp true", [](Sickbed& b) { b.pair()["clock_offset_ms"] = -250.0; }},
    {"ClocksFarApart", "clock", Severity::Problem, "mse2 is 1 h 0 min ahead of",
     "it is mse2's that is wrong", [](Sickbed& b) { b.pair()["clock_offset_ms"] = 3'600'000.0; }},
    {"FifoOnly", "real time", Severity::Note, "'fifo', not 'deadline'", "CAP_SYS_NICE",
     [](Sickbed& b) { b.node()["scheduling"]["probe"] = "fifo"; }},
    {"NoRealTime", "real time", Severity::Warning, "'nice', not 'deadline'", "LimitRTPRIO",
     [](Sickbed& b) { b.node()["scheduling"]["probe"] = "nice"; }},
    {"MemoryNotLocked", "real time", Severity::Warning, "memory is not locked", "LimitMEMLOCK",
     [](Sickbed& b) { b.node()["scheduling"]["memory_locked"] = false; }},
    {"ProbesLate", "real time", Severity::Warning, "late, more than the interval", "slower profile",
     [](Sickbed& b) { b.node()["lateness_us"]["p99"] = 9000.0; }},
    {"WritesMayDeadlock", "volume memory", Severity::Warning, "refused PR_SET_IO_FLUSHER",
     "# systemctl restart crossbeat\n",
     [](Sickbed& b) {
       b.pair()["volume"] = {{"running", true}, {"memory", {{"io_flusher", false}}}};
     }},
    {"VolumeMemoryNotLocked", "volume memory", Severity::Warning, "may not lock its memory",
     "LimitMEMLOCK",
     [](Sickbed& b) {
       b.pair()["volume"] = {{"running", true},
                             {"memory", {{"io_flusher", true}, {"locked", false}}}};
     }},
    {"Swap", "swap", Severity::Warning, "swappiness 60", "vm.swappiness=1",
     [](Sickbed& b) { b.files_["/proc/swaps"] += "/dev/sda2 partition 1000 0 -2\n"; }},
    {"Powersave", "governor", Severity::Note, "powersave", "performance",
     [](Sickbed& b) {
       b.files_["/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"] = "powersave\n";
     }},
};

INSTANTIATE_TEST_SUITE_P(Each, DoctorFinds, testing::ValuesIn(kIllnesses),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Doctor, TellsOfAFullDiskBothOfDataAndOfLogs) {
  Sickbed bed;
  bed.disk_->bytes_free = 1u << 20;
  int found = 0;
  for (const Finding& finding : doctor::examine(bed)) {
    if (finding.check == "disk") {
      ++found;
      EXPECT_EQ(finding.severity, Severity::Problem);
      EXPECT_THAT(finding.what, HasSubstr("has 1 MB left"));
      EXPECT_THAT(finding.remedy, HasSubstr("make room"));
    }
  }
  EXPECT_EQ(found, 2);
  bed.disk_->bytes_free = 5u << 30;
  bed.disk_->files_free = 1;
  EXPECT_EQ(doctor::worst_of(doctor::examine(bed)), Severity::Problem);
}

TEST(Doctor, NamesWhatFillsTheDiskAndIsNotCrossbeats) {
  Sickbed bed;
  bed.disk_->bytes_free = 1u << 20;
  bed.large_ = {{"/var/lib/crossbeat/volumes/10.10.10.11/log", 8u << 30},
                {"/var/lib/crossbeat/core of the day.1", 2u << 30},
                {"/var/lib/crossbeat/events.db", 9u << 20},
                {"/var/lib/crossbeat/small", 1000}};
  int found = 0;
  for (const Finding& finding : doctor::examine(bed)) {
    if (finding.check == "disk" && !finding.steps.empty()) {
      ++found;
      EXPECT_THAT(finding.what, HasSubstr("/var/lib/crossbeat has 1 MB left"));
      EXPECT_THAT(finding.remedy, HasSubstr("core of the day.1 (2048 MB)"));
      EXPECT_EQ(finding.steps.size(), 1u);
      EXPECT_EQ(finding.steps[0].command, "rm -i -- '/root/var/lib/crossbeat/core of the day.1'");
    }
  }
  EXPECT_EQ(found, 1);
}

TEST(Doctor, AFileBesideNetworkdsOwnIsTakenForWhatItIs) {
  Sickbed bed;
  const std::string file = "/etc/systemd/network/10-crossbeat-eth0.network";
  bed.files_[file] = "[Match]\nName=eth0\n";
  EXPECT_EQ(doctor::worst_of(doctor::examine(bed)), Severity::Warning);
  bed.files_[file + ".d/crossbeat.conf"] = "[Network]\nKeepConfiguration=static\n";
  EXPECT_EQ(doctor::worst_of(doctor::examine(bed)), Severity::Fine);
}

TEST(Doctor, AMonitorThatDoesNotRunMayLackItsFileSystem) {
  Sickbed bed;
  bed.asked_ = {};
  bed.files_["/proc/mounts"] = "";
  int found = 0;
  for (const Finding& finding : doctor::examine(bed)) {
    found += finding.check == "kernel" && finding.severity == Severity::Problem &&
                     finding.remedy.starts_with("mount -t bpf")
                 ? 1
                 : 0;
  }
  EXPECT_EQ(found, 1);
}

// Every check has an illness above; disk has its own test.
TEST(Doctor, EveryCheckIsTested) {
  std::set<std::string> tested = {"disk"};
  for (const Illness& illness : kIllnesses) {
    tested.insert(illness.check);
  }
  for (const doctor::Check& check : doctor::checks()) {
    EXPECT_TRUE(tested.contains(check.id)) << check.id;
  }
}

TEST(Doctor, SwapForEmergenciesOnlyIsFine) {
  Sickbed bed;
  bed.files_["/proc/swaps"] += "/dev/sda2 partition 1000 0 -2\n";
  bed.files_["/proc/sys/vm/swappiness"] = "1\n";
  EXPECT_EQ(doctor::worst_of(doctor::examine(bed)), Severity::Fine);
}

TEST(Doctor, TheVerbExitsByTheWorstFindingAndKeepsToItsSchema) {
  FakeMonitor monitor;
  const Ran ran = run_cli(monitor.root(), {"doctor", "--json"});
  EXPECT_EQ(ran.code, 9);
  const auto reply = parse_object(ran.out);
  ASSERT_TRUE(reply) << ran.out;
  EXPECT_EQ(text_at(*reply, "worst"), "problem");
  bool found = false;
  for (const Json& finding : (*reply)["findings"]) {
    found = found ||
            (text_at(finding, "check") == "monitor" && text_at(finding, "severity") == "problem" &&
             text_at(finding, "remedy").starts_with("start it"));
  }
  EXPECT_TRUE(found);
}

TEST(Doctor, TheTextShowsFindingsFirstAndCountsTheRest) {
  FakeMonitor monitor;
  monitor.answers("status", {primary_status({{"heartbeat", "Down"}})});
  monitor.listen();
  const Ran ran = run_cli(monitor.root(), {"doctor"});
  EXPECT_THAT(ran.out, HasSubstr("problem  pairing: nothing is heard of mse2 (10.10.10.13)\n"
                                 "         What to do: look at that machine"));
  monitor.answers("status", {primary_status({{"sub_state", "peer-stopped"}})});
  EXPECT_THAT(run_cli(monitor.root(), {"doctor"}).out,
              HasSubstr("crossbeat\n           mse2# systemctl start crossbeat\n"));
  EXPECT_THAT(ran.out, testing::ContainsRegex("[0-9]+ problems?, [0-9]+ warnings?, [0-9]+ notes?; "
                                              "[0-9]+ fine, [0-9]+ not looked at"));
  EXPECT_THAT(ran.out, testing::Not(HasSubstr("fine     ")));
  EXPECT_THAT(run_cli(monitor.root(), {"doctor", "--all"}).out, HasSubstr("fine     "));
}

}  // namespace
}  // namespace cb::cli::test
