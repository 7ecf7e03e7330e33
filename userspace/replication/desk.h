// SPDX-License-Identifier: Apache-2.0
//
// The front end's requests on their way through the core: cut into what one batch takes, gathered
// into the batch that is being composed, answered when the core says so. What finds no room waits
// here; the front end's depth bounds how much.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <vector>

#include "core/volume/step.h"
#include "drivers/volume/front_end.h"
#include "replication/buffer.h"
#include "replication/reader.h"

namespace cb::replication {

core::volume::Event event_of(core::volume::EventKind kind, int error = 0);

class Desk {
 public:
  struct Calls {
    std::function<void(const core::volume::Event&)> step;
    std::function<bool()> busy;  // within a step: whoever answers now is asked again after it
    std::function<void(std::uint64_t id, int error)> answer;
  };

  Desk(const core::volume::State& state, Pool& pool, Reader& reader, std::uint64_t length,
       Calls calls);

  void take(const volume::Request& request);
  // Requests are served; wait, since it is not known yet whether they will be; or are refused.
  void open();
  void hold() { mode_ = Mode::Hold; }
  void refuse(int error);
  // After every step: there may be room now.
  void pump();

  // The core's actions. compose(): the buffer of the batch that is issued now, in whose slot it is.
  BufferPtr compose(int slot);
  void answer_writes(int slot, int error);
  void answer_flushes(std::uint64_t number, int error);

  void set_length(std::uint64_t length) { length_ = length; }
  std::size_t waiting() const noexcept { return queue_.size(); }
  std::uint64_t written() const noexcept { return written_; }  // bytes taken in this life

 private:
  enum class Mode : std::uint8_t { Hold, Open, Refuse };
  struct Pending {
    volume::Request request;
    std::uint64_t given = 0;  // bytes handed to the core
    int parts = 0;            // not answered yet
    bool all_given = false;
    int error = 0;
  };
  struct Flush {
    std::uint64_t number = 0;
    std::size_t index = 0;
  };

  std::size_t keep(const volume::Request& request);
  void part_done(std::size_t index, int error);
  void read(const volume::Request& request);
  bool give_part(std::size_t index);
  void give_flush(std::size_t index);
  bool sound(const volume::Request& request) const;

  const core::volume::State& state_;
  Pool& pool_;
  Reader& reader_;
  std::uint64_t length_;
  Calls calls_;
  Mode mode_ = Mode::Hold;
  int refusal_ = 0;
  std::vector<Pending> pending_;
  std::vector<std::size_t> free_;
  std::deque<std::size_t> queue_;
  std::deque<volume::Request> reads_;  // while it holds
  BufferPtr composing_;
  std::size_t composed_ = 0;  // bytes of payload in it
  std::vector<std::size_t> composing_parts_;
  std::array<std::vector<std::size_t>, core::volume::kSlots> slot_parts_;
  std::deque<Flush> flushes_;
  std::uint64_t flush_number_ = 0;
  std::uint64_t written_ = 0;
  bool pumping_ = false;
  loop::Leash leash_;
};

}  // namespace cb::replication
