// SPDX-License-Identifier: Apache-2.0
#include "pairing/rules.h"

#include <sodium.h>

#include <algorithm>

#include "base/net.h"

namespace cb::pairing {
namespace {

// Whether the address is one of the network's.
bool is_in(const config::Address& address, const config::Prefix& network) {
  if (address.is_v4() != network.address.is_v4()) {
    return false;
  }
  const int skipped = address.is_v4() ? 96 : 0;
  return same_subnet(address, network.address, static_cast<unsigned>(skipped + network.length));
}

std::string list_of(const std::vector<config::Prefix>& networks) {
  std::string text;
  for (const config::Prefix& network : networks) {
    text += (text.empty() ? "" : ", ") + network.text();
  }
  return text;
}

Finding check_addresses(const Hello& primary, const Hello& secondary) {
  const config::Address& ours = primary.hm_address;
  const config::Address& theirs = secondary.hm_address;
  if (ours == theirs) {
    return {Refusal::SameNode, ours.text()};
  }
  if (ours.is_v4() != theirs.is_v4()) {
    return {Refusal::AddressFamily, ours.text() + " and " + theirs.text()};
  }
  if (primary.target != theirs) {
    return {Refusal::TargetAddress, "it calls itself " + theirs.text()};
  }
  if (secondary.target != ours) {
    return {Refusal::SourceAddress, secondary.target.text() + " in place of " + ours.text()};
  }
  const bool shared = is_in_any(ours, secondary.networks) && is_in_any(theirs, primary.networks);
  if (!shared || !is_in_any(ours, primary.networks) || !is_in_any(theirs, secondary.networks)) {
    return {Refusal::NotSameSubnet, ours.text() + " in " + list_of(primary.networks) + ", and " +
                                        theirs.text() + " in " + list_of(secondary.networks)};
  }
  return {};
}

Finding check_virtual(const Hello& primary, const Hello& secondary) {
  if (primary.virtual_addresses.empty()) {
    return {Refusal::NoVirtualAddress, ""};
  }
  for (const config::Prefix& virtual_address : primary.virtual_addresses) {
    const config::Address& address = virtual_address.address;
    if (address == primary.hm_address || address == secondary.hm_address) {
      return {Refusal::VirtualIsHealth, address.text()};
    }
    for (const Hello* node : {&primary, &secondary}) {
      if (!is_in_any(address, node->networks)) {
        return {Refusal::VirtualNotInSubnet, address.text() + " is not in " +
                                                 list_of(node->networks) + " of " +
                                                 node->hm_address.text()};
      }
    }
  }
  return {};
}

}  // namespace

bool is_in_any(const config::Address& address, const std::vector<config::Prefix>& networks) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const config::Prefix& network) { return is_in(address, network); });
}

std::uint8_t agreed_protocol(const Hello& a, const Hello& b) {
  return std::min(a.protocol_max, b.protocol_max);
}

namespace {

// What an operator knows as the version of a node.
const std::string& shown_version(const Hello& hello) {
  return hello.product_version.empty() ? hello.version : hello.product_version;
}

}  // namespace

std::uint32_t instance_number_for(const LocalIdentity& secondary, const Hello& primary) {
  const auto is_taken = [&](std::uint32_t number) {
    return std::any_of(secondary.pairs.begin(), secondary.pairs.end(), [&](const auto& pair) {
      return pair.primary_hm != primary.hm_address &&
             pair.instance_number == static_cast<int>(number);
    });
  };
  if (!is_taken(primary.instance_number)) {
    return primary.instance_number;
  }
  std::uint32_t number = 3;  // the first of all, by custom
  while (is_taken(number)) {
    ++number;
  }
  return number;
}

