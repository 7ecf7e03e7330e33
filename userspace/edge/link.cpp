// SPDX-License-Identifier: Apache-2.0
#include "edge/link.h"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "edge/rtnl.h"

namespace cb::edge {

namespace {

constexpr Duration kRetry = Duration::from_s(1);
// <net/if.h> does not name it and <linux/if.h> cannot be included beside it.
constexpr unsigned kLowerUp = 1u << 16;

LinkState state_of(const LinkMessage& message) {
  if (!message.there) {
    return LinkState::Gone;
  }
  if ((message.flags & IFF_UP) == 0) {
    return LinkState::Down;
  }
  return (message.flags & IFF_RUNNING) != 0 && (message.flags & kLowerUp) != 0
             ? LinkState::Up
             : LinkState::NoCarrier;
}

}  // namespace

const char* text_of(LinkState state) noexcept {
  switch (state) {
    case LinkState::Gone: return "gone";
    case LinkState::Down: return "down";
    case LinkState::NoCarrier: return "no carrier";
    case LinkState::Up: return "up";
  }
  return "?";
}

struct LinkEdge::Parts {
  Parts(loop::Loop& l, loop::Hands& h, OnChange f) : loop(l), hands(h), on_change(std::move(f)) {}

  void on_message(const nlmsghdr& message);
  void on_link(const LinkMessage& message);
  void on_address(const AddressMessage& message);
  void on_lost();
  void set(LinkFacts facts);

  // All facts from two dumps; for open and for lost notices.
  std::map<std::string, LinkFacts> facts_from(const std::vector<LinkMessage>& links,
                                              const std::vector<AddressMessage>& addresses) const;

  loop::Loop& loop;
  loop::Hands& hands;
  OnChange on_change;
  std::map<std::string, LinkFacts> links;  // all that were named at open
  std::shared_ptr<RtnlRequests> requests;  // the hands' thread's, after open
  std::unique_ptr<RtnlWatch> watch;
  loop::Leash leash;
};

LinkEdge::LinkEdge(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LinkEdge::~LinkEdge() = default;

Result<std::unique_ptr<LinkEdge>> LinkEdge::open(loop::Loop& loop, loop::Hands& hands,
                                                 std::vector<std::string> interfaces,
                                                 OnChange on_change) {
  auto parts = std::make_unique<Parts>(loop, hands, std::move(on_change));
  for (const std::string& name : interfaces) {
    parts->links[name].name = name;
  }
  Parts* self = parts.get();
  CB_TRY(watch, RtnlWatch::open(
                    loop, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR},
                    [self](const nlmsghdr& message) { self->on_message(message); },
                    [self] { self->on_lost(); }));
  parts->watch = std::move(watch);
  CB_TRY(requests, RtnlRequests::open());
  parts->requests = std::move(requests);
  std::vector<LinkMessage> all_links;
  std::vector<AddressMessage> all_addresses;
  int error = parts->requests->read_links(all_links);
  error = error != 0 ? error : parts->requests->read_addresses(all_addresses);
  if (error != 0) {
    return fail(error, "read the state of the interfaces");
  }
  parts->links = parts->facts_from(all_links, all_addresses);
  return std::unique_ptr<LinkEdge>(new LinkEdge(std::move(parts)));
}

const LinkFacts& LinkEdge::facts(const std::string& interface) const {
  const auto found = parts_->links.find(interface);
  CB_CHECK_MSG(found != parts_->links.end(), "an interface that was not named at open");
  return found->second;
}

std::map<std::string, LinkFacts> LinkEdge::Parts::facts_from(
    const std::vector<LinkMessage>& all_links,
    const std::vector<AddressMessage>& all_addresses) const {
  std::map<std::string, LinkFacts> result;
  for (const auto& [name, facts] : links) {
    result[name].name = name;
  }
  for (const LinkMessage& each : all_links) {
    const auto found = result.find(each.name);
    if (found == result.end()) {
      continue;
    }
    LinkFacts& facts = found->second;
    facts.state = state_of(each);
    facts.index = each.index;
    facts.mac = each.mac;
    facts.mtu = each.mtu;
    for (const AddressMessage& address : all_addresses) {
      if (address.index == each.index) {
        facts.addresses.push_back(address.prefix);
      }
    }
  }
  return result;
}

void LinkEdge::Parts::on_message(const nlmsghdr& message) {
  if (const auto link = parse_link_message(message)) {
    on_link(*link);
  } else if (const auto address = parse_address_message(message)) {
    on_address(*address);
  }
}

void LinkEdge::Parts::on_link(const LinkMessage& message) {
  // An interface of ours whose index now has another name was renamed away.
  for (const auto& [name, facts] : links) {
    if (facts.index == message.index && (name != message.name || !message.there)) {
      LinkFacts gone;
      gone.name = name;
      set(std::move(gone));
      break;
    }
  }
  const auto found = links.find(message.name);
  if (!message.there || found == links.end()) {
    return;
  }
  LinkFacts now = found->second;
  if (now.index != message.index) {
    now.addresses.clear();  // another interface of this name; its addresses will be told
  }
  now.state = state_of(message);
  now.index = message.index;
  now.mac = message.mac;
  now.mtu = message.mtu;
  set(std::move(now));
}

void LinkEdge::Parts::on_address(const AddressMessage& message) {
  const auto found = std::find_if(links.begin(), links.end(), [&](const auto& entry) {
    return entry.second.index == message.index && message.index != 0;
  });
  if (found == links.end()) {
    return;
  }
  LinkFacts now = found->second;
  std::erase(now.addresses, message.prefix);
  if (message.added) {
    now.addresses.push_back(message.prefix);
  }
  // An address that is told again, with another lifetime, is no change: the order does not count.
  if (now.addresses.size() != found->second.addresses.size()) {
    set(std::move(now));
  }
}

void LinkEdge::Parts::set(LinkFacts facts) {
  LinkFacts& place = links[facts.name];
  if (place == facts) {
    return;
  }
  const LinkFacts before = std::exchange(place, std::move(facts));
  const LinkFacts now = place;
  if (on_change != nullptr) {
    on_change(now, before);
  }
}

void LinkEdge::Parts::on_lost() {
  struct Dumps {
    std::vector<LinkMessage> links;
    std::vector<AddressMessage> addresses;
  };
  auto dumps = std::make_shared<Dumps>();
  hands.run(
      [from = requests, dumps] {
        const int error = from->read_links(dumps->links);
        return error != 0 ? error : from->read_addresses(dumps->addresses);
      },
      leash.guard([this, dumps](int error) {
        if (error != 0) {
          loop.after(kRetry, leash.guard([this] { on_lost(); }));
          return;
        }
        for (auto& [name, facts] : facts_from(dumps->links, dumps->addresses)) {
          set(std::move(facts));
        }
      }));
}

}  // namespace cb::edge
