// SPDX-License-Identifier: Apache-2.0
#include "replication/report.h"

#include <array>
#include <bit>
#include <cstdio>

#include "core/volume/dirty_map.h"
#include "replication/settings.h"

namespace cb::replication {
namespace {

std::string hex_of(std::uint64_t high, std::uint64_t low) {
  std::array<char, 40> text{};
  snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(high),
           static_cast<unsigned long long>(low));
  return text.data();
}

Json epochs_of(const core::volume::Epochs& epochs) {
  Json list = Json::array();
  for (const core::volume::Epoch& epoch : epochs) {
    list.push_back({{"number", epoch.number},
                    {"generation", hex_of(epoch.generation.high, epoch.generation.low)},
                    {"start", epoch.start},
                    {"digest", hex_of(epoch.digest.high, epoch.digest.low)},
                    {"writer", epoch.writer}});
  }
  return list;
}

}  // namespace

Json peer_of(const core::volume::State& state) {
  if (!state.link || !state.peer.agreed) {
    return {};
  }
  Json peer;
  peer["heard"] = true;
  peer["serving"] = state.peer.serving;
  peer["standing"] = name_of(state.peer.standing);
  peer["epoch"] = state.peer.granted;
  peer["end"] = state.peer.end;
  return peer;
}

Json image_of(const SumsFacts& facts, bool checks, const ScrubFacts& scrub) {
  return {{"checked", checks},  {"rotten", facts.rotten},  {"mended", facts.mended},
          {"lost", facts.lost}, {"scrubbed_to", scrub.at}, {"scrub_rounds", scrub.rounds}};
}

Json history_of(const core::volume::State& state) {
  Json history;
  history["own"] = epochs_of(state.record.epochs);
  history["peer"] = state.peer.hellos != 0 ? epochs_of(state.peer.epochs) : Json();
  return history;
}

std::string report(const Found& found, bool json) {
  const core::volume::Record& r = found.record;
  std::uint64_t dirty = 0;
  for (const std::uint64_t word : found.map) {
    dirty += static_cast<std::uint64_t>(std::popcount(word));
  }
  Json out;
  out["standing"] = name_of(r.standing);
  out["node"] = r.node;
  out["epoch"] = r.epoch;
  out["volume_bytes"] = r.volume_length;
  out["log_bytes"] = r.ring_length;
  out["tail"] = r.tail;
  out["checkpoint"] = r.checkpoint;
  out["end"] = found.end;
  out["committed"] = found.committed;
  out["batches_after_checkpoint"] = found.batches;
  out["damaged_until"] = found.damaged_until;
  out["copying"] = r.copying != 0;
  out["map"] = found.map_lost ? "lost" : r.map.present ? "present" : "none";
  out["dirty_bytes"] = dirty * core::volume::kExtent;
  out["superblock_copies"] = found.one_copy ? 1 : 2;
  Json epochs = Json::array();
  for (const core::volume::Epoch& epoch : r.epochs) {
    epochs.push_back({{"number", epoch.number}, {"start", epoch.start}, {"writer", epoch.writer}});
  }
  out["epochs"] = epochs;
  if (json) {
    return to_packet(out);
  }
  std::string text;
  for (const auto& [key, value] : out.items()) {
    if (key != "epochs") {
      text += key + ": " + (value.is_string() ? value.get<std::string>() : value.dump()) + "\n";
    }
  }
  for (const Json& epoch : epochs) {
    text += "epoch " + epoch["number"].dump() + " from " + epoch["start"].dump() + " by node " +
            epoch["writer"].dump() + "\n";
  }
  if (found.damaged_until != 0) {
    text += "DAMAGED: the log was durable up to " + std::to_string(found.damaged_until) +
            " and ends at " + std::to_string(found.end) + ". The peer mends it.\n";
  } else {
    text += "In order.\n";
  }
  return text.substr(0, text.size() - 1);
}

}  // namespace cb::replication
