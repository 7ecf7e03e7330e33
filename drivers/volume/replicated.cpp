// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/replicated.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/duration.h"

namespace cb::volume {
namespace {

constexpr Duration kLookQuick = Duration::from_ms(100);  // while something is waited for
constexpr Duration kLookSlow = Duration::from_s(1);

// "auto", null: whatever it takes, or microseconds.
Json cpu_latency_of(const std::string& text) {
  const auto duration = config::parse_duration(text);
  if (duration) {
    return duration->as_us();
  }
  return text == "off" ? Json() : Json("auto");
}

}  // namespace

Replicated::Replicated(loop::Loop& loop, loop::Hands& hands, ReplicatedOptions options,
                       RegisterVoice register_voice)
    : loop_(loop),
      hands_(hands),
      options_(std::move(options)),
      folder_(config::volume_folder(options_.root, options_.directory, options_.instance)),
      register_(std::move(register_voice)),
      file_system_(loop, hands,
                   {.mount_point = options_.volume.mount_point.empty()
                                       ? std::string()
                                       : options_.root + options_.volume.mount_point,
                    .kind = options_.volume.file_system,
                    .options = options_.volume.mount_options,
                    .folder = folder_}) {
  status_.present = true;
  status_.text = "the volume process is not there yet";
  ProcessPlan plan;
  plan.command = {options_.program, "--root", options_.root.empty() ? "/" : options_.root,
                  "--instance", options_.instance};
  plan.socket = options_.root + "/run/crossbeat/volume-" + options_.instance + ".sock";
  plan.output_file = options_.root + "/var/log/crossbeat/volume-" + options_.instance + ".log";
  ProcessCalls calls;
  calls.on_connected = [this] { on_connected(); };
  calls.on_packet = [this](std::string_view packet) { on_packet(packet); };
  calls.on_lost = [this] { on_lost(); };
  calls.on_started = [this] { settle(); };
  calls.on_trouble = [this](const std::string& text) { trouble(text); };
  process_ = std::make_unique<Process>(loop, hands, std::move(plan), std::move(calls));
}

Replicated::~Replicated() {
  loop_.cancel(recovery_timer_);
  loop_.cancel(look_timer_);
  loop_.cancel(folder_timer_);
  explicit_bzero(options_.key.data(), options_.key.size());
}

void Replicated::listen(Events events) {
  events_ = std::move(events);
  look_at_folder();
}

void Replicated::trouble(const std::string& text) {
  if (text != trouble_) {
    trouble_ = text;
    log_warning("volume %s: %s", options_.instance.c_str(), text.c_str());
    if (events_.report) {
      events_.report(text);
    }
  }
  status_.text = text;
}

// ---- the process

void Replicated::settle() {
  settled_ = true;
  for (const auto& what : std::exchange(waiting_, {})) {
    what();
  }
}

// At start nobody knows yet whether a process of an earlier life has the device open.
void Replicated::when_settled(std::function<void()> what) {
  if (settled_) {
    what();
  } else {
    waiting_.push_back(std::move(what));
  }
}

void Replicated::on_connected() {
  static constexpr std::array<const char*, 4> kModes = {"strict", "sync", "fastsync", "async"};
  const config::Volume& volume = options_.volume;
  Json config{{"node", options_.node},
              {"mode", kModes.at(static_cast<std::size_t>(volume.mode))},
              {"directory", folder_},
              {"volume_bytes", volume.bytes},
              {"log_bytes", volume.log_bytes},
              {"front_end", options_.front_end},
              {"write_cache", options_.write_cache},
              {"cpu_latency", cpu_latency_of(options_.cpu_latency)},
              {"key", options_.key},
              {"cable", nullptr},
              {"network", nullptr}};
  if (!options_.cable_interface.empty()) {
    config["cable"] = Json{{"interface", options_.cable_interface}};
  }
  if (!options_.peer.empty()) {
    config["network"] =
        Json{{"address", options_.address}, {"peer", options_.peer}, {"port", volume.port}};
  }
  ask(Json{{"verb", "configure"}, {"config", std::move(config)}},
      [this](int error, const Json& reply) {
        if (error == EBUSY) {
          // It was paired, or unpaired, while the volume was in use.
          log_notice("volume %s: its process is replaced, to take up what it is now",
                     options_.instance.c_str());
          process_->replace();
          return;
        }
        if (error == ECONNRESET) {
          return;  // it ended; the one that follows is asked again
        }
        if (error != 0) {
          const std::string text = text_of(reply, "text");
          on_disk_failed(error,
                         "the volume cannot be opened: " + (text.empty() ? strerror(error) : text));
          settle();
          for (loop::Done& done : std::exchange(promote_done_, {})) {
            done(error);
          }
          return;
        }
        configured_ = true;
        trouble_.clear();
        recovered();
        if (std::exchange(take_all_, false)) {
          ask(Json{{"verb", "resync"}, {"full", true}, {"anew", false}}, [](int, const Json&) {});
        }
        if (serve_) {
          say_promote();
        }
        settle();
        ask_status();
      });
}

void Replicated::on_lost() {
  configured_ = false;
  promoting_ = false;
  status_.running = false;
  if (!serve_) {
    status_.in_step = false;
    status_.eligible = false;
  }
  status_.text =
      status_.failure ? trouble_ : std::string("the volume process is being started again");
  for (auto& [id, answered] : std::exchange(asked_, {})) {
    answered(ECONNRESET, Json::object());
  }
  loop_.cancel(look_timer_);
  // Who stands by without its process cannot take over.
  if (told_in_step_ == true && !serve_) {
    told_in_step_ = false;
    if (events_.fell_behind) {
      events_.fell_behind();
    }
  }
}

void Replicated::ask(Json request, Answered answered) {
  if (!process_->connected()) {
    answered(ENOTCONN, Json::object());
    return;
  }
  const std::uint64_t id = ++last_id_;
  Json message{{"id", id}};
  message.update(request);
  asked_.emplace(id, std::move(answered));
  std::string packet = message.dump(-1, ' ', false, Json::error_handler_t::replace);
  process_->send(std::move(packet));
}

void Replicated::on_packet(std::string_view packet) {
  const Json message = Json::parse(packet.begin(), packet.end(), nullptr, false);
  if (!message.is_object()) {
    trouble("the volume process said something that is not understood");
    return;
  }
  if (const std::string what = text_of(message, "register"); !what.empty()) {
    on_register(what, message);
  } else if (const std::string event = text_of(message, "event"); !event.empty()) {
    on_event(event, message);
  } else if (const auto found = asked_.find(number_of(message, "id")); found != asked_.end()) {
    const Answered answered = std::move(found->second);
    asked_.erase(found);
    answered(static_cast<int>(number_of(message, "error")), message);
  }
}

void Replicated::on_event(const std::string& event, const Json& message) {
  if (event == "progress") {
    status_.progress_permille =
        static_cast<std::uint16_t>(std::min<std::uint64_t>(number_of(message, "permille"), 1000));
    status_.bytes_left = number_of(message, "bytes_left");
    status_.rate = number_of(message, "rate");
    if (events_.progress) {
      events_.progress(status_.progress_permille);
    }
    return;
  }
  if (event == "stalled") {
    const std::string stall = text_of(message, "stall");
    if (stall != status_.stall && events_.report) {
      events_.report(stall == "none" ? "the volume goes on"
                                     : "the volume waits: " + text_of(message, "text"));
    }
    status_.stall = stall;
    status_.stall_text = text_of(message, "text");
    say_alone();
  } else if (event == "verified" || event == "differs") {
    if (events_.report) {
      const bool differs = event == "differs";
      events_.report((differs ? "ALARM: " : "compared: ") + text_of(message, "text"));
    }
  } else if (event == "resized") {
    if (events_.report) {
      const bool done = number_of(message, "error") == 0;
      events_.report((done ? "resized: " : "NOT resized: ") + text_of(message, "text"));
    }
  } else if (event == "deposed") {
    trouble("another node was given the right to write: this one no longer writes");
    if (events_.disk_failed) {
      events_.disk_failed(ESTALE);
    }
  } else if (event == "disk-failed") {
    on_disk_failed(static_cast<int>(number_of(message, "error")),
                   "the disk failed: " + text_of(message, "text"));
  }
  // What in-step and fell-behind mean depends on who writes: the status has both.
  ask_status();
}

// ---- the register

void Replicated::on_register(const std::string& what, const Json& message) {
  const std::uint64_t number = number_of(message, "number");
  const std::function<void(Json)> answer = leash_.guard([this, number](Json reply) {
    reply["register"] = "answer";
    reply["number"] = number;
    process_->send(reply.dump());
  });
  const auto expected = read_register(part_of(message, "expected"));
  const auto wanted = read_register(part_of(message, "wanted"));
  // What its record says now, and not what it said a while ago.
  ask_status(leash_.guard([=, this](int error) {
    if (error != 0) {
      answer(Json{{"error", error}});
    } else if (what == "read") {
      register_.read(report_.own, [answer](int failed, const Register& seen) {
        Json reply{{"error", failed}};
        if (failed == 0) {
          reply["seen"] = register_json(seen);
        }
        answer(std::move(reply));
      });
    } else if (what == "swap" && expected && wanted) {
      register_.swap(report_.own, *expected, *wanted, [answer](int failed, bool granted) {
        answer(Json{{"error", failed}, {"granted", failed == 0 && granted}});
      });
    } else {
      answer(Json{{"error", EINVAL}});
    }
  }));
}

// ---- how things stand

void Replicated::ask_status(std::function<void(int error)> then) {
  ask(Json{{"verb", "status"}}, [this, then = std::move(then)](int error, const Json& reply) {
    if (error == 0) {
      take_status(part_of(reply, "status"));
    }
    if (then) {
      then(error);
    }
  });
}

void Replicated::take_status(const Json& status) {
  const std::uint16_t progress = status_.progress_permille;
  if (!read_status(status, status_, report_)) {
    trouble("the status of the volume process is not understood");
    return;
  }
  if (status_.stall == "disk-failed" && !status_.failure) {
    // In an earlier life of this monitor.
    on_disk_failed(report_.disk_error == 0 ? EIO : report_.disk_error,
                   std::string("the disk failed: ") + strerror(report_.disk_error));
  }
  status_.text = trouble_;
  if (register_.look) {
    register_.look(report_.own);
  }
  if (status_.bytes > options_.volume.bytes) {
    options_.volume.bytes = status_.bytes;
    if (events_.grown) {
      events_.grown(status_.bytes);
    }
  }
  if (status_.sync != "none" && status_.progress_permille != progress && events_.progress) {
    events_.progress(status_.progress_permille);
  }
  judge_step();
  say_alone();
  plan_next_look();
}

void Replicated::plan_next_look() {
  const bool waits = following_ && told_in_step_ != true;
  loop_.cancel(look_timer_);
  look_timer_ = loop_.after(waits ? kLookQuick : kLookSlow, leash_.guard([this] { ask_status(); }));
}

// A copy that follows comes into step when it and the writer name the same epoch: before the writer
// was heard its own record cannot know that somebody went on without it. It stays in step when the
// stream breaks, since that is how a dying writer looks. But when the peer's monitor goes on
// answering it is the stream that is broken, and the writer waits for somebody who does not hear
// it: then it must be told that it may go on alone.
void Replicated::judge_step() {
  const VolumeReport& r = report_;
  const bool with_writer = r.peer_heard && r.peer_serving && r.peer_epoch == r.own.epoch;
  if (r.peer_heard || !following_ || !options_.peer_is_there()) {
    unheard_since_ = Instant::never();
  } else if (unheard_since_.is_never()) {
    unheard_since_ = boottime_now();
  }
  const bool cut_off =
      !unheard_since_.is_never() && boottime_now() >= unheard_since_ + options_.stream_may_break;
  const bool stays = told_in_step_ == true && !cut_off;
  const bool in_step = r.in_step && (status_.serving || !following_ || stays || with_writer);
  status_.in_step = in_step;
  if (told_in_step_ == in_step) {
    return;
  }
  told_in_step_ = in_step;
  const auto& tell = in_step ? events_.in_step : events_.fell_behind;
  if (tell) {
    tell();
  }
}

// ---- verbs

void Replicated::promote(bool accept_loss, loop::Done done) {
  serve_ = true;
  accept_loss_ = accept_loss;
  following_ = false;
  told_in_step_ = false;  // from now on it is the standby's
  promote_done_.push_back(std::move(done));
  if (!configured_) {
    if (status_.failure && recovery_timer_) {
      begin_again();  // somebody wants it now
      return;
    }
    if (settled_ && !process_->connected() && !trouble_.empty()) {
      for (loop::Done& each : std::exchange(promote_done_, {})) {
        each(ENODEV);
      }
    }
    return;  // told when it is there
  }
  if (promoting_) {
    // It did not get there within its rung: what it waits for may be over. Once more from the
    // start.
    promoting_ = false;
    ask(Json{{"verb", "demote"}, {"hand_over", false}}, [](int, const Json&) {});
  }
  say_promote();
}

void Replicated::say_promote() {
  promoting_ = true;
  Json request{{"verb", "promote"}};
  if (accept_loss_) {
    request["accept_loss"] = true;
  }
  ask(std::move(request), [this](int error, const Json& reply) {
    if (!promoting_ || error == ECONNRESET || error == ECANCELED || !serve_) {
      return;  // the one that follows is answered
    }
    on_promoted(error, reply);
  });
  if (alone_) {
    ask(Json{{"verb", "go-alone"}}, [](int, const Json&) {});
  }
}

void Replicated::on_promoted(int error, const Json& reply) {
  promoting_ = false;
  if (error == 0) {
    accept_loss_ = false;
    status_.serving = true;
    status_.device = text_of(reply, "device");
  } else {
    trouble("this copy cannot be written: " +
            (text_of(reply, "text").empty() ? strerror(error) : text_of(reply, "text")));
  }
  for (loop::Done& done : std::exchange(promote_done_, {})) {
    done(error);
  }
  ask_status();
}

void Replicated::demote(bool hand_over, loop::Done done) {
  when_settled(leash_.guard([this, hand_over, done = std::move(done)] {
    if (hand_over) {
      demote_now(true, done);
      return;
    }
    // Whatever still has it open: nothing of this node may write any more.
    file_system_.unmount(
        true, leash_.guard([this, done](int, const std::string&) { demote_now(false, done); }));
  }));
}

void Replicated::demote_now(bool hand_over, loop::Done done) {
  if (!hand_over) {
    serve_ = false;
  }
  for (loop::Done& each : std::exchange(promote_done_, {})) {
    each(ECANCELED);
  }
  if (!process_->connected()) {
    // Nobody knows whether the peer holds everything; without a process nothing is written here.
    done(hand_over ? ENOTCONN : 0);
    return;
  }
  ask(Json{{"verb", "demote"}, {"hand_over", hand_over}},
      [this, hand_over, done = std::move(done)](int error, const Json& reply) {
        if (error == 0 || (error == ECONNRESET && !hand_over)) {
          serve_ = false;
          promoting_ = false;
          status_.serving = false;
          status_.device.clear();
          told_in_step_.reset();
          if (status_.failure) {
            following_ = true;
            recover_later();
            if (events_.disk_failed) {
              events_.disk_failed(status_.failure->error);  // that it was let go of mends nothing
            }
          }
        } else {
          trouble("this copy could not be let go of: " +
                  (text_of(reply, "text").empty() ? strerror(error) : text_of(reply, "text")));
        }
        done(error);
        ask_status();
      });
}

void Replicated::resync(Resync how, loop::Done done) {
  following_ = true;
  told_in_step_ = false;
  status_.in_step = false;
  if (status_.failure || (how == Resync::Full && !configured_)) {
    take_all_ = take_all_ || how == Resync::Full;
    begin_again();  // somebody mended it
    done(0);
    return;
  }
  if (!process_->connected()) {
    done(0);  // it follows by itself as soon as it is there
    return;
  }
  ask(Json{{"verb", "resync"}, {"full", how == Resync::Full}, {"anew", how == Resync::Anew}},
      [this, done = std::move(done)](int error, const Json&) {
        done(error);
        ask_status();
      });
}

void Replicated::pause(bool on, loop::Done done) {
  ask(Json{{"verb", "pause"}, {"on", on}},
      [done = std::move(done)](int error, const Json&) { done(error); });
}

void Replicated::verify(bool on, loop::Done done) {
  ask(Json{{"verb", "verify"}, {"on", on}},
      [this, done = std::move(done)](int error, const Json& /*reply*/) {
        if (error != 0) {
          done(error);
          return;
        }
        ask_status(done);
      });
}

void Replicated::resize(std::uint64_t bytes, bool dry_run,
                        std::function<void(int error, const std::string& text)> done) {
  ask(Json{{"verb", "resize"}, {"bytes", bytes}, {"dry_run", dry_run}},
      [this, done = std::move(done)](int error, const Json& reply) {
        const std::string text = text_of(reply, "text");
        if (error != 0) {
          done(error, text.empty() ? strerror(error) : text);
          return;
        }
        ask_status([done](int failed) { done(failed, failed == 0 ? "" : strerror(failed)); });
      });
}

void Replicated::allow_alone(bool allowed) {
  if (alone_ == allowed) {
    return;
  }
  alone_ = allowed;
  if (alone_ && serve_ && configured_ && !status_.alone) {
    ask(Json{{"verb", "go-alone"}}, [this](int, const Json&) { ask_status(); });
  }
}

// A peer that is on its way back into step may close the gate and go again before it is: then the
// right to be alone, which still stands, has to be asked for once more.
void Replicated::say_alone() {
  if (alone_ && serve_ && configured_ && !status_.alone && status_.stall == "no-peer") {
    status_.stall = "none";  // until it says so again
    ask(Json{{"verb", "go-alone"}}, [](int, const Json&) {});
  }
}

void Replicated::end() {
  ended_ = true;
  loop_.cancel(recovery_timer_);
  loop_.cancel(look_timer_);
  loop_.cancel(folder_timer_);
  process_->stay_down();
  if (!serve_) {
    ask(Json{{"verb", "end"}}, [](int, const Json&) {});
  }
}

Status Replicated::status() const {
  Status now = status_;
  if (now.text.empty()) {
    now.text = now.standing;
  }
  return now;
}

void Replicated::history(std::function<void(int error, const std::string& json)> done) {
  ask(Json{{"verb", "history"}}, [done = std::move(done)](int error, const Json& reply) {
    done(error, part_of(reply, "history").dump(-1, ' ', false, Json::error_handler_t::replace));
  });
}

void Replicated::mount(loop::Done done) {
  if (status_.device.empty()) {
    done(ENODEV);
    return;
  }
  file_system_.mount(status_.device, leash_.guard([this, done = std::move(done)](
                                                      int error, const std::string& text) {
    status_.mounted = error == 0 && !options_.volume.mount_point.empty();
    if (error != 0) {
      trouble("mount: " + text);
    }
    done(error);
  }));
}

void Replicated::unmount(bool detach, loop::Done done) {
  file_system_.unmount(
      detach, leash_.guard([this, done = std::move(done)](int error, const std::string& text) {
        if (error != 0) {
          trouble("unmount: " + text);
        } else {
          status_.mounted = false;
        }
        done(error);
      }));
}

}  // namespace cb::volume
