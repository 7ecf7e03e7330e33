// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/plan.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "cli/setup/answer_file.h"
#include "cli/setup/check.h"
#include "config/value.h"

namespace cb::cli::setup {
namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;
constexpr const char* kWritten =
    "# Written by crossbeat setup; run it again rather than edit this.\n";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) {
    lines.emplace_back(line);
  }
  if (!lines.empty() && lines.back().empty()) {
    lines.pop_back();
  }
  return lines;
}

// The lines that go and those that come, in order; enough for files as small as these.
std::string difference(const std::string& before, const std::string& after) {
  std::vector<std::string> old_lines = lines_of(before);
  std::string text;
  for (const std::string& line : old_lines) {
    const auto fresh = lines_of(after);
    if (std::find(fresh.begin(), fresh.end(), line) == fresh.end()) {
      text += "    - " + line + "\n";
    }
  }
  for (const std::string& line : lines_of(after)) {
    const auto found = std::find(old_lines.begin(), old_lines.end(), line);
    if (found == old_lines.end()) {
      text += "    + " + line + "\n";
    } else {
      old_lines.erase(found);
    }
  }
  return text;
}

// The line of /etc/hosts that makes the own name known without any server.
std::string hosts_with(const std::string& hosts, const std::string& host,
                       const std::string& domain) {
  const std::string own =
      "127.0.1.1\t" + (domain.empty() ? "" : host + "." + domain + " ") + host + "\n";
  std::string text;
  bool done = false;
  for (const std::string& line : lines_of(hosts)) {
    if (line.starts_with("127.0.1.1")) {
      text += done ? "" : own;
      done = true;
    } else {
      text += line + "\n";
    }
  }
  if (hosts.empty()) {
    text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  }
  return text + (done ? "" : own);
}

// Sections that were skipped now but answered before stay in the saved file.
Draft with_earlier_sections(const Draft& draft) {
  Draft all = draft;
  const auto saved =
      config::parse_document(content_of(draft, kSavedAnswers), std::string(kSavedAnswers));
  if (saved.ok()) {
    for (const config::Member& table : saved.value.members) {
      if (is_skipped(all.choices, table.key)) {
        all.choices[table.key] = Choice::Yes;
      }
    }
  }
  return all;
}

// One change for each path: a later one takes the place of an earlier one.
void add(Plan& plan, FileChange change) {
  for (FileChange& planned : plan.files) {
    if (planned.path == change.path) {
      planned = std::move(change);
      return;
    }
  }
  plan.files.push_back(std::move(change));
}

}  // namespace

std::string content_of(const Draft& draft, const std::string& path) {
  return read_all(draft.current->root + path, kFileBytesMax).value_or("");
}

bool is_there(const Draft& draft, const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(
      std::filesystem::symlink_status(draft.current->root + path, error));
}

void write_unless_same(const Draft& draft, Plan& plan, const std::string& path,
                       const std::string& content, mode_t mode) {
  if (!is_there(draft, path) || content_of(draft, path) != content) {
    add(plan, {FileChange::Kind::Write, path, content, mode});
  }
}

void remove_if_there(const Draft& draft, Plan& plan, const std::string& path) {
  if (is_there(draft, path)) {
    add(plan, {FileChange::Kind::Remove, path, "", 0});
  }
}

void link_unless_same(const Draft& draft, Plan& plan, const std::string& path,
                      const std::string& target) {
  std::error_code error;
  if (std::filesystem::read_symlink(draft.current->root + path, error).string() != target) {
    add(plan, {FileChange::Kind::Link, path, target, 0});
  }
}

void plan_names(const Draft& draft, Plan& plan) {
  const bool host = !is_skipped(draft.choices, "host");
  const bool domain = !is_skipped(draft.choices, "domain");
  const Answers& answers = draft.answers;
  const std::string& before = draft.current->answers.host_name;
  if (host && draft.current->live) {
    if (answers.host_name != before) {
      plan.commands.push_back({{"hostnamectl", "set-hostname", answers.host_name},
                               {"hostnamectl", "set-hostname", before}});
    }
  } else if (host) {
    write_unless_same(draft, plan, "/etc/hostname", answers.host_name + "\n");
  }
  if ((host || domain) && !answers.host_name.empty()) {
    write_unless_same(
        draft, plan, "/etc/hosts",
        hosts_with(content_of(draft, "/etc/hosts"), answers.host_name, answers.domain));
  }
}

