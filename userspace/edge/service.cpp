// SPDX-License-Identifier: Apache-2.0
//
// Order and answers. One walk over the services goes on at a time: up, down or resume. A stop ends
// a walk that goes up; what else comes meanwhile waits for the walk's end.
#include "edge/service.h"

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "edge/service_marks.h"
#include "edge/service_unit.h"

namespace cb::edge {

const char* text_of(ServiceState state) noexcept {
  switch (state) {
    case ServiceState::Stopped: return "stopped";
    case ServiceState::Starting: return "starting";
    case ServiceState::Running: return "running";
    case ServiceState::Unhealthy: return "unhealthy";
    case ServiceState::Stopping: return "stopping";
    case ServiceState::Failed: return "failed";
  }
  return "?";
}

struct ServiceEdge::Parts {
  enum class Kind : std::uint8_t { Up, Down, Resume };
  struct Walk {
    Kind kind = Kind::Up;
    ServiceContext context;
    Instant deadline;
    std::vector<loop::Done> answers;
    std::vector<ServiceUnit*> order;
    std::size_t place = 0;
    int error = 0;  // the first
  };

  Parts(loop::Loop& l, loop::Hands& h, ServiceOptions o)
      : loop(l), hands(h), options(std::move(o)) {}

  void ask_for(Kind kind, const ServiceContext& context, Instant deadline, loop::Done done);
  void begin(std::unique_ptr<Walk> walk);
  void find_what_runs();
  void take_over(const std::map<std::string, service::Process>& marked);
  void set_out();
  void next();
  void go_on(int error);
  void finish(int error);
  // False when the news destroyed us.
  [[nodiscard]] bool report(const std::string& service, const std::string& text);
  void tell_health();
  std::vector<std::string> environment_of(const ServiceContext& context,
                                          const std::string& service) const;
  // Drops the call once another walk goes on.
  template <class F>
  auto of_this_walk(F f) {
    return leash.guard([this, serial = walk_serial, f = std::move(f)](auto&&... args) mutable {
      if (serial == walk_serial) {
        f(std::forward<decltype(args)>(args)...);
      }
    });
  }

