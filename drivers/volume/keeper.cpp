// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/keeper.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/fd.h"
#include "drivers/volume/errand.h"
#include "drivers/volume/memory.h"

namespace cb::volume {

namespace {

// What start_keeper leaves open.
constexpr int kListening = 3;
constexpr int kFuse = 4;
constexpr int kMemory = 5;

constexpr char kGive = 'g';
constexpr char kEnd = 'e';

constexpr timeval kPatience = {.tv_sec = 2, .tv_usec = 0};

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ENAMETOOLONG, "use the socket " + path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Whether the other end runs as we do, and not in some container as somebody else.
bool is_trusted(int socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         peer.uid == ::geteuid();
}

void be_patient(int socket) {
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
}

// A connection to the keeper on which this was said; none when nobody listens.
Result<std::optional<Fd>> say(const std::string& path, char what) {
  CB_TRY(address, address_of(path));
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) {
    return fail(errno, "make a socket");
  }
  be_patient(socket.get());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno == ENOENT || errno == ECONNREFUSED ? Result<std::optional<Fd>>(std::nullopt)
                                                    : fail(errno, "reach the keeper at " + path);
  }
  if (!is_trusted(socket.get())) {
    return fail(EACCES, "trust who listens at " + path);
  }
  if (::send(socket.get(), &what, 1, MSG_NOSIGNAL) != 1) {
    return fail(errno, "speak to the keeper at " + path);
  }
  return std::optional<Fd>(std::move(socket));
}

union Control {
  cmsghdr header;
  std::array<char, CMSG_SPACE(2 * sizeof(int))> room;
};

void give(int socket) {
  char word = kGive;
  iovec part = {&word, 1};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control.room;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const std::array<int, 2> descriptors = {kFuse, kMemory};
  std::memcpy(CMSG_DATA(rights), descriptors.data(), sizeof descriptors);
  ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

Result<Kept> receive(int socket, const std::string& path) {
  char word = 0;
  iovec part = {&word, 1};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control.room;
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (n != 1 || word != kGive || rights == nullptr || rights->cmsg_type != SCM_RIGHTS ||
      rights->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
    return fail(n < 0 ? errno : EPROTO, "hear the keeper at " + path);
  }
  std::array<int, 2> descriptors{};
  std::memcpy(descriptors.data(), CMSG_DATA(rights), sizeof descriptors);
  return Kept{Fd(descriptors[0]), Fd(descriptors[1])};
}

Result<Fd> listen_at(const std::string& path) {
  CB_TRY(address, address_of(path));
  ::unlink(path.c_str());  // of a keeper that is dead
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  // The mode of the socket before it has a name is the mode of its file.
  if (!socket || ::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 8) != 0) {
    return fail(errno, "listen at " + path);
  }
  return socket;
}

// In a forked child: a grandchild becomes the keeper, so that it is nobody's child.
[[noreturn]] void become_keeper(char* const* command, std::array<int, 3> descriptors) {
  for (int& fd : descriptors) {
    fd = ::fcntl(fd, F_DUPFD, 10);
  }
  const int null = ::open("/dev/null", O_RDWR);
  const std::array<std::pair<int, int>, 6> places = {{{null, 0},
                                                      {null, 1},
                                                      {null, 2},
                                                      {descriptors[0], kListening},
                                                      {descriptors[1], kFuse},
                                                      {descriptors[2], kMemory}}};
  for (const auto& [from, to] : places) {
    if (::dup2(from, to) < 0) {
      ::_exit(1);
    }
  }
  close_all_but({kListening, kFuse}, kMemory);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  if (::chdir("/") != 0 || ::fork() != 0) {
    ::_exit(0);
  }
  char* const environment[] = {nullptr};
  ::execve(command[0], command, environment);
  ::_exit(127);
}

}  // namespace

Result<std::optional<Kept>> ask_keeper(const std::string& socket_path) {
  CB_TRY(socket, say(socket_path, kGive));
  if (!socket) {
    return std::optional<Kept>();
  }
  CB_TRY(kept, receive(socket->get(), socket_path));
  return std::optional<Kept>(std::move(kept));
}

Result<> start_keeper(const std::string& socket_path, const std::vector<std::string>& command,
                      int fuse, int memory) {
  CB_TRY(listening, listen_at(socket_path));
  std::vector<char*> words;
  for (const std::string& word : command) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    return fail(errno, "make a child process");
  }
  if (child == 0) {
    become_keeper(words.data(), {listening.get(), fuse, memory});
  }
  ::waitpid(child, nullptr, 0);  // it forks and ends
  listening.reset();             // so that a keeper that did not come up is nobody
  CB_TRY(kept, ask_keeper(socket_path));
  if (!kept) {
    return fail(ECHILD, "start the keeper (" + command[0] + ")");
  }
  return {};
}

Result<> end_keeper(const std::string& socket_path) {
  CB_TRY(socket, say(socket_path, kEnd));
  if (socket) {
    char word = 0;
    ::recv(socket->get(), &word, 1, 0);  // it ends, and so does the connection
  }
  ::unlink(socket_path.c_str());
  return {};
}

int run_keeper() {
  ::prctl(PR_SET_NAME, "cb-keeper");
  // Without it a killed volume process is a dead volume.
  const bool spared = be_spared_when_memory_ends() == 0;
  const bool locked = ::mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
  static_cast<void>(spared && locked);  // the best that this machine allows
  for (;;) {
    const Fd caller(::accept4(kListening, nullptr, nullptr, SOCK_CLOEXEC));
    if (!caller) {
      if (errno == EINTR || errno == ECONNABORTED || errno == EMFILE || errno == ENOMEM) {
        continue;
      }
      return 1;
    }
    be_patient(caller.get());
    char word = 0;
    if (!is_trusted(caller.get()) || ::recv(caller.get(), &word, 1, 0) != 1) {
      continue;
    }
    if (word == kGive) {
      give(caller.get());
    } else if (word == kEnd) {
      return 0;
    }
  }
}

}  // namespace cb::volume
