// SPDX-License-Identifier: Apache-2.0
//
// What a node keeps besides its pairings: its licence, and, on a secondary, the configuration of
// each primary, so that a primary that lost everything can have it back (crossbeat recover).
#include "agent/keeping.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "agent/monitor.h"
#include "base/file.h"
#include "base/log.h"
#include "crossbeat_version.h"
#include "pairing/licence.h"

namespace cb::agent {
namespace {

constexpr std::size_t kLicenceBytesMax = 4096;
constexpr Duration kGiveAgainFirst = Duration::from_s(10);
constexpr Duration kGiveAgainLast = Duration::from_s(3600);

std::string kept_path(const std::string& root, const config::Pair& pair) {
  return root + "/var/lib/crossbeat/pairs/" + pair.primary_hm.text() + ".node";
}

}  // namespace

std::string read_licence(const std::string& root) {
  std::string text = read_all(root + pairing::kLicencePath, kLicenceBytesMax).value_or("");
  text.resize(std::min(text.size(), pairing::kLicenceMax));
  return text;
}

// What this node says of itself when it pairs, and what it judges by.
pairing::LocalIdentity Monitor::identity() const {
  pairing::LocalIdentity self =
      pairing::identity_of(world_.node, machine_, CROSSBEAT_VERSION, world_.udi, pairs_);
  if (world_.node.volume && world_.volume_id) {
    self.volume = config::PairVolume{*world_.node.volume, *world_.volume_id};
  }
  self.platform = platform_;
  self.licence = licence_;
  self.rules = rule_book_;
  if (self.role == core::Role::Secondary) {
    self.restored = [this](const config::Pair& pair) { return restored(pair); };
  }
  self.rules.today = pairing::day_of(time(nullptr));
  return self;
}

// ---- the licence

std::string Monitor::activation() const {
  return std::string(pairing::text_of(
      pairing::activation_of(licence_, rule_book_.licence,
                             {world_.udi, platform_.model, pairing::day_of(time(nullptr))})));
}

// The command line has written or removed the file.
void Monitor::verb_licence(const ControlServer::Client& client) {
  auto text = std::make_shared<std::string>();
  world_.slow->run(
      [text, root = options_.root] {
        *text = read_licence(root);
        return 0;
      },
      [this, text, client](int) {
        licence_ = *text;
        pairing_server_->update(identity());
        Json reply = ok_reply();
        reply["activation"] = activation();
        client.send(reply);
        status_changed();
      });
}

void Monitor::delete_licence() {
  licence_.clear();
  pairing_server_->update(identity());
  add_event("", "Licence deleted", "");
  world_.slow->run(
      [path = options_.root + pairing::kLicencePath] {
        return unlink(path.c_str()) == 0 || errno == ENOENT ? 0 : errno;
      },
      [](int error) {
        if (error != 0) {
          log_warning("%s", to_text(fail(error, "delete the licence")).c_str());
        }
      });
}

// ---- configurations of primaries

// At start only: files.
void Monitor::load_kept() {
  for (const config::Pair& pair : pairs_) {
    if (pair.self_role == core::Role::Secondary) {
      if (auto text = read_all(kept_path(options_.root, pair), pairing::kKeptMax)) {
        kept_[pair.id] = *std::move(text);
      }
    }
  }
}

void Monitor::keep(uint64_t pairing, const std::string& text, pairing::Answer answer) {
  const auto pair = std::find_if(pairs_.begin(), pairs_.end(),
                                 [&](const config::Pair& p) { return p.id == pairing; });
  if (pair == pairs_.end()) {
    answer(pairing::Refusal::UnknownPairing);
    return;
  }
  const auto same = kept_.find(pairing);
  if (same != kept_.end() && same->second == text) {
    answer(pairing::Refusal::None);
    return;
  }
  world_.slow->run(
      [path = kept_path(options_.root, *pair), text] {
        const auto written = write_atomically(path, text, 0600);
        return written ? 0 : std::max(written.error().code, 1);
      },
      [this, pairing, text, answer = std::move(answer)](int error) {
        if (error != 0) {
          log_warning("%s", to_text(fail(error, "keep the primary's configuration")).c_str());
          answer(pairing::Refusal::SaveFailed);
          return;
        }
        kept_[pairing] = text;
        answer(pairing::Refusal::None);
      });
}

// As the primary held it. Its own terms beyond those that we heard of are not known; recovery
// leaves a gap for them.
pairing::Restored Monitor::restored(const config::Pair& pair) const {
  pairing::Restored restored;
  restored.pair = pair;
  restored.pair.self_role = core::Role::Primary;
  restored.pair.peer_name = world_.node.name;
  restored.pair.peer_version =
      world_.node.product.version.empty() ? CROSSBEAT_VERSION : world_.node.product.version;
  restored.pair.peer_udi = world_.udi;
  restored.pair.peer_model = platform_.model;
  restored.pair.peer_activation = activation();
  for (const auto& unit : units_) {
    if (unit->pair() && unit->pair()->id == pair.id) {
      const core::State& state = unit->instance().state();
      const core::Settings& settings = state.settings;
      restored.pair.automatic_failover = settings.automatic_failover;
      restored.pair.automatic_failback = settings.automatic_failback;
      restored.term = std::max({state.term, state.command_term, state.serving_term,
                                state.durable.reserved_term, unit->instance().peer().facts.term,
                                unit->instance().peer().facts.command_term});
    }
  }
  if (const auto found = kept_.find(pair.id); found != kept_.end()) {
    restored.node = found->second;
  }
  return restored;
}

// A primary gives its configuration to its secondary once in the life of a monitor, since it
// changes only with a restart. A peer that is away, or older, is asked again, ever more rarely.
void Monitor::give_configuration(Duration after) {
  if (world_.node.role != core::Role::Primary || own_text_.empty()) {
    return;
  }
  world_.loop->after(after, [this] {
    if (given_ || pairs_.empty() || ending_ != Ending::None ||
        (keep_call_ && keep_call_->running())) {
      return;
    }
    keep_call_.emplace(pairing::Call::keep(
        *world_.loop, identity(), pairs_.front(), world_.node.port, own_text_,
        [this](const pairing::CallOutcome& outcome) {
          given_ = outcome.peer_done;
          give_again_after_ = std::clamp(give_again_after_ * 2, kGiveAgainFirst, kGiveAgainLast);
          if (!given_) {
            log_debug("the secondary does not keep this configuration yet: %s",
                      outcome.failure.what.c_str());
            give_configuration(give_again_after_);
          }
        }));
  });
}

}  // namespace cb::agent
