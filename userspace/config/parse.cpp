// SPDX-License-Identifier: Apache-2.0
//
// One function per table of crossbeat.toml. Each says which keys there are; what they mean together
// is validate.cpp's business.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/address.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/duration.h"
#include "config/parse_service.h"
#include "config/platform.h"
#include "config/reader.h"
#include "config/validate.h"
#include "config/volume.h"

namespace cb::config {
namespace {

const std::array<std::string, 2> kManualAutomatic = {"manual", "automatic"};

template <class T>
void put(T& place, std::optional<T> value) {
  if (value) {
    place = *std::move(value);
  }
}

void put(int& place, std::optional<std::int64_t> value) {
  if (value) {
    place = static_cast<int>(*value);
  }
}

// A key that must be there and is not; nothing is said when it, or all of its table, is wrong.
void missing(Notes& notes, const std::string& table, const std::string& key, std::string what) {
  const std::string path = table + "." + key;
  if (!notes.is_broken(path) && !notes.is_broken(table)) {
    notes.error(notes.line_of(table), std::move(what));
  }
  notes.set_broken(path);
}

void read_node(Reader table, Node& node, Notes& notes) {
  static const std::array<std::string, 2> kRoles = {"primary", "secondary"};
  put(node.name, table.text("name"));
  const auto role = table.choice("role", kRoles);
  if (role) {
    node.role = *role == 0 ? core::Role::Primary : core::Role::Secondary;
  } else {
    missing(notes, "node", "role",
            "the role of this machine is missing; write role = \"primary\" or \"secondary\" in "
            "[node]");
  }
  table.finish();
}

void read_address(Reader& table, std::string_view key, Address& place) {
  const auto text = table.text(key);
  if (!text) {
    return;
  }
  const auto address = parse_address(*text);
  if (!address) {
    table.wrong(key, "'" + *text + "' is not an IP address" +
                         (parse_prefix(*text) ? "; leave out the '/' and what follows" : ""));
    return;
  }
  place = *address;
}

void read_network(Reader table, Node& node, Notes& notes) {
  put(node.network_interface, table.text("interface"));
  if (node.network_interface.empty()) {
    missing(notes, "network", "interface",
            "the health monitor's interface is missing; write interface = \"eth0\" in [network]");
  }
  read_address(table, "address", node.hm_address);
  if (table.exists()) {
    const auto gateway = table.text("gateway");
    if (gateway && *gateway == "none") {
      node.gateway = {};
    } else if (gateway) {
      read_address(table, "gateway", node.gateway);
    }
  }
  if (const auto port = table.number("port", 1, 65535)) {
    node.port = static_cast<uint16_t>(*port);
  }
  table.finish();
}

void read_direct(Reader table, Node& node) {
  static const std::array<std::string, 4> kModes = {"auto", "native", "generic", "tc"};
  put(node.direct_interface, table.text("interface"));
  if (node.direct_interface == "none") {
    node.direct_interface.clear();
  }
  if (const auto mode = table.choice("xdp", kModes)) {
    node.xdp_mode = static_cast<Node::XdpMode>(*mode);
  }
  table.finish();
}

void read_virtual(Reader table, Node& node) {
  std::string bad;
  for (const std::string& text :
       table.texts("address", true).value_or(std::vector<std::string>{})) {
    if (const auto prefix = parse_prefix(text)) {
      node.virtual_addresses.push_back(*prefix);
    } else {
      bad += (bad.empty() ? "'" : ", '") + text + "'";
    }
  }
  if (!bad.empty()) {
    table.wrong("address", bad + ": not an address; write it as \"10.10.10.11/24\"");
  }
  put(node.address_label, table.text("label"));
  table.finish();
}

// A profile is the starting point; any exact value makes it custom.
void read_heartbeat(Reader table, Node& node, Notes& notes) {
  static const std::array<std::string, 4> kNames = {"fast", "normal", "relaxed", "custom"};
  Heartbeat& heartbeat = node.heartbeat;
  const std::size_t chosen = table.choice("profile", kNames).value_or(1);
  const bool custom = chosen == kProfiles.size();
  const ProfileNumbers& numbers = custom ? numbers_of(Profile::Normal) : kProfiles.at(chosen);
  heartbeat.profile = custom ? Profile::Custom : numbers.profile;

  const auto interval = table.duration("interval", kIntervalMin, kIntervalMax);
  const auto answer_within = table.duration("answer_within", kIntervalMin, kIntervalMax);
  const auto probes_lost = table.number("probes_lost", kProbesLostMin, kProbesLostMax);
  const auto network_interval = table.duration("network_interval", kIntervalMin, kIntervalMax);
  const auto burst_interval = table.duration("burst_interval", kIntervalMin, kIntervalMax);
  put(heartbeat.monitor_grace, table.duration("monitor_grace", 50_ms, 60_s));
  table.finish();

  if (custom && (!table.exists() || !notes.is_given("heartbeat.interval") ||
                 !notes.is_given("heartbeat.probes_lost"))) {
    table.wrong(
        "profile",
        "\"custom\" needs at least interval and probes_lost; write them, or choose \"fast\", "
        "\"normal\" or \"relaxed\"");
  }
  if (interval || answer_within || probes_lost || network_interval || burst_interval) {
    heartbeat.profile = Profile::Custom;
  }
  heartbeat.direct.interval = interval.value_or(numbers.interval);
  heartbeat.direct.answer_within =
      answer_within.value_or(interval ? *interval : numbers.answer_within);
  heartbeat.direct.probes_lost = static_cast<int>(probes_lost.value_or(numbers.probes_lost));
  heartbeat.network = heartbeat.direct;
  heartbeat.network.interval =
      network_interval.value_or(std::max(numbers.network_interval, heartbeat.direct.interval));
  // A burst catches up with the direct link's silence, so that both are noticed together.
  heartbeat.burst_interval = burst_interval.value_or(
      interval ? std::max(kIntervalMin, *interval / 4) : numbers.burst_interval);
}

void read_failover(Reader table, Node& node) {
  if (const auto type = table.choice("failover", kManualAutomatic)) {
    node.automatic_failover = *type == 1;
  }
  if (const auto type = table.choice("failback", kManualAutomatic)) {
    node.automatic_failback = *type == 1;
  }
  put(node.failover_wait, table.duration("wait", 0_s, 3600_s));
  put(node.hold_down, table.duration("hold_down", 0_s, 86400_s));
  put(node.wait_for_peer, table.duration("wait_for_peer", kLongestGrant, 3600_s));
  put(node.automatic_moves_max, table.number("automatic_moves_max", 1, kAutomaticMovesLimit));
  put(node.automatic_moves_window, table.duration("automatic_moves_window", 60_s, 86400_s));
  put(node.address_last, table.flag("address_last"));
  table.finish();
}

void read_arbitration(Reader table, Node& node) {
  put(node.arbitration, table.texts("kinds", true));
  put(node.accept_no_arbitration_risk, table.flag("accept_no_arbitration_risk"));
  const auto& kinds = node.arbitration;
  if (std::find(kinds.begin(), kinds.end(), "witness") != kinds.end()) {
    node.arbitration_deadline = kWitnessArbitrationDeadline;
  }
  put(node.arbitration_deadline, table.duration("deadline", 1_ms, 60_s));
  put(node.defend_wait, table.duration("defend_wait", 50_us, 1_s));
  table.finish();
}

void read_witness(Reader table, Node& node) {
  read_address(table, "address", node.witness_address);
  if (const auto port = table.number("port", 1, 65535)) {
    node.witness_port = static_cast<uint16_t>(*port);
  }
  put(node.witness_deadline, table.duration("deadline", 2_s, 600_s));
  table.finish();
}

void read_fence(Reader table, Node& node) {
  put(node.fence_command, table.texts("command", false));
  put(node.fence_deadline, table.duration("deadline", 100_ms, 600_s));
  table.finish();
}

void read_announce(Reader table, Node& node) {
  put(node.announce_schedule, table.durations("schedule", 0_s, 600_s));
  put(node.announce_refresh, table.duration("refresh", 1_s, 3600_s));
  table.finish();
}

void read_product(Reader table, Node& node) {
  put(node.product.name, table.text("name"));
  put(node.product.version, table.text("version"));
  if (const auto model = table.text("model")) {
    node.product.model = *model;
    if (!model->empty() && !is_model(*model)) {
      table.wrong("model", "a model is up to 32 letters, digits, dashes, dots and underscores");
    }
  }
  put(node.product.udi_product, table.text("udi_product"));
  put(node.product.udi_version, table.text("udi_version"));
  put(node.product.udi_serial, table.text("udi_serial"));
  put(node.product.short_name, table.text("short_name"));
  put(node.product.https, table.text("https"));
  put(node.product.legacy_port, table.number("legacy_port", 1, 65535));
  put(node.product.log_modules, table.number("log_modules", -1, INT32_MAX));
  put(node.product.events_days, table.number("events_days", 1, 3650));
  put(node.product.session_minutes, table.number("session_minutes", 1, 10080));
  put(node.product.backup_days, table.number("backup_days", 0, 3650));
  if (const auto command = table.texts("info_command", false)) {
    node.product.info_command = *command;
    if (command->empty() || !command->front().starts_with('/')) {
      table.wrong("info_command", "write a command with its full path; no shell is used");
    }
  }
  table.finish();
}

void read_licence(Reader table, Node& node) {
  Licence& licence = node.licence;
  put(licence.public_key, table.text("public_key"));
  put(licence.required, table.flag("required"));
  const auto key = parse_hex(licence.public_key);
  if (!licence.public_key.empty() && (!key || key->size() != 32)) {
    table.wrong("public_key",
                "the maker's key is 64 hexadecimal digits, as crossbeat licence make-key shows it");
  } else if (licence.required && licence.public_key.empty()) {
    table.wrong("required", "a licence that is required needs the maker's public_key beside it");
  }
  table.finish();
}

void read_monitor(Reader table, Node& node) {
  static const std::array<std::string, 5> kLevels = {"debug", "info", "notice", "warning", "error"};
  put(node.planned_restart_grant, table.duration("planned_restart_grant", 100_ms, kLongestGrant));
  if (const auto level = table.choice("log_level", kLevels)) {
    node.log_level = kLevels.at(*level);
  }
  table.finish();
}

void read_device(Reader& table, std::string_view key, std::string& device) {
  put(device, table.text(key));
  const bool plain = device.starts_with("/dev/") && device.size() <= 200 &&
                     !device.ends_with('/') && device.find("/.") == std::string::npos &&
                     std::all_of(device.begin(), device.end(), [](char c) {
                       return c > ' ' && c < '\x7f' && c != '"' && c != '\\';
                     });
  if (!device.empty() && !plain) {
    table.wrong(key, "must be a block device's full path, such as \"/dev/nvme0n1p3\"");
  }
}

void read_cpu_latency(Reader& table, std::string& latency) {
  put(latency, table.text("cpu_latency"));
  if (latency == "auto" || latency == "off") {
    return;
  }
  const auto duration = parse_duration(latency);
  if (!duration || *duration > 1_s) {
    table.wrong("cpu_latency", "must be \"auto\", \"off\" or up to a second, such as \"2us\"");
  }
}

void read_volume(Reader table, Node& node, Notes& notes) {
  put(node.volume_directory, table.text("directory"));
  if (!node.volume_directory.starts_with('/')) {
    table.wrong("directory",
                "must be a folder's full path, such as \"/var/lib/crossbeat/volumes\"");
  }
  read_device(table, "log_device", node.volume_log_device);
  read_device(table, "home_device", node.volume_home_device);
  if (!node.volume_log_device.empty() && node.volume_log_device == node.volume_home_device) {
    table.wrong("home_device", "must be another device than log_device");
  }
  put(node.volume_stuck_after, table.duration("stuck_after", 1_s, 86400_s));
  static const std::array<std::string, 3> kFrontEnds = {"auto", "fuse", "ublk"};
  if (const auto front_end = table.choice("front_end", kFrontEnds)) {
    node.volume_front_end = kFrontEnds.at(*front_end);
  }
  put(node.volume_write_cache, table.flag("write_cache"));
  read_cpu_latency(table, node.volume_cpu_latency);
  node.volume = read_volume(table);
  const bool primary = node.role == core::Role::Primary;
  if (table.exists() && primary && !node.volume) {
    missing(notes, "volume", "size",
            "the size of the volume is missing; write size = \"10GiB\" in [volume]");
  }
  if (node.volume && !primary) {
    table.wrong(
        "size",
        "the volume is the primary's to describe, and comes here by pairing; a secondary "
        "says only where its copy lies, stuck_after, front_end, write_cache and cpu_latency");
  }
  if (!primary) {
    node.volume.reset();
  }
  table.finish();
}

void read_instance(Reader table, Node& node) {
  put(node.instance_number, table.number("number", 1, 999));
  put(node.instance_prefix, table.text("prefix"));
  table.finish();
}

}  // namespace

std::string Problem::text() const {
  return file + (line > 0 ? ":" + std::to_string(line) : "") +
         (warning ? ": warning: " : ": error: ") + what;
}

Parsed<Node> parse_node(std::string_view toml, std::string_view file_name,
                        const MachineFacts& machine) {
  Parsed<Node> parsed{default_node(), {}};
  const Parsed<Value> document = parse_document(toml, file_name);
  if (!document.ok()) {
    parsed.problems = document.problems;
    return parsed;
  }
  Node& node = parsed.value;
  Notes notes(file_name);
  Reader top(&document.value, "", notes);
  read_node(top.table("node"), node, notes);
  read_network(top.table("network"), node, notes);
  read_direct(top.table("direct"), node);
  read_virtual(top.table("virtual"), node);
  read_heartbeat(top.table("heartbeat"), node, notes);
  read_failover(top.table("failover"), node);
  read_arbitration(top.table("arbitration"), node);
  read_witness(top.table("witness"), node);
  read_fence(top.table("fence"), node);
  read_announce(top.table("announce"), node);
  read_services(top, node, notes);
  read_hooks(top, node, notes);
  read_product(top.table("product"), node);
  read_licence(top.table("licence"), node);
  read_monitor(top.table("monitor"), node);
  read_volume(top.table("volume"), node, notes);
  read_instance(top.table("instance"), node);
  top.finish();

  fill_in_from_machine(node, machine, notes);
  validate(node, machine, notes);
  parsed.problems = notes.take();
  return parsed;
}

}  // namespace cb::config