void plan_clock(const Draft& draft, Plan& plan) {
  const Answers& answers = draft.answers;
  const bool live = draft.current->live;
  if (!is_skipped(draft.choices, "time")) {
    const std::string& before = draft.current->answers.timezone;
    if (live && answers.timezone != before) {
      plan.commands.push_back({{"timedatectl", "set-timezone", answers.timezone},
                               {"timedatectl", "set-timezone", before}});
    } else if (!live) {
      link_unless_same(draft, plan, "/etc/localtime", "../usr/share/zoneinfo/" + answers.timezone);
      write_unless_same(draft, plan, "/etc/timezone", answers.timezone + "\n");
    }
  }
  if (is_skipped(draft.choices, "ntp")) {
    return;
  }
  const std::size_t before = plan.files.size();
  if (is_there(draft, "/etc/chrony/chrony.conf")) {
    std::string text = kWritten;
    for (const std::string& server : answers.ntp_servers) {
      text += "server " + server + " iburst\n";
    }
    const std::string path = "/etc/chrony/sources.d/crossbeat.sources";
    answers.ntp ? write_unless_same(draft, plan, path, text) : remove_if_there(draft, plan, path);
    if (live && plan.files.size() != before) {
      plan.commands.push_back({{"chronyc", "reload", "sources"}, {"chronyc", "reload", "sources"}});
    }
    return;
  }
  const std::string path = "/etc/systemd/timesyncd.conf.d/crossbeat.conf";
  const std::string wants = "/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service";
  if (answers.ntp) {
    write_unless_same(draft, plan, path,
                      kWritten + ("[Time]\nNTP=" + joined(answers.ntp_servers, " ") + "\n"));
  } else {
    remove_if_there(draft, plan, path);
  }
  if (!live) {
    answers.ntp
        ? link_unless_same(draft, plan, wants, "/lib/systemd/system/systemd-timesyncd.service")
        : remove_if_there(draft, plan, wants);
  } else if (plan.files.size() != before || answers.ntp != draft.current->answers.ntp) {
    plan.commands.push_back({{"timedatectl", "set-ntp", answers.ntp ? "true" : "false"},
                             {"timedatectl", "set-ntp", answers.ntp ? "false" : "true"}});
    if (answers.ntp) {
      plan.commands.push_back({{"systemctl", "restart", "systemd-timesyncd.service"}, {}});
    }
  }
}

Result<Plan> make_plan(const Draft& draft) {
  if (!is_skipped(draft.choices, "ha") || draft.current->configured) {
    const auto problems = problems_together(draft.answers);
    if (!problems.empty()) {
      return fail(0, joined(problems, "; "));
    }
  }
  Plan plan;
  plan_names(draft, plan);
  plan_network(draft, plan);
  plan_clock(draft, plan);
  CB_TRY_DO(plan_node(draft, plan));
  if (!plan.changes_nothing()) {
    write_unless_same(draft, plan, kSavedAnswers, answers_to_toml(with_earlier_sections(draft)),
                      0600);
  }
  return plan;
}

std::string plan_text(const Plan& plan, const std::string& root) {
  if (plan.changes_nothing()) {
    return "Nothing changes: everything is like that already.\n";
  }
  std::string text = "What changes on this machine:\n";
  for (const FileChange& file : plan.files) {
    const std::string path = root + file.path;
    switch (file.kind) {
      case FileChange::Kind::Remove: text += "  remove " + path + "\n"; break;
      case FileChange::Kind::Link: text += "  link " + path + " to " + file.content + "\n"; break;
      case FileChange::Kind::Write:
        text += "  write " + path + "\n" +
                difference(read_all(path, kFileBytesMax).value_or(""), file.content);
        break;
    }
  }
  for (const CommandStep& step : plan.commands) {
    text += "  run " + joined(step.run, " ") + "\n";
  }
  for (const std::string& note : plan.notes) {
    text += "Note: " + note + "\n";
  }
  return text;
}

}  // namespace cb::cli::setup
