// SPDX-License-Identifier: Apache-2.0
//
// The register of a volume as this node last changed it, where no witness keeps it
// (docs/volume.md): one durable value, in <root>/var/lib/crossbeat/ledger/<instance>.register. Read
// once at start; a value that is not whole counts as none, since what the volume's own record says
// is then the best that is known.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/volume/types.h"
#include "loop/done.h"
#include "loop/hands.h"

namespace cb::edge {

using core::volume::Register;

std::string register_text(const Register& value);
std::optional<Register> parse_register(std::string_view text);

class RegisterEdge {
 public:
  // Blocks: at start and at pairing only.
  RegisterEdge(loop::Hands& hands, const std::string& root, const std::string& instance);

  const std::optional<Register>& value() const noexcept { return value_; }
  // Durable when answered with 0, and only then value(). One at a time: EBUSY.
  void write(const Register& wanted, loop::Done done);

  static std::string path_of(const std::string& root, const std::string& instance);

 private:
  loop::Hands& hands_;
  std::string path_;
  std::optional<Register> value_;
  bool busy_ = false;
  loop::Leash leash_;
};

}  // namespace cb::edge
