// SPDX-License-Identifier: Apache-2.0
//
// io_uring does not wait on a descriptor that is non-blocking: it completes with EAGAIN. Operations
// on sockets then poll and try again, so that they work on either kind.
#include "loop/operation.h"

#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/check.h"

namespace cb::loop {

namespace {

// Level-triggered on purpose: one poll at a time, armed again after the callback. A multishot poll
// tells of edges, and a callback that leaves something unread would never be called again.
struct Watch final : Operation {
  Watch(int fd_, std::function<void()> f) : fd(fd_), on_readable(std::move(f)) {}

  void prepare(io_uring_sqe& sqe) override { io_uring_prep_poll_add(&sqe, fd, POLLIN); }

  Next complete(Loop& loop, int result) override {
    CB_CHECK_MSG(result != -EBADF, "a watched descriptor was closed without unwatch");
    const std::uint64_t mine = id;
    auto call = std::move(on_readable);
    call();
    if (loop.is_pending(mine)) {
      on_readable = std::move(call);
    }
    return Next::Submit;
  }

  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<std::function<void()>>(std::move(on_readable));
  }

  int fd;
  std::function<void()> on_readable;
};

struct Accept final : Operation {
  Accept(int fd_, std::function<void(Fd)> f) : fd(fd_), on_connection(std::move(f)) {}

  void prepare(io_uring_sqe& sqe) override {
    if (polling) {
      io_uring_prep_poll_add(&sqe, fd, POLLIN);
    } else {
      io_uring_prep_accept(&sqe, fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
  }

  Next complete(Loop& loop, int result) override {
    if (std::exchange(polling, false)) {
      return Next::Submit;
    }
    if (result >= 0) {
      const std::uint64_t mine = id;
      auto call = std::move(on_connection);
      call(Fd(result));
      if (loop.is_pending(mine)) {
        on_connection = std::move(call);
      }
      return Next::Submit;
    }
    switch (-result) {
      case EAGAIN: polling = true; return Next::Submit;
      case EMFILE:
      case ENFILE:
      case ENOMEM:
      case ENOBUFS: return Next::Later;
      case EBADF:
      case EINVAL:  // no longer listening
      case ENOTSOCK:
      case EOPNOTSUPP: return Next::Finished;
      default:  // this connection failed, the next need not
        return Next::Submit;
    }
  }

  void discard(int result) override {
    if (result >= 0 && !polling) {
      const Fd unwanted(result);
    }
  }

  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<std::function<void(Fd)>>(std::move(on_connection));
  }

  int fd;
  std::function<void(Fd)> on_connection;
  bool polling = false;
};

struct Recv final : Operation {
  using Callback = std::function<void(int, std::span<const std::byte>)>;
  Recv(int fd_, std::size_t limit, Callback f) : fd(fd_), bytes(limit), done(std::move(f)) {}

  void prepare(io_uring_sqe& sqe) override {
    if (polling) {
      io_uring_prep_poll_add(&sqe, fd, POLLIN);
    } else {
      io_uring_prep_recv(&sqe, fd, bytes.data(), bytes.size(), 0);
    }
  }

  Next complete(Loop& /*loop*/, int result) override {
    if (std::exchange(polling, false) || result == -EINTR) {
      return Next::Submit;
    }
    if (result == -EAGAIN) {
      polling = true;
      return Next::Submit;
    }
    // Everything the callback needs is taken along: it may forget this operation.
    const Callback call = std::move(done);
    const std::vector<std::byte> came = std::move(bytes);
    call(result, std::span(came).first(result > 0 ? static_cast<std::size_t>(result) : 0));
    return Next::Finished;
  }

  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<Callback>(std::move(done));
  }

  int fd;
  std::vector<std::byte> bytes;
  Callback done;
  bool polling = false;
};

// Send and Write: the rest, until there is none.
struct Outgoing : Operation {
  Outgoing(int fd_, std::string b, Done d) : fd(fd_), bytes(std::move(b)), done(std::move(d)) {}

  Next complete(Loop& /*loop*/, int result) override {
    if (std::exchange(polling, false) || result == -EINTR) {
      return Next::Submit;
    }
    if (result == -EAGAIN) {
      polling = true;
      return Next::Submit;
    }
    if (result >= 0) {
      sent += static_cast<std::size_t>(result);
      if (sent < bytes.size() && result > 0) {
        return Next::Submit;
      }
    }
    const int error = result < 0 ? -result : sent < bytes.size() ? EIO : 0;
    const Done call = std::move(done);
    call(error);
    return Next::Finished;
  }

  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<Done>(std::move(done));
  }

