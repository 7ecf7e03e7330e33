// SPDX-License-Identifier: Apache-2.0
//
// What the machine's console shows while the monitor starts and stops: one line for each stage, in
// the order in which a person waits for them. The unit sends standard output there. Says only what
// has come true; writing is the caller's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/state.h"

namespace cb::agent {

class Console {
 public:
  using Say = std::function<void(const std::string& line)>;

  // name: the product's, as in "MSE".
  Console(std::string name, Say say) : name_(std::move(name)), say_(std::move(say)) {}

  void starting();  // before anything is opened
  void running();   // the loop turns and the control socket answers
  void look(const std::vector<const core::State*>& instances);  // after running(), at each change
  bool is_done() const { return stage_ == Stage::Done; }        // look() has nothing more to say
  void stopping();

 private:
  enum class Stage { Before, Starting, Data, Services, Done };

  std::string name_;
  Say say_;
  Stage stage_ = Stage::Before;
};

// One line to standard output, unless whoever reads it has no room for it now.
void write_to_console(const std::string& line);

}  // namespace cb::agent
