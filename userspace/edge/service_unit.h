// SPDX-License-Identifier: Apache-2.0
//
// One service through its life: brought up, watched, restarted, taken down. Of the service edge's
// own use, which knows the others and their order.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/ir.h"
#include "drivers/service/service.h"
#include "edge/service.h"
#include "edge/service_marks.h"

namespace cb::edge {

class ServiceUnit {
 public:
  struct Setup {
    std::function<void(const std::string& text)> on_report;
    std::function<void()> on_state;  // may have become, or ceased to be, Failed
    Duration forget_restarts_after;
  };

  ServiceUnit(loop::Loop& loop, loop::Hands& hands, const std::string& root,
              const std::string& instance, std::shared_ptr<const ServiceMarks> marks,
              config::Service service, Setup setup);
  ~ServiceUnit();
  ServiceUnit(const ServiceUnit&) = delete;
  ServiceUnit& operator=(const ServiceUnit&) = delete;

  const config::Service& service() const noexcept { return service_; }
  ServiceFacts facts() const;
  ServiceState state() const noexcept { return state_; }

  using Outcome = service::Outcome;
  // Each ends whatever is going on with this service first, waits for that, and then begins. What
  // was ended is not answered. Afterwards a service that is up is watched, and restarted when it
  // fails.
  void bring_up(std::vector<std::string> environment, Instant deadline, Outcome done);
  void take_down(std::vector<std::string> environment, Instant deadline, Outcome done);
  // An earlier monitor marked it as running, as this process: takes it over, or finds that it is
  // gone, which makes it Failed. Starts nothing and does not watch. Once, before all else.
  void take_over(const service::Process& process, std::function<void()> done);
  // From now on it is watched, if it runs.
  void keep_up(std::vector<std::string> environment);
  // Nothing more happens to it on its own, and what is going on is ended.
  void interrupt();
  // An old failure does not count any more: all are to be started anew.
  void forget_failure();

 private:
  // Runs f once no driver call is under way. f is dropped if something else is wanted meanwhile.
  void when_free(std::function<void()> f);
  // done is dropped if something else is wanted meanwhile.
  void call_driver(bool start, Instant deadline, Outcome done);
  void clean_up_then(Instant deadline, std::function<void()> f);
  void up(Instant deadline, Outcome done);
  void wait_until_ready(Instant deadline, Outcome done);
  void is_up();
  void fail(const std::string& text);
  void restart();
  void watch();
  void probe_now();
  void on_probe(bool good, const std::string& text);
  void on_process_ended(const std::string& text);
  void keep_output_short();
  // False when the news made somebody want something else of this service, or destroyed it: then
  // the caller must leave it alone.
  [[nodiscard]] bool become(ServiceState state);
  [[nodiscard]] bool report(const std::string& text);  // as become()
  template <class F>
  auto still(F f);  // drops the call once something else is wanted

  loop::Loop& loop_;
  loop::Hands& hands_;
  std::shared_ptr<const ServiceMarks> marks_;
  config::Service service_;
  Setup setup_;
  std::string output_file_;
  std::unique_ptr<service::Driver> driver_;
  std::vector<std::string> environment_;
  ServiceState state_ = ServiceState::Stopped;
  int restarts_ = 0;
  std::string detail_;
  bool gave_up_ = false;      // what detail_ says is why it does not run; until it is started again
  std::uint64_t wanted_ = 0;  // grows with everything that is wanted anew
  bool busy_ = false;         // a driver call is under way
  bool starting_ = false;     // ... and it is a start
  bool watched_ = false;      // when it fails it is restarted
  bool unclean_ = false;      // it failed, and may have left something behind
  std::function<void()> when_free_;
  Outcome becoming_ready_;  // answered when the first probe is good, or the process ends
  int streak_ = 0;          // good probes in a row, or bad ones (negative)
  Instant good_since_;
  loop::TimerId probe_timer_;
  loop::TimerId trim_timer_;
  loop::TimerId late_timer_;
  loop::Leash leash_;
};

}  // namespace cb::edge
