// SPDX-License-Identifier: Apache-2.0
#include "replication/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "replication/report.h"
#include "replication/verify_report.h"

namespace cb::replication {

using namespace core::volume;

namespace {

constexpr Duration kRegisterPatience = Duration::from_s(5);
constexpr Duration kProgressEvery = Duration::from_ms(250);

int make_folder(const std::string& path) {
  return ::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST ? 0 : errno;
}

Result<Fd> take_lock(const Places& places) {
  for (const char* part : {"/run", "/run/crossbeat"}) {
    if (const int error = make_folder(places.root + part); error != 0) {
      return fail(error, "make the folder " + places.root + part);
    }
  }
  Fd fd(::open(places.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) {
    return fail(errno, "open " + places.lock());
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(errno == EWOULDBLOCK ? EBUSY : errno,
                "lock " + places.lock() + ": another process has this volume");
  }
  return fd;
}

bool draw(void* into, std::size_t bytes) {
  return ::getrandom(into, bytes, 0) == static_cast<ssize_t>(bytes);
}

Result<> fits(const Found& found, const Settings& settings) {
  const Record& record = found.record;
  // The superblock knows of every resize, the configuration perhaps not yet.
  if (record.node != settings.node || record.volume_length < settings.volume_bytes ||
      record.ring_length != settings.log_bytes) {
    return fail(EINVAL, "the volume on disk is of node " + std::to_string(record.node) + " with " +
                            std::to_string(record.volume_length) + " bytes and a log of " +
                            std::to_string(record.ring_length) +
                            ", the configuration says otherwise");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Process>> Process::open(loop::Loop& loop, loop::Hands& hands,
                                               const Places& places, Makers makers) {
  std::unique_ptr<Process> process(new Process(loop, hands, std::move(makers)));
  CB_TRY(lock, take_lock(places));
  process->lock_ = std::move(lock);
  ControlSocket::Calls calls;
  calls.on_packet = [p = process.get()](const Json& packet) { p->on_packet(packet); };
  calls.on_gone = [p = process.get()] { p->on_gone(); };
  CB_TRY(control, ControlSocket::open(loop, places.socket(), std::move(calls)));
  process->control_ = std::move(control);
  return process;
}

Process::~Process() {
  loop_.cancel(asked_timer_);
  loop_.cancel(progress_timer_);
}

bool Process::ended() const { return ending_ && control_->drained(); }

bool Process::writes() const {
  return engine_ != nullptr && engine_->state().stage != Stage::Standing;
}

// ---- the conversation

void Process::event(Json packet) { control_->send(packet); }

void Process::reply(const Verb& verb, int error, const std::string& text) {
  if (verb.connection != connection_) {
    return;  // whoever asked is gone
  }
  Json json;
  json["id"] = verb.id;
  json["error"] = error;
  if (error != 0) {
    json["text"] = text.empty() ? to_text(fail(error, "volume")) : text;
  }
  control_->send(json);
}

void Process::reply_all(std::vector<Verb>& verbs, int error, const std::string& text) {
  for (const Verb& verb : std::exchange(verbs, {})) {
    reply(verb, error, text);
  }
}

// What was begun goes on; the next monitor asks how it stands.
void Process::on_gone() {
  ++connection_;
  configured_ = false;
  register_unanswered(asked_now_);
}

void Process::on_packet(const Json& packet) {
  if (packet.contains("register")) {
    on_register(packet);
    return;
  }
  const auto id = number_of(packet, "id");
  const auto verb = text_of(packet, "verb");
  if (!id || !verb) {
    log_warning("volume: a packet of the monitor has neither id and verb nor register");
    return;
  }
  on_verb(*id, *verb, packet);
}

void Process::on_verb(Id id, const std::string& name, const Json& packet) {
  const Verb verb{id, connection_};
  if (name == "configure") {
    configure(verb, packet);
    return;
  }
  if (name == "end") {
    if (writes() || attached_ || attaching_) {
      reply(verb, EBUSY, "it writes: demote it first");
      return;
    }
    ending_ = true;
    reply(verb, 0);
    return;
  }
  if (name == "status" && engine_ == nullptr) {
    Json json;
    json["id"] = id;
    json["error"] = 0;
    json["status"] = status();
    control_->send(json);
    return;
  }
  if (!configured_ || engine_ == nullptr) {
    reply(verb, EAGAIN, "configure it first");
    return;
  }
  if (name == "status") {
    Json json;
    json["id"] = id;
    json["error"] = 0;
    json["status"] = status();
    control_->send(json);
  } else if (name == "promote") {
    promoting_.push_back(verb);
    if (!demoting_.empty() && attached_ == false) {
      reply_all(demoting_, ECANCELED, "promoted meanwhile");
    }
    engine_->promote(flag_of(packet, "accept_loss"));
  } else if (name == "demote") {
    demote(verb, flag_of(packet, "hand_over"));
  } else if (name == "go-alone") {
    engine_->go_alone();
    reply(verb, 0);
  } else if (name == "resync") {
    if (flag_of(packet, "full")) {
      discarding_.push_back(verb);
      engine_->discard();
    } else {
      if (flag_of(packet, "anew")) {
        engine_->agree_anew();
      } else {
        engine_->pause(false);
      }
      reply(verb, 0);
    }
  } else if (name == "pause") {
    engine_->pause(flag_of(packet, "on"));
    reply(verb, 0);
  } else if (name == "verify") {
    int error = 0;
    if (const auto on = packet.find("on");
        on != packet.end() && on->is_boolean() && !on->get<bool>()) {
      engine_->end_verify();
    } else {
      error = engine_->verify();
    }
    reply(verb, error, verify_fault(error));
  } else if (name == "resize") {
    resize(verb, number_of(packet, "bytes").value_or(0), flag_of(packet, "dry_run"));
  } else if (name == "history") {
    control_->send({{"id", id}, {"error", 0}, {"history", history_of(engine_->state())}});
  } else {
    reply(verb, EINVAL, "no such verb: " + name);
  }
}

// ---- configure

void Process::configure(const Verb& verb, const Json& packet) {
  const auto config = packet.find("config");
  auto parsed = parse_settings(config == packet.end() ? Json() : *config);
  if (!parsed) {
    reply(verb, parsed.error().code, parsed.error().what);
    return;
  }
  if (engine_ != nullptr && parsed->volume_bytes <= engine_->state().record.volume_length) {
    settings_->volume_bytes = parsed->volume_bytes;
  }
  if (settings_ && !settings_->same_but_mode(*parsed)) {
    reply(verb, EBUSY, "it runs with another configuration: end it and start it anew");
    return;
  }
  if (settings_) {
    settings_->mode = parsed->mode;
    if (engine_) {
      engine_->set_mode(parsed->mode);
    }
    if (!starting_) {
      configured_ = true;
      reply(verb, 0);
      return;
    }
    configuring_.push_back(verb);
    return;
  }
  settings_ = std::move(*parsed);
  starting_ = true;
  configuring_.push_back(verb);
  struct Opened {
    OpenFiles files;
    Found found;
    Error error;
  };
  auto opened = std::make_shared<Opened>();
  hands_.run(
      [opened, folder = settings_->directory] {
        auto files = open_files(folder, true);
        if (!files) {
          opened->error = files.error();
          return opened->error.code;
        }
        auto found = inspect(*files);
        if (!found) {
          opened->error = found.error();
          return opened->error.code;
        }
        opened->files = std::move(*files);
        opened->found = std::move(*found);
        return 0;
      },
      leash_.guard([this, verb, opened](int error) {
        if (error != 0) {
          on_started(verb, error, to_text(opened->error));
          return;
        }
        if (auto right = fits(opened->found, *settings_); !right) {
          on_started(verb, right.error().code, right.error().what);
          return;
        }
        start_engine(std::move(opened->files), opened->found);
      }));
}

// error not 0: as if it had never been configured, so that a better configuration may come.
void Process::on_started(const Verb& /*verb*/, int error, const std::string& text) {
  starting_ = false;
  if (error != 0) {
    log_error("volume: %s", text.c_str());
    settings_.reset();
    engine_.reset();
    front_end_.reset();
    carriage_.reset();
  }
  configured_ = error == 0;
  reply_all(configuring_, error, text);
}

void Process::start_engine(OpenFiles files, const Found& found) {
  auto carriage =
      makers_.carriage(loop_, *settings_, found.record.instance_high ^ found.record.instance_low);
  if (!carriage) {
    on_started({}, carriage.error().code == 0 ? EINVAL : carriage.error().code,
               to_text(carriage.error()));
    return;
  }
  auto front_end = makers_.front_end(loop_, *settings_);
  if (!front_end) {
    on_started({}, front_end.error().code == 0 ? EINVAL : front_end.error().code,
               to_text(front_end.error()));
    return;
  }
  std::uint64_t session = 0;
  Generation seed;
  if (!draw(&session, sizeof session) || !draw(&seed, sizeof seed)) {
    on_started({}, EIO, "no random numbers");
    return;
  }
  carriage_ = std::move(*carriage);
  front_end_ = std::move(*front_end);
  const Record& record = found.record;
  log_notice("volume: %s, epoch %llu, log %llu..%llu, checkpoint %llu%s%s%s",
             name_of(record.standing), static_cast<unsigned long long>(record.epoch),
             static_cast<unsigned long long>(record.tail),
             static_cast<unsigned long long>(found.end),
             static_cast<unsigned long long>(record.checkpoint),
             found.damaged_until != 0 ? ", DAMAGED" : "",
             found.map_lost ? ", the dirty map is lost: the peer gets a copy of everything" : "",
             found.one_copy ? ", one copy of the superblock cannot be read" : "");
  pool_ = std::make_unique<Pool>();
  EngineDisks disks;
  disks.superblock = std::make_unique<FileDisk>(loop_, *pool_, std::move(files.superblock));
  disks.map = std::make_unique<FileDisk>(loop_, *pool_, std::move(files.map));
  disks.log = std::make_unique<FileDisk>(loop_, *pool_, std::move(files.log));
  disks.home = std::make_unique<FileDisk>(loop_, *pool_, std::move(files.home));
  disks.sums = std::move(files.sums);
  core::volume::Settings core_settings;
  core_settings.mode = settings_->mode;
  core_settings.window = std::min<std::uint64_t>(core_settings.window, settings_->log_bytes / 4);
  awake_ = std::make_unique<KeepAwake>(loop_, settings_->cpu_latency.limit(idle_driver()));
  engine_ = std::make_unique<Engine>(loop_, hands_, std::move(disks), *carriage_, core_settings,
                                     settings_->directory, engine_calls());
  engine_->start(found, session | 1, {seed.high | 1, seed.low});
  on_started({}, 0, {});
  watch_progress();
}

EngineCalls Process::engine_calls() {
  EngineCalls calls;
  calls.works = [this] { awake_->touch(); };
  calls.answer = [this](std::uint64_t id, int error) { front_end_->answer(id, error); };
  calls.promoted = [this](int error) { on_promoted(error); };
  calls.demoted = [this](int error) {
    // While the device is there, its end is the answer.
    if (error != 0 || (!attached_ && !attaching_)) {
      reply_all(demoting_, error);
    }
  };
  calls.discarded = [this](int error) { reply_all(discarding_, error); };
  calls.in_step = [this](bool in_step) { event({{"event", in_step ? "in-step" : "fell-behind"}}); };
  calls.deposed = [this] { event({{"event", "deposed"}}); };
  calls.stalled = [this](Stall stall) {
    stall_ = stall;
    event({{"event", "stalled"}, {"stall", name_of(stall)}, {"text", text_of(stall)}});
  };
  calls.disk_failed = [this](int error) {
    event({{"event", "disk-failed"}, {"error", error}, {"text", to_text(fail(error, "disk"))}});
  };
  calls.compared = [this](bool ended) {
    const CompareFacts facts = engine_->comparison();
    event({{"event", ended ? "verified" : "differs"}, {"text", text_of(facts)}});
  };
  calls.resized = [this](int error, bool at_peer) { on_resized(error, at_peer); };
  calls.read_register = [this] {
    asked_swap_ = false;
    ask_register({{"register", "read"}});
  };
  calls.swap_register = [this](const Register& expected, const Register& wanted) {
    asked_swap_ = true;
    ask_register(
        {{"register", "swap"}, {"expected", to_json(expected)}, {"wanted", to_json(wanted)}});
  };
  return calls;
}

// ---- promote and demote

void Process::on_promoted(int error) {
  promoted_ = error == 0;
  if (error != 0) {
    reply_all(promoting_, error);
    return;
  }
  attach();
}

void Process::attach() {
  const auto answer = [this](int error) {
    Json json;
    for (const Verb& verb : std::exchange(promoting_, {})) {
      if (error != 0) {
        reply(verb, error, to_text(fail(error, "attach the device")));
        continue;
      }
      if (verb.connection != connection_) {
        continue;
      }
      json = {{"id", verb.id}, {"error", 0}};
      const std::string device = front_end_->facts().device;
      json["device"] = device.empty() ? Json() : Json(device);
      control_->send(json);
    }
  };
  if (attached_) {
    answer(0);
    return;
  }
  if (attaching_) {
    return;
  }
  attaching_ = true;
  front_end_->attach(
      engine_->state().record.volume_length,
      [this](const volume::Request& request) { take(request); },
      leash_.guard([this, answer](int error) {
        attaching_ = false;
        attached_ = error == 0;
        answer(error);
      }));
}

// With a hand-over the device goes first, so that nothing is written any more; else the right goes
// first, so that what is still written fails.
void Process::demote(const Verb& verb, bool hand_over) {
  demoting_.push_back(verb);
  if (attaching_) {
    reply_all(demoting_, EBUSY, "the device is just being attached");
    return;
  }
  const bool left_behind = !attached_ && makers_.left_behind();
  attaching_ = left_behind;  // so that what the engine answers does not answer for the device
  if (!hand_over || left_behind) {
    promoted_ = false;
    engine_->demote(false);
  }
  if (attached_) {
    detach(hand_over);
  } else if (left_behind) {
    remove_left_behind();
  } else if (hand_over) {
    promoted_ = false;
    engine_->demote(true);
  }
}

void Process::take(volume::Request request) {
  request.fua = request.fua || !front_end_->has_write_cache();
  engine_->take(request);
}

void Process::detach(bool hand_over) {
  front_end_->detach(leash_.guard([this, hand_over](int error) {
    if (error != 0) {
      reply_all(demoting_, error, to_text(fail(error, "take the device away")));
      return;
    }
    attached_ = false;
    if (hand_over) {
      promoted_ = false;
      engine_->demote(true);
    } else {
      reply_all(demoting_, 0);
    }
  }));
}

// The process that attached it is gone, and this node is not to write any more: what still comes
// from it fails, and the device goes.
void Process::remove_left_behind() {
  engine_->refuse(ESHUTDOWN);
  front_end_->attach(
      engine_->state().record.volume_length,
      [this](const volume::Request& request) { engine_->take(request); },
      leash_.guard([this](int /*error*/) {
        // Its test that flushes arrive fails, of course.
        attaching_ = false;
        detach(false);
      }));
}

// ---- the register

std::uint64_t Process::ask_register(Json packet) {
  const std::uint64_t number = ++asked_;
  asked_now_ = number;
  packet["number"] = number;
  if (!control_->connected() || !configured_) {
    loop_.post(leash_.guard([this, number] { register_unanswered(number); }));
    return number;
  }
  control_->send(packet);
  loop_.cancel(asked_timer_);
  asked_timer_ =
      loop_.after(kRegisterPatience, leash_.guard([this, number] { register_unanswered(number); }));
  return number;
}

// Nobody knows what became of it: it is read again.
void Process::register_unanswered(std::uint64_t number) {
  if (number == 0 || number != asked_now_ || engine_ == nullptr) {
    return;
  }
  asked_now_ = 0;
  if (asked_swap_) {
    engine_->register_swapped(ETIMEDOUT, false);
  } else {
    engine_->register_read(ETIMEDOUT, {});
  }
}

void Process::on_register(const Json& packet) {
  const auto number = number_of(packet, "number");
  if (text_of(packet, "register") != "answer" || !number || *number != asked_now_ ||
      engine_ == nullptr) {
    return;  // late, or to nobody
  }
  loop_.cancel(asked_timer_);
  asked_now_ = 0;
  const auto error = packet.find("error");
  const bool fine = error != packet.end() && error->is_number_integer() && error->get<int>() == 0;
  if (asked_swap_) {
    engine_->register_swapped(fine ? 0 : EIO, flag_of(packet, "granted"));
    return;
  }
  const auto seen = packet.find("seen");
  const auto value = fine && seen != packet.end() ? parse_register(*seen) : std::nullopt;
  engine_->register_read(value ? 0 : EIO, value.value_or(Register{}));
}

// ---- what is shown

void Process::watch_progress() {
  progress_timer_ = loop_.after(kProgressEvery, leash_.guard([this] {
    if (engine_) {
      const SyncFacts before = progress_.facts();
      progress_.note(kind_of(engine_->state()), engine_->bytes_behind(), loop_.now());
      const SyncFacts facts = progress_.facts();
      if (facts.kind != SyncFacts::Kind::None &&
          (before.bytes_left != facts.bytes_left || before.kind != facts.kind)) {
        event({{"event", "progress"},
               {"permille", facts.permille},
               {"bytes_left", facts.bytes_left},
               {"rate", facts.rate}});
      }
    }
    watch_progress();
  }));
}

}  // namespace cb::replication
