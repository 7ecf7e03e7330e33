// SPDX-License-Identifier: Apache-2.0
//
// Requests go through the hands on a socket of their own, one at a time, so that what is asked last
// is what stands in the end. The kernel's notices come through the loop; those that our own socket
// caused carry its port number, so every other removal of a wanted address is somebody else's.
#include "edge/address.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/address.h"
#include "edge/rtnl.h"

namespace cb::edge {

namespace {

constexpr Duration kRetry = Duration::from_s(1);

int host_length(const config::Address& address) { return address.is_v4() ? 32 : 128; }

using Key = std::array<std::uint8_t, 16>;

// What the hands' thread works with; no loop thread touches it after start.
struct Worker {
  std::unique_ptr<RtnlRequests> requests;
  std::string interface;
  std::string label;

  int index() const { return static_cast<int>(if_nametoindex(interface.c_str())); }

  int add(const config::Address& address) const {
    AddressMessage what;
    what.index = index();
    if (what.index == 0) {
      return ENODEV;
    }
    what.prefix = {address, host_length(address)};
    what.label = label;
    what.protocol = kAddressProtocol;
    what.flags = IFA_F_NODAD;
    return requests->add_address(what);
  }

  // With every prefix length that somebody may have given it.
  int remove(const config::Address& address) const {
    AddressMessage what;
    what.index = index();
    if (what.index == 0) {
      return 0;
    }
    what.prefix = {address, host_length(address)};
    const int error = requests->remove_address(what);
    if (error != 0 && error != EADDRNOTAVAIL && error != ENODEV) {
      return error;
    }
    return remove_if([&](const AddressMessage& each) { return each.prefix.address == address; });
  }

  template <class Predicate>
  int remove_if(Predicate unwanted) const {
    const int our_index = index();
    std::vector<AddressMessage> all;
    if (const int error = requests->read_addresses(all); error != 0) {
      return error;
    }
    int first = 0;
    for (const AddressMessage& each : all) {
      if (each.index == our_index && unwanted(each)) {
        const int error = requests->remove_address(each);
        if (error != 0 && error != EADDRNOTAVAIL && first == 0) {
          first = error;
        }
      }
    }
    return first;
  }

  bool is_ours(const AddressMessage& each) const {
    return each.protocol == kAddressProtocol || (!label.empty() && each.label == label);
  }
};

std::string program_of(std::uint32_t port) {
  // A netlink port is by custom the process number of who opened it.
  const auto name = read_all("/proc/" + std::to_string(port) + "/comm", 64);
  return name ? std::string(trim(*name)) + " (process " + std::to_string(port) + ")"
              : "another program (netlink port " + std::to_string(port) + ")";
}

}  // namespace

struct AddressEdge::Parts {
  struct Wanted {
    config::Address address;
    std::deque<Instant> repairs;  // begun, newest last; no more than repairs_at_once
    bool asked = false;           // an add or a repair is on its way
    bool told = false;            // that repairs are held back
    loop::TimerId timer;          // repairs again when the limit allows
  };

  Parts(loop::Loop& l, loop::Hands& h, AddressOptions o)
      : loop(l), hands(h), options(std::move(o)) {}
  ~Parts() {
    for (auto& [key, each] : wanted) {
      loop.cancel(each.timer);
    }
  }

  void on_message(const nlmsghdr& message);
  void on_address(const AddressMessage& message);
  void on_link(const LinkMessage& message);
  void on_lost();
  void on_resync(const std::vector<AddressMessage>& all, int now_index);
  void lost(Wanted& each, const std::string& how);
  void repair(Wanted& each);
  void on_repaired(const config::Address& address, int error);

