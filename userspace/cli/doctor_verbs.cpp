// SPDX-License-Identifier: Apache-2.0
//
// crossbeat doctor: looks at everything that is known to go wrong, and says what to do about it.
#include <algorithm>
#include <ostream>

#include "cli/doctor/check.h"
#include "cli/verbs.h"

namespace cb::cli {
namespace {

using doctor::Finding;
using doctor::Severity;

Tone tone_of(Severity severity) {
  switch (severity) {
    case Severity::Fine: return Tone::Good;
    case Severity::Skipped:
    case Severity::Note: return Tone::Faint;
    case Severity::Warning: return Tone::Caution;
    case Severity::Problem: return Tone::Alarm;
  }
  return Tone::Plain;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

int code_of(Severity worst) {
  return worst == Severity::Problem ? kProblems : worst == Severity::Warning ? kWarnings : kDone;
}

}  // namespace

int examine(const Context& context, bool all) {
  doctor::Asked asked;
  const auto reply = context.ask(Json{{"verb", "status"}});
  if (reply && is_ok(*reply)) {
    asked.status = *reply;
  } else if (!reply) {
    asked.error = reply.error();
  }
  asked.running = reply || !means_not_running(reply.error());
  const auto probe = doctor::machine_probe(context.options().root, std::move(asked));
  const std::vector<Finding> findings = doctor::examine(*probe);
  const Severity worst = doctor::worst_of(findings);
  const std::string self = probe->configured().node.name;
  if (context.options().json) {
    Json list = Json::array();
    for (const Finding& finding : findings) {
      Json run = Json::array();
      for (const doctor::Step& step : finding.steps) {
        run.push_back({{"on", step.on.empty() ? self : step.on}, {"command", step.command}});
      }
      list.push_back({{"check", finding.check},
                      {"severity", name_of(finding.severity)},
                      {"what", finding.what},
                      {"remedy", finding.remedy},
                      {"run", run}});
    }
    context.print(Json{{"ok", true}, {"worst", name_of(worst)}, {"findings", list}});
    return code_of(worst);
  }
  const Terminal& terminal = context.terminal();
  std::size_t counts[5] = {};
  for (const Finding& finding : findings) {
    ++counts[static_cast<std::size_t>(finding.severity)];
    if (finding.severity <= Severity::Skipped && !all) {
      continue;
    }
    terminal.out << terminal.painted(tone_of(finding.severity),
                                     padded(name_of(finding.severity), 8))
                 << " " << finding.check << ": " << harmless(finding.what) << "\n";
    if (!finding.remedy.empty()) {
      terminal.out << "         What to do: " << harmless(finding.remedy) << "\n";
    }
    for (const doctor::Step& step : finding.steps) {
      terminal.out << "           " << harmless(step.on.empty() ? self : step.on) << "# "
                   << harmless(step.command) << "\n";
    }
  }
  terminal.out << counted(counts[4], "problem") << ", " << counted(counts[3], "warning") << ", "
               << counted(counts[2], "note") << "; " << counts[0] << " fine, " << counts[1]
               << " not looked at" << (all ? "" : " (--all shows them)") << ".\n"
               << std::flush;
  return code_of(worst);
}

}  // namespace cb::cli
