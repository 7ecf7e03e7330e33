// SPDX-License-Identifier: Apache-2.0
//
// A Unit ties one Instance to its edges: its ledger, services, volume, fence, sockets and
// addresses. The wiring and nothing else; what to do and in which order comes from the core through
// the instance.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/instance.h"
#include "agent/sync_watch.h"
#include "agent/volume_register.h"
#include "agent/world.h"
#include "drivers/volume/replicated.h"
#include "edge/fence.h"
#include "edge/ledger.h"
#include "edge/register.h"
#include "edge/service.h"
#include "edge/volume.h"
#include "edge/witness.h"

namespace cb::agent {

struct UnitCallbacks {
  std::function<void()> changed;  // something an operator would see
  std::function<void()> exited;   // its graceful stop is complete
  std::function<void()> heartbeats_up{};
  std::function<void(std::uint64_t bytes)> volume_grown{};  // beyond what the pairing says
};

class Unit {
 public:
  // pair: nothing for an unpaired primary. ledger: the pair's, open; none without a pair.
  // `inherited`: the record to begin with when the ledger is new (a primary that was serving alone
  // when it was paired).
  static Result<std::unique_ptr<Unit>> open(World& world, unsigned slot,
                                            std::optional<config::Pair> pair,
                                            std::unique_ptr<edge::Ledger> ledger,
                                            const std::optional<core::LedgerRecord>& inherited,
                                            UnitCallbacks callbacks);
  ~Unit();
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  void start(Origin origin, Instant now);
  // Takes the slot's entries out of the maps; the address must be gone or taken over by another
  // unit.
  Result<> leave_maps();

  Instance& instance() { return *instance_; }
  const Instance& instance() const { return *instance_; }
  const std::vector<config::Prefix>& addresses() const { return addresses_; }
  std::vector<edge::ServiceFacts> services() const { return services_->facts(); }
  const std::optional<config::Pair>& pair() const { return instance_->setup().pair; }
  bool has_volume() const { return instance_->state().settings.has_volume; }
  edge::VolumeEdge& volume() { return *volume_; }
  const edge::VolumeEdge& volume() const { return *volume_; }
  // The next climb takes a copy that is behind; an operator named the loss.
  void accept_loss(bool accepted) { accept_loss_ = accepted; }
  std::string name() const;  // primary HM address, or "unpaired"
  // The pairing's witness, also for the volume's register; nullptr: none is configured.
  edge::WitnessEdge* witness() const { return witness_.get(); }
  // This unit's rows of the prober's table.
  void fill_paths(edge::ProbePaths& paths) const;
  bool exited() const { return exited_; }
  void tell(core::EventKind kind);  // an event without more to say
  void tell(const core::Event& event);

 private:
  Unit(World& world, UnitCallbacks callbacks) : world_(world), callbacks_(std::move(callbacks)) {}
  Result<> enter_maps(unsigned slot, const std::optional<config::Pair>& pair);
  InstanceEdges edges();
  Result<> open_witness(const std::optional<config::Pair>& pair);
  void arbitrate(uint64_t term, Duration deadline, std::function<void(core::Verdict)> answer);
  void add_volume_edges(InstanceEdges& e);
  void open_volume(const std::optional<config::Pair>& pair);
  void look_at_synchronization();
  volume::RegisterVoice register_voice(const std::string& instance, core::volume::Node self,
                                       const std::optional<config::Pair>& pair);
  bool wants_witness(const std::optional<config::Pair>& pair) const;
  void add_event(const std::string& description, const std::string& remarks);
  void add_event(const std::string& description, const std::string& remarks, const Seen& then);
  void report(const core::Action& action, const Seen& then);
  void tell_hooks(const core::Action& action, const Seen& then);
  void watch_conflicts(bool on);
  edge::ServiceContext context() const;

  World& world_;
  UnitCallbacks callbacks_;
  std::vector<config::Prefix> addresses_;
  std::unique_ptr<edge::Ledger> ledger_;
  std::optional<core::LedgerRecord> inherited_;
  std::unique_ptr<edge::ServiceEdge> services_;
  std::unique_ptr<edge::RegisterEdge> register_;
  std::unique_ptr<VolumeRegister> volume_register_;
  std::unique_ptr<edge::VolumeEdge> volume_;
  std::optional<SyncWatch> sync_watch_;  // of a paired volume
  bool accept_loss_ = false;
  std::unique_ptr<edge::FenceEdge> fence_;
  std::unique_ptr<edge::WitnessEdge> witness_;
  std::unique_ptr<Instance> instance_;
  Fd direct_socket_;
  Fd network_socket_;
  edge::ArbitrationEdge::QuestionId question_ = 0;
  bool exited_ = false;
  loop::Leash leash_;
};

// A Done that passes on the first error, or 0, once `parts` answers have come.
loop::Done all_of(size_t parts, loop::Done done);

}  // namespace cb::agent
