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

}  // namespace

bool is_in_any(const config::Address& address, const std::vector<config::Prefix>& networks) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const config::Prefix& network) { return is_in(address, network); });
}

std::uint8_t agreed_protocol(const Hello& a, const Hello& b) {
  return std::min(a.protocol_max, b.protocol_max);
}

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
  pair.peer_model = peer.platform.model;
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
  hello.platform = self.platform;
  hello.licence = self.licence;
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
  if (self.role == core::Role::Secondary) {
    hello.others.emplace();
    for (const config::Pair& pair : self.pairs) {
      if (&pair != held) {
        hello.others->push_back(pair.peer_model);
      }
    }
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
