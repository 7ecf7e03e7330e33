// SPDX-License-Identifier: Apache-2.0
//
// The monitor: opens the world, holds the units, turns the loop, serves the control socket.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/console.h"
#include "agent/control.h"
#include "agent/event_exchange.h"
#include "agent/in_turn.h"
#include "agent/pair_files.h"
#include "agent/unit.h"
#include "agent/world.h"
#include "base/fd.h"
#include "pairing/caller.h"
#include "pairing/initiator.h"
#include "pairing/server.h"

namespace cb::agent {

class Monitor {
 public:
  // Everything that can fail does so here, before the first probe leaves and before an address
  // moves.
  static Result<std::unique_ptr<Monitor>> open(const Options& options, config::Node node,
                                               std::vector<config::Pair> pairs);
  ~Monitor();

  // Turns the loop until a stop is complete. Returns the exit code.
  int run();

 private:
  enum class Ending { None, Stop, Restart };

  Monitor() = default;
  Result<> open_everything();
  void clean_up_failed_start();
  Result<> open_world();
  Result<> open_units();
  Result<> open_faces();
  void add_event(const std::string& pairing, const std::string& description,
                 const std::string& remarks);
  void announce_presence(uint64_t boot);
  void on_hook(const std::string& pairing, const std::string& hook, int error,
               const std::string& text);
  void on_link(const edge::LinkFacts& now, const edge::LinkFacts& before);
  void follow_direct();
  void on_gateway(bool answers);
  void update_network();
  Result<Unit*> add_unit(std::optional<config::Pair> pair, std::unique_ptr<edge::Ledger> ledger,
                         const std::optional<core::LedgerRecord>& inherited, Origin origin);
  unsigned slot_for(uint64_t pairing, bool& found) const;
  void refresh_paths();
  pairing::LocalIdentity identity() const;
  void take_told(uint64_t pairing, const std::string& told, const pairing::Answer& answer);
  void pairs_changed();
  void read_rule_book();

  void take_turn();
  void beat(Instant now);
  void begin_ending(Ending ending);
  void tell_to_end(Unit& unit);
  bool ended() const;
  void finish();
  void status_changed();
  void open_console();
  void look_for_console();
  void save_status();

  // verbs.cpp
  void on_request(const Json& request, const ControlServer::Client& client);
  void verb_move(const Json& request, const ControlServer::Client& client, core::EventKind kind);
  void verb_maintenance(const Json& request, const ControlServer::Client& client);
  void watch_maintenance(Duration span);
  void end_maintenance();
  uint64_t wall_now_s() const;
  void verb_set(const Json& request, const ControlServer::Client& client);
  void verb_events(const Json& request, const ControlServer::Client& client);
  void verb_vip(const Json& request, const ControlServer::Client& client);
  void verb_drill(const Json& request, const ControlServer::Client& client);
  void verb_watch(const ControlServer::Client& client);
  // volume_verbs.cpp
  Json loss_of(const Unit& unit) const;
  void accept_loss(Unit& unit, const Json& loss, std::function<void(int)> then);
  void verb_failover(const Json& request, const ControlServer::Client& client);
  void verb_resync(const Json& request, const ControlServer::Client& client);
  void verb_volume(const Json& request, const ControlServer::Client& client);

  Unit* unit_for(const Json& request, const ControlServer::Client& client);
  Json plan_of(const Unit& unit, const core::Event& event) const;

  // pairing.cpp
  void verb_witness_key(const Json& request, const ControlServer::Client& client);
  void verb_pairing_code(const ControlServer::Client& client);
  void verb_pair(const Json& request, const ControlServer::Client& client);
  void verb_unpair(const Json& request, const ControlServer::Client& client);
  void take_pair(const config::Pair& pair, pairing::Answer answer);
  // Adding and removing a pairing takes several turns. take_pair and forget_pair wait until no
  // other change is under way; the rest is called by them.
  void look_at_network(const pairing::Wanted& wanted, pairing::LookAnswer answer);
  void forget_pair(uint64_t id, PairFiles::Finished done);
  void adopt_pair(const config::Pair& pair, PairFiles::Finished done);
  void drop_pair(uint64_t id, PairFiles::Finished done);
  Result<> use_new_pair(const config::Pair& pair, std::unique_ptr<edge::Ledger> ledger);
  void volume_grown(std::uint64_t id, std::uint64_t bytes);
  void use_renewed_pair(const config::Pair& pair);
  Result<> stop_using(const config::Pair& gone);

  // keeping.cpp: what the secondary keeps for a primary that loses it, and the licence
  void verb_licence(const ControlServer::Client& client);
  void delete_licence();
  std::string activation() const;
  void load_kept();
  void keep(uint64_t pairing, const std::string& text, pairing::Answer answer);
  pairing::Restored restored(const config::Pair& pair) const;
  void give_configuration(Duration after);

  // status.cpp
  Json status() const;
  Json status_of_node() const;
  Json resources() const;
  Json platform_json(const config::Pair& pair) const;
  Json status_of(const Unit& unit, Instant now) const;
  Json status_of_link(const Unit& unit, unsigned link, Instant now) const;

  Options options_;
  config::MachineFacts machine_;
  config::Platform platform_;
  pairing::RuleBook rule_book_;
  std::string licence_;
  std::vector<config::Pair> pairs_;
  World world_;
  std::optional<Console> console_;
  std::unique_ptr<PairFiles> pair_files_;
  InTurn pair_changes_;
  Fd lock_;
  std::vector<std::unique_ptr<Unit>> units_;
  edge::ProbePaths paths_{};
  std::unique_ptr<EventExchange> event_exchange_;
  std::optional<pairing::PairingServer> pairing_server_;
  std::optional<pairing::PairingClient> pairing_client_;
  std::optional<pairing::Call> unpair_call_;
  std::optional<pairing::Call> keep_call_;
  std::map<uint64_t, std::string> kept_;  // secondary: configurations of its primaries
  std::string own_text_;                  // primary: its own, as it was read at start
  bool given_ = false;                    // the secondary has it
  Duration give_again_after_{};
  std::unique_ptr<ControlServer> control_;
  bool maps_kept_ = false;  // programs and maps of an earlier monitor of this boot
  bool attaching_direct_ = false;
  bool gateway_answers_ = true;
  std::optional<bool> network_ok_;
  Ending ending_ = Ending::None;
  Instant started_;
  Instant turn_due_;  // when the present wait should have ended at the latest
  bool control_is_fifo_ = false;
  bool memory_locked_ = false;
  loop::TimerId maintenance_timer_;
  bool status_dirty_ = false;
  bool save_under_way_ = false;
  std::map<uint64_t, ControlServer::Client> watchers_;
  uint64_t last_watcher_ = 0;
  std::vector<edge::HeldAddress> held_;
};

}  // namespace cb::agent
