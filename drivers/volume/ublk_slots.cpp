// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/ublk_slots.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "base/check.h"

namespace cb::volume {

namespace {

constexpr std::size_t kPage = 4096;

}  // namespace

Result<std::unique_ptr<UblkSlots>> UblkSlots::make(unsigned count) {
  std::unique_ptr<UblkSlots> made(new UblkSlots(count));
  void* at = ::mmap(nullptr, made->data_bytes(), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) {
    return fail(errno, "make memory for the requests of the volume");
  }
  made->data_ = static_cast<std::byte*>(at);
  // A forked child has no business here, and copying on its behalf would cost us.
  if (::madvise(at, made->data_bytes(), MADV_DONTFORK) != 0) {
    return fail(errno, "keep the requests of the volume from children");
  }
  made->locked_ = ::mlock(at, made->data_bytes()) == 0;
  return made;
}

UblkSlots::~UblkSlots() {
  unmap_questions();
  if (data_ != nullptr) {
    ::munmap(data_, data_bytes());
  }
}

std::size_t UblkSlots::question_bytes() const noexcept {
  return (slots_.size() * sizeof(ublksrv_io_desc) + kPage - 1) / kPage * kPage;
}

Result<> UblkSlots::map_questions(int channel) {
  void* at = ::mmap(nullptr, question_bytes(), PROT_READ, MAP_SHARED | MAP_POPULATE, channel,
                    UBLKSRV_CMD_BUF_OFFSET);
  if (at == MAP_FAILED) {
    return fail(errno, "map the questions of the kernel");
  }
  questions_ = static_cast<const ublksrv_io_desc*>(at);
  // The map keeps the channel open, and only one may have it open: a child that waits for its next
  // holder must not have it.
  if (::madvise(at, question_bytes(), MADV_DONTFORK) != 0) {
    return fail(errno, "keep the questions of the kernel from children");
  }
  return {};
}

void UblkSlots::unmap_questions() {
  if (questions_ != nullptr) {
    ::munmap(const_cast<ublksrv_io_desc*>(std::exchange(questions_, nullptr)), question_bytes());
  }
}

std::span<std::byte> UblkSlots::data(unsigned tag) noexcept {
  CB_CHECK(tag < slots_.size());
  return {data_ + std::size_t{tag} * kRequestMax, kRequestMax};
}

}  // namespace cb::volume
