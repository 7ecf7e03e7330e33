// SPDX-License-Identifier: Apache-2.0
//
// The register of a volume as this node last changed it, or last saw it at the witness
// (docs/volume.md): one durable value, in <root>/var/lib/crossbeat/ledger/<instance>.register. Read
// once at start; a value that is not whole counts as none, since what the volume's own record says
// is then the best that is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/volume/types.h"
#include "loop/done.h"
#include "loop/hands.h"

namespace cb::edge {

using core::volume::Register;

struct KeptRegister {
  Register value;
  // The pairing whose witness has answered this node; 0: none has. From then on the witness is the
  // one that is asked.
  std::uint64_t witness = 0;
  bool operator==(const KeptRegister&) const = default;
};

std::string register_text(const KeptRegister& kept);
std::optional<KeptRegister> parse_register(std::string_view text);

class RegisterEdge {
 public:
  // Blocks: at start and at pairing only.
  RegisterEdge(loop::Hands& hands, const std::string& root, const std::string& instance);

  const std::optional<KeptRegister>& kept() const noexcept { return kept_; }
  // Durable when answered with 0, and only then kept(). One at a time: EBUSY.
  void write(const KeptRegister& wanted, loop::Done done);

  static std::string path_of(const std::string& root, const std::string& instance);

 private:
  loop::Hands& hands_;
  std::string path_;
  std::optional<KeptRegister> kept_;
  bool busy_ = false;
  loop::Leash leash_;
};

}  // namespace cb::edge
