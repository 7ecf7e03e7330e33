// SPDX-License-Identifier: Apache-2.0
//
// A Node as the file that would make it: what `crossbeat config show` prints.
#include <array>

#include "config/address.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/duration.h"
#include "config/quote.h"
#include "config/volume.h"

namespace cb::config {
namespace {

std::string line(std::string_view key, const std::string& value) {
  return std::string(key) + " = " + value + "\n";
}

std::string flag(bool value) { return value ? "true" : "false"; }

std::string time(Duration duration) { return quoted(duration_text(duration)); }

std::string type(bool automatic) { return quoted(automatic ? "automatic" : "manual"); }

std::string list(const std::vector<std::string>& texts) {
  std::string result = "[";
  for (const std::string& text : texts) {
    result += (result.size() > 1 ? ", " : "") + quoted(text);
  }
  return result + "]";
}

std::string addresses(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> texts;
  for (const Prefix& prefix : prefixes) {
    texts.push_back(prefix.text());
  }
  return list(texts);
}

std::string heartbeat_text(const Heartbeat& heartbeat) {
  return "\n[heartbeat]\n" +
         (heartbeat.profile == Profile::Custom
              ? line("profile", quoted("custom")) +
                    line("interval", time(heartbeat.direct.interval)) +
                    line("answer_within", time(heartbeat.direct.answer_within)) +
                    line("probes_lost", std::to_string(heartbeat.direct.probes_lost)) +
                    line("network_interval", time(heartbeat.network.interval)) +
                    line("burst_interval", time(heartbeat.burst_interval))
              : line("profile", quoted(name_of(heartbeat.profile))) +
                    "# interval = " + time(heartbeat.direct.interval) +
                    "\n# answer_within = " + time(heartbeat.direct.answer_within) +
                    "\n# probes_lost = " + std::to_string(heartbeat.direct.probes_lost) +
                    "\n# network_interval = " + time(heartbeat.network.interval) +
                    "\n# burst_interval = " + time(heartbeat.burst_interval) + "\n") +
         line("monitor_grace", time(heartbeat.monitor_grace));
}

std::string health_text(const HealthProbe& health) {
  static constexpr std::array kKinds = {"none", "process", "unit", "tcp", "http", "command"};
  return "{ kind = " + quoted(kKinds.at(static_cast<std::size_t>(health.kind))) +
         (health.target.empty() ? "" : ", target = " + quoted(health.target)) +
         ", interval = " + time(health.interval) + ", rise = " + std::to_string(health.rise) +
         ", fall = " + std::to_string(health.fall) + " }";
}

std::string service_text(const Service& service) {
  std::string text = "\n[[service]]\n" + line("name", quoted(service.name));
  if (!service.version.empty()) {
    text += line("version", quoted(service.version));
  }
  if (service.kind == Service::Kind::Unit) {
    text += line("unit", quoted(service.unit));
  } else {
    text += line("start", list(service.start)) + line("stop", list(service.stop));
  }
  return text + line("start_within", time(service.start_within)) +
         line("stop_within", time(service.stop_within)) + line("enabled", flag(service.enabled)) +
         line("restarts", std::to_string(service.restarts)) +
         line("health", health_text(service.health));
}

std::string links_text(const Node& node) {
  static constexpr std::array kXdpModes = {"auto", "native", "generic", "tc"};
  std::string text =
      "\n[network]\n" + line("interface", quoted(node.network_interface)) +
      line("address", quoted(node.hm_address.text())) +
      line("gateway", quoted(is_zero(node.gateway) ? "none" : node.gateway.text())) +
      line("port", std::to_string(node.port)) + "\n[direct]\n" +
      line("interface", quoted(node.direct_interface.empty() ? "none" : node.direct_interface)) +
      line("xdp", quoted(kXdpModes.at(static_cast<std::size_t>(node.xdp_mode)))) + "\n[virtual]\n";
  if (!node.virtual_addresses.empty()) {
    text += line("address", addresses(node.virtual_addresses));
  }
  return text + line("label", quoted(node.address_label));
}

std::string policy_text(const Node& node) {
  std::string schedule = "[";
  for (const Duration at : node.announce_schedule) {
    schedule += (schedule.size() > 1 ? ", " : "") + time(at);
  }
  std::string text =
      "\n[failover]\n" + line("failover", type(node.automatic_failover)) +
      line("failback", type(node.automatic_failback)) + line("wait", time(node.failover_wait)) +
      line("hold_down", time(node.hold_down)) + line("wait_for_peer", time(node.wait_for_peer)) +
      line("automatic_moves_max", std::to_string(node.automatic_moves_max)) +
      line("automatic_moves_window", time(node.automatic_moves_window)) +
      line("address_last", flag(node.address_last)) + "\n[arbitration]\n" +
      line("kinds", list(node.arbitration)) +
      line("accept_no_arbitration_risk", flag(node.accept_no_arbitration_risk)) +
      line("deadline", time(node.arbitration_deadline)) +
      line("defend_wait", time(node.defend_wait)) + "\n[witness]\n";
  if (!is_zero(node.witness_address)) {
    text += line("address", quoted(node.witness_address.text()));
  }
  text += line("port", std::to_string(node.witness_port)) +
          line("deadline", time(node.witness_deadline)) + "\n[fence]\n";
  if (!node.fence_command.empty()) {
    text += line("command", list(node.fence_command));
  }
  return text + line("deadline", time(node.fence_deadline)) + "\n[announce]\n" +
         line("schedule", schedule + "]") + line("refresh", time(node.announce_refresh));
}

// What getserverinfo shows of the product.
std::string shown_text(const Product& product) {
  std::string text = line("short_name", quoted(product.short_name)) +
                     line("https", quoted(product.https)) +
                     line("legacy_port", std::to_string(product.legacy_port)) +
                     line("log_modules", std::to_string(product.log_modules)) +
                     line("events_days", std::to_string(product.events_days)) +
                     line("session_minutes", std::to_string(product.session_minutes)) +
                     line("backup_days", std::to_string(product.backup_days));
  if (!product.info_command.empty()) {
    text += line("info_command", list(product.info_command));
  }
  return text;
}

// A primary without a volume has no such table: there a size is missing.
std::string volume_table(const Node& node) {
  if (node.role == core::Role::Primary && !node.volume) {
    return "";
  }
  const auto device = [](const char* key, const std::string& path) {
    return path.empty() ? std::string() : line(key, quoted(path));
  };
  return "\n[volume]\n" + line("directory", quoted(node.volume_directory)) +
         device("log_device", node.volume_log_device) +
         device("home_device", node.volume_home_device) +
         line("stuck_after", time(node.volume_stuck_after)) +
         line("front_end", quoted(node.volume_front_end)) +
         line("write_cache", flag(node.volume_write_cache)) +
         line("cpu_latency", quoted(node.volume_cpu_latency)) +
         (node.volume ? volume_text(*node.volume) : "");
}

}  // namespace

std::string node_to_toml(const Node& node) {
  std::string text =
      "[node]\n" + line("name", quoted(node.name)) +
      line("role", quoted(node.role == core::Role::Primary ? "primary" : "secondary")) +
      links_text(node) + heartbeat_text(node.heartbeat) + policy_text(node);
  for (const Service& service : node.services) {
    text += service_text(service);
  }
  for (const Hook& hook : node.hooks) {
    text += "\n[[hook]]\n" + line("name", quoted(hook.name)) + line("command", list(hook.command)) +
            (hook.states.empty() ? "" : line("states", list(hook.states))) +
            line("within", time(hook.within));
  }
  return text + "\n[product]\n" + line("name", quoted(node.product.name)) +
         line("version", quoted(node.product.version)) + line("model", quoted(node.product.model)) +
         line("udi_product", quoted(node.product.udi_product)) +
         line("udi_version", quoted(node.product.udi_version)) +
         line("udi_serial", quoted(node.product.udi_serial)) + shown_text(node.product) +
         "\n[licence]\n" + line("public_key", quoted(node.licence.public_key)) +
         line("required", node.licence.required ? "true" : "false") + "\n[monitor]\n" +
         line("planned_restart_grant", time(node.planned_restart_grant)) +
         line("log_level", quoted(node.log_level)) + "\n[instance]\n" +
         line("number", std::to_string(node.instance_number)) +
         line("prefix", quoted(node.instance_prefix)) + volume_table(node);
}

}  // namespace cb::config
