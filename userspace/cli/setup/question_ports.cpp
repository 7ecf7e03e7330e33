// SPDX-License-Identifier: Apache-2.0
//
// The addresses of each interface, the gateway (with the first), and DNS.
#include <array>

#include "base/text.h"
#include "cli/setup/check.h"
#include "cli/setup/question.h"

namespace cb::cli::setup {
namespace {

constexpr std::array kOrdinals = {"first", "second", "third",   "fourth",
                                  "fifth", "sixth",  "seventh", "eighth"};

std::string capital(std::string text) {
  text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

// Does a pairing stand on this interface's address?
bool is_hm(const Draft& draft, std::size_t at) {
  return draft.current->configured &&
         draft.current->answers.hm_interface == draft.answers.ports[at].name;
}

std::string intro_of(const Draft& draft, std::size_t at) {
  const Port& port = draft.answers.ports[at];
  if (port.address.empty()) {
    return "The " + std::string(kOrdinals.at(at)) + " Ethernet interface, " + port.name +
           ", has no address yet.";
  }
  std::string text = "Current IP address=[" + port.address + "]\nCurrent " + port.name +
                     " netmask=[" + port.mask + "]";
  if (at == 0) {
    text += "\nCurrent gateway address=[" + draft.answers.gateway + "]";
  }
  return text;
}

Opinion take_address(Draft& draft, std::size_t at, const std::string& text) {
  Port& port = draft.answers.ports[at];
  port.address = text;
  if (const std::string problem = address_problem(text); !problem.empty()) {
    return wrong(problem);
  }
  if (text == draft.answers.virtual_address && !draft.answers.secondary) {
    return wrong(text + " is the virtual address; an interface's own must be another one");
  }
  if (is_hm(draft, at)) {
    return judged(paired_problem(draft, "the health monitor's address",
                                 draft.current->answers.ports[at].address, text));
  }
  return good();
}

Opinion take_mask(Draft& draft, std::size_t at, const std::string& text) {
  Port& port = draft.answers.ports[at];
  if (const std::string problem = in_mask_problem(port.address, text); !problem.empty()) {
    return wrong(problem);
  }
  port.mask = mask_text(mask_length(text).value_or(24));
  const Answers& answers = draft.answers;
  if (answers.hm_interface == port.name && !answers.secondary && !answers.virtual_address.empty() &&
      !is_same_subnet(port.address, answers.virtual_address, port.mask)) {
    return wrong("the virtual address " + answers.virtual_address +
                 " would not be in the subnet of " + port.address + " with the mask " + port.mask +
                 "; both must be in one. Go back with ^ to change the address");
  }
  if (is_hm(draft, at)) {
    return judged(paired_problem(draft, "the health monitor's network mask",
                                 draft.current->answers.ports[at].mask, port.mask));
  }
  return good();
}

Opinion take_gateway(Draft& draft, const std::string& text) {
  Answers& answers = draft.answers;
  answers.gateway = text == "none" ? "" : text;
  if (answers.gateway.empty()) {
    return doubt(
        "without a gateway a node cannot tell whether it is itself the one that is cut off; then "
        "only manual failover, or a fence, is safe");
  }
  if (const std::string problem = address_problem(text); !problem.empty()) {
    return wrong(problem);
  }
  const Port& first = answers.ports.front();
  if (!is_same_subnet(first.address, text, first.mask)) {
    return wrong("the gateway must be in the subnet of " + first.name + " (" + first.address +
                 ", " + first.mask + ")");
  }
  if (text == first.address || text == answers.virtual_address) {
    return wrong(text + " is an address of this node");
  }
  // It can be tried only from an address that the interface has already.
  if (draft.current->live && draft.current->answers.ports.front() == first &&
      !draft.machine->gateway_answers(text).value_or(true)) {
    return doubt("the gateway " + text + " does not answer");
  }
  return good();
}

void ask_port(std::vector<Question>& list, const std::string& name, std::size_t at) {
  list.push_back(opening(name, "Configure the parameters of " + name + "?",
                         [at](const Draft& draft) { return intro_of(draft, at); }));
  if (at > 0) {  // an interface that nobody uses keeps quiet
    list.back().fallback = [name](const Draft& draft) {
      const bool used =
          draft.answers.direct_interface == name || draft.answers.hm_interface == name;
      return used ? "Yes" : "Skip";
    };
  }
  Question address;
  address.id = name + ".address";
  address.applies = asked(name);
  address.intro =
      said("The IP address of the " + std::string(kOrdinals.at(at)) + " Ethernet interface.");
  address.prompt = capital(name) + " IP address";
  address.fallback = [at](const Draft& draft) { return draft.answers.ports[at].address; };
  address.take = [at](Draft& draft, const std::string& text) {
    return take_address(draft, at, text);
  };
  list.push_back(std::move(address));

  Question mask;
  mask.id = name + ".mask";
  mask.applies = asked(name);
  mask.intro = [at](const Draft& draft) {
    return "The network mask of " + draft.answers.ports[at].address + ".";
  };
  mask.prompt = "Network mask";
  mask.fallback = [at](const Draft& draft) {
    const std::string& now = draft.answers.ports[at].mask;
    return now.empty() ? "255.255.255.0" : now;
  };
  mask.take = [at](Draft& draft, const std::string& text) { return take_mask(draft, at, text); };
  list.push_back(std::move(mask));
  if (at > 0) {
    return;
  }
  Question gateway;
  gateway.id = name + ".gateway";
  gateway.applies = asked(name);
  gateway.intro = said(
      "The default gateway. It must be reachable from this interface: the nodes ask it whether "
      "they\n"
      "are cut off. none when there is none.");
  gateway.prompt = "Default gateway address";
  gateway.fallback = [](const Draft& draft) { return draft.answers.gateway; };
  gateway.take = [](Draft& draft, const std::string& text) { return take_gateway(draft, text); };
  list.push_back(std::move(gateway));
}

}  // namespace

void ask_ports(std::vector<Question>& list, const Current& current) {
  for (std::size_t i = 0; i < current.answers.ports.size() && i < kOrdinals.size(); ++i) {
    ask_port(list, current.answers.ports[i].name, i);
  }
}

void ask_dns(std::vector<Question>& list) {
  list.push_back(opening("dns", "Configure DNS?", [](const Draft& draft) {
    return draft.answers.dns.empty() ? std::string("No name servers are defined.")
                                     : "Current name servers=[" + joined(draft.answers.dns) + "]";
  }));
  Question servers;
  servers.id = "dns.servers";
  servers.applies = asked("dns");
  servers.intro = said("The addresses of the name servers, with a comma between; none for none.");
  servers.prompt = "Name servers";
  servers.fallback = [](const Draft& draft) {
    return draft.answers.dns.empty() ? "none" : joined(draft.answers.dns);
  };
  servers.take = [](Draft& draft, const std::string& text) {
    draft.answers.dns = text == "none" ? std::vector<std::string>{} : words_of(text);
    if (draft.answers.dns.size() > 3) {
      return wrong("at most three name servers are ever asked");
    }
    for (const std::string& server : draft.answers.dns) {
      if (!parse_ipv4(server) && !parse_ipv6(server)) {
        return wrong("'" + server + "' is not an address");
      }
    }
    return good();
  };
  list.push_back(std::move(servers));
}

}  // namespace cb::cli::setup
