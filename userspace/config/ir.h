// SPDX-License-Identifier: Apache-2.0
// ir.h - the configuration as plain structs: what parse() makes and validate() checks, before any
// side effect. Printable and comparable. Knows nothing of TOML. docs/configuration.md is written
// from the comments here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "core/types.h"

namespace cb::config {

struct Address {  // IPv4 or IPv6; IPv4 as ::ffff:a.b.c.d
  std::array<uint8_t, 16> bytes{};
  bool is_v4() const;
  std::string text() const;
  bool operator==(const Address&) const = default;
};

struct Prefix {
  Address address;
  int length = 0;            // of its own family: 0..32 or 0..128
  std::string text() const;  // "10.10.10.11/24"
  bool operator==(const Prefix&) const = default;
};

enum class Profile : uint8_t { Fast, Normal, Relaxed, Custom };

struct LinkHeartbeat {
  Duration interval{};
  Duration answer_within{};
  int probes_lost = 0;
  bool operator==(const LinkHeartbeat&) const = default;
};

struct Heartbeat {  // [heartbeat]
  Profile profile = Profile::Normal;
  LinkHeartbeat direct;       // from the profile, or exact values
  LinkHeartbeat network;      // base rate beside a direct link; see heartbeat_for() in config.h
  Duration burst_interval{};  // network probes while the direct link is suspect
  Duration monitor_grace{};   // default 500 ms
  bool operator==(const Heartbeat&) const = default;
};

struct HealthProbe {  // [[service]] health
  enum class Kind : uint8_t { None, Process, Unit, Tcp, Http, Command } kind = Kind::None;
  std::string target;  // host:port, URL or command
  Duration interval{};
  int rise = 2;
  int fall = 3;
  bool operator==(const HealthProbe&) const = default;
};

struct Service {  // [[service]]: started in this order, stopped in reverse, one at a time
  std::string name;
  std::string version;  // shown by getserverinfo
  enum class Kind : uint8_t { Unit, Command } kind = Kind::Unit;
  std::string unit;                // systemd unit
  std::vector<std::string> start;  // command and arguments (no shell)
  std::vector<std::string> stop;
  Duration start_within{};
  Duration stop_within{};
  bool enabled = true;
  int restarts = 2;  // local restarts before a failover is asked for
  HealthProbe health;
  bool operator==(const Service&) const = default;
};

struct Volume {  // [volume]: the replicated block device of this primary's instance
  enum class Mode : uint8_t { Strict, Sync, FastSync, Async } mode = Mode::Sync;
  uint64_t bytes = 0;       // size
  uint64_t log_bytes = 0;   // log, on each node
  std::string mount_point;  // below the root; empty: nothing is mounted, services use the device
  std::string file_system;  // "ext4" or "xfs"
  std::string mount_options;
  uint16_t port = 7389;  // of the stream over the service network (UDP)
  bool operator==(const Volume&) const = default;
};

struct Hook {  // [[hook]]: run at changes of state, one after the other
  std::string name;
  std::vector<std::string> command;  // and arguments (no shell)
  std::vector<std::string> states;   // those that it wants to hear of; empty: all
  Duration within{};                 // then it is killed
  bool operator==(const Hook&) const = default;
};

struct Product {     // [product]: the maker's names, never constants of ours
  std::string name;  // "Cisco Mobility Service Engine"-like
  std::string version;
  std::string model;        // of the machine, for the platform matrix; empty: none
  std::string udi_product;  // AIR-MSE-VA-K9; default CROSSBEAT
  std::string udi_version;  // default V01
  std::string udi_serial;   // default: <hostname>_<machine id as uuid>
  // What getserverinfo prints about the product; Crossbeat itself acts on events_days alone.
  std::string short_name = "MSE";  // "Retrieving MSE Services status."
  std::string https = "null";
  int legacy_port = 8001;
  int log_modules = -1;
  int events_days = 2;
  int session_minutes = 30;
  int backup_days = 2;
  std::vector<std::string> info_command;  // its output is the end of getserverinfo; empty: none
  bool operator==(const Product&) const = default;
};

struct Licence {           // [licence]: the maker's activation; nothing is asked for without it
  std::string public_key;  // of the maker, Ed25519: 64 hexadecimal digits; empty: none
  bool required = false;   // pairing asks both nodes for a licence
  bool operator==(const Licence&) const = default;
};

// /etc/crossbeat/crossbeat.toml
struct Node {
  std::string name;                       // [node] name, default the host name
  core::Role role = core::Role::Primary;  // [node] role = "primary" | "secondary"

