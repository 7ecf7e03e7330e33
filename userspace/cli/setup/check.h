// SPDX-License-Identifier: Apache-2.0
//
// Is this answer one? Each returns what is wrong with it, for the person who typed it, or "".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/setup/answers.h"

namespace cb::cli::setup {

std::string host_name_problem(const std::string& text);  // RFC 1123, and beginning with a letter
std::string domain_problem(const std::string& text);     // empty is fine: none
std::string address_problem(const std::string& text);    // one host's IPv4 address
std::string server_problem(const std::string& text);     // a host's name or address

// 0..32; "255.255.255.0", "/24" and "24" are the same. Nothing when it is no mask.
std::optional<int> mask_length(const std::string& text);
std::string mask_text(int length);  // "255.255.255.0"

// address: not the subnet's own nor its broadcast address.
std::string in_mask_problem(const std::string& address, const std::string& mask);
bool is_same_subnet(const std::string& a, const std::string& b, const std::string& mask);

// "a, b c" -> {"a", "b", "c"}
std::vector<std::string> words_of(const std::string& text);
std::string joined(const std::vector<std::string>& words, const char* between = ",");

// What the answers together would break: the virtual address against the health monitor's, the
// gateway against the first interface, the cable. Empty when all is well.
std::vector<std::string> problems_together(const Answers& answers);

}  // namespace cb::cli::setup
