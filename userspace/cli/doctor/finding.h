// SPDX-License-Identifier: Apache-2.0
//
// What doctor says of one thing that it looked at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cb::cli::doctor {

// In order: the worst decides what doctor exits with. Skipped could not be looked at; a Note is
// worth knowing and harms nobody.
enum class Severity : std::uint8_t { Fine, Skipped, Note, Warning, Problem };

// A command that can be run as it stands, by root.
struct Step {
  std::string command;
  std::string on = {};  // the name of the node; empty: the one that was examined
};
using Steps = std::vector<Step>;

struct Finding {
  std::string check;  // "swap"
  Severity severity = Severity::Fine;
  std::string what;    // a sentence, without the full stop
  std::string remedy;  // what to do; a Warning or a Problem always has one
  Steps steps = {};    // the remedy as commands, one after the other, where commands can do it
};

const char* name_of(Severity severity);
Severity worst_of(const std::vector<Finding>& findings);

// What the checks write to. Every check says something, also that all is well.
class Report {
 public:
  void begin(std::string check) { check_ = std::move(check); }
  void fine(std::string what) { add(Severity::Fine, std::move(what), ""); }
  void skipped(std::string why) { add(Severity::Skipped, std::move(why), ""); }
  void note(std::string what, std::string remedy = "") {
    add(Severity::Note, std::move(what), std::move(remedy));
  }
  void warning(std::string what, std::string remedy, Steps steps = {}) {
    add(Severity::Warning, std::move(what), std::move(remedy), std::move(steps));
  }
  void problem(std::string what, std::string remedy, Steps steps = {}) {
    add(Severity::Problem, std::move(what), std::move(remedy), std::move(steps));
  }
  std::size_t size() const { return findings_.size(); }
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  void add(Severity severity, std::string what, std::string remedy, Steps steps = {}) {
    findings_.push_back({check_, severity, std::move(what), std::move(remedy), std::move(steps)});
  }
  std::string check_;
  std::vector<Finding> findings_;
};

}  // namespace cb::cli::doctor
