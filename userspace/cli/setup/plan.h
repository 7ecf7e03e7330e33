// SPDX-License-Identifier: Apache-2.0
//
// What an agreed draft changes on the machine: files first, all or none, then the programs of the
// system that take them up. Making a plan changes nothing.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "cli/setup/question.h"

namespace cb::cli::setup {

struct FileChange {
  enum class Kind : unsigned char { Write, Link, Remove } kind = Kind::Write;
  std::string path;     // "/etc/hostname", below the root
  std::string content;  // of the file; of a Link where it leads
  mode_t mode = 0644;
};

struct CommandStep {
  std::vector<std::string> run;
  std::vector<std::string> undo;  // empty: there is nothing to undo
};

struct Plan {
  std::vector<FileChange> files;
  std::vector<CommandStep> commands;  // only on the running machine
  std::vector<std::string> notes;     // what to know, or to do afterwards

  bool changes_nothing() const { return files.empty() && commands.empty(); }
};

// Who has the interfaces in hand: "NetworkManager", "ifupdown" or "systemd-networkd".
Result<Plan> make_plan(const Draft& draft);

// For the person who is to agree.
std::string plan_text(const Plan& plan, const std::string& root);

// The parts, each adding to the plan.
void plan_names(const Draft& draft, Plan& plan);     // host name, domain
void plan_clock(const Draft& draft, Plan& plan);     // time zone, NTP
void plan_network(const Draft& draft, Plan& plan);   // interfaces, gateway, name servers
Result<> plan_node(const Draft& draft, Plan& plan);  // crossbeat.toml

// Adds the change unless the file is like that already.
void write_unless_same(const Draft& draft, Plan& plan, const std::string& path,
                       const std::string& content, mode_t mode = 0644);
void remove_if_there(const Draft& draft, Plan& plan, const std::string& path);
void link_unless_same(const Draft& draft, Plan& plan, const std::string& path,
                      const std::string& target);
std::string content_of(const Draft& draft, const std::string& path);  // "" when there is none
bool is_there(const Draft& draft, const std::string& path);           // also a dangling link

}  // namespace cb::cli::setup
