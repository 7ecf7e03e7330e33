// SPDX-License-Identifier: Apache-2.0
#include "cli/saved.h"

#include "base/file.h"
#include "config/config.h"
#include "config/defaults.h"
#include "crossbeat_version.h"

namespace cb::cli {
namespace {

constexpr std::size_t kSavedBytesMax = 4u << 20;

std::string type_text(bool automatic) { return automatic ? "Automatic" : "Manual"; }

Json addresses_of(const std::vector<config::Prefix>& addresses) {
  Json list = Json::array();
  for (const config::Prefix& address : addresses) {
    list.push_back(address.text());
  }
  return list;
}

Json status_of_pair(const config::Pair& pair) {
  const bool primary = pair.self_role == core::Role::Primary;
  return Json{{"pairing", pair.primary_hm.text()},
              {"self_role", primary ? "Primary" : "Secondary"},
              {"peer",
               {{"hm_address", (primary ? pair.secondary_hm : pair.primary_hm).text()},
                {"name", pair.peer_name},
                {"version", pair.peer_version},
                {"udi", pair.peer_udi}}},
              {"virtual_addresses", addresses_of(pair.virtual_addresses)},
              {"failover_type", type_text(pair.automatic_failover)},
              {"failback_type", type_text(pair.automatic_failback)},
              {"failover_wait_s", pair.failover_wait.as_s()},
              {"instance_number", pair.instance_number},
              {"direct_used", pair.direct},
              {"state", "UNKNOWN"}};
}

}  // namespace

std::optional<Json> saved_status(const std::string& root) {
  const auto text = read_all(root + "/var/lib/crossbeat/last_status.json", kSavedBytesMax);
  if (!text) {
    return std::nullopt;
  }
  auto status = parse_object(*text);
  if (status && text_at(*status, "saved_at_wall").empty()) {
    (*status)["saved_at_wall"] = "an unknown time";
  }
  return status;
}

std::optional<Json> configured_status(const std::string& root) {
  const auto machine = config::read_machine_facts();
  if (!machine) {
    return std::nullopt;
  }
  const auto node = config::load_node(root, *machine);
  if (!node.ok()) {
    return std::nullopt;
  }
  const config::Node& value = node.value;
  const config::Product& product = value.product;
  Json status{{"ok", true},
              {"node",
               {{"name", value.name},
                {"role", value.role == core::Role::Primary ? "Primary" : "Secondary"},
                {"version", product.version.empty() ? CROSSBEAT_VERSION : product.version},
                {"udi", product.udi_product + ":" + product.udi_version + ":" + product.udi_serial},
                {"hm_address", value.hm_address.text()},
                {"instance_prefix", value.instance_prefix}}},
              {"pairings", Json::array()},
              {"unpaired", nullptr},
              {"saved_at_wall", "never; this is the configuration"}};
  for (const config::Pair& pair : config::load_pairs(root).value) {
    status["pairings"].push_back(status_of_pair(pair));
  }
  if (status["pairings"].empty() && value.role == core::Role::Primary) {
    status["unpaired"] = Json{{"pairing", value.hm_address.text()},
                              {"self_role", "Primary"},
                              {"virtual_addresses", addresses_of(value.virtual_addresses)},
                              {"state", "UNKNOWN"}};
  }
  return status;
}

std::string instance_prefix(const std::string& root) {
  const auto machine = config::read_machine_facts();
  if (!machine) {
    return std::string(config::kInstancePrefix);
  }
  const auto node = config::load_node(root, *machine);
  return node.ok() ? node.value.instance_prefix : std::string(config::kInstancePrefix);
}

}  // namespace cb::cli
