// SPDX-License-Identifier: Apache-2.0
//
// The page is built as sections of blocks of fields, and then written as text or as JSON.
#include "cli/getserverinfo.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

#include "base/text.h"

namespace cb::cli {
namespace {

struct Field {
  std::string name;
  std::string value;
};
using Block = std::vector<Field>;

struct Section {
  std::string title;
  std::vector<Block> blocks;
  bool repeats = false;  // a list of blocks, also when there is one or none
};

std::string number(std::int64_t value) { return std::to_string(value); }

// "Sun Mar 08 12:40:32 CET 2015"
std::string time_text(std::int64_t seconds) {
  const auto when = static_cast<time_t>(seconds);
  tm local{};
  localtime_r(&when, &local);
  std::array<char, 64> text{};
  strftime(text.data(), text.size(), "%a %b %d %H:%M:%S %Z %Y", &local);
  return text.data();
}

std::int64_t offset_minutes(std::int64_t seconds) {
  const auto when = static_cast<time_t>(seconds);
  tm local{};
  localtime_r(&when, &local);
  return local.tm_gmtoff / 60;
}

std::string upper(std::string text) {
  for (char& c : text) {
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

// The three parts of a UDI; the last may have colons of its own.
std::array<std::string, 3> parts_of(const std::string& udi) {
  const std::size_t first = udi.find(':');
  const std::size_t second = first == std::string::npos ? first : udi.find(':', first + 1);
  if (second == std::string::npos) {
    return {udi, "", ""};
  }
  return {udi.substr(0, first), udi.substr(first + 1, second - first - 1), udi.substr(second + 1)};
}

Section server_config(const StatusView& status, const ServerFacts& facts) {
  const NodeView& node = status.node;
  const config::Product& product = facts.product;
  const auto [id, version, serial] = parts_of(node.udi);
  return {"Server Config",
          {{{"Product name", product.name.empty() ? "Crossbeat" : product.name},
            {"Version", node.version},
            {"Health Monitor Ip Address", node.hm_address},
            {"High Availability Role", node.primary ? "1" : "2"},
            {"Hw Version", version},
            {"Hw Product Identifier", id},
            {"Hw Serial Number", serial},
            {"HTTPS", product.https},
            {"Legacy Port", number(product.legacy_port)},
            {"Log Modules", number(product.log_modules)},
            {"Log Level", upper(facts.log_level)},
            {"Days to keep events", number(product.events_days)},
            {"Session timeout in mins", number(product.session_minutes)},
            {"DB backup in days", number(product.backup_days)}}}};
}

struct Told {  // of one service, over all instances of this node
  std::string name;
  std::string version;
  bool enabled = true;
  bool up = false;
};

std::vector<Told> services_of(const StatusView& status, const ServerFacts& facts) {
  std::vector<Told> services;
  for (const config::Service& service : facts.services) {
    services.push_back({service.name, service.version, service.enabled, false});
  }
  for (const PairView* pair : status.instances()) {
    if (!pair->services.is_array()) {
      continue;
    }
    for (const Json& json : pair->services) {
      const std::string name = text_at(json, "name", "?");
      auto found = std::find_if(services.begin(), services.end(),
                                [&](const Told& told) { return told.name == name; });
      if (found == services.end()) {
        found = services.insert(services.end(), Told{.name = name, .version = ""});
      }
      found->enabled = text_at(json, "admin", "Enabled") == "Enabled";
      found->up = found->up || text_at(json, "state") == "running";
    }
  }
  return services;
}

Section services(const StatusView& status, const ServerFacts& facts) {
  Section section{"Services", {}, true};
  for (const Told& service : services_of(status, facts)) {
    section.blocks.push_back(
        {{"Service Name", service.name},
         {"Service Version", service.version.empty() ? "null" : service.version},
         {"Admin Status", service.enabled ? "Enabled" : "Disabled"},
         {"Operation Status", service.up ? "Up" : "Down"}});
  }
  return section;
}

std::string restarts(const StatusView& status) {
  if (is_dormant(status)) {
    return "null";
  }
  std::int64_t sum = 0;
  for (const PairView* pair : status.instances()) {
    if (pair->services.is_array()) {
      for (const Json& service : pair->services) {
        sum += whole_at(service, "restarts").value_or(0);
      }
    }
  }
  return number(sum);
}

Section server_monitor(const StatusView& status, const ServerFacts& facts) {
  const auto uptime = static_cast<std::int64_t>(status.node.uptime_s.value_or(0));
  return {"Server Monitor",
          {{{"Server start time", time_text(facts.now_s - uptime)},
            {"Server current time", time_text(facts.now_s)},
            {"Server timezone", facts.timezone},
            {"Server timezone offset (mins)", number(offset_minutes(facts.now_s))},
            {"Restarts", restarts(status)},
            {"Used Memory (MB)", number(facts.used_mb)},
            {"Allocated Memory (MB)", number(facts.allocated_mb)},
            {"Max Memory (MB)", number(facts.max_mb)},
            {"DB disk size (MB)", number(facts.disk_mb)}}}};
}

Section active_sessions(const ServerFacts& facts) {
  Section section{"Active Sessions", {}, true};
  for (const Session& session : facts.sessions) {
    section.blocks.push_back({{"Session ID", number(session.id)},
                              {"Session User ID", number(session.user)},
                              {"Session IP Address", session.address},
                              {"Session start time", time_text(session.started_s)},
                              {"Session last access time", time_text(session.last_access_s)}});
  }
  return section;
}

Section trap_destinations(const ServerFacts& facts) {
  Section section{"Default Trap Destinations", {}, true};
  for (std::size_t i = 0; i < facts.traps.size(); ++i) {
    section.blocks.push_back({{"Trap Destination - " + std::to_string(i + 1), ""},
                              {"IP Address", facts.traps[i].address},
                              {"Last Updated", time_text(facts.traps[i].updated_s)}});
  }
  return section;
}

std::vector<Section> sections_of(const StatusView& status, const ServerFacts& facts) {
  std::vector<Section> sections{server_config(status, facts), services(status, facts),
                                server_monitor(status, facts)};
  if (!is_dormant(status)) {
    sections.push_back(active_sessions(facts));
    sections.push_back(trap_destinations(facts));
  }
  return sections;
}

// "Used Memory (MB)" -> "used_memory_mb"
std::string key_of(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!key.empty() && key.back() != '_' && c != ')') {
      key += '_';
    }
  }
  return key;
}

Json object_of(const Block& block) {
  Json object = Json::object();
  for (const Field& field : block) {
    if (!field.value.empty() || !field.name.starts_with("Trap Destination - ")) {
      object[key_of(field.name)] = field.value == "null" ? Json(nullptr) : Json(field.value);
    }
  }
  return object;
}

}  // namespace

bool is_dormant(const StatusView& status) {
  const auto instances = status.instances();
  return std::none_of(instances.begin(), instances.end(),
                      [](const PairView* pair) { return pair->serving; });
}

std::string getserverinfo_text(const StatusView& status, const ServerFacts& facts) {
  const std::string name = harmless(facts.product.short_name);
  std::string text = "Health Monitor is running\nRetrieving " + name + " Services status.\n" +
                     name + " services are up" +
                     (is_dormant(status) ? " and in DORMANT mode" : "") + ", getting the status\n";
  for (const Section& section : sections_of(status, facts)) {
    text += "\n-----\n" + section.title + "\n-----\n\n";
    for (std::size_t i = 0; i < section.blocks.size(); ++i) {
      text += i > 0 ? "\n" : "";
      for (const Field& field : section.blocks[i]) {
        const bool heading = field.value.empty() && field.name.starts_with("Trap Destination - ");
        text += field.name + (heading ? "" : ": " + harmless(field.value)) + "\n";
      }
    }
  }
  if (!facts.tail.empty()) {
    text += "\n";
    for (const std::string_view line : split(facts.tail, '\n')) {
      text += harmless(line) + "\n";
    }
  }
  return text;
}

Json getserverinfo_json(const StatusView& status, const ServerFacts& facts) {
  Json json{{"ok", true}, {"running", true}, {"dormant", is_dormant(status)}};
  for (const Section& section : sections_of(status, facts)) {
    Json& place = json[key_of(section.title)];
    if (!section.repeats) {
      place = object_of(section.blocks.front());
      continue;
    }
    place = Json::array();
    for (const Block& block : section.blocks) {
      place.push_back(object_of(block));
    }
  }
  if (!facts.tail.empty()) {
    json["product"] = facts.tail;
  }
  return json;
}

}  // namespace cb::cli