  std::string network_interface;  // [network] interface: the health-monitor interface
  Address hm_address;             // [network] address: default the interface's first IPv4 address
  Address gateway;                // [network] gateway: default the default route's; zero: none
  uint16_t port = 7388;           // [network] port: heartbeats (UDP) and pairing (TCP)

  std::string direct_interface;  // [direct] interface; empty: none
  enum class XdpMode : uint8_t { Auto, Native, Generic, Tc } xdp_mode = XdpMode::Auto;

  std::vector<Prefix> virtual_addresses;  // [virtual] address = "..." or list; primary only
  std::string address_label;              // [virtual] label, default "<interface>:1"

  Heartbeat heartbeat;

  bool automatic_failover = false;  // [failover] failover = "manual" | "automatic"
  bool automatic_failback = false;  // [failover] failback
  Duration failover_wait{};         // [failover] wait, default "10s"
  Duration hold_down{};             // [failover] hold_down, default "60s"
  Duration wait_for_peer{};  // [failover] wait_for_peer, default "15s", never below the longest
                             // grant (10 s)
  int automatic_moves_max = 3;
  Duration automatic_moves_window{};  // default 15 min
  bool address_last = false;

  std::vector<std::string>
      arbitration;  // [arbitration] kinds = ["gateway"]; gateway, witness, fence, none
  bool accept_no_arbitration_risk = false;
  Duration arbitration_deadline{};  // default 50 ms, with a witness 500 ms
  Duration defend_wait{};   // how long after the gateway's answer the address must stay undefended;
                            // default 150 us
  Address witness_address;  // [witness] address; zero: none
  uint16_t witness_port = 7391;  // [witness] port
  Duration witness_deadline{};   // [witness] deadline: silent for so long, it counts as down; 5 s
  std::vector<std::string> fence_command;  // [fence] command and arguments (no shell)
  Duration fence_deadline{};               // [fence] deadline, default 20 s

  std::vector<Duration> announce_schedule;  // [announce] default 0, 20 ms, 200 ms, 1 s, 5 s, 15 s
  Duration announce_refresh{};              // default 60 s

  // What is replicated is the primary's to say; where a copy lies, each node's.
  std::optional<Volume> volume;
  std::string volume_log_device;  // [volume] log_device, home_device: empty: files in `directory`
  std::string volume_home_device;
  std::string volume_directory;     // [volume] directory: holds one folder for each instance
  Duration volume_stuck_after{};    // [volume] stuck_after, default 2 min
  std::string volume_front_end;     // [volume] front_end: "auto" (default), "fuse", "ublk"
  bool volume_write_cache = false;  // [volume] write_cache
  std::string volume_cpu_latency;   // [volume] cpu_latency: "auto" (default), "off", a duration

  std::vector<Service> services;
  std::vector<Hook> hooks;
  Product product;
  Licence licence;

  Duration planned_restart_grant{};  // [monitor] default 5 s
  std::string log_level = "info";
  int instance_number = 3;      // [instance] number, of the database fields of gethainfo
  std::string instance_prefix;  // [instance] prefix of their names, default "mse": mseos3, mseop3s
  bool operator==(const Node&) const = default;
};

// The primary's volume as both nodes of a pairing know it. id: drawn when the first copy was made.
struct PairVolume {
  Volume volume;
  std::array<uint8_t, 16> id{};
  bool operator==(const PairVolume&) const = default;
};

// /var/lib/crossbeat/pairs/<primary HM address>.toml, written by pairing (mode 0600); the key
// beside it as .key (mode 0600).
struct Pair {
  uint64_t id = 0;  // pairing id of the frames
  core::Role self_role = core::Role::Primary;
  Address primary_hm;
  Address secondary_hm;
  std::vector<Prefix> virtual_addresses;  // the primary's
  std::string peer_name;
  std::string peer_version;
  std::string peer_udi;
  std::string peer_model;           // empty: none, or not told
  std::string peer_activation;      // "activated", "not required", or why not; empty: not told
  bool automatic_failover = false;  // both nodes' setting for this pairing
  bool automatic_failback = false;
  Duration failover_wait{};
  bool direct = false;  // both nodes have a direct link
  int instance_number = 3;
  std::optional<PairVolume> volume;
  std::array<uint8_t, 32> key{};  // pairing key; read from the .key file, never printed
  bool operator==(const Pair&) const = default;
};

}  // namespace cb::config
