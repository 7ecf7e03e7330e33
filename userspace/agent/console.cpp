// SPDX-License-Identifier: Apache-2.0
#include "agent/console.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

namespace cb::agent {
namespace {

bool has_its_data(const core::State& s) {
  return s.ledger_known && (!s.settings.has_volume || s.volume_ok);
}

bool stands_by(const core::State& s) {
  switch (s.name) {
    case core::StateName::SecondaryActive:
    case core::StateName::SecondaryAlone:
    case core::StateName::GracefulShutdown: return true;
    case core::StateName::Terminated: return s.sub == core::SubState::PeerInCommand;
    case core::StateName::PrimaryActive:
    case core::StateName::FailoverInvoked:
    case core::StateName::FailoverActive:
    case core::StateName::FailbackActive:
    case core::StateName::FailbackComplete: return false;
  }
  return false;
}

// It serves, or it is settled that the peer does.
bool is_settled(const core::State& s) {
  return s.ladder == core::Ladder::None && (s.in_command || stands_by(s));
}

}  // namespace

void Console::starting() {
  stage_ = Stage::Starting;
  say_("Starting " + name_ + " Platform");
  say_("Starting Health Monitor, Waiting to check the status.");
}

void Console::running() {
  if (stage_ != Stage::Starting) {
    return;
  }
  stage_ = Stage::Data;
  say_("Health Monitor successfully started");
  say_("Starting Admin process...");
  say_("Started Admin process.");
  say_("Starting database .....");
}

void Console::look(const std::vector<const core::State*>& instances) {
  const auto all = [&](bool (*fact)(const core::State&)) {
    return std::all_of(instances.begin(), instances.end(),
                       [&](const core::State* state) { return fact(*state); });
  };
  if (stage_ == Stage::Data && all(has_its_data)) {
    stage_ = Stage::Services;
    say_("Database started successfully. Starting framework and services .....");
  }
  if (stage_ != Stage::Services || !all(is_settled)) {
    return;
  }
  stage_ = Stage::Done;
  const bool serves = std::any_of(instances.begin(), instances.end(),
                                  [](const core::State* state) { return state->in_command; });
  const bool well = std::all_of(instances.begin(), instances.end(), [](const core::State* state) {
    return !state->in_command || state->services_ok;
  });
  if (!serves) {
    say_("Framework and services are in DORMANT mode: this node stands by");
  } else if (well) {
    say_("Framework and services successfully started");
  } else {
    say_("Framework and services did not all start; see: crossbeat status");
  }
}

void Console::stopping() { say_("Stopping " + name_ + " Platform"); }

void write_to_console(const std::string& line) {
  pollfd out{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0) {
    const std::string text = line + "\n";
    // ignored: a console that takes no line is nobody's loss
    [[maybe_unused]] const ssize_t count = write(STDOUT_FILENO, text.data(), text.size());
  }
}

}  // namespace cb::agent
