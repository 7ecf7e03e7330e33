// SPDX-License-Identifier: Apache-2.0
#include "config/parse_service.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/defaults.h"
#include "config/suggest.h"

namespace cb::config {
namespace {

constexpr std::size_t kServicesMax = 64;
constexpr std::size_t kHooksMax = 16;

// The nine names (docs/state-machine.md).
const std::array<std::string, 9> kStateNames = {
    "PRIMARY_ACTIVE",  "SECONDARY_ACTIVE",  "FAILOVER_INVOKED", "FAILOVER_ACTIVE",  "TERMINATED",
    "FAILBACK_ACTIVE", "FAILBACK_COMPLETE", "SECONDARY_ALONE",  "GRACEFUL_SHUTDOWN"};

// Empty when the target suits the kind, else what to write.
std::string target_problem(const HealthProbe& health) {
  const std::string& target = health.target;
  switch (health.kind) {
    case HealthProbe::Kind::None: return {};
    case HealthProbe::Kind::Process:
    case HealthProbe::Kind::Unit:
      return target.empty() ? "" : "this kind of probe has no target; remove it";
    case HealthProbe::Kind::Tcp: {
      const std::size_t colon = target.rfind(':');
      const bool good = colon != std::string::npos && colon > 0 &&
                        parse_number(std::string_view(target).substr(colon + 1), 65535).value_or(0);
      return good ? "" : "write it as \"127.0.0.1:8083\"";
    }
    case HealthProbe::Kind::Http:
      return target.starts_with("http://") && target.size() > 7
                 ? ""
                 : "write it as \"http://127.0.0.1:8083/health\"";
    case HealthProbe::Kind::Command:
      return target.starts_with('/') ? "" : "write a command with its full path";
  }
  return {};
}

void read_health(Reader table, HealthProbe& health) {
  static const std::array<std::string, 6> kKinds = {"none", "process", "unit",
                                                    "tcp",  "http",    "command"};
  health.interval = kHealthInterval;
  if (!table.exists()) {
    return;
  }
  const auto kind = table.choice("kind", kKinds);
  health.kind = static_cast<HealthProbe::Kind>(kind.value_or(0));
  const auto target = table.text("target");
  health.target = target.value_or("");
  health.interval = table.duration("interval", 100_ms, 3600_s).value_or(kHealthInterval);
  health.rise = static_cast<int>(table.number("rise", 1, 100).value_or(kHealthRise));
  health.fall = static_cast<int>(table.number("fall", 1, 100).value_or(kHealthFall));
  table.finish();
  if (!kind) {
    return;
  }
  if (const std::string problem = target_problem(health); !problem.empty()) {
    table.wrong("target", "'" + health.target + "' does not suit a " + kKinds.at(*kind) +
                              " probe; " + problem);
  }
}

void check_command(Reader& table, std::string_view key, const std::vector<std::string>& command) {
  if (command.empty()) {
    table.wrong(key, "is missing or empty; write " + std::string(key) +
                         " = [\"/full/path\", \"argument\"]");
  } else if (!command.front().starts_with('/')) {
    table.wrong(key, "'" + command.front() +
                         "' is not a full path; nothing is looked up, and no shell is used");
  }
}

Service read_service(Reader table) {
  Service service;
  service.name = table.text("name").value_or("");
  service.version = table.text("version").value_or("");
  service.enabled = table.flag("enabled").value_or(true);
  service.restarts = static_cast<int>(table.number("restarts", 0, 100).value_or(kServiceRestarts));
  service.start_within =
      table.duration("start_within", 100_ms, 3600_s).value_or(kServiceStartWithin);
  service.stop_within = table.duration("stop_within", 100_ms, 3600_s).value_or(kServiceStopWithin);
  const auto unit = table.text("unit");
  const auto start = table.texts("start", false);
  const auto stop = table.texts("stop", false);
  read_health(table.table("health"), service.health);
  table.finish();

  service.unit = unit.value_or("");
  service.start = start.value_or(std::vector<std::string>{});
  service.stop = stop.value_or(std::vector<std::string>{});
  service.kind = service.unit.empty() ? Service::Kind::Command : Service::Kind::Unit;
  if (unit && (start || stop)) {
    table.wrong("unit", "a service has either a systemd unit, or start and stop commands");
  } else if (unit) {
    if (service.unit.empty() || service.unit.find('/') != std::string::npos ||
        service.unit.find(' ') != std::string::npos ||
        service.unit.find('.') == std::string::npos) {
      table.wrong("unit", "'" + service.unit +
                              "' is not the name of a unit; write it as \"mysql.service\"");
    }
  } else if (!start && !stop) {
    table.wrong("unit", "is missing; write unit = \"NAME.service\", or start and stop commands");
  } else {
    check_command(table, "start", service.start);
    check_command(table, "stop", service.stop);
  }
  if (service.health.kind == HealthProbe::Kind::Unit && service.unit.empty()) {
    table.wrong("health", "a probe of kind \"unit\" is for services that have a unit");
  }
  return service;
}

Hook read_hook(Reader table) {
  Hook hook;
  hook.name = table.text("name").value_or("");
  hook.command = table.texts("command", false).value_or(std::vector<std::string>{});
  hook.states = table.texts("states", true).value_or(std::vector<std::string>{});
  hook.within = table.duration("within", 100_ms, 3600_s).value_or(kHookWithin);
  table.finish();
  check_command(table, "command", hook.command);
  for (const std::string& state : hook.states) {
    if (std::find(kStateNames.begin(), kStateNames.end(), state) == kStateNames.end()) {
      table.wrong("states", "'" + state + "' is not the name of a state; write " +
                                alternatives(kStateNames) + suggestion(state, kStateNames));
    }
  }
  return hook;
}

}  // namespace

void read_hooks(Reader& top, Node& node, Notes& notes) {
  std::vector<Reader> tables = top.tables("hook");
  if (tables.size() > kHooksMax) {
    top.wrong("hook", "there are more than " + std::to_string(kHooksMax) + " hooks");
    tables.clear();
  }
  for (Reader& table : tables) {
    Hook hook = read_hook(table);
    if (hook.name.empty()) {
      if (!notes.is_broken(table.path_of("name"))) {
        table.wrong("name", "is missing; every hook needs a name of its own");
      }
    } else if (std::any_of(node.hooks.begin(), node.hooks.end(),
                           [&](const Hook& other) { return other.name == hook.name; })) {
      table.wrong("name", "'" + hook.name + "' is the name of an earlier hook too");
    }
    node.hooks.push_back(std::move(hook));
  }
}

void read_services(Reader& top, Node& node, Notes& notes) {
  std::vector<Reader> tables = top.tables("service");
  if (tables.size() > kServicesMax) {
    top.wrong("service", "there are more than " + std::to_string(kServicesMax) + " services");
    tables.clear();
  }
  for (Reader& table : tables) {
    Service service = read_service(table);
    const std::string path = table.path_of("name");
    if (service.name.empty()) {
      if (!notes.is_broken(path)) {
        table.wrong("name", "is missing; every service needs a name of its own");
      }
    } else {
      const auto twin = std::find_if(node.services.begin(), node.services.end(),
                                     [&](const Service& s) { return s.name == service.name; });
      if (twin != node.services.end()) {
        table.wrong("name",
                    "'" + service.name + "' is the name of an earlier service too (line " +
                        std::to_string(notes.line_of(
                            "service[" + std::to_string(twin - node.services.begin()) + "].name")) +
                        ")");
      }
    }
    node.services.push_back(std::move(service));
  }
}

}  // namespace cb::config