  const char* rest() const { return bytes.data() + sent; }
  unsigned rest_size() const {
    return static_cast<unsigned>(std::min<std::size_t>(bytes.size() - sent, 1u << 30));
  }

  int fd;
  std::string bytes;
  Done done;
  std::size_t sent = 0;
  bool polling = false;
};

struct Send final : Outgoing {
  using Outgoing::Outgoing;
  void prepare(io_uring_sqe& sqe) override {
    if (polling) {
      io_uring_prep_poll_add(&sqe, fd, POLLOUT);
    } else {
      io_uring_prep_send(&sqe, fd, rest(), rest_size(), MSG_NOSIGNAL);
    }
  }
};

struct Write final : Outgoing {
  Write(int fd_, std::uint64_t at, std::string b, Done d)
      : Outgoing(fd_, std::move(b), std::move(d)), offset(at) {}
  void prepare(io_uring_sqe& sqe) override {
    if (polling) {
      io_uring_prep_poll_add(&sqe, fd, POLLOUT);
    } else {
      io_uring_prep_write(&sqe, fd, rest(), rest_size(), offset + sent);
    }
  }
  bool can_be_cancelled() const override { return false; }
  std::uint64_t offset;
};

// Memory of the caller's, read into or written from, until all of it is done. A direct write that
// the kernel cut short goes on where it stopped.
struct Whole : Operation {
  Whole(int fd_, std::uint64_t at, std::shared_ptr<const void> k, std::size_t n, Done d)
      : fd(fd_), offset(at), size(n), keeps(std::move(k)), done(std::move(d)) {}

  Next complete(Loop& /*loop*/, int result) override {
    if (result == -EINTR || result == -EAGAIN) {
      return Next::Submit;
    }
    if (result > 0) {
      moved += static_cast<std::size_t>(result);
      if (moved < size) {
        return Next::Submit;
      }
    }
    const int error = result < 0 ? -result : moved < size ? EIO : 0;
    const Done call = std::move(done);
    call(error);
    return Next::Finished;
  }
  bool can_be_cancelled() const override { return false; }
  // keeps stays: the kernel may still be at work.
  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<Done>(std::move(done));
  }
  unsigned rest() const {
    return static_cast<unsigned>(std::min<std::size_t>(size - moved, 1u << 30));
  }

  int fd;
  std::uint64_t offset;
  std::size_t size;
  std::shared_ptr<const void> keeps;
  Done done;
  std::size_t moved = 0;
};

struct ReadInto final : Whole {
  ReadInto(int fd_, std::uint64_t at, std::span<std::byte> b, std::shared_ptr<const void> k, Done d)
      : Whole(fd_, at, std::move(k), b.size(), std::move(d)), bytes(b) {}
  void prepare(io_uring_sqe& sqe) override {
    io_uring_prep_read(&sqe, fd, bytes.data() + moved, rest(), offset + moved);
  }
  std::span<std::byte> bytes;
};

struct WriteFrom final : Whole {
  WriteFrom(int fd_, std::uint64_t at, std::span<const std::byte> b, Durable how,
            std::shared_ptr<const void> k, Done d)
      : Whole(fd_, at, std::move(k), b.size(), std::move(d)), durable(how), bytes(b) {}
  void prepare(io_uring_sqe& sqe) override {
    io_uring_prep_write(&sqe, fd, bytes.data() + moved, rest(), offset + moved);
    sqe.rw_flags = durable == Durable::Yes ? RWF_DSYNC : 0;
  }
  Durable durable;
  std::span<const std::byte> bytes;
};

struct Allocate final : Operation {
  Allocate(int fd_, int mode_, std::uint64_t at, std::uint64_t n, Done d)
      : fd(fd_), mode(mode_), offset(at), length(n), done(std::move(d)) {}
  void prepare(io_uring_sqe& sqe) override {
    io_uring_prep_fallocate(&sqe, fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
  }
  Next complete(Loop& /*loop*/, int result) override {
    if (result == -EINTR || result == -EAGAIN) {
      return Next::Submit;
    }
    const Done call = std::move(done);
    call(result < 0 ? -result : 0);
    return Next::Finished;
  }
  bool can_be_cancelled() const override { return false; }
  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<Done>(std::move(done));
  }

