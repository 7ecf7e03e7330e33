// SPDX-License-Identifier: Apache-2.0
//
// What the process tells of itself (docs/volume-process.md).
#include <algorithm>
#include <cerrno>

#include "replication/process.h"
#include "replication/report.h"
#include "replication/verify_report.h"

namespace cb::replication {

using namespace core::volume;

Json Process::status() const {
  Json json;
  json["memory"] = {{"io_flusher_error", makers_.memory.io_flusher_error},
                    {"lock_error", makers_.memory.lock_error}};
  if (engine_ == nullptr) {
    json["standing"] = nullptr;
    json["serving"] = false;
    return json;
  }
  const State& s = engine_->state();
  json["standing"] = name_of(s.record.standing);
  json["serving"] = s.stage == Stage::Serving && engine_->serves();
  json["in_step"] = s.in_step_said;
  json["eligible"] = eligible(s);
  json["stall"] = name_of(s.stall);
  json["stall_text"] = text_of(s.stall);
  json["position"] = s.issued;
  json["committed"] = s.committed;
  json["peer_synced"] = s.follower.active ? Json(s.follower.synced) : Json(0);
  json["epoch"] = s.record.epoch;
  json["peer"] = peer_of(s);
  json["alone"] = s.stage == Stage::Serving && acknowledges_alone(s);
  json["mode"] = name_of(s.settings.mode);
  const SyncFacts sync = progress_.facts();
  json["sync"] = {
      {"kind", name_of(sync.kind)},
      {"bytes_done", sync.bytes_done},
      {"bytes_left", sync.bytes_left},
      {"rate", sync.rate},
      {"seconds_left", sync.seconds_left ? Json(*sync.seconds_left) : Json()},
      {"permille", sync.permille},
      {"paused", engine_->paused()},
      {"image_kept", engine_->protection()},
      {"kept_position", engine_->kept_position() ? Json(*engine_->kept_position()) : Json()}};
  const volume::FrontEndFacts front = front_end_->facts();
  json["device"] = front.device.empty() ? Json() : Json(front.device);
  json["front_end"] = {{"kind", front.kind},
                       {"note", front.note},
                       {"survives_restart", front.survives_restart},
                       {"write_cache", front_end_->has_write_cache()},
                       {"reads", front.reads},
                       {"writes", front.writes},
                       {"flushes", front.flushes},
                       {"discards", front.discards},
                       {"resent", front.resent},
                       {"waiting", engine_->requests_waiting()}};
  json["cpu_latency"] = {{"limit_us", awake_->limit_us() ? Json(*awake_->limit_us()) : Json()},
                         {"error", awake_->error()}};
  const transport::Facts stream = carriage_->facts();
  Json paths = Json::array();
  for (const transport::PathFacts& path : stream.paths) {
    paths.push_back({{"link", path.link},
                     {"answers", path.answers},
                     {"in_use", path.in_use},
                     {"packet_max", path.packet_max},
                     {"round_trip_us", path.round_trip.as_us()},
                     {"lost", path.lost}});
  }
  json["transport"] = {{"up", stream.up},
                       {"cipher", stream.cipher},
                       {"bytes_sent", stream.bytes_sent},
                       {"bytes_received", stream.bytes_received},
                       {"bytes_sent_again", stream.bytes_sent_again},
                       {"refused", stream.refused},
                       {"replayed", stream.replayed},
                       {"paths", paths}};
  const Counts& counts = engine_->counts();
  json["messages"] = {{"heard", counts.heard},
                      {"malformed", counts.malformed},
                      {"spoiled", counts.spoiled},
                      {"batches_sent", counts.batches_sent},
                      {"extents_sent", counts.extents_sent},
                      {"extents_written", counts.extents_written}};
  json["unsynced_bytes"] = s.issued - std::min(s.issued, s.committed);
  json["log"] = {{"length", s.record.ring_length},
                 {"used", s.issued - std::min(s.issued, s.record.tail)}};
  json["image"] = image_of(engine_->sums().facts(), engine_->sums().checks(), engine_->scrub());
  json["volume_bytes"] = s.record.volume_length;
  json["resize"] = {{"running", resize_.running},
                    {"bytes", resize_.bytes},
                    {"error", resize_.error},
                    {"text", resize_.text}};
  json["verify"] = verify_of(engine_->comparison(), s.record.volume_length, loop_.now());
  json["disk"] = {{"error", engine_->disk_error()}, {"full", engine_->disk_error() == ENOSPC}};
  return json;
}

}  // namespace cb::replication
