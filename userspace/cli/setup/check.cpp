// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>

#include "base/text.h"
#include "config/address.h"

namespace cb::cli::setup {
namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_letter_or_digit(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_letter_or_digit(text.front()) &&
         is_letter_or_digit(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
           return is_letter_or_digit(c) || c == '-';
         });
}

bool is_name(const std::string& text) {
  if (text.empty() || text.size() > 253) {
    return false;
  }
  const auto labels = split(text, '.');
  return std::all_of(labels.begin(), labels.end(), is_label);
}

std::uint32_t bits_of(const Ipv4& address) {
  std::uint32_t bits = 0;
  for (const std::uint8_t byte : address.bytes) {
    bits = bits << 8 | byte;
  }
  return bits;
}

}  // namespace

const Port* Answers::port(const std::string& name) const {
  const auto found =
      std::find_if(ports.begin(), ports.end(), [&](const Port& p) { return p.name == name; });
  return found == ports.end() ? nullptr : &*found;
}

bool is_skipped(const Choices& choices, const std::string& section) {
  const auto found = choices.find(section);
  return found == choices.end() || found->second == Choice::Skip;
}

std::string host_name_problem(const std::string& text) {
  if (is_label(text) && is_letter(text.front())) {
    return "";
  }
  return "'" + text +
         "' cannot be a host name: it begins with a letter, ends with a letter or a digit, and has "
         "only letters, digits and dashes, at most 63";
}

std::string domain_problem(const std::string& text) {
  return text.empty() || is_name(text)
             ? ""
             : "'" + text + "' cannot be a domain; write it as example.com";
}

std::string address_problem(const std::string& text) {
  const auto address = parse_ipv4(text);
  if (!address) {
    return "'" + text + "' is not an IPv4 address; write it as 10.10.10.11";
  }
  if (!config::is_host_address(config::address_of(*address))) {
    return text + " is not the address of one machine";
  }
  return "";
}

std::string server_problem(const std::string& text) {
  return parse_ipv4(text) || parse_ipv6(text) || is_name(text)
             ? ""
             : "'" + text + "' is neither a name nor an address";
}

std::optional<int> mask_length(const std::string& text) {
  if (const auto dotted = parse_ipv4(text)) {
    const std::uint32_t bits = bits_of(*dotted);
    const int ones = std::countl_one(bits);
    return ones == std::popcount(bits) ? std::optional(ones) : std::nullopt;
  }
  const std::string_view digits = std::string_view(text).substr(text.starts_with('/') ? 1 : 0);
  const auto length = parse_number(digits, 32);
  return length ? std::optional(static_cast<int>(*length)) : std::nullopt;
}

std::string mask_text(int length) {
  const std::uint32_t bits = length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
  return std::to_string(bits >> 24) + "." + std::to_string(bits >> 16 & 255) + "." +
         std::to_string(bits >> 8 & 255) + "." + std::to_string(bits & 255);
}

std::string in_mask_problem(const std::string& address, const std::string& mask) {
  const auto length = mask_length(mask);
  if (!length || *length == 0) {
    return "'" + mask + "' is not a network mask; write it as 255.255.255.0 or 24";
  }
  const auto parsed = parse_ipv4(address);
  if (parsed && config::is_subnet_edge(config::address_of(*parsed), *length)) {
    return "with the mask " + mask + ", " + address +
           " is the network itself or its broadcast address";
  }
  return "";
}

bool is_same_subnet(const std::string& a, const std::string& b, const std::string& mask) {
  const auto one = parse_ipv4(a);
  const auto other = parse_ipv4(b);
  const auto length = mask_length(mask);
  return one && other && length &&
         config::same_subnet(config::address_of(*one), config::address_of(*other), *length);
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (c == ' ' || c == ',' || c == '\t') {
      if (!word.empty()) {
        words.push_back(word);
      }
      word.clear();
    } else {
      word += c;
    }
  }
  return words;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : between) + word;
  }
  return text;
}

namespace {

void check_virtual(const Answers& answers, std::vector<std::string>& problems) {
  const Port* hm = answers.port(answers.hm_interface);
  if (answers.secondary) {
    return;
  }
  if (answers.virtual_address.empty()) {
    problems.emplace_back("a primary needs a virtual address");
    return;
  }
  for (const Port& port : answers.ports) {
    if (port.address == answers.virtual_address) {
      problems.push_back("the virtual address " + answers.virtual_address +
                         " is also the own address of " + port.name + "; they must differ");
    }
  }
  if (hm != nullptr && !hm->address.empty() &&
      !is_same_subnet(hm->address, answers.virtual_address, hm->mask)) {
    problems.push_back("the virtual address " + answers.virtual_address +
                       " is not in the subnet of " + hm->name + " (" + hm->address + ", " +
                       hm->mask + ")");
  } else if (hm != nullptr && !hm->address.empty() &&
             mask_length(hm->mask) != mask_length(answers.virtual_mask)) {
    problems.push_back("the virtual address has the mask " + answers.virtual_mask + ", but " +
                       hm->name + " has " + hm->mask);
  }
}

}  // namespace

std::vector<std::string> problems_together(const Answers& answers) {
  std::vector<std::string> problems;
  const Port* hm = answers.port(answers.hm_interface);
  if (hm == nullptr || hm->address.empty()) {
    problems.push_back("the health monitor's interface " + answers.hm_interface +
                       " has no address");
  }
  check_virtual(answers, problems);
  if (answers.direct_interface != "none" && answers.direct_interface == answers.hm_interface) {
    problems.emplace_back("the direct cable needs another interface than the health monitor's");
  }
  if (!answers.gateway.empty()) {
    const bool inside = std::any_of(answers.ports.begin(), answers.ports.end(), [&](auto& port) {
      return !port.address.empty() && is_same_subnet(port.address, answers.gateway, port.mask);
    });
    const bool own = std::any_of(answers.ports.begin(), answers.ports.end(),
                                 [&](auto& port) { return port.address == answers.gateway; });
    if (!inside) {
      problems.push_back("no interface is in the subnet of the gateway " + answers.gateway);
    }
    if (own || answers.gateway == answers.virtual_address) {
      problems.push_back("the gateway " + answers.gateway + " is an address of this node");
    }
  }
  for (std::size_t i = 0; i < answers.ports.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const Port& a = answers.ports[k];
      const Port& b = answers.ports[i];
      if (!a.address.empty() && !b.address.empty() &&
          (is_same_subnet(a.address, b.address, a.mask) ||
           is_same_subnet(a.address, b.address, b.mask))) {
        problems.push_back(a.name + " and " + b.name + " are in one subnet; each needs its own");
      }
    }
  }
  return problems;
}

}  // namespace cb::cli::setup