  int fd;
  int mode;
  std::uint64_t offset;
  std::uint64_t length;
  Done done;
};

struct Fsync final : Operation {
  Fsync(int fd_, bool metadata_, Done d) : fd(fd_), metadata(metadata_), done(std::move(d)) {}
  void prepare(io_uring_sqe& sqe) override {
    io_uring_prep_fsync(&sqe, fd, metadata ? 0 : IORING_FSYNC_DATASYNC);
  }
  Next complete(Loop& /*loop*/, int result) override {
    const Done call = std::move(done);
    call(result < 0 ? -result : 0);
    return Next::Finished;
  }
  bool can_be_cancelled() const override { return false; }
  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<Done>(std::move(done));
  }

  int fd;
  bool metadata;
  Done done;
};

// On a non-blocking socket the first connect begins it (EINPROGRESS); when the socket can be
// written to, its error says how it ended.
struct Connect final : Operation {
  Connect(int fd_, std::span<const std::byte> a, Done d)
      : fd(fd_), address(a.begin(), a.end()), done(std::move(d)) {}

  void prepare(io_uring_sqe& sqe) override {
    if (polling) {
      io_uring_prep_poll_add(&sqe, fd, POLLOUT);
    } else {
      io_uring_prep_connect(&sqe, fd, reinterpret_cast<const sockaddr*>(address.data()),
                            static_cast<socklen_t>(address.size()));
    }
  }

  Next complete(Loop& /*loop*/, int result) override {
    if (!polling && (result == -EINPROGRESS || result == -EAGAIN || result == -EALREADY)) {
      polling = true;
      return Next::Submit;
    }
    int error = result < 0 ? -result : 0;
    if (polling && error == 0) {
      socklen_t length = sizeof error;
      if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
      }
    }
    const Done call = std::move(done);
    call(error);
    return Next::Finished;
  }

  std::shared_ptr<void> take_callbacks() override {
    return std::make_shared<Done>(std::move(done));
  }

  int fd;
  std::vector<std::byte> address;
  Done done;
  bool polling = false;
};

}  // namespace

std::unique_ptr<Operation> make_watch(int fd, std::function<void()> on_readable) {
  return std::make_unique<Watch>(fd, std::move(on_readable));
}

std::unique_ptr<Operation> make_accept(int fd, std::function<void(Fd)> on_connection) {
  return std::make_unique<Accept>(fd, std::move(on_connection));
}

std::unique_ptr<Operation> make_recv(int fd, std::size_t limit,
                                     std::function<void(int, std::span<const std::byte>)> done) {
  return std::make_unique<Recv>(fd, limit, std::move(done));
}

std::unique_ptr<Operation> make_send(int fd, std::string bytes, Done done) {
  return std::make_unique<Send>(fd, std::move(bytes), std::move(done));
}

std::unique_ptr<Operation> make_connect(int fd, std::span<const std::byte> address, Done done) {
  return std::make_unique<Connect>(fd, address, std::move(done));
}

std::unique_ptr<Operation> make_write(int fd, std::uint64_t offset, std::string bytes, Done done) {
  return std::make_unique<Write>(fd, offset, std::move(bytes), std::move(done));
}

std::unique_ptr<Operation> make_read_into(int fd, std::uint64_t offset, std::span<std::byte> bytes,
                                          std::shared_ptr<const void> keeps, Done done) {
  return std::make_unique<ReadInto>(fd, offset, bytes, std::move(keeps), std::move(done));
}

std::unique_ptr<Operation> make_write_from(int fd, std::uint64_t offset,
                                           std::span<const std::byte> bytes, Durable durable,
                                           std::shared_ptr<const void> keeps, Done done) {
  return std::make_unique<WriteFrom>(fd, offset, bytes, durable, std::move(keeps), std::move(done));
}

std::unique_ptr<Operation> make_allocate(int fd, int mode, std::uint64_t offset,
                                         std::uint64_t length, Done done) {
  return std::make_unique<Allocate>(fd, mode, offset, length, std::move(done));
}

std::unique_ptr<Operation> make_fsync(int fd, bool metadata, Done done) {
  return std::make_unique<Fsync>(fd, metadata, std::move(done));
}

}  // namespace cb::loop
