// SPDX-License-Identifier: Apache-2.0
#include "replication/engine.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace cb::replication {

using namespace core::volume;

namespace {

constexpr Duration kTickLeast = Duration::from_ms(1);
constexpr std::size_t kViewAtOnce = 4u << 20;

}  // namespace

Engine::Engine(loop::Loop& loop, loop::Hands& hands, EngineDisks disks,
               transport::Carriage& carriage, const Settings& settings, const std::string& folder,
               EngineCalls calls)
    : loop_(loop),
      hands_(hands),
      folder_(folder),
      calls_(std::move(calls)),
      disks_(std::move(disks)),
      carriage_(carriage),
      settings_(settings) {
  protection_ = std::make_unique<Protection>(loop, pool_, hands, folder, folder + "/home");
}

Engine::~Engine() {
  loop_.cancel(tick_);
  loop_.cancel(apply_timer_);
}

void Engine::start(const Found& found, std::uint64_t session, Generation seed) {
  const Record& record = found.record;
  map_words_ = found.map;
  log_ = std::make_unique<Log>(*disks_.log, pool_, record.ring_length, record.volume_length);
  sums_ = std::make_unique<Sums>(loop_, pool_, *disks_.home, std::move(disks_.sums),
                                 record.volume_length);
  found_end_ = found.end;
  if (record.copying != 0) {
    sums_->doubt_all();
  } else {
    sums_->doubt(found.changed);
  }
  home_ = std::make_unique<Home>(*sums_, pool_, record.volume_length);
  protection_->set_length(record.volume_length);
  reader_ = std::make_unique<Reader>(view_, *log_, *home_);
  desk_ = std::make_unique<Desk>(
      s_, pool_, *reader_, record.volume_length,
      Desk::Calls{[this](const Event& e) { event(e); }, [this] { return stepping_; },
                  [this](std::uint64_t id, int error) { calls_.answer(id, error); }});
  mending_ =
      std::make_unique<Mending>(loop_, pool_, *sums_, s_, record.volume_length,
                                [this](const Message& message, std::span<const std::byte> payload) {
                                  say(transport::Priority::Control, message, nullptr, payload);
                                });
  comparing_ =
      std::make_unique<Comparing>(loop_, pool_, *sums_, record.volume_length, comparing_calls());
  mending_->compare_by([this](std::uint64_t stretch, std::function<void(int)> done) {
    comparing_->compare(stretch, std::move(done));
  });
  log_->written_to(found.end);
  begin(s_, settings_, DirtyMap(map_words_, record.volume_length));
  // What an old protection left is in order before anything may overwrite the image.
  protection_->open(record.copying != 0, leash_.guard([this, found, session, seed](int error) {
    if (error != 0) {
      log_warning("volume: the image kept aside cannot be opened: %s",
                  to_text(fail(error, "home.kept")).c_str());
    }
    Event started = event_of(EventKind::Started);
    started.record = &found.record;
    started.position = found.end;
    started.digest = found.digest;
    started.committed = found.committed;
    started.damaged_until = found.damaged_until;
    started.kept = error == 0 && protection_->kept().has_value();
    started.session = session;
    started.seed = seed;
    issued_before_ = found.end;
    copying_before_ = found.record.copying;
    event(started);
    listen();
  }));
}

// ---- steps

// Events with pointers are never queued: they come from outside, where no step is under way.
void Engine::event(const Event& event) {
  if (stepping_ || (!s_.started && event.kind != EventKind::Started)) {
    CB_CHECK(event.record == nullptr && event.message == nullptr);
    events_.push_back(event);
    return;
  }
  step(event);
  while (!events_.empty()) {
    const Event next = events_.front();
    events_.pop_front();
    step(next);
  }
  desk_->pump();
  take_waiting();
  // Outside of every step: the other side may call in again.
  while (!told_.empty() && !stepping_) {
    const auto call = std::move(told_.front());
    told_.pop_front();
    call();
  }
  if (std::exchange(hurry_, false)) {
    carriage_.hurry();
  }
  schedule_tick();
}

void Engine::step(const Event& event) {
  stepping_ = true;
  const Actions actions = core::volume::step(s_, event, loop_.now());
  after_step();
  run(actions);
  stepping_ = false;
}

void Engine::tell(std::function<void()> call) { told_.push_back(std::move(call)); }

