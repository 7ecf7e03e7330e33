// SPDX-License-Identifier: Apache-2.0
//
// Comparing: whether the home images of both nodes are the same (docs/volume.md). The core brings
// both to one position of the log; here the stretches are read, summed, compared and counted.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "core/volume/action.h"
#include "core/volume/state.h"
#include "loop/loop.h"
#include "replication/sums.h"

namespace cb::replication {

struct CompareFacts {
  enum class Result : std::uint8_t { None, Same, Different, Incomplete };
  bool running = false;          // a round that was asked for
  Result result = Result::None;  // of the last one that ended
  int error = 0;                 // Incomplete: why
  std::uint64_t bytes_done = 0;  // of that round
  Instant ended_at;
  // Blocks, as each was compared last, by a round or by the scrub.
  std::uint64_t differing = 0;
  std::uint64_t unreadable_here = 0;
  std::uint64_t unreadable_there = 0;
  std::vector<std::uint64_t> first;  // some of them, ascending
  std::uint64_t compared_bytes = 0;  // since the process started
};

class Comparing {
 public:
  struct Calls {
    std::function<void(std::uint64_t stretch)> verify;  // answered by verify_done()
    std::function<void(const core::volume::Message&, std::span<const std::byte> payload)> say;
    std::function<void(std::uint64_t number)> sums_read;
    std::function<void()> ended;    // a round
    std::function<void()> differs;  // where nothing was known to differ before
  };
  Comparing(loop::Loop& loop, Pool& pool, Sums& sums, std::uint64_t length, Calls calls);
  ~Comparing();

  // A round over everything, as fast as writers bear. One that runs goes on.
  void begin();
  void stop(int error);
  // One stretch, for the scrub. EBUSY: not now.
  void compare(std::uint64_t stretch, std::function<void(int error)> done);

  void set_length(std::uint64_t length) { length_ = length; }

  // The core's actions.
  void read_sums(const core::volume::Action& action);
  void send_sums(const core::volume::Action& action);
  void keep_sums(std::span<const std::byte> payload);
  void verify_done(int error);

  bool fits(const core::volume::Message& message, std::span<const std::byte> payload) const;
  CompareFacts facts() const;

 private:
  struct Found {
    std::uint64_t differing = 0, here = 0, there = 0;
    std::vector<std::uint64_t> first;
  };
  struct Reading;
  std::uint64_t stretches() const;
  std::uint64_t blocks_in(std::uint64_t stretch) const;
  void look(const Reading& reading);
  Found compared() const;
  void note(const Found& found);
  void next();
  void end_round(CompareFacts::Result result, int error);

  loop::Loop& loop_;
  Pool& pool_;
  Sums& sums_;
  std::uint64_t length_;
  Calls calls_;
  std::vector<std::uint32_t> own_;
  std::vector<std::uint32_t> theirs_;
  std::function<void(int)> done_;  // of the stretch that is being compared
  std::uint64_t stretch_ = 0;
  int looks_ = 0;                         // at this stretch that found something
  std::map<std::uint64_t, Found> found_;  // by stretch
  CompareFacts facts_;
  std::uint64_t at_ = 0;  // the stretch of the round
  Instant failing_since_ = Instant::never();
  Instant begun_at_;
  loop::TimerId timer_;
  loop::Leash leash_;
};

}  // namespace cb::replication
