// SPDX-License-Identifier: Apache-2.0
//
// Which front end a volume has: `ublk` where its self-test passes, else `fuse`. But the device that
// an earlier process left decides first: what uses it must not notice that there is a new process.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "drivers/volume/front_end.h"
#include "loop/done.h"

namespace cb::replication {

struct FrontChoice {
  using Make = std::function<std::unique_ptr<volume::FrontEnd>()>;
  Make fuse, ublk;
  std::function<bool()> fuse_left, ublk_left;  // an earlier process's device is there
  // Answers once, in time whatever the kernel does. reason: why it is not to be ublk; empty: it
  // may.
  std::function<void(std::function<void(const std::string& reason)> done)> test;
  bool wished = false;  // ublk by name: another one is worth a warning
};

class ChosenFrontEnd final : public volume::FrontEnd {
 public:
  // Begins the self-test when it will be needed, so that it costs no time in a failover.
  explicit ChosenFrontEnd(FrontChoice choice);

  void attach(std::uint64_t bytes, std::function<void(const volume::Request&)> take,
              loop::Done done) override;
  void answer(std::uint64_t id, int error) override { chosen_->answer(id, error); }
  void detach(loop::Done done) override;
  void resize(std::uint64_t bytes, loop::Done done) override;
  bool has_write_cache() const override { return chosen_ && chosen_->has_write_cache(); }
  volume::FrontEndFacts facts() const override;

 private:
  void begin_test();
  bool choose();  // false: the self-test still runs

  FrontChoice choice_;
  bool testing_ = false;  // begun
  bool tested_ = false;
  std::string reason_;  // why not ublk
  std::string note_;
  std::unique_ptr<volume::FrontEnd> chosen_;
  std::function<void()> waiting_;  // an attach
  loop::Leash leash_;
};

}  // namespace cb::replication
