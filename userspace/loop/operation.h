// SPDX-License-Identifier: Apache-2.0
//
// One request to the io_uring and what follows from its completion. Of the loop's own use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "loop/loop.h"

struct io_uring_sqe;

namespace cb::loop {

struct Operation {
  enum class Next : std::uint8_t {
    Finished,
    Submit,  // again
    Later,   // again, in a second: the system lacks something
  };

  virtual ~Operation() = default;
  virtual void prepare(io_uring_sqe& sqe) = 0;
  // Runs the callback, if it is its time.
  virtual Next complete(Loop& loop, int result) = 0;
  // The completion of a forgotten operation: gives back what the result holds.
  virtual void discard(int /*result*/) {}
  virtual bool can_be_cancelled() const { return true; }
  // Moves the callbacks out, to be destroyed when the loop's books are in order.
  virtual std::shared_ptr<void> take_callbacks() = 0;

  std::uint64_t id = 0;
  bool in_flight = false;
  bool forgotten = false;
};

std::unique_ptr<Operation> make_watch(int fd, std::function<void()> on_readable);
std::unique_ptr<Operation> make_accept(int fd, std::function<void(Fd)> on_connection);
std::unique_ptr<Operation> make_recv(int fd, std::size_t limit,
                                     std::function<void(int, std::span<const std::byte>)> done);
std::unique_ptr<Operation> make_send(int fd, std::string bytes, Done done);
std::unique_ptr<Operation> make_connect(int fd, std::span<const std::byte> address, Done done);
std::unique_ptr<Operation> make_write(int fd, std::uint64_t offset, std::string bytes, Done done);
std::unique_ptr<Operation> make_read_into(int fd, std::uint64_t offset, std::span<std::byte> bytes,
                                          std::shared_ptr<const void> keeps, Done done);
std::unique_ptr<Operation> make_write_from(int fd, std::uint64_t offset,
                                           std::span<const std::byte> bytes, Durable durable,
                                           std::shared_ptr<const void> keeps, Done done);
std::unique_ptr<Operation> make_allocate(int fd, int mode, std::uint64_t offset,
                                         std::uint64_t length, Done done);
std::unique_ptr<Operation> make_fsync(int fd, bool metadata, Done done);

}  // namespace cb::loop
