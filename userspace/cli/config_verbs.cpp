// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <ostream>

#include "base/file.h"
#include "cli/verbs.h"
#include "config/config.h"
#include "config/platform.h"
#include "config/value.h"

namespace cb::cli {
namespace {

struct Checked {
  config::Parsed<config::Node> node;
  std::vector<config::Pair> pairs;
};

// The given file, or the one under the root with its pairings.
Result<Checked> check(const Context& context, const std::string& file) {
  CB_TRY(machine, config::read_machine_facts());
  Checked checked;
  if (!file.empty()) {
    CB_TRY(text, read_all(file, config::kDocumentBytesMax));
    checked.node = config::parse_node(text, file, machine);
    return checked;
  }
  checked.node = config::load_node(context.options().root, machine);
  auto& problems = checked.node.problems;
  for (config::Problem problem : config::load_platforms(context.options().root).problems) {
    problem.what += "; nothing pairs until it is corrected";
    problem.warning = true;  // the monitor starts with it
    problems.push_back(std::move(problem));
  }
  const std::string folder = context.options().root + "/var/lib/crossbeat/pairs";
  if (access(folder.c_str(), R_OK) != 0 && errno == EACCES) {
    problems.push_back({folder, 0, true,
                        "the pairings are for root alone and were not checked; "
                        "try again with sudo"});
    return checked;
  }
  auto pairs = config::load_pairs(context.options().root);
  checked.pairs = std::move(pairs.value);
  problems.insert(problems.end(), pairs.problems.begin(), pairs.problems.end());
  return checked;
}

std::string timelines(const Checked& checked) {
  if (checked.pairs.empty()) {
    return config::timeline_text(checked.node.value, nullptr);
  }
  std::string text;
  for (const config::Pair& pair : checked.pairs) {
    if (checked.pairs.size() > 1) {
      text += (text.empty() ? "" : "\n") + std::string("== Pairing with the primary ") +
              pair.primary_hm.text() + " ==\n\n";
    }
    text += config::timeline_text(checked.node.value, &pair);
  }
  return text;
}

void print_json(const Context& context, const Checked& checked) {
  Json problems = Json::array();
  for (const config::Problem& problem : checked.node.problems) {
    problems.push_back({{"file", problem.file},
                        {"line", problem.line},
                        {"warning", problem.warning},
                        {"what", problem.what}});
  }
  Json reply{{"ok", checked.node.ok()}, {"problems", std::move(problems)}};
  if (checked.node.ok()) {
    reply["timeline"] = timelines(checked);
  }
  context.print(reply);
}

}  // namespace

int config_check(const Context& context, const std::string& file) {
  const auto checked = check(context, file);
  if (!checked) {
    return context.complain(kConfig, to_text(checked.error()));
  }
  const int code = checked->node.ok() ? kDone : kConfig;
  if (context.options().json) {
    print_json(context, *checked);
    return code;
  }
  std::ostream& out = context.terminal().out;
  std::size_t errors = 0;
  for (const config::Problem& problem : checked->node.problems) {
    errors += problem.warning ? 0 : 1;
    out << problem.text() << "\n";
  }
  const std::size_t warnings = checked->node.problems.size() - errors;
  if (code == kConfig) {
    out << errors << (errors == 1 ? " error" : " errors");
    if (warnings > 0) {
      out << ", " << warnings << (warnings == 1 ? " warning" : " warnings");
    }
    out << ". A monitor would refuse to start with this.\n";
    return code;
  }
  out << (warnings == 0 ? "The configuration is in order.\n\n" : "The configuration is usable.\n\n")
      << timelines(*checked);
  return code;
}

int config_show(const Context& context) {
  const auto checked = check(context, "");
  if (!checked) {
    return context.complain(kConfig, to_text(checked.error()));
  }
  if (!checked->node.ok()) {
    return config_check(context, "");
  }
  const std::string text = config::node_to_toml(checked->node.value);
  if (context.options().json) {
    context.print(Json{{"ok", true}, {"toml", text}});
  } else {
    context.terminal().out << text;
  }
  return kDone;
}

}  // namespace cb::cli
