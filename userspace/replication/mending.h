// SPDX-License-Identifier: Apache-2.0
//
// Mending: asks the peer for blocks of the home image that are not what was written, gives it those
// that it asks for, and reads the whole image now and then, so that rot is found while the peer
// still has what was there.
#pragma once

#include <functional>
#include <map>
#include <span>

#include "core/volume/message.h"
#include "core/volume/step.h"
#include "loop/loop.h"
#include "replication/sums.h"

namespace cb::replication {

struct ScrubFacts {
  std::uint64_t at = 0;      // bytes of this round
  std::uint64_t rounds = 0;  // that went through to the end
};

class Mending {
 public:
  using Say = std::function<void(const core::volume::Message&, std::span<const std::byte> payload)>;

  Mending(loop::Loop& loop, Pool& pool, Sums& sums, const core::volume::State& state,
          std::uint64_t length, Say say);
  ~Mending();

  // AskBlock and GiveBlock. False: no honest peer says so.
  bool heard(const core::volume::Message& message, std::span<const std::byte> payload);
  void set_length(std::uint64_t length) { length_ = length; }
  const ScrubFacts& scrub() const noexcept { return scrub_; }
  // The writer's scrub reads the peer's image with its own.
  using Compare = std::function<void(std::uint64_t stretch, std::function<void(int error)> done)>;
  void compare_by(Compare compare) { compare_ = std::move(compare); }

 private:
  struct Asked {
    std::uint64_t block = 0;
    Sums::Given done;
    loop::TimerId patience;
  };
  void ask(std::uint64_t block, Sums::Given done);
  void answer(std::uint64_t number, std::span<const std::byte> bytes);
  void give(const core::volume::Message& asked);
  core::volume::Message message(core::volume::MessageKind kind) const;
  bool peer_is_there() const;
  bool is_an_image() const;
  void scrub_later(Duration wait);
  void scrub_more();
  void scrub_own();
  void scrubbed(std::uint64_t length, Duration wait);

  loop::Loop& loop_;
  Pool& pool_;
  Sums& sums_;
  const core::volume::State& state_;
  std::uint64_t length_;
  Say say_;
  std::map<std::uint64_t, Asked> asked_;
  std::uint64_t number_ = 0;
  int giving_ = 0;
  Compare compare_;
  ScrubFacts scrub_;
  loop::TimerId scrub_timer_;
  loop::Leash leash_;
};

}  // namespace cb::replication
