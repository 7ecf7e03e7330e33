// SPDX-License-Identifier: Apache-2.0
//
// The parts of one step. Private to this folder.
#pragma once

#include "core/volume/history.h"
#include "core/volume/step.h"

namespace cb::core::volume {

struct Work {
  State& s;
  const Event& event;
  Instant now;
  Actions& out;

  Action& push(ActionKind kind) {
    out.push(Action{});
    out.back().kind = kind;
    return out.back();
  }
  // With sessions and how we stand filled in.
  Message& say(MessageKind kind);
  Message message(MessageKind kind) const;
};

// disk.cpp
void fail(Work& w, int error);
bool log_idle(const State& s);  // nothing of the log is on its way to the disk
bool settled(const State& s);   // ... and everything issued is durable
void on_appended(Work& w);
void on_synced(Work& w);
void on_recorded(Work& w);
void pump_sync(Work& w);
void pump_record(Work& w);

// home.cpp
void on_applied(Work& w);
void on_home_synced(Work& w);
void on_folded(Work& w);
void pump_home(Work& w);
bool can_fold(const State& s);
void start_fold(Work& w, Position to);

// writer.cpp
void on_write(Work& w);
void on_flush(Work& w);
void drop_front_end(Work& w, int error);
void pump_writer(Work& w);
Position wanted_flush(const State& s);
bool flush_is_expected(const State& s);  // of the batch that was issued last

// claim.cpp
void on_promote(Work& w);
void on_demote(Work& w);
void on_go_alone(Work& w);
void on_register_read(Work& w);
void on_register_swapped(Work& w);
void on_joined(Work& w);
void refuse_promotion(Work& w, int error);
Epoch epoch_from_here(State& s);  // of this node, with a number above all that were heard of
void depose(Work& w);
void abandon_claim(State& s);
void pump_claim(Work& w);

// handshake.cpp
bool one_history(const State& s);
void say_hello(Work& w);
void on_hello(Work& w);
void on_link_up(Work& w);
void on_link_down(Work& w);
void forget_link(State& s);
void pump_hello(Work& w);

// follow.cpp
void stop_following(State& s);
void prepare_to_follow(Work& w, const Comparison& comparison);
void say_follow(Work& w);
void on_batch(Work& w);
void on_note(Work& w);
void on_join(Work& w);
void pump_following(Work& w);

// lead.cpp
void on_follow(Work& w);
void on_ack(Work& w);
void on_sent(Work& w);
void pump_lead(Work& w);
bool peer_in_step(const State& s);
bool ready_to_join(const State& s);

// verify.cpp
void on_verify(Work& w);
void on_ask_sums(Work& w);
void on_give_sums(Work& w);
void on_sums_read(Work& w);
void pump_verify(Work& w);
Position apply_limit(const State& s);  // the home image must not go beyond it now

// resize.cpp
void on_resize(Work& w);
void on_files_grown(Work& w);
void heard_length(Work& w, bool leads);  // with every Hello
void pump_resize(Work& w);

// copy_out.cpp
void start_copy(Work& w, const Message& follow);
void on_extent_sent(Work& w);
void on_extent_done(Work& w);
void finish_copy(Work& w);
void pump_copy_out(Work& w);

// copy_in.cpp
void on_copy(Work& w);
void on_discard(Work& w);
void on_image_protected(Work& w);
void on_extent(Work& w);
void on_extent_written(Work& w);
void on_copy_end(Work& w);
void pump_copy_in(Work& w);

// restore.cpp
bool can_restore(const State& s);
void begin_restore(Work& w);
void on_image_restored(Work& w);
void pump_restore(Work& w);

}  // namespace cb::core::volume
