// SPDX-License-Identifier: Apache-2.0
//
// UblkSlots: the memory of the requests of a ublk device: what the kernel asks (its own memory,
// mapped), and where the data lie (ours, all there from the beginning and locked).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "drivers/volume/front_end.h"
#include "drivers/volume/ublk_kernel.h"

namespace cb::volume {

class UblkSlots {
 public:
  struct Slot {
    bool taken = false;  // `take` has its request
    Request request;
  };

  static Result<std::unique_ptr<UblkSlots>> make(unsigned count);
  ~UblkSlots();
  UblkSlots(const UblkSlots&) = delete;
  UblkSlots& operator=(const UblkSlots&) = delete;

  Result<> map_questions(int channel);
  void unmap_questions();

  unsigned count() const noexcept { return static_cast<unsigned>(slots_.size()); }
  bool is_locked() const noexcept { return locked_; }
  const ublksrv_io_desc& question(unsigned tag) const noexcept { return questions_[tag]; }
  std::span<std::byte> data(unsigned tag) noexcept;
  Slot& operator[](unsigned tag) noexcept { return slots_[tag]; }
  unsigned taken = 0;

 private:
  explicit UblkSlots(unsigned count) : slots_(count) {}
  std::size_t question_bytes() const noexcept;
  std::size_t data_bytes() const noexcept { return slots_.size() * kRequestMax; }

  std::vector<Slot> slots_;
  std::byte* data_ = nullptr;
  bool locked_ = false;
  const ublksrv_io_desc* questions_ = nullptr;
};

}  // namespace cb::volume
