// SPDX-License-Identifier: Apache-2.0
#include "replication/front_choice.h"

#include <cerrno>
#include <utility>

#include "base/log.h"

namespace cb::replication {

ChosenFrontEnd::ChosenFrontEnd(FrontChoice choice) : choice_(std::move(choice)) {
  if (!choice_.fuse_left() && !choice_.ublk_left()) {
    begin_test();
  }
}

void ChosenFrontEnd::begin_test() {
  if (std::exchange(testing_, true)) {
    return;
  }
  choice_.test(leash_.guard([this](const std::string& reason) {
    tested_ = true;
    reason_ = reason;
    if (waiting_) {
      std::exchange(waiting_, nullptr)();
    }
  }));
}

bool ChosenFrontEnd::choose() {
  if (chosen_) {
    return true;
  }
  if (choice_.fuse_left()) {
    note_ = "goes on with the device of an earlier process";
    chosen_ = choice_.fuse();
  } else if (choice_.ublk_left()) {
    note_ = "goes on with the device of an earlier process";
    chosen_ = choice_.ublk();
  } else {
    begin_test();
    if (!tested_) {
      return false;
    }
    note_ = reason_.empty() ? "the self-test of ublk has passed" : reason_;
    chosen_ = reason_.empty() ? choice_.ublk() : choice_.fuse();
  }
  const std::string kind = chosen_->facts().kind;
  if (choice_.wished && kind != "ublk") {
    log_warning("volume: front end %s: %s", kind.c_str(), note_.c_str());
  } else {
    log_notice("volume: front end %s: %s", kind.c_str(), note_.c_str());
  }
  return true;
}

void ChosenFrontEnd::attach(std::uint64_t bytes, std::function<void(const volume::Request&)> take,
                            loop::Done done) {
  if (waiting_) {
    done(EBUSY);
    return;
  }
  if (!choose()) {
    waiting_ = [this, bytes, take = std::move(take), done = std::move(done)] {
      attach(bytes, take, done);
    };
    return;
  }
  chosen_->attach(bytes, std::move(take), std::move(done));
}

void ChosenFrontEnd::detach(loop::Done done) {
  if (waiting_) {
    done(EBUSY);
  } else if (!chosen_) {
    done(0);
  } else {
    chosen_->detach(std::move(done));
  }
}

void ChosenFrontEnd::resize(std::uint64_t bytes, loop::Done done) {
  if (chosen_) {
    chosen_->resize(bytes, std::move(done));
  } else {
    done(EOPNOTSUPP);
  }
}

volume::FrontEndFacts ChosenFrontEnd::facts() const {
  if (!chosen_) {
    volume::FrontEndFacts facts;
    facts.kind = "undecided";
    return facts;
  }
  volume::FrontEndFacts facts = chosen_->facts();
  facts.note = note_;
  return facts;
}

}  // namespace cb::replication