  loop::Loop& loop;
  loop::Hands& hands;
  AddressOptions options;
  std::shared_ptr<Worker> worker;
  std::uint32_t our_port = 0;
  int index = 0;  // as the notices say; 0: gone
  std::map<Key, Wanted> wanted;
  std::set<std::pair<Key, int>> held;  // address and prefix length
  std::unique_ptr<RtnlWatch> watch;
  loop::Leash leash;
};

AddressEdge::AddressEdge(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
AddressEdge::~AddressEdge() = default;

Result<std::unique_ptr<AddressEdge>> AddressEdge::open(loop::Loop& loop, loop::Hands& hands,
                                                       AddressOptions options) {
  auto parts = std::make_unique<Parts>(loop, hands, std::move(options));
  parts->worker = std::make_shared<Worker>();
  parts->worker->interface = parts->options.interface;
  parts->worker->label =
      parts->options.label.empty() ? parts->options.interface + ":1" : parts->options.label;
  if (parts->worker->label.size() >= IFNAMSIZ) {
    log_notice("label %s is longer than 15 characters: addresses on %s carry none",
               parts->worker->label.c_str(), parts->options.interface.c_str());
    parts->worker->label.clear();
  }
  CB_TRY(requests, RtnlRequests::open());
  parts->our_port = requests->port();
  parts->worker->requests = std::move(requests);
  // The notices first, then the state: what changes in between is told, and told again does no
  // harm.
  Parts* self = parts.get();
  CB_TRY(watch, RtnlWatch::open(
                    loop, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR},
                    [self](const nlmsghdr& message) { self->on_message(message); },
                    [self] { self->on_lost(); }));
  parts->watch = std::move(watch);
  std::vector<AddressMessage> all;
  if (const int error = parts->worker->requests->read_addresses(all); error != 0) {
    return fail(error, "read the addresses of " + parts->options.interface);
  }
  parts->index = parts->worker->index();
  for (const AddressMessage& each : all) {
    if (each.index == parts->index && parts->index != 0) {
      parts->held.emplace(each.prefix.address.bytes, each.prefix.length);
    }
  }
  return std::unique_ptr<AddressEdge>(new AddressEdge(std::move(parts)));
}

void AddressEdge::add(const config::Prefix& address, Instant deadline, Done done) {
  Parts::Wanted& entry = parts_->wanted[address.address.bytes];
  entry.address = address.address;
  entry.asked = true;
  const Done answer = loop::answer_by(parts_->loop, deadline, std::move(done));
  auto settle = parts_->leash.guard([parts = parts_.get(), key = address.address.bytes] {
    if (const auto found = parts->wanted.find(key); found != parts->wanted.end()) {
      found->second.asked = false;
    }
  });
  parts_->hands.run([worker = parts_->worker, address] { return worker->add(address.address); },
                    [answer, settle](int error) mutable {
                      settle();
                      answer(error);
                    });
}

void AddressEdge::remove(const config::Prefix& address, Instant deadline, Done done) {
  if (const auto found = parts_->wanted.find(address.address.bytes);
      found != parts_->wanted.end()) {
    parts_->loop.cancel(found->second.timer);
    parts_->wanted.erase(found);
  }
  const Done answer = loop::answer_by(parts_->loop, deadline, std::move(done));
  parts_->hands.run([worker = parts_->worker, address] { return worker->remove(address.address); },
                    answer);
}

void AddressEdge::clear_leftovers(std::vector<config::Prefix> known, Instant deadline, Done done) {
  std::set<Key> keep;
  for (const auto& [key, each] : parts_->wanted) {
    keep.insert(key);
  }
  std::set<Key> also;
  for (const config::Prefix& each : known) {
    also.insert(each.address.bytes);
  }
  const Done answer = loop::answer_by(parts_->loop, deadline, std::move(done));
  parts_->hands.run(
      [worker = parts_->worker, keep = std::move(keep), also = std::move(also)] {
        return worker->remove_if([&](const AddressMessage& each) {
          const Key& key = each.prefix.address.bytes;
          return !keep.contains(key) && (also.contains(key) || worker->is_ours(each));
        });
      },
      answer);
}

// A socket of its own: the worker's belongs to the hands' thread.
Result<std::vector<HeldAddress>> AddressEdge::read() const {
  CB_TRY(requests, RtnlRequests::open());
  std::vector<AddressMessage> all;
  if (const int error = requests->read_addresses(all); error != 0) {
    return fail(error, "read the addresses of " + parts_->options.interface);
  }
  const int index = parts_->worker->index();
  std::vector<HeldAddress> result;
  for (const AddressMessage& each : all) {
    if (index != 0 && each.index == index) {
      result.push_back(HeldAddress{each.prefix, each.label, each.protocol, each.flags,
                                   parts_->worker->is_ours(each)});
    }
  }
  return result;
}

bool AddressEdge::holds(const config::Prefix& address) const {
  return parts_->held.contains({address.address.bytes, host_length(address.address)});
}

std::vector<std::string> AddressEdge::warnings() const {
  std::vector<std::string> result;
  const std::string folder = "/proc/sys/net/ipv4/conf/";
  const auto value = [&](const std::string& name) {
    // The kernel takes the larger of the interface's value and that of "all".
    std::uint64_t largest = 0;
    for (const std::string& where : {std::string("all"), parts_->options.interface}) {
      if (const auto text = read_all(folder + where + "/" + name, 64)) {
        largest = std::max(largest, parse_number(trim(*text)).value_or(0));
      }
    }
    return largest;
  };
  const std::string on = parts_->options.interface;
  if (value("arp_ignore") < 1) {
    result.push_back("net.ipv4.conf." + on +
                     ".arp_ignore is 0: this node answers ARP on it for addresses of its other "
                     "interfaces; 1 is advised");
  }
  if (value("arp_announce") < 2) {
    result.push_back("net.ipv4.conf." + on +
                     ".arp_announce is below 2: this node may announce addresses of other "
                     "interfaces on it; 2 is advised");
  }
  return result;
}

// ---- notices

void AddressEdge::Parts::on_message(const nlmsghdr& message) {
  if (const auto address = parse_address_message(message)) {
    on_address(*address);
  } else if (const auto link = parse_link_message(message)) {
    on_link(*link);
  }
}

void AddressEdge::Parts::on_address(const AddressMessage& message) {
  if (message.index != index || index == 0) {
    return;
  }
  const std::pair<Key, int> key{message.prefix.address.bytes, message.prefix.length};
  if (message.added) {
    held.insert(key);
    return;
  }
  held.erase(key);
  const auto found = wanted.find(key.first);
  if (found == wanted.end() || message.prefix.length != host_length(message.prefix.address) ||
      message.by == our_port) {
    return;
  }
  lost(found->second, message.by == 0 ? "by the kernel (the interface went down or away)"
                                      : "by " + program_of(message.by));
}

void AddressEdge::Parts::on_link(const LinkMessage& message) {
  const bool is_named = message.there && message.name == options.interface;
  if (!is_named) {
    if (message.index == index && index != 0) {  // deleted or renamed
      index = 0;
      held.clear();
    }
    return;
  }
  if (message.index != index) {
    index = message.index;
    held.clear();
  }
  for (auto& [key, each] : wanted) {
    if (!held.contains({key, host_length(each.address)})) {
      repair(each);
    }
  }
}

// Asks for everything in the hands; what is asked there before is done before.
void AddressEdge::Parts::on_lost() {
  log_notice("netlink notices were lost; reading the addresses of %s anew",
             options.interface.c_str());
  auto all = std::make_shared<std::vector<AddressMessage>>();
  auto now_index = std::make_shared<int>(0);
  hands.run(
      [worker = worker, all, now_index] {
        *now_index = worker->index();
        return worker->requests->read_addresses(*all);
      },
      leash.guard([this, all, now_index](int error) {
        if (error == 0) {
          on_resync(*all, *now_index);
        } else {
          loop.after(kRetry, leash.guard([this] { on_lost(); }));
        }
      }));
}

void AddressEdge::Parts::on_resync(const std::vector<AddressMessage>& all, int now_index) {
  index = now_index;
  held.clear();
  for (const AddressMessage& each : all) {
    if (index != 0 && each.index == index) {
      held.emplace(each.prefix.address.bytes, each.prefix.length);
    }
  }
  for (auto& [key, each] : wanted) {
    if (index != 0 && !held.contains({key, host_length(each.address)})) {
      lost(each, "while netlink notices were lost");
    }
  }
}

// ---- repair

void AddressEdge::Parts::lost(Wanted& each, const std::string& how) {
  const config::Prefix prefix{each.address, host_length(each.address)};
  if (options.on_foreign_removal != nullptr && !each.told) {
    options.on_foreign_removal(
        prefix, prefix.text() + " was removed from " + options.interface + " " + how);
  }
  if (const auto found = wanted.find(prefix.address.bytes); found != wanted.end()) {
    repair(found->second);  // looked up again: the callback may have given it up
  }
}

void AddressEdge::Parts::repair(Wanted& each) {
  if (each.asked || each.timer || index == 0) {
    return;
  }
  const Instant now = boottime_now();
  const auto at_once = static_cast<std::size_t>(std::max(options.repairs_at_once, 1));
  if (each.repairs.size() >= at_once && now - each.repairs.front() < options.repair_span) {
    if (!each.told) {
      log_warning(
          "%s on %s is removed again and again by another program; it is put back every %s from "
          "now "
          "on. Tell that program (NetworkManager, systemd-networkd, ...) to leave it",
          each.address.text().c_str(), options.interface.c_str(),
          to_text(options.repair_span).c_str());
      each.told = true;
    }
    const Key key = each.address.bytes;
    each.timer = loop.at(each.repairs.back() + options.repair_span, [this, key, at_once] {
      if (const auto found = wanted.find(key); found != wanted.end()) {
        found->second.timer = {};
        // One repair, and the list is full of this moment: the next has to wait as long again.
        found->second.repairs.assign(at_once - 1, boottime_now());
        repair(found->second);
      }
    });
    return;
  }
  if (each.repairs.size() >= at_once) {
    each.repairs.pop_front();
    each.told = false;
  }
  each.repairs.push_back(now);
  each.asked = true;
  hands.run(
      [worker = worker, address = each.address] { return worker->add(address); },
      leash.guard([this, address = each.address](int error) { on_repaired(address, error); }));
}

void AddressEdge::Parts::on_repaired(const config::Address& address, int error) {
  const auto found = wanted.find(address.bytes);
  if (found == wanted.end()) {
    // Given up meanwhile: remove() was asked for after our add, so the kernel has done both, in
    // order.
    return;
  }
  found->second.asked = false;
  const config::Prefix prefix{address, host_length(address)};
  if (error == 0) {
    if (options.on_repaired != nullptr) {
      options.on_repaired(prefix);
    }
    return;
  }
  if (error == ENODEV) {
    // Deleted just now: the notice of that follows, or that of its return has been.
    if (!found->second.repairs.empty()) {
      found->second.repairs.pop_back();
    }
    if (index != 0 && if_nametoindex(options.interface.c_str()) != 0) {
      repair(found->second);
    }
    return;
  }
  log_error("%s",
            to_text(fail(error, "put " + prefix.text() + " back on " + options.interface)).c_str());
  const Key key = address.bytes;
  if (!found->second.timer) {
    found->second.timer = loop.after(kRetry, [this, key] {
      if (const auto again = wanted.find(key); again != wanted.end()) {
        again->second.timer = {};
        if (!held.contains({key, host_length(again->second.address)})) {
          repair(again->second);
        }
      }
    });
  }
}

}  // namespace cb::edge