  loop::Loop& loop;
  loop::Hands& hands;
  ServiceOptions options;
  std::shared_ptr<const ServiceMarks> marks;
  std::vector<std::unique_ptr<ServiceUnit>> units;
  std::unique_ptr<Walk> walk;
  std::unique_ptr<Walk> waiting;  // begins when `walk` is over
  std::uint64_t walk_serial = 0;
  enum class Known : std::uint8_t { No, Asking, Yes } known = Known::No;
  bool any_marked = false;
  bool should_run = false;
  bool healthy = true;
  loop::Leash leash;
};

ServiceEdge::ServiceEdge(loop::Loop& loop, loop::Hands& hands, ServiceOptions options)
    : parts_(std::make_unique<Parts>(loop, hands, std::move(options))) {
  Parts* parts = parts_.get();
  parts->marks = std::make_shared<ServiceMarks>(parts->options.root, parts->options.instance);
  for (const config::Service& service : parts->options.services) {
    ServiceUnit::Setup setup;
    setup.forget_restarts_after = parts->options.forget_restarts_after;
    setup.on_report = [parts, name = service.name](const std::string& text) {
      (void)parts->report(name, text);  // ignored: the caller looks for itself
    };
    setup.on_state = [parts] { parts->tell_health(); };
    parts->units.push_back(std::make_unique<ServiceUnit>(loop, hands, parts->options.root,
                                                         parts->options.instance, parts->marks,
                                                         service, std::move(setup)));
  }
}

ServiceEdge::~ServiceEdge() = default;

void ServiceEdge::start(const ServiceContext& context, Instant deadline, loop::Done done) {
  parts_->ask_for(Parts::Kind::Up, context, deadline, std::move(done));
}

void ServiceEdge::stop(const ServiceContext& context, Instant deadline, loop::Done done) {
  parts_->ask_for(Parts::Kind::Down, context, deadline, std::move(done));
}

void ServiceEdge::resume(const ServiceContext& context, loop::Done done) {
  parts_->ask_for(Parts::Kind::Resume, context, Instant::never(), std::move(done));
}

std::vector<ServiceFacts> ServiceEdge::facts() const {
  std::vector<ServiceFacts> result;
  for (const auto& unit : parts_->units) {
    result.push_back(unit->facts());
  }
  return result;
}

bool ServiceEdge::healthy() const { return parts_->healthy; }

// ---- walks

void ServiceEdge::Parts::ask_for(Kind kind, const ServiceContext& context, Instant deadline,
                                 loop::Done done) {
  loop::Done answer = loop::answer_by(loop, deadline, std::move(done));
  const bool down = kind == Kind::Down;
  std::vector<loop::Done> cancelled;  // answered last, since an answer may destroy us
  if (down && waiting != nullptr && waiting->kind != Kind::Down) {
    cancelled = std::exchange(waiting, nullptr)->answers;
  }
  std::unique_ptr<Walk>& last = waiting != nullptr ? waiting : walk;
  if (last != nullptr && last->kind == kind) {
    last->answers.push_back(std::move(answer));
  } else if (waiting != nullptr) {
    // A start and a resume, in either order: a start does what a resume does.
    if (kind == Kind::Up) {
      waiting->kind = kind;
      waiting->context = context;
      waiting->deadline = deadline;
    }
    waiting->answers.push_back(std::move(answer));
  } else {
    auto wish = std::make_unique<Walk>();
    wish->kind = kind;
    wish->context = context;
    wish->deadline = deadline;
    wish->answers.push_back(std::move(answer));
    if (walk != nullptr && !down) {
      waiting = std::move(wish);
    } else {
      if (walk != nullptr) {
        const auto ended = std::exchange(walk, nullptr);
        cancelled.insert(cancelled.end(), ended->answers.begin(), ended->answers.end());
      }
      begin(std::move(wish));
    }
  }
  for (const loop::Done& each : cancelled) {
    each(ECANCELED);
  }
}

// The first walk of all, whichever it is, begins with what an earlier monitor has left running: a
// stop must find it, and a start must leave it alone.
void ServiceEdge::Parts::begin(std::unique_ptr<Walk> wish) {
  walk = std::move(wish);
  ++walk_serial;
  if (walk->kind == Kind::Down) {
    should_run = false;
    healthy = true;
    for (const auto& unit : units) {
      unit->interrupt();  // none is restarted any more
    }
  }
  switch (known) {
    case Known::No: find_what_runs(); return;
    case Known::Asking: return;
    case Known::Yes: set_out(); return;
  }
}

void ServiceEdge::Parts::find_what_runs() {
  if (units.empty()) {
    known = Known::Yes;
    set_out();
    return;
  }
  known = Known::Asking;
  std::vector<std::string> names;
  for (const auto& unit : units) {
    names.push_back(unit->service().name);
  }
  auto found = std::make_shared<std::map<std::string, service::Process>>();
  hands.run(
      [from = marks, names, found] {
        *found = from->read(names);
        return 0;
      },
      leash.guard([this, found](int) { take_over(*found); }));
}

void ServiceEdge::Parts::take_over(const std::map<std::string, service::Process>& marked) {
  any_marked = !marked.empty();
  auto left = std::make_shared<std::size_t>(marked.size() + 1);
  const std::function<void()> one_is_known = leash.guard([this, left] {
    if (--*left == 0) {
      known = Known::Yes;
      set_out();
    }
  });
  for (const auto& unit : units) {
    if (const auto mark = marked.find(unit->service().name); mark != marked.end()) {
      unit->take_over(mark->second, one_is_known);
    }
  }
  one_is_known();
}

void ServiceEdge::Parts::set_out() {
  for (const auto& unit : units) {
    const bool left_over = walk->kind == Kind::Down && unit->state() != ServiceState::Stopped;
    if (unit->service().enabled || left_over) {
      walk->order.push_back(unit.get());
    }
    if (walk->kind != Kind::Resume) {
      unit->forget_failure();
    }
  }
  if (walk->kind == Kind::Down) {
    std::reverse(walk->order.begin(), walk->order.end());
  } else {
    // Where nothing ran, nothing has to: a standby, or a stop that came before.
    should_run = walk->kind == Kind::Up || any_marked;
  }
  next();
}

void ServiceEdge::Parts::next() {
  if (walk->place >= walk->order.size()) {
    finish(walk->error);
    return;
  }
  ServiceUnit& unit = *walk->order[walk->place++];
  const std::string name = unit.service().name;
  std::vector<std::string> environment = environment_of(walk->context, name);
  const Instant now = boottime_now();
  switch (walk->kind) {
    case Kind::Up:
      if (unit.state() == ServiceState::Running) {
        unit.keep_up(std::move(environment));
        go_on(0);
        return;
      }
      unit.bring_up(std::move(environment),
                    std::min(walk->deadline, now + unit.service().start_within),
                    of_this_walk([this, name](int error, const std::string& text) {
                      if (error == 0 || report(name, "could not be started: " + text)) {
                        go_on(error);
                      }
                    }));
      return;
    case Kind::Down:
      // Its own time, also when all together are late: a service that is not stopped may still
      // write.
      unit.take_down(
          std::move(environment), now + unit.service().stop_within,
          of_this_walk([this, name](int error, const std::string& text) {
            const bool quiet = error == 0 && text != service::kKilled;
            if (quiet || report(name, error != 0 ? "could not be stopped: " + text : text)) {
              go_on(error);
            }
          }));
      return;
    case Kind::Resume:
      unit.keep_up(std::move(environment));
      go_on(0);
      return;
  }
}

void ServiceEdge::Parts::go_on(int error) {
  walk->error = walk->error != 0 ? walk->error : error;
  if (error != 0 && walk->kind == Kind::Up) {
    finish(error);
  } else {
    next();
  }
}

void ServiceEdge::Parts::finish(int error) {
  const auto ended = std::exchange(walk, nullptr);
  ++walk_serial;
  if (ended->kind == Kind::Up && error != 0) {
    should_run = false;  // the answer says it all
  }
  if (waiting != nullptr) {
    begin(std::exchange(waiting, nullptr));
  }
  const auto alive = leash.sight();
  for (const loop::Done& each : ended->answers) {
    if (!alive.expired()) {
      each(error);
    }
  }
  if (!alive.expired()) {
    tell_health();  // what failed while others were still being started
  }
}

// ---- news

// The callbacks are copied, since they may destroy us.
bool ServiceEdge::Parts::report(const std::string& service, const std::string& text) {
  const auto alive = leash.sight();
  if (const auto call = options.on_report) {
    call(service, text);
  }
  return !alive.expired();
}

void ServiceEdge::Parts::tell_health() {
  if (!should_run || (walk != nullptr && walk->kind == Kind::Up)) {
    return;
  }
  const bool up = std::none_of(units.begin(), units.end(), [](const auto& unit) {
    return unit->service().enabled && unit->state() == ServiceState::Failed;
  });
  if (up != healthy) {
    healthy = up;
    if (const auto call = options.on_health) {
      call(up);
    }
  }
}

std::vector<std::string> ServiceEdge::Parts::environment_of(const ServiceContext& context,
                                                            const std::string& service) const {
  return {"CROSSBEAT_SERVICE=" + service,
          "CROSSBEAT_PAIRING=" + options.instance,
          "CROSSBEAT_ROOT=" + options.root,
          "CROSSBEAT_STATE=" + context.state,
          "CROSSBEAT_REASON=" + context.reason,
          "CROSSBEAT_ROLE=" + context.role,
          "CROSSBEAT_ADDRESSES=" + context.addresses};
}

}  // namespace cb::edge
