// SPDX-License-Identifier: Apache-2.0
//
// crossbeat vip add, remove, and show and announce with an address or interface: by hand, on this
// machine, asking no monitor. While a monitor runs it owns the addresses, and these verbs say so.
#include <cerrno>
#include <ostream>

#include "cli/verbs.h"
#include "cli/vip_link.h"
#include "config/address.h"

namespace cb::cli {
namespace {

int done(const Context& context, const std::string& what) {
  if (context.options().json) {
    context.print(Json{{"ok", true}, {"done", what}});
  } else {
    context.terminal().out << what << "\n";
  }
  return kDone;
}

int failed(const Context& context, const Error& error) {
  const bool rights = error.code == EPERM || error.code == EACCES;
  return context.complain(rights ? kPrivileges : kFailed, to_text(error),
                          rights ? "try again with sudo" : "");
}

// A monitor that runs would take away what we add and bring back what we remove.
bool is_owned(const Context& context) {
  if (context.options().force) {
    return false;
  }
  const auto client = context.connect();
  return client || !means_not_running(client.error());
}

int show(const Context& context, const std::string& interface) {
  const auto held = held_by_hand(interface);
  if (!held) {
    return failed(context, held.error());
  }
  Json list = Json::array();
  for (const AddressOn& one : *held) {
    list.push_back(
        {{"address", one.prefix.text()}, {"interface", interface}, {"label", one.label}});
    if (!context.options().json) {
      context.terminal().out << one.prefix.text() << " " << interface << " " << one.label << "\n";
    }
  }
  if (context.options().json) {
    context.print(Json{{"ok", true}, {"addresses", list}});
  }
  return kDone;
}

}  // namespace

int vip_by_hand(const Context& context, const VipByHand& wanted) {
  if (wanted.action == "show") {
    return show(context, wanted.interface);
  }
  const auto prefix = config::parse_prefix(wanted.address);
  if (!prefix || !config::is_host_address(prefix->address)) {
    return context.complain(
        kUsage, "'" + wanted.address + "' is not an address; write it as 10.10.10.11 or fd00::11");
  }
  const std::string text = prefix->address.text() + " on " + wanted.interface;
  if (wanted.action != "announce" && is_owned(context)) {
    return context.complain(kRefused,
                            "the health monitor runs and has the virtual addresses in hand",
                            "use crossbeat switchover, failover or failback; or stop the monitor "
                            "first; --force does it all the same");
  }
  if (context.options().dry_run) {
    return done(context, "would " + wanted.action + " " + text);
  }
  if (wanted.action == "add") {
    const std::string label = wanted.label.empty() ? wanted.interface + ":1" : wanted.label;
    if (label.size() > 15 || !label.starts_with(wanted.interface)) {
      return context.complain(kUsage, "the label '" + label +
                                          "' must begin with the interface's name and have at most "
                                          "15 characters");
    }
    const auto added = add_by_hand(prefix->address, wanted.interface, label);
    return added ? done(context, "added " + text) : failed(context, added.error());
  }
  if (wanted.action == "remove") {
    const auto removed = remove_by_hand(prefix->address, wanted.interface);
    return removed ? done(context, "removed " + text) : failed(context, removed.error());
  }
  const auto announced = announce_by_hand(prefix->address, wanted.interface);
  return announced ? done(context, "announced " + text) : failed(context, announced.error());
}

}  // namespace cb::cli
