// SPDX-License-Identifier: Apache-2.0
//
// The parts of one step. Private to this folder.
#pragma once

#include "core/transport/step.h"

namespace cb::core::transport {

inline Record& record_of(State& s, uint64_t number) { return s.records[number % kRecords]; }
inline Path& path_of(State& s, int path) { return s.paths[static_cast<std::size_t>(path)]; }
inline const Path& path_of(const State& s, int path) {
  return s.paths[static_cast<std::size_t>(path)];
}
inline bool usable(const Path& path) { return path.carrier && path.size >= kSizeMin; }

// recovery.cpp
void on_ack(State& s, const Ack& ack, Instant now, Outcome& out);
void lose(State& s, uint64_t number);  // its data is sent again
void lose_path(State& s, int path);    // everything under way on it
void advance_floor(State& s);
void recovery_tick(State& s, int path, Instant now);
Instant recovery_deadline(const Path& path, const Settings& settings);
Duration probe_span(const Path& path, const Settings& settings);
void sample(Path& path, Duration trip, Duration delay, Instant now);

// window.cpp
void open_window(State& s, Path& path);
void on_arrived(State& s, Path& path, const Record& record);
void on_loss(State& s, Path& path, Instant sent, Instant now);
void end_round(State& s, Path& path);

// paths.cpp
void on_path_changed(State& s, const Event& event, Instant now);
void on_pong(State& s, int path, const Frames& frames, Instant now);
void paths_tick(State& s, Instant now);
void answered(Path& path, Instant now);
Instant paths_deadline(const State& s);
bool blocked(const State& s);  // there is more to send than the peer lets us
void ping_sent(State& s, int path, Instant now, Frames& frames);

// probe.cpp: the size of packets
void start_probe(Path& path, uint32_t high);
bool on_probe_pong(Path& path, const Frames& frames, Instant now);
void probe_tick(State& s, Path& path, Instant now);
void probe_sent(Path& path, const Settings& settings, Instant now, Frames& frames);

// receive.cpp
void on_packet(State& s, const Event& event, Instant now, Outcome& out);
void on_consumed(State& s, const Event& event);
void write_ack(State& s, Instant now, Ack& ack);

}  // namespace cb::core::transport
