// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/current.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "cli/setup/answer_file.h"
#include "cli/setup/check.h"
#include "cli/zone.h"
#include "config/address.h"
#include "config/value.h"

namespace cb::cli::setup {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;

std::string text_of(const std::string& path) { return read_all(path, kFileBytesMax).value_or(""); }

// The domain is what follows the host name in /etc/hosts, as hostname -d would tell.
std::string domain_of(const std::string& root, const std::string& host) {
  const std::string hosts = text_of(root + "/etc/hosts");
  for (const std::string_view line : split(hosts, '\n')) {
    for (const std::string& word : words_of(std::string(line.substr(0, line.find('#'))))) {
      if (!host.empty() && word.starts_with(host + ".")) {
        return word.substr(host.size() + 1);
      }
    }
  }
  return "";
}

std::vector<std::string> name_servers(const std::string& root) {
  std::vector<std::string> servers;
  std::string text = text_of(root + "/run/systemd/resolve/resolv.conf");
  if (text.empty()) {
    text = text_of(root + "/etc/resolv.conf");
  }
  for (const std::string_view line : split(text, '\n')) {
    const auto words = words_of(std::string(line));
    if (words.size() >= 2 && words[0] == "nameserver") {
      servers.push_back(words[1]);
    }
  }
  return servers;
}

// From the file as it is, wrong or not: only what stands there as plain text.
std::string text_in(const config::Value& document, const char* table, const char* key) {
  const config::Value* found = document.find(table);
  found = found == nullptr ? nullptr : found->find(key);
  if (found != nullptr && found->kind == config::Value::Kind::List && !found->items.empty()) {
    found = &found->items.front();
  }
  return found != nullptr && found->kind == config::Value::Kind::Text ? found->text : "";
}

void take_configuration(Current& current) {
  const std::string path = current.root + "/etc/crossbeat/crossbeat.toml";
  const auto text = read_all(path, kFileBytesMax);
  const auto document = config::parse_document(text.value_or(""), path);
  // What cannot be read counts as configured: nobody knows what stands in it. The package's
  // template, all of it comments, does not.
  current.configured =
      text.has_value() && (!document.ok() || !text_in(document.value, "node", "role").empty());
  if (!text || !document.ok()) {
    return;
  }
  Answers& answers = current.answers;
  answers.secondary = text_in(document.value, "node", "role") == "secondary";
  const std::string hm = text_in(document.value, "network", "interface");
  answers.hm_interface = hm.empty() ? answers.hm_interface : hm;
  const std::string direct = text_in(document.value, "direct", "interface");
  answers.direct_interface = direct.empty() ? "none" : direct;
  const std::string address = text_in(document.value, "virtual", "address");
  if (const auto prefix = config::parse_prefix(address)) {
    answers.virtual_address = prefix->address.text();
    const Port* port = answers.port(answers.hm_interface);
    answers.virtual_mask = prefix->length >= 0 && prefix->address.is_v4()
                               ? mask_text(prefix->length)
                           : port != nullptr ? port->mask
                                             : "";
  }
}

void take_machine(Current& current) {
  Answers& answers = current.answers;
  std::vector<Port> before = std::move(answers.ports);
  answers.ports.clear();
  for (const auto& interface : current.facts.interfaces) {
    Port port{interface.name, "", ""};
    for (std::size_t i = 0; i < interface.addresses.size(); ++i) {
      const config::Prefix& prefix = interface.addresses[i];
      const bool ours = i < interface.labels.size() && interface.labels[i] != interface.name;
      if (prefix.address.is_v4() && !ours && port.address.empty()) {
        port.address = prefix.address.text();
        port.mask = mask_text(prefix.length);
      }
    }
    const auto kept = std::find_if(before.begin(), before.end(),
                                   [&](const Port& old) { return old.name == port.name; });
    answers.ports.push_back(port.address.empty() && !current.live && kept != before.end() ? *kept
                                                                                          : port);
  }
  if (!config::is_zero(current.facts.default_gateway)) {
    answers.gateway = current.facts.default_gateway.text();
  } else if (current.live) {
    answers.gateway.clear();
  }
}

}  // namespace

Result<Current> read_current(const std::string& root, Machine& machine) {
  Current current;
  current.root = root;
  current.live = machine.is_live();
  CB_TRY(facts, machine.facts());
  current.facts = std::move(facts);
  if (current.facts.interfaces.empty()) {
    return fail(0, "this machine has no Ethernet interface");
  }
  Answers& answers = current.answers;
  if (const auto saved = read_saved_answers(root)) {
    answers = *saved;
  }
  take_machine(current);
  const std::string host(trim(text_of(root + "/etc/hostname")));
  answers.host_name = !host.empty()  ? host
                      : current.live ? current.facts.host_name
                                     : answers.host_name;
  const std::string domain = domain_of(root, answers.host_name);
  answers.domain = domain.empty() ? answers.domain : domain;
  const auto servers = name_servers(root);
  answers.dns = servers.empty() ? answers.dns : servers;
  answers.timezone = zone_name(root);
  answers.ntp = machine.ntp_enabled().value_or(answers.ntp);
  if (answers.hm_interface.empty() || answers.port(answers.hm_interface) == nullptr) {
    answers.hm_interface = answers.ports.front().name;
  }
  take_configuration(current);
  const auto pairs = config::load_pairs(root);
  for (const config::Pair& pair : pairs.value) {
    const auto& peer = pair.self_role == core::Role::Primary ? pair.secondary_hm : pair.primary_hm;
    current.peers.push_back(pair.peer_name.empty() ? peer.text() : pair.peer_name);
  }
  current.pairings_unknown = !pairs.ok();
  current.monitor_runs = machine.monitor_runs();
  return current;
}

}  // namespace cb::cli::setup
