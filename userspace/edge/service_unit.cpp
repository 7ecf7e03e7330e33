// SPDX-License-Identifier: Apache-2.0
//
// Everything here is asynchronous, and a stop may come in the middle of anything. So each wish
// raises wanted_, and what belongs to an older wish finds that out (still()) and does nothing. Only
// a driver call under way must end first, since the driver cannot do two things at once.
#include "edge/service_unit.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"
#include "drivers/service/output.h"
#include "edge/folders.h"
#include "edge/service_probe.h"

namespace cb::edge {

namespace {

constexpr Duration kReadyProbe = Duration::from_ms(100);  // between probes while it starts
constexpr Duration kProbeWithinLeast = Duration::from_s(1);
constexpr Duration kTrimOutput = Duration::from_s(30);
// The first restart comes at once. Where that did not help, the cause is given time to pass.
constexpr Duration kRestartPause = Duration::from_s(1);
constexpr Duration kAskWithin = Duration::from_s(5);
// A driver answers by its deadline. One that does not (a process that cannot even be killed) is
// given up.
constexpr Duration kDriverGrace = Duration::from_s(2);

}  // namespace

ServiceUnit::ServiceUnit(loop::Loop& loop, loop::Hands& hands, const std::string& root,
                         const std::string& instance, std::shared_ptr<const ServiceMarks> marks,
                         config::Service service, Setup setup)
    : loop_(loop),
      hands_(hands),
      marks_(std::move(marks)),
      service_(std::move(service)),
      setup_(std::move(setup)) {
  output_file_ = under(root, "var/log/crossbeat/services/" + file_name_of(instance) + "-" +
                                 file_name_of(service_.name) + ".log");
  driver_ = service::make_driver(
      service_, {loop, hands, output_file_,
                 leash_.guard([this](const std::string& text) { on_process_ended(text); })});
}

ServiceUnit::~ServiceUnit() {
  loop_.cancel(probe_timer_);
  loop_.cancel(trim_timer_);
  loop_.cancel(late_timer_);
}

ServiceFacts ServiceUnit::facts() const {
  const bool unit = service_.kind == config::Service::Kind::Unit;
  return {service_.name,
          state_,
          service_.enabled,
          restarts_,
          detail_,
          unit ? "journalctl -n 20 -u " + service_.unit : "tail -n 20 " + output_file_};
}

bool ServiceUnit::become(ServiceState state) {
  const auto alive = leash_.sight();
  const std::uint64_t wanted = wanted_;
  state_ = state;
  const auto call = setup_.on_state;  // it may destroy us, and itself with us
  call();
  return !alive.expired() && wanted == wanted_;
}

bool ServiceUnit::report(const std::string& text) {
  const auto alive = leash_.sight();
  const std::uint64_t wanted = wanted_;
  const auto call = setup_.on_report;
  call(text);
  return !alive.expired() && wanted == wanted_;
}

void ServiceUnit::forget_failure() {
  if (state_ == ServiceState::Failed) {
    state_ = ServiceState::Stopped;
  }
}

template <class F>
auto ServiceUnit::still(F f) {
  return leash_.guard([this, wanted = wanted_, f = std::move(f)](auto&&... args) mutable {
    if (wanted == wanted_) {
      f(std::forward<decltype(args)>(args)...);
    }
  });
}

// ---- one wish at a time

void ServiceUnit::interrupt() {
  ++wanted_;
  becoming_ready_ = nullptr;
  when_free_ = nullptr;
  loop_.cancel(probe_timer_);
  loop_.cancel(trim_timer_);
  watched_ = false;
  // A stop is never abandoned: half of one is worse than a late one.
  if (busy_ && starting_) {
    driver_->abandon();
  }
}

void ServiceUnit::when_free(std::function<void()> f) {
  if (busy_) {
    when_free_ = std::move(f);
  } else {
    f();
  }
}

void ServiceUnit::call_driver(bool start, Instant deadline, Outcome done) {
  CB_CHECK(!busy_);
  busy_ = true;
  starting_ = start;
  auto answered = std::make_shared<bool>(false);
  const Outcome once = leash_.guard(
      [this, answered, done = Outcome(still(std::move(done)))](int error, const std::string& text) {
        if (std::exchange(*answered, true)) {
          return;
        }
        loop_.cancel(late_timer_);
        busy_ = false;
        if (when_free_ != nullptr) {
          const auto next = std::exchange(when_free_, nullptr);
          next();
        } else {
          done(error, text);
        }
      });
  late_timer_ =
      loop_.at(deadline + kDriverGrace, [once] { once(ETIMEDOUT, "did not answer in time"); });
  if (start) {
    driver_->start(environment_, deadline, once);
  } else {
    driver_->stop(environment_, deadline, once);
  }
}

// ---- up

void ServiceUnit::bring_up(std::vector<std::string> environment, Instant deadline, Outcome done) {
  interrupt();
  environment_ = std::move(environment);
  restarts_ = 0;
  gave_up_ = false;
  detail_.clear();
  when_free([this, deadline, done = std::move(done)] {
    clean_up_then(deadline, [this, deadline, done] {
      up(deadline, [this, done](int error, const std::string& text) {
        if (error != 0) {
          gave_up_ = true;
          detail_ = text;
          if (!become(ServiceState::Failed)) {
            return;
          }
        }
        done(error, text);
      });
    });
  });
}

// A second start must not stumble over what a failed one has left behind.
void ServiceUnit::clean_up_then(Instant deadline, std::function<void()> f) {
  if (!unclean_) {
    f();
    return;
  }
  const Instant within = std::min(deadline, boottime_now() + service_.stop_within);
  call_driver(
      false, within,
      [f = std::move(f)](int /*error: what counts is the start*/, const std::string&) { f(); });
}

void ServiceUnit::up(Instant deadline, Outcome done) {
  if (state_ != ServiceState::Unhealthy && !become(ServiceState::Starting)) {
    return;
  }
  unclean_ = true;
  call_driver(true, deadline,
              [this, deadline, done = std::move(done)](int error, const std::string& text) {
                if (error != 0) {
                  done(error, text);
                  return;
                }
                hands_.run([marks = marks_, name = service_.name,
                            process = driver_->process()] { return marks->put(name, process); },
                           nullptr);
                if (tells_readiness(service_.health.kind)) {
                  wait_until_ready(deadline, done);
                } else {
                  is_up();
                  done(0, text);
                }
              });
}

void ServiceUnit::wait_until_ready(Instant deadline, Outcome done) {
  becoming_ready_ = std::move(done);
  const Instant within =
      std::min(deadline, boottime_now() + std::max(service_.health.interval, kProbeWithinLeast));
  probe(loop_, hands_, service_.health, *driver_, environment_, within,
        still([this, deadline](bool good, const std::string& text) {
          if (becoming_ready_ == nullptr) {
            return;  // its process has ended meanwhile
          }
          if (good) {
            const auto ready = std::exchange(becoming_ready_, nullptr);
            is_up();
            ready(0, "");
          } else if (boottime_now() + kReadyProbe >= deadline) {
            std::exchange(becoming_ready_, nullptr)(ETIMEDOUT,
                                                    "started, but not healthy in time: " + text);
          } else {
            probe_timer_ =
                loop_.after(kReadyProbe, still([this, deadline] {
                              wait_until_ready(deadline, std::exchange(becoming_ready_, nullptr));
                            }));
          }
        }));
}

void ServiceUnit::is_up() {
  unclean_ = false;
  if (become(ServiceState::Running)) {
    keep_up(environment_);
  }
}

// ---- down

void ServiceUnit::take_down(std::vector<std::string> environment, Instant deadline, Outcome done) {
  interrupt();
  environment_ = std::move(environment);
  when_free([this, deadline, done = std::move(done)] {
    if (!become(ServiceState::Stopping)) {
      return;
    }
    call_driver(false, deadline, [this, done](int error, const std::string& text) {
      unclean_ = error != 0;
      if (error == 0) {
        hands_.run([marks = marks_, name = service_.name] { return marks->remove(name); }, nullptr);
      }
      if (error != 0 || !gave_up_) {
        detail_ = error != 0 ? text : "";
      }
      if (become(error != 0 ? ServiceState::Failed : ServiceState::Stopped)) {
        done(error, text);
      }
    });
  });
}

// ---- taken over from an earlier monitor

void ServiceUnit::take_over(const service::Process& process, std::function<void()> done) {
  const auto found = [this](bool runs, const std::string& text) {
    unclean_ = !runs;
    detail_ = runs ? "" : text;
    state_ = runs ? ServiceState::Running : ServiceState::Failed;
  };
  if (driver_->is_process()) {
    found(driver_->adopt(process), "ended while the monitor was away");
    done();
    return;
  }
  driver_->ask(boottime_now() + kAskWithin,
               leash_.guard([found, done = std::move(done)](int error, const std::string& text) {
                 found(error == 0, text);
                 done();
               }));
}

// ---- watched

void ServiceUnit::keep_up(std::vector<std::string> environment) {
  if (watched_ || state_ != ServiceState::Running) {
    return;
  }
  environment_ = std::move(environment);
  watched_ = true;
  streak_ = 0;
  good_since_ = boottime_now();
  watch();
  keep_output_short();
}

void ServiceUnit::watch() {
  using Kind = config::HealthProbe::Kind;
  const Kind kind = service_.health.kind;
  // The end of a process of ours is noticed at once, and with its reason.
  const bool told_anyway = kind == Kind::Process && driver_->is_process();
  if (kind != Kind::None && !told_anyway) {
    probe_timer_ = loop_.after(service_.health.interval, still([this] { probe_now(); }));
  }
}

void ServiceUnit::keep_output_short() {
  trim_timer_ = loop_.after(
      kTrimOutput, still([this] {
        hands_.run([path = output_file_] { return service::trim_output(path); }, nullptr);
        keep_output_short();
      }));
}

void ServiceUnit::probe_now() {
  const Instant deadline = boottime_now() + std::max(service_.health.interval, kProbeWithinLeast);
  probe(loop_, hands_, service_.health, *driver_, environment_, deadline,
        still([this](bool good, const std::string& text) { on_probe(good, text); }));
}

void ServiceUnit::on_probe(bool good, const std::string& text) {
  if (good) {
    streak_ = std::max(streak_, 0) + 1;
    if (state_ == ServiceState::Failed && streak_ >= service_.health.rise) {
      gave_up_ = false;
      detail_.clear();
      good_since_ = boottime_now();
      if (!report("is healthy again") || !become(ServiceState::Running)) {
        return;
      }
    }
  } else {
    streak_ = std::min(streak_, 0) - 1;
    if (state_ == ServiceState::Running && streak_ <= -service_.health.fall) {
      fail(text.empty() ? "its health probe fails" : "its health probe fails: " + text);
      return;
    }
  }
  watch();
}

void ServiceUnit::on_process_ended(const std::string& text) {
  if (becoming_ready_ != nullptr) {
    loop_.cancel(probe_timer_);
    std::exchange(becoming_ready_, nullptr)(EIO, "ended while it was starting: " + text);
  } else if (state_ == ServiceState::Running && watched_) {
    fail("ended: " + text);
  } else if (state_ == ServiceState::Running) {
    detail_ = "ended: " + text;
    unclean_ = true;
    state_ = ServiceState::Failed;  // nobody has asked for it yet
  }
}

// Restarted here, as long as restarts are left.
void ServiceUnit::fail(const std::string& text) {
  interrupt();
  if (state_ == ServiceState::Running &&
      boottime_now() - good_since_ >= setup_.forget_restarts_after) {
    restarts_ = 0;
  }
  detail_ = text;
  streak_ = 0;
  unclean_ = true;
  if (restarts_ >= service_.restarts) {
    gave_up_ = true;
    const std::string used_up =
        "; all " + std::to_string(service_.restarts) + " local restarts are used up";
    if (report(service_.restarts == 0 ? text : text + used_up) && become(ServiceState::Failed)) {
      watch();  // it may come back by itself: a unit that systemd restarts
    }
    return;
  }
  ++restarts_;
  const std::string count = std::to_string(restarts_) + " of " + std::to_string(service_.restarts);
  if (!report(text + "; restarting it (" + count + ")")) {
    return;
  }
  if (!become(ServiceState::Unhealthy)) {
    return;
  }
  const Duration pause = restarts_ > 1 ? kRestartPause : Duration{};
  probe_timer_ = loop_.after(pause, still([this] { when_free([this] { restart(); }); }));
}

void ServiceUnit::restart() {
  clean_up_then(boottime_now() + service_.stop_within, [this] {
    up(boottime_now() + service_.start_within, [this](int error, const std::string& text) {
      if (error != 0) {
        fail("could not be restarted: " + text);
      }
    });
  });
}

}  // namespace cb::edge