// What the step changed behind the actions: a log that was cut, or begun anew for a copy.
void Engine::after_step() {
  if (s_.issued < issued_before_) {
    log_->forget_from(s_.issued);
  }
  if (s_.wanted.copying != copying_before_) {
    log_->forget_all();
    // Ended, and not because the copy is whole: the image is another one than the sums are of.
    forget_sums_ = copying_before_ != 0 && s_.wanted.copying == 0 && !s_.following.releasing;
    copying_before_ = s_.wanted.copying;
  }
  issued_before_ = s_.issued;
  log_->written_to(s_.appended);
  if (doubts_ && s_.started && s_.applied >= found_end_ && s_.record.copying == 0 &&
      s_.wanted.copying == 0) {
    doubts_ = false;
    sums_->trust();
  }
  if (s_.stage == Stage::Standing && (view_ready_ || view_building_)) {
    view_ready_ = view_building_ = false;
    view_.clear();
  }
  if (s_.failed && !failed_told_) {
    failed();
  }
  if (apply_waits_ && apply_is_urgent()) {
    start_apply();
  }
}

void Engine::failed() {
  failed_told_ = true;
  disk_error_ = disk_error_ != 0 ? disk_error_ : EIO;
  log_error(
      "volume: a disk failed (%s): nothing is acknowledged until a restart has read the log anew",
      to_text(fail(disk_error_, "write")).c_str());
  tell([this] {
    desk_->refuse(EIO);
    calls_.disk_failed(disk_error_);
  });
}

void Engine::schedule_tick() {
  const Instant due = next_deadline(s_);
  const Instant at = std::max(due, last_tick_ + kTickLeast);
  if (due.is_never()) {
    loop_.cancel(tick_);
    tick_ = {};
    return;
  }
  // A tick that comes early finds the next deadline; only one that would be late is moved.
  if (tick_ && tick_.at <= at) {
    return;
  }
  loop_.cancel(tick_);
  tick_ = loop_.at(at, leash_.guard([this] {
    tick_ = {};
    last_tick_ = loop_.now();
    event(event_of(EventKind::Tick));
  }));
}

void Engine::run(const Actions& actions) {
  for (const Action& action : actions) {
    run(action);
  }
}

void Engine::run(const Action& action) {
  switch (action.kind) {
    case ActionKind::None: break;
    case ActionKind::AnswerWrites: desk_->answer_writes(action.slot, action.error); break;
    case ActionKind::AnswerFlushes: desk_->answer_flushes(action.number, action.error); break;
    case ActionKind::Append: append(action); break;
    case ActionKind::Sync: sync(action); break;
    case ActionKind::Record: record(); break;
    case ActionKind::Apply: apply(action); break;
    case ActionKind::SyncHome: sync_home(action); break;
    case ActionKind::Fold: fold(action); break;
    case ActionKind::ReadRegister: tell([this] { calls_.read_register(); }); break;
    case ActionKind::SwapRegister:
      tell([this, expected = action.expected, wanted = action.wanted] {
        calls_.swap_register(expected, wanted);
      });
      break;
    case ActionKind::Say: say(transport::Priority::Control, action.message, nullptr, {}); break;
    case ActionKind::Send: send(action); break;
    case ActionKind::SendExtent: send_extent(action); break;
    case ActionKind::WriteExtent: write_extent(action); break;
    case ActionKind::ProtectImage:
      protection_->protect(s_.record.copying == 0, action.number == 1,
                           leash_.guard([this](int error) {
                             if (error != 0) {
                               disk_error_ = error;
                               log_error("volume: the image cannot be kept aside: %s",
                                         to_text(fail(error, "protect the home image")).c_str());
                             }
                             event(event_of(EventKind::ImageProtected, error));
                           }));
      break;
    case ActionKind::ReleaseImage:
      protection_->release([](int error) {
        if (error != 0) {
          log_warning("volume: %s", to_text(fail(error, "remove the image kept aside")).c_str());
        }
      });
      break;
    case ActionKind::RestoreImage:
      restoring_ = true;
      restore_image();
      break;
    case ActionKind::GrowFiles: grow(action); break;
    case ActionKind::LengthChanged: length_changed(); break;
    case ActionKind::ResizeDone:
      tell([this, error = action.error, at_peer = action.slot == 1] {
        calls_.resized(error, at_peer);
      });
      break;
    case ActionKind::ReadSums: comparing_->read_sums(action); break;
    case ActionKind::SendSums: comparing_->send_sums(action); break;
    case ActionKind::KeepSums: comparing_->keep_sums(payload_heard_); break;
    case ActionKind::VerifyDone:
      tell([this, error = action.error] { comparing_->verify_done(error); });
      break;
    case ActionKind::PromoteDone:
      tell([this, error = action.error] {
        if (error != 0) {
          calls_.promoted(error);
        } else {
          build_view();
        }
      });
      break;
    case ActionKind::DiscardDone:
      tell([this, error = action.error] { calls_.discarded(error); });
      break;
    case ActionKind::DemoteDone:
      tell([this, error = action.error] {
        if (error == 0) {
          desk_->refuse(ESHUTDOWN);
        }
        calls_.demoted(error);
      });
      break;
    case ActionKind::InStep: tell([this] { calls_.in_step(true); }); break;
    case ActionKind::FellBehind: tell([this] { calls_.in_step(false); }); break;
    case ActionKind::Deposed:
      tell([this] {
        desk_->refuse(EIO);
        calls_.deposed();
      });
      break;
    case ActionKind::Stalled: tell([this, stall = action.stall] { calls_.stalled(stall); }); break;
  }
}

