// SPDX-License-Identifier: Apache-2.0
#include <ostream>

#include "cli/verbs.h"

namespace cb::cli {
namespace {

int show_addresses(const Context& context, const Json& reply, const std::string& action) {
  std::ostream& out = context.terminal().out;
  int failures = 0;
  bool any = false;
  if (const Json& rows = at(reply, "addresses"); rows.is_array()) {
    for (const Json& row : rows) {
      any = true;
      const bool serving = flag_at(row, "serving");
      out << text_at(row, "address", "?") << "  on " << text_at(row, "interface", "?") << " ("
          << text_at(row, "label", "?") << "): ";
      if (const std::string error = text_at(row, "error"); !error.empty()) {
        ++failures;
        out << "NOT announced: " << error << "\n";
        continue;
      }
      if (action == "announce") {
        out << (!serving                    ? "not served here, not announced"
                : context.options().dry_run ? "would be announced"
                                            : "announced")
            << "\n";
        continue;
      }
      const bool there = flag_at(row, "on_interface");
      out << (serving ? "served here" : "not served here") << ", "
          << (there ? "on the interface" : "not on the interface") << ", guard "
          << text_at(row, "guard", "unknown");
      if (serving != there) {
        out << (serving ? "  (missing: the monitor repairs this)"
                        : "  (left over: the guard keeps it silent)");
      }
      out << "\n";
    }
  }
  if (!any) {
    out << "There is no virtual address on this node: it is not paired.\n";
  }
  return failures == 0 ? kDone : kFailed;
}

}  // namespace

int vip(const Context& context, const std::string& action) {
  Json request = context.request("vip");
  request["action"] = action;
  const auto reply = context.ask(request);
  if (const auto code = context.settled(reply)) {
    return *code;
  }
  return show_addresses(context, *reply, action);
}

int drill(const Context& context) {
  const auto reply = context.ask(context.request("drill"));
  if (const auto code = context.settled(reply)) {
    return *code;
  }
  std::ostream& out = context.terminal().out;
  out << "A drill moves nothing. This node is " << text_at(*reply, "state", "?") << ". If now "
      << text_at(*reply, "event", "the peer fell silent") << ", this node would:\n";
  int rung_number = 0;
  for (const std::string& rung : texts_at(*reply, "would")) {
    out << "  " << ++rung_number << ". " << rung << "\n";
  }
  if (rung_number == 0) {
    out << "  do nothing at once\n";
  }
  out << "and then be " << text_at(*reply, "then", "?");
  if (const std::string text = text_at(*reply, "then_text"); !text.empty()) {
    out << ": " << text;
  }
  out << "\n";
  if (at(*reply, "automatic").is_boolean() && !flag_at(*reply, "automatic")) {
    out << "Automatic failover is off here: an operator decides.\n";
  }
  if (at(*reply, "eligible").is_boolean() && !flag_at(*reply, "eligible")) {
    out << "This node is not eligible to take over now; see: crossbeat status\n";
  }
  if (const Json& has = at(*reply, "resources"); has.is_object()) {
    const auto number = [&](const char* key) {
      return std::to_string(static_cast<std::int64_t>(number_at(has, key).value_or(0)));
    };
    out << "This machine has " << number("memory_available_mb") << " of "
        << number("memory_total_mb") << " MB of memory left, " << number("processors")
        << " processors, " << number("disk_free_mb") << " MB of disk; " << number("serving_now")
        << " of " << number("pairings") << " pairings are served here now.\n";
    for (const std::string& doubt : texts_at(has, "doubts")) {
      out << "DOUBT: " << doubt << "\n";
    }
  }
  const Json& timeline = at(*reply, "timeline");
  if (timeline.is_string()) {
    out << "\n";
    std::string line;
    for (const char c : timeline.get<std::string>()) {
      if (c == '\n') {
        out << harmless(line) << "\n";
        line.clear();
      } else {
        line += c;
      }
    }
  }
  return kDone;
}

int set(const Context& context, const std::string& failover, const std::string& failback) {
  if (failover.empty() && failback.empty()) {
    return context.complain(kUsage, "there is nothing to set",
                            "write --failover manual|automatic or --failback manual|automatic");
  }
  Json request = context.request("set");
  if (!failover.empty()) {
    request["failover"] = failover;
  }
  if (!failback.empty()) {
    request["failback"] = failback;
  }
  const auto reply = context.ask(request);
  if (const auto code = context.settled(reply)) {
    return *code;
  }
  std::ostream& out = context.terminal().out;
  const char* is = context.options().dry_run ? " would be " : " is now ";
  if (!failover.empty()) {
    out << "Failover" << is << failover << " on this node.\n";
  }
  if (!failback.empty()) {
    out << "Failback" << is << failback << " on this node.\n";
  }
  out << "Each node decides with its own setting: set it on the peer too.\n";
  return kDone;
}

}  // namespace cb::cli
