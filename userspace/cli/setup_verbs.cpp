// SPDX-License-Identifier: Apache-2.0
//
// crossbeat setup: the dialogue or the answer file, then the plan, then all of it at once.
#include <unistd.h>

#include <ostream>

#include "base/file.h"
#include "cli/setup/answer_file.h"
#include "cli/setup/apply.h"
#include "cli/setup/check.h"
#include "cli/setup/plan.h"
#include "cli/setup/wizard.h"
#include "cli/verbs.h"
#include "config/value.h"

namespace cb::cli {
namespace {

using setup::Draft;
using setup::Plan;

int carry_out(const Context& context, const Draft& draft, setup::Machine& machine) {
  const auto plan = setup::make_plan(draft);
  if (!plan) {
    return context.complain(kRefused, "this cannot be applied: " + to_text(plan.error()),
                            "change the answers; nothing was changed");
  }
  const Terminal& terminal = context.terminal();
  const std::string text = setup::plan_text(*plan, draft.current->root);
  const bool json = context.options().json;
  if (!context.options().dry_run && !plan->changes_nothing()) {
    if (const auto applied = setup::apply(*plan, draft.current->root, machine); !applied) {
      return context.complain(kFailed, to_text(applied.error()));
    }
  }
  if (json) {
    Json changes = Json::array();
    for (const setup::FileChange& file : plan->files) {
      changes.push_back(file.path);
    }
    Json commands = Json::array();
    for (const setup::CommandStep& step : plan->commands) {
      commands.push_back(step.run);
    }
    context.print(Json{{"ok", true},
                       {"applied", !context.options().dry_run},
                       {"files", changes},
                       {"commands", commands},
                       {"notes", plan->notes}});
    return kDone;
  }
  if (context.options().dry_run) {
    terminal.out << "\n" << text << "A dry run: nothing was changed.\n";
    return kDone;
  }
  terminal.out << "\n"
               << (plan->changes_nothing() ? "Nothing had to be changed.\n"
                                           : "Done: everything was applied.\n");
  for (const std::string& note : plan->notes) {
    terminal.out << "Note: " << note << "\n";
  }
  if (!plan->changes_nothing() && draft.current->live) {
    terminal.out << "It is best to restart the machine once (reboot), so that what holds now is "
                    "what holds after a power failure.\n";
  }
  return kDone;
}

int unattended(const Context& context, const std::string& file, Draft draft,
               const std::vector<setup::Question>& list, setup::Machine& machine) {
  const auto text = read_all(file, config::kDocumentBytesMax);
  if (!text) {
    return context.complain(kUsage, to_text(text.error()));
  }
  const setup::Answered answered = setup::answer_from(*text, file, list, draft);
  for (const std::string& one : answered.doubts) {
    context.terminal().err << one << " (taken all the same)\n";
  }
  if (!answered.problems.empty()) {
    return context.complain(kRefused, setup::joined(answered.problems, "\n"),
                            "mend the answer file; nothing was changed");
  }
  return carry_out(context, draft, machine);
}

int attended(const Context& context, Draft draft, const std::vector<setup::Question>& list,
             setup::Machine& machine) {
  const Terminal& terminal = context.terminal();
  terminal.out << "This wizard asks what the node needs to know, and changes nothing before you "
                  "have agreed to all of it.\nAn empty line takes the answer in brackets, ^ goes "
                  "back one question, Ctrl-C leaves everything as it is.\n\n";
  for (std::string line;;) {
    terminal.out << "Set up with the wizard (yes/no) [yes]: " << std::flush;
    if (!std::getline(terminal.in, line)) {
      return context.complain(kFailed, "the input ended; nothing was changed");
    }
    const auto answer = line.empty() ? std::optional(true) : setup::yes_or_no(line);
    if (answer == false) {
      terminal.out << "Nothing was changed. By hand: see crossbeat.toml(5), then crossbeat config "
                      "check. Later: crossbeat setup\n";
      return kDone;
    }
    if (answer == true) {
      break;
    }
    terminal.out << "Please answer yes or no.\n";
  }
  const std::string root = draft.current->root;
  const auto ending =
      setup::ask_all(draft, list, terminal, [&](const Draft& finished) -> Result<std::string> {
        CB_TRY(plan, setup::make_plan(finished));
        return setup::plan_text(plan, root);
      });
  if (ending == setup::Ending::Ended) {
    terminal.out << "\n";
    return context.complain(kFailed, "the input ended; nothing was changed");
  }
  return carry_out(context, draft, machine);
}

}  // namespace

int set_up(const Context& context, const SetupOptions& wanted) {
  const std::string& root = context.options().root;
  const bool live = root.empty();
  if (live && !context.options().dry_run && geteuid() != 0) {
    return context.complain(kPrivileges, "only root may set this machine up",
                            "try again with sudo");
  }
  const auto machine =
      live ? setup::live_machine() : setup::tree_machine(setup::words_of(wanted.interfaces));
  if (!context.options().dry_run) {
    const auto recovered = setup::recover(root);
    if (!recovered) {
      return context.complain(kFailed, to_text(recovered.error()));
    }
    if (*recovered) {
      context.terminal().err << "An earlier set-up had died halfway; the old files are back.\n";
    }
  }
  const auto current = setup::read_current(root, *machine);
  if (!current) {
    return context.complain(kFailed, to_text(current.error()));
  }
  const auto list = setup::questions(*current);
  Draft draft;
  draft.answers = current->answers;
  draft.current = &*current;
  draft.machine = machine.get();
  return wanted.answers.empty() ? attended(context, draft, list, *machine)
                                : unattended(context, wanted.answers, draft, list, *machine);
}

}  // namespace cb::cli
