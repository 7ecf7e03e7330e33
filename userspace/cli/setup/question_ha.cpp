// SPDX-License-Identifier: Apache-2.0
//
// Role, interfaces, virtual address, recovery.
#include "cli/setup/check.h"
#include "cli/setup/question.h"

namespace cb::cli::setup {
namespace {

std::string choices_text(const Current& current, bool with_none) {
  std::vector<std::string> names;
  for (const Port& port : current.answers.ports) {
    names.push_back(port.name);
  }
  if (with_none) {
    names.emplace_back("none");
  }
  return " [" + joined(names, "/") + "]";
}

// It exists; a cable that is not plugged in is a doubt.
Opinion judge_interface(const Draft& draft, const std::string& name) {
  for (const auto& interface : draft.current->facts.interfaces) {
    if (interface.name == name) {
      return interface.carrier ? good()
                               : doubt(name +
                                       " has no carrier: its cable is not plugged in, or "
                                       "the other end is off");
    }
  }
  return wrong("there is no interface " + name + " on this machine");
}

std::string role_text(bool secondary) { return secondary ? "Secondary" : "Primary"; }

Opinion take_role(Draft& draft, const std::string& text) {
  const bool one = text == "1" || text == "primary" || text == "Primary";
  const bool two = text == "2" || text == "secondary" || text == "Secondary";
  if (!one && !two) {
    return wrong("please answer 1 for Primary or 2 for Secondary");
  }
  const Current& current = *draft.current;
  const bool before = current.answers.secondary;
  draft.answers.secondary = two;
  if (current.configured && before != two) {
    const std::string problem =
        paired_problem(draft, "the role", role_text(before), role_text(two));
    if (!problem.empty()) {
      return wrong(problem);
    }
    if (current.monitor_runs) {
      return wrong(
          "the role changes only while everything is stopped. Stop it first (systemctl stop "
          "crossbeat), then run the set-up again");
    }
  }
  return good();
}

Opinion take_virtual_address(Draft& draft, const std::string& text) {
  Answers& answers = draft.answers;
  answers.virtual_address = text;
  if (const std::string problem = address_problem(text); !problem.empty()) {
    return wrong(problem);
  }
  for (const Port& port : answers.ports) {
    // An own address that is to change is judged once more at the end.
    if (port.address == text) {
      return wrong(text + " is the own address of " + port.name +
                   "; the virtual address must be another one");
    }
  }
  return judged(
      paired_problem(draft, "the virtual address", draft.current->answers.virtual_address, text));
}

Question role() {
  Question question;
  question.id = "ha.role";
  question.applies = asked("ha");
  question.intro =
      said("The part of this machine in the pair. The primary serves; the secondary stands ready.");
  question.prompt = "Role [1 for Primary, 2 for Secondary]";
  question.fallback = [](const Draft& draft) { return draft.answers.secondary ? "2" : "1"; };
  question.take = take_role;
  return question;
}

Question hm_interface(const Current& current) {
  Question question;
  question.id = "ha.health_monitor_interface";
  question.applies = asked("ha");
  question.intro = said(
      "The interface with this machine's own address: by it the two nodes and whoever manages "
      "them\n"
      "reach the health monitor, whichever node serves.");
  question.prompt = "Health monitor interface" + choices_text(current, false);
  question.fallback = [](const Draft& draft) { return draft.answers.hm_interface; };
  question.take = [](Draft& draft, const std::string& text) {
    draft.answers.hm_interface = text;
    if (draft.current->configured) {
      const std::string problem = paired_problem(draft, "the health monitor's interface",
                                                 draft.current->answers.hm_interface, text);
      if (!problem.empty()) {
        return wrong(problem);
      }
    }
    return judge_interface(draft, text);
  };
  return question;
}

Question direct_interface(const Current& current) {
  Question question;
  question.id = "ha.direct_interface";
  question.applies = asked("ha");
  question.intro = said(
      "A cable straight from one node to the other makes heartbeats and data faster, a failure\n"
      "sooner known, and a fault of the network no danger. Choose its interface, and give it an\n"
      "address of its own below; none when there is no cable.");
  question.prompt = "Direct connect interface" + choices_text(current, true);
  question.fallback = [](const Draft& draft) { return draft.answers.direct_interface; };
  question.take = [](Draft& draft, const std::string& text) {
    draft.answers.direct_interface = text;
    if (draft.current->configured) {
      const std::string problem = paired_problem(draft, "the direct connect interface",
                                                 draft.current->answers.direct_interface, text);
      if (!problem.empty()) {
        return wrong(problem);
      }
    }
    if (text == "none") {
      return good();
    }
    if (text == draft.answers.hm_interface) {
      return wrong(text + " is the health monitor's interface; the cable needs another one");
    }
    return judge_interface(draft, text);
  };
  return question;
}

bool is_asked_primary(const Draft& draft) { return asked("ha")(draft) && !draft.answers.secondary; }

Question virtual_address() {
  Question question;
  question.id = "ha.virtual_address";
  question.applies = is_asked_primary;
  question.intro = said(
      "The virtual address is what clients use; it moves to the node that serves. It must be a "
      "free\n"
      "address in the subnet of the health monitor's interface.");
  question.prompt = "Virtual IP address";
  question.fallback = [](const Draft& draft) { return draft.answers.virtual_address; };
  question.take = take_virtual_address;
  return question;
}

Question virtual_mask() {
  Question question;
  question.id = "ha.virtual_mask";
  question.applies = is_asked_primary;
  question.intro = [](const Draft& draft) {
    return "The network mask of " + draft.answers.virtual_address + ".";
  };
  question.prompt = "Network mask";
  question.fallback = [](const Draft& draft) {
    const Port* port = draft.answers.port(draft.answers.hm_interface);
    return !draft.answers.virtual_mask.empty()      ? draft.answers.virtual_mask
           : port != nullptr && !port->mask.empty() ? port->mask
                                                    : "255.255.255.0";
  };
  question.take = [](Draft& draft, const std::string& text) {
    const std::string problem = in_mask_problem(draft.answers.virtual_address, text);
    if (!problem.empty()) {
      return wrong(problem);
    }
    draft.answers.virtual_mask = mask_text(mask_length(text).value_or(24));
    const std::string& before = draft.current->answers.virtual_mask;
    return judged(before.empty() ? ""
                                 : paired_problem(draft, "the mask of the virtual address", before,
                                                  draft.answers.virtual_mask));
  };
  return question;
}

Question recovery() {
  Question question;
  question.id = "ha.recovery";
  question.applies = is_asked_primary;
  question.intro = said(
      "Recovery mode is for a primary that was paired, lost its configuration, and shall come "
      "back\n"
      "while its secondary holds the service. Everybody else answers no.");
  question.prompt = "Start in HA recovery mode (yes/no)";
  question.fallback = said("no");
  question.take = [](Draft& draft, const std::string& text) {
    const auto answer = yes_or_no(text);
    if (!answer) {
      return wrong("please answer yes or no");
    }
    if (*answer && !draft.current->peers.empty()) {
      return wrong("this node still has its pairing with " + joined(draft.current->peers, " and ") +
                   "; there is nothing to recover");
    }
    draft.answers.recovery = *answer;
    return good();
  };
  return question;
}

}  // namespace

void ask_high_availability(std::vector<Question>& list, const Current& current) {
  list.push_back(opening("ha", "Configure High Availability?", [](const Draft& draft) {
    return "Current role=[" + role_text(draft.answers.secondary) + "]";
  }));
  list.push_back(role());
  list.push_back(hm_interface(current));
  list.push_back(direct_interface(current));
  list.push_back(virtual_address());
  list.push_back(virtual_mask());
  list.push_back(recovery());
}

}  // namespace cb::cli::setup