Finding check_rules(const Hello& primary, const Hello& secondary) {
  if (primary.role != core::Role::Primary) {
    return {Refusal::SelfNotPrimary, ""};
  }
  if (secondary.role != core::Role::Secondary) {
    return {Refusal::PeerNotSecondary, ""};
  }
  if (agreed_protocol(primary, secondary) <
      std::max(primary.protocol_min, secondary.protocol_min)) {
    return {Refusal::Protocol, ""};
  }
  if (primary.version != secondary.version) {
    return {Refusal::SoftwareVersion,
            "the primary runs " + primary.version + ", the secondary " + secondary.version};
  }
  if (shown_version(primary) != shown_version(secondary)) {
    return {Refusal::SoftwareVersion, "the product of the primary has the version " +
                                          shown_version(primary) + ", the secondary's " +
                                          shown_version(secondary)};
  }
  if (Finding finding = check_addresses(primary, secondary)) {
    return finding;
  }
  return check_virtual(primary, secondary);
}

Finding check_room(const LocalIdentity& secondary, const Hello& primary) {
  int others = 0;
  for (const config::Pair& pair : secondary.pairs) {
    if (pair.primary_hm == primary.hm_address) {
      continue;  // would be replaced
    }
    ++others;
    for (const config::Prefix& theirs : pair.virtual_addresses) {
      for (const config::Prefix& wanted : primary.virtual_addresses) {
        if (theirs.address == wanted.address) {
          return {Refusal::VirtualInUse, wanted.address.text()};
        }
      }
      if (theirs.address == primary.hm_address) {
        return {Refusal::VirtualInUse, primary.hm_address.text()};
      }
    }
  }
  if (others >= secondary.pairings_max) {
    return {Refusal::Capacity, std::to_string(others) + " pairings"};
  }
  return {};
}

config::Pair pair_from(core::Role self, const Hello& primary, const Hello& secondary) {
  const Hello& peer = self == core::Role::Primary ? secondary : primary;
  config::Pair pair;
  pair.self_role = self;
  pair.primary_hm = primary.hm_address;
  pair.secondary_hm = secondary.hm_address;
  pair.virtual_addresses = primary.virtual_addresses;
  pair.peer_name = peer.name;
  pair.peer_version = shown_version(peer);
  pair.peer_udi = peer.udi;
  // The instance is the primary's, and so is how it wants to be protected.
  pair.automatic_failover = primary.automatic_failover;
  pair.automatic_failback = primary.automatic_failback;
  pair.failover_wait = primary.failover_wait;
  pair.volume = primary.volume;
  // Its number is the secondary's to give: only it knows which others it has.
  pair.instance_number = static_cast<int>(secondary.instance_number);
  pair.direct = primary.direct && secondary.direct;
  return pair;
}

const config::Pair* held_with(const LocalIdentity& self, const config::Address& peer) {
  for (const config::Pair& pair : self.pairs) {
    const bool primary = pair.self_role == core::Role::Primary;
    if ((primary ? pair.secondary_hm : pair.primary_hm) == peer) {
      return &pair;
    }
  }
  return nullptr;
}

Hello make_hello(const LocalIdentity& self, const config::Address& peer) {
  Hello hello;
  hello.role = self.role;
  hello.name = self.name;
  hello.version = self.version;
  hello.product_version = self.product_version;
  hello.udi = self.udi;
  hello.hm_address = self.hm_address;
  hello.target = peer;
  hello.networks = self.networks;
  hello.virtual_addresses = self.virtual_addresses;
  hello.automatic_failover = self.automatic_failover;
  hello.automatic_failback = self.automatic_failback;
  hello.failover_wait = Duration::from_ms(self.failover_wait.as_ms());
  hello.instance_number = static_cast<std::uint32_t>(std::max(self.instance_number, 0));
  if (self.role == core::Role::Primary) {
    hello.volume = self.volume;
  }
  const config::Pair* held = held_with(self, peer);
  if (held != nullptr) {
    hello.held = HeldPairing{held->id, key_mark(held->key)};
  }
  // One cable goes to one peer.
  hello.direct = self.direct;
  for (const config::Pair& pair : self.pairs) {
    hello.direct = hello.direct && (&pair == held || !pair.direct);
  }
  randombytes_buf(hello.nonce.data(), hello.nonce.size());
  return hello;
}

bool is_renewal(const Hello& a, const Hello& b) { return a.held && b.held && *a.held == *b.held; }

}  // namespace cb::pairing