// ---- what the log holds and the image does not

void Engine::build_view() {
  if (view_ready_) {
    desk_->open();
    calls_.promoted(0);
    return;
  }
  if (view_building_) {
    return;
  }
  view_building_ = true;
  view_.clear();
  struct Building {
    Position at = 0;
    Position end = 0;
    std::function<void(int, const std::vector<BatchPtr>&)> next;
  };
  auto building = std::make_shared<Building>();
  building->at = s_.applied;
  building->end = s_.issued;
  const auto finish = [this, building](int error) {
    building->next = nullptr;
    if (!view_building_) {
      calls_.promoted(ECANCELED);
      return;
    }
    view_building_ = false;
    if (error != 0) {
      log_error("volume: the log cannot be read: %s", to_text(fail(error, "read the log")).c_str());
      view_.clear();
      calls_.promoted(error);
      return;
    }
    view_.forget_before(s_.applied);  // applied meanwhile
    view_ready_ = true;
    desk_->open();
    calls_.promoted(0);
  };
  building->next =
      leash_.guard([this, building, finish](int error, const std::vector<BatchPtr>& batches) {
        for (const BatchPtr& batch : batches) {
          view_.put(batch->header);
          building->at = batch->header.end();
        }
        if (error != 0 || building->at >= building->end || !view_building_) {
          // Not from within itself: the function is one of the things that are let go.
          loop_.post(leash_.guard([finish, error] { finish(error); }));
          return;
        }
        log_->fetch(building->at, building->end, kViewAtOnce, building->next);
      });
  building->next(0, {});
}

// ---- the monitor's verbs

void Engine::promote(bool accept_loss) {
  if (s_.stage == Stage::Standing) {
    desk_->hold();
  }
  Event promote = event_of(EventKind::Promote);
  promote.accept_loss = accept_loss;
  event(promote);
}

void Engine::demote(bool hand_over) {
  Event demote = event_of(EventKind::Demote);
  demote.hand_over = hand_over;
  event(demote);
}

void Engine::go_alone() { event(event_of(EventKind::GoAlone)); }

void Engine::discard() { event(event_of(EventKind::Discard)); }

void Engine::pause(bool on) {
  paused_ = on;
  pump_extents();
}

void Engine::resize(std::uint64_t bytes) {
  Event resize = event_of(EventKind::Resize);
  resize.number = bytes;
  event(resize);
}

void Engine::agree_anew() {
  if (s_.link) {
    log_notice("volume: what was agreed with the peer is agreed anew");
    event(event_of(EventKind::LinkDown));
    event(event_of(EventKind::LinkUp));
  }
}

void Engine::set_mode(Mode mode) {
  s_.settings.mode = settings_.mode = mode;
  if (s_.started) {
    event(event_of(EventKind::Tick));
  }
}

void Engine::register_read(int error, const Register& seen) {
  Event answer = event_of(EventKind::RegisterRead, error);
  answer.seen = seen;
  event(answer);
}

void Engine::register_swapped(int error, bool granted) {
  Event answer = event_of(EventKind::RegisterSwapped, error);
  answer.granted = granted;
  event(answer);
}

std::uint64_t Engine::bytes_behind() const {
  if (s_.stage == Stage::Standing) {
    const Position end = s_.peer.agreed ? std::max(s_.peer.end, s_.issued) : s_.issued;
    return end - s_.issued + (s_.record.copying != 0 ? extents_left_ : 0);
  }
  const std::uint64_t log = s_.follower.active ? s_.issued - s_.follower.received : 0;
  return log + (s_.copying.active ? s_.map.set_count() * kExtent : 0);
}

}  // namespace cb::replication
