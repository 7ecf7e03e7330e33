// SPDX-License-Identifier: Apache-2.0
//
// Who answers for a volume's register (docs/volume.md): the pairing's witness, from its first
// answer on; before that, and where there is none, this monitor itself (agent/right.h). An answer
// that does not come is no answer: the volume asks again, and until then nothing is granted.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "agent/right.h"
#include "drivers/volume/replicated_json.h"
#include "edge/register.h"
#include "edge/witness.h"

namespace cb::agent {

// What it asks. Those of the witness are empty where none is configured.
struct RegisterWays {
  std::function<const core::State&()> state;
  std::function<std::optional<edge::KeptRegister>()> kept;
  std::function<void(const edge::KeptRegister& value, loop::Done done)> keep;  // durably
  std::function<bool()> accepts_loss;  // an operator named what the next promotion may lose
  std::uint64_t pairing = 0;           // whose witness it is
  std::function<core::witness::Record()> heard;  // of its newest answer
  std::function<void(edge::WitnessEdge::OnAnswer done)> read;
  std::function<void(const Register& expected, const Register& wanted,
                     edge::WitnessEdge::OnAnswer done)>
      swap;
  std::function<void(const Register& known)> know;
};

class VolumeRegister {
 public:
  VolumeRegister(core::volume::Node self, RegisterWays ways)
      : self_(self), ways_(std::move(ways)) {}

  // own: what the volume's record says of its copy now. error: nobody knows, now.
  using OnRead = std::function<void(int error, const Register& seen)>;
  using OnSwapped = std::function<void(int error, bool granted)>;
  using Own = volume::OwnCopy;
  void read(const Own& own, OnRead done);
  void swap(const Own& own, const Register& expected, const Register& wanted, OnSwapped done);
  // From time to time: the witness is told what is known here, should it ever lose its memory.
  void look(const Own& own);

 private:
  // An operator overrides what the register says; the volume is told what it may go on from.
  struct Overridden {
    Register told;
    std::optional<Register> at_witness;  // nothing: it does not answer
  };

  RightFacts facts(const Own& own) const;
  bool is_witnessed() const;
  bool may_ask() const;
  bool overrides() const;
  bool was_granted_more_than(const Register& seen) const;
  void read_own(const Own& own, const OnRead& done);
  void swap_own(const Own& own, const Register& expected, const Register& wanted, OnSwapped done);
  void on_seen(const Register& seen, OnRead done);
  void say(const Register& seen, const OnRead& done);
  void on_swapped(const Register& wanted, const edge::WitnessAnswer& answer, OnSwapped done);

  core::volume::Node self_;
  RegisterWays ways_;
  std::optional<Overridden> overridden_;
  bool raising_ = false;
  loop::Leash leash_;
};

}  // namespace cb::agent
