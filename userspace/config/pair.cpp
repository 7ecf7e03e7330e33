// SPDX-License-Identifier: Apache-2.0
//
// The text of a pairing's file. Written by pairing, not by people, but read as carefully: it may
// have been restored, copied or edited.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/address.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/duration.h"
#include "config/quote.h"
#include "config/reader.h"
#include "config/volume.h"

namespace cb::config {
namespace {

const std::array<std::string, 2> kRoles = {"primary", "secondary"};
const std::array<std::string, 2> kTypes = {"manual", "automatic"};

std::string hex64(uint64_t number) {
  std::array<uint8_t, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes.at(i) = static_cast<uint8_t>(number >> (56 - 8 * i));
  }
  return to_hex(bytes);
}

std::optional<uint64_t> parse_hex64(std::string_view text) {
  const auto bytes = parse_hex(text);
  if (!bytes || bytes->size() != 8) {
    return std::nullopt;
  }
  uint64_t number = 0;
  for (const uint8_t byte : *bytes) {
    number = number << 8 | byte;
  }
  return number;
}

// Names come from the peer: bytes that may not be UTF-8 are not kept.
std::string ascii(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if ((static_cast<unsigned char>(c) & 0x80) != 0) {
      c = '?';
    }
  }
  return result;
}

void read_address(Reader& top, std::string_view key, Address& place) {
  const auto text = top.text(key);
  const auto address = text ? parse_address(*text) : std::nullopt;
  if (!address || !address->is_v4() || !is_host_address(*address)) {
    top.wrong(key, "must be an IPv4 address, such as \"10.10.10.12\"");
    return;
  }
  place = *address;
}

void read_virtual_addresses(Reader& top, Pair& pair) {
  for (const std::string& text :
       top.texts("virtual_addresses", false).value_or(std::vector<std::string>{})) {
    const auto prefix = parse_prefix(text);
    if (!prefix || prefix->length < 0 || !is_host_address(prefix->address)) {
      top.wrong("virtual_addresses",
                "every entry must be an address and its mask, such as "
                "\"10.10.10.11/24\"");
      return;
    }
    pair.virtual_addresses.push_back(*prefix);
  }
  if (pair.virtual_addresses.empty() || pair.virtual_addresses.size() > CB_ADDRESSES_MAX) {
    top.wrong("virtual_addresses",
              "must hold 1 to " + std::to_string(CB_ADDRESSES_MAX) + " addresses");
  }
}

void read_pair_volume(Reader table, Pair& pair) {
  if (!table.exists()) {
    return;
  }
  const auto id = parse_hex(table.text("id").value_or(""));
  const auto volume = read_volume(table);
  if (!id || id->size() != 16) {
    table.wrong("id", "must be 32 hexadecimal digits");
  } else if (!volume) {
    table.wrong("size", "is missing");
  } else {
    pair.volume.emplace().volume = *volume;
    std::copy(id->begin(), id->end(), pair.volume->id.begin());
  }
  table.finish();
}

}  // namespace

std::string pair_to_toml(const Pair& pair) {
  std::string addresses;
  for (const Prefix& prefix : pair.virtual_addresses) {
    addresses += (addresses.empty() ? "" : ", ") + quoted(prefix.text());
  }
  const auto type = [](bool automatic) { return quoted(kTypes.at(automatic ? 1 : 0)); };
  return "# Written by pairing; the key is in the .key file beside this one. Do not edit: use\n"
         "# crossbeat unpair and crossbeat pair.\n"
         "id = " +
         quoted(hex64(pair.id)) + "\n" +
         "self_role = " + quoted(kRoles.at(pair.self_role == core::Role::Primary ? 0 : 1)) + "\n" +
         "primary_hm = " + quoted(pair.primary_hm.text()) + "\n" +
         "secondary_hm = " + quoted(pair.secondary_hm.text()) + "\n" + "virtual_addresses = [" +
         addresses + "]\n" + "peer_name = " + quoted(ascii(pair.peer_name)) + "\n" +
         "peer_version = " + quoted(ascii(pair.peer_version)) + "\n" +
         "peer_udi = " + quoted(ascii(pair.peer_udi)) + "\n" +
         "peer_model = " + quoted(ascii(pair.peer_model)) + "\n" +
         "peer_activation = " + quoted(ascii(pair.peer_activation)) + "\n" +
         "failover = " + type(pair.automatic_failover) + "\n" +
         "failback = " + type(pair.automatic_failback) + "\n" +
         "failover_wait = " + quoted(duration_text(pair.failover_wait)) + "\n" +
         "direct = " + (pair.direct ? "true" : "false") + "\n" +
         "instance_number = " + std::to_string(pair.instance_number) + "\n" +
         (pair.volume ? "\n[volume]\nid = " + quoted(to_hex(pair.volume->id)) + "\n" +
                            volume_text(pair.volume->volume)
                      : "");
}

Parsed<Pair> parse_pair(std::string_view toml, std::string_view file_name) {
  Parsed<Pair> parsed;
  const Parsed<Value> document = parse_document(toml, file_name);
  if (!document.ok()) {
    parsed.problems = document.problems;
    return parsed;
  }
  Pair& pair = parsed.value;
  Notes notes(file_name);
  Reader top(&document.value, "", notes);

  const auto id = parse_hex64(top.text("id").value_or(""));
  if (!id || *id == 0) {
    top.wrong("id", "must be sixteen hexadecimal digits, not all zero");
  }
  pair.id = id.value_or(0);
  const auto role = top.choice("self_role", kRoles);
  if (!role) {
    top.wrong("self_role", "is missing; write \"primary\" or \"secondary\"");
  }
  pair.self_role = role == 1u ? core::Role::Secondary : core::Role::Primary;
  read_address(top, "primary_hm", pair.primary_hm);
  read_address(top, "secondary_hm", pair.secondary_hm);
  if (!notes.is_broken("primary_hm") && pair.primary_hm == pair.secondary_hm) {
    top.wrong("secondary_hm", "is the primary's address too");
  }
  read_virtual_addresses(top, pair);
  pair.peer_name = top.text("peer_name").value_or("");
  pair.peer_version = top.text("peer_version").value_or("");
  pair.peer_udi = top.text("peer_udi").value_or("");
  pair.peer_model = top.text("peer_model").value_or("");
  pair.peer_activation = top.text("peer_activation").value_or("");
  pair.automatic_failover = top.choice("failover", kTypes).value_or(0) == 1;
  pair.automatic_failback = top.choice("failback", kTypes).value_or(0) == 1;
  pair.failover_wait = top.duration("failover_wait", 0_s, 3600_s).value_or(kFailoverWait);
  pair.direct = top.flag("direct").value_or(false);
  pair.instance_number =
      static_cast<int>(top.number("instance_number", 1, 999).value_or(kInstanceNumber));
  read_pair_volume(top.table("volume"), pair);
  top.finish();
  parsed.problems = notes.take();
  return parsed;
}

}  // namespace cb::config
