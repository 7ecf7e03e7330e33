// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/replicated_process.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/clock.h"

namespace cb::volume {
namespace {

constexpr Duration kLookAgain = Duration::from_ms(10);  // for the socket of one that was started
constexpr Duration kBackOffLeast = Duration::from_ms(100);
constexpr Duration kBackOffMost = Duration::from_s(5);
constexpr Duration kStable = Duration::from_s(30);
constexpr std::size_t kQueueMax = 1000;

}  // namespace

Process::Process(loop::Loop& loop, loop::Hands& hands, ProcessPlan plan, ProcessCalls calls)
    : loop_(loop), hands_(hands), plan_(std::move(plan)), calls_(std::move(calls)) {}

Process::~Process() {
  loop_.cancel(timer_);
  loop_.forget(operation_);
  loop_.forget(sending_);
}

void Process::run() {
  if (!wanted_) {
    wanted_ = true;
    connect();
  }
}

void Process::stay_down() {
  wanted_ = false;
  loop_.cancel(timer_);
}

void Process::replace() {
  ucred other{};
  socklen_t length = sizeof other;
  if (connected_ && getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &other, &length) == 0 &&
      other.pid > 1 && other.pid != getpid()) {
    kill(other.pid, SIGTERM);
  }
}

void Process::again(Duration after) {
  loop_.cancel(timer_);
  if (wanted_) {
    timer_ = loop_.after(after, leash_.guard([this] { connect(); }));
  }
}

void Process::connect() {
  if (connected_ || operation_ != 0 || !wanted_) {
    return;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (plan_.socket.size() >= sizeof address.sun_path) {
    calls_.on_trouble("the path of its socket is too long: " + plan_.socket);
    return;
  }
  memcpy(address.sun_path, plan_.socket.c_str(), plan_.socket.size());
  socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) {
    calls_.on_trouble(std::string("no socket for the volume process: ") + strerror(errno));
    again(kBackOffMost);
    return;
  }
  operation_ = loop_.connect(socket_.get(), std::as_bytes(std::span(&address, 1)),
                             leash_.guard([this](int error) { on_connect_answered(error); }));
}

void Process::on_connect_answered(int error) {
  operation_ = 0;
  if (error == 0) {
    connected_ = true;
    receive();
    calls_.on_connected();
    return;
  }
  socket_.reset();
  const bool nobody = error == ENOENT || error == ECONNREFUSED;
  if (nobody && child_ == nullptr) {
    start_child();
  } else {
    again(kLookAgain);
  }
}

void Process::start_child() {
  loop::ChildPlan plan;
  plan.command = plan_.command;
  plan.output_file = plan_.output_file;
  loop::Child::Calls calls;
  calls.on_ended = [this](const loop::Ended& ended) { on_child_ended(ended); };
  child_since_ = boottime_now();
  child_ = loop::Child::start(loop_, hands_, std::move(plan), std::move(calls));
  calls_.on_started();
  again(kLookAgain);
}

void Process::on_child_ended(const loop::Ended& ended) {
  // We are in its call: it is put down afterwards.
  loop_.after(Duration{}, [old = std::shared_ptr<loop::Child>(std::move(child_))] {});
  if (!wanted_) {
    return;
  }
  back_off_ = boottime_now() - child_since_ >= kStable
                  ? kBackOffLeast
                  : std::clamp(back_off_ * 2, kBackOffLeast, kBackOffMost);
  calls_.on_trouble("the volume process ended: " + ended.text() + "; see " + plan_.output_file);
  again(back_off_);
}

void Process::receive() {
  operation_ = loop_.recv(
      socket_.get(), kPacketMax, leash_.guard([this](int n, std::span<const std::byte> bytes) {
        operation_ = 0;
        if (n <= 0) {
          lose();
          return;
        }
        const auto alive = leash_.sight();
        calls_.on_packet(
            {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(n)});
        if (!alive.expired() && connected_) {
          receive();
        }
      }));
}

void Process::send(std::string packet) {
  if (!connected_) {
    return;
  }
  if (packet.size() > kPacketMax || queue_.size() >= kQueueMax) {
    calls_.on_trouble("the volume process does not read what it is told");
    lose();
    return;
  }
  // A local socket takes it at once unless the process is behind: then the loop waits for it.
  if (sending_ == 0 && queue_.empty() &&
      ::send(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
    return;
  }
  queue_.push_back(std::move(packet));
  send_next();
}

void Process::send_next() {
  if (sending_ != 0 || queue_.empty()) {
    return;
  }
  std::string packet = std::move(queue_.front());
  queue_.pop_front();
  sending_ = loop_.send(socket_.get(), std::move(packet), leash_.guard([this](int error) {
    sending_ = 0;
    if (error != 0) {
      lose();
    } else {
      send_next();
    }
  }));
}

void Process::lose() {
  if (!connected_) {
    return;
  }
  connected_ = false;
  loop_.forget(operation_);
  loop_.forget(sending_);
  operation_ = 0;
  sending_ = 0;
  queue_.clear();
  socket_.reset();
  again(kLookAgain);
  calls_.on_lost();
}

}  // namespace cb::volume
