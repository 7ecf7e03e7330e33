// SPDX-License-Identifier: Apache-2.0
#include "edge/service_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "base/text.h"
#include "loop/child.h"

namespace cb::edge {

namespace {

using Done = std::function<void(bool good, const std::string& text)>;

struct Target {
  sockaddr_storage address{};
  socklen_t length = 0;
  std::string host;  // as written, for the Host: line
  std::string path = "/";
};

// "127.0.0.1:80", "[::1]:80", "localhost:80".
std::optional<Target> parse_host_port(std::string_view text,
                                      std::optional<std::uint16_t> standard) {
  Target target;
  target.host = text;
  std::string_view host = text;
  std::uint64_t port = standard.value_or(0);
  const std::size_t colon = text.rfind(':');
  const std::size_t bracket = text.rfind(']');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    port = parse_number(text.substr(colon + 1), 65535).value_or(0);
    host = text.substr(0, colon);
  }
  if (port == 0) {
    return std::nullopt;
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  const auto number = htons(static_cast<std::uint16_t>(port));
  if (const auto v4 = parse_ipv4(host == "localhost" ? "127.0.0.1" : host)) {
    auto* to = reinterpret_cast<sockaddr_in*>(&target.address);
    to->sin_family = AF_INET;
    to->sin_port = number;
    std::memcpy(&to->sin_addr, v4->bytes.data(), 4);
    target.length = sizeof(sockaddr_in);
    return target;
  }
  if (const auto v6 = parse_ipv6(host)) {
    auto* to = reinterpret_cast<sockaddr_in6*>(&target.address);
    to->sin6_family = AF_INET6;
    to->sin6_port = number;
    std::memcpy(&to->sin6_addr, v6->bytes.data(), 16);
    target.length = sizeof(sockaddr_in6);
    return target;
  }
  return std::nullopt;
}

std::optional<Target> parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  // Spaces and line ends would make a question of their own out of the rest.
  const bool plain = std::none_of(url.begin(), url.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
  });
  if (!url.starts_with(kScheme) || !plain) {
    return std::nullopt;
  }
  url.remove_prefix(kScheme.size());
  const std::size_t slash = url.find('/');
  auto target = parse_host_port(url.substr(0, slash), 80);
  if (target && slash != std::string_view::npos) {
    target->path = url.substr(slash);
  }
  return target;
}

// A connection that is tried, and with http a question asked over it.
struct Connection : std::enable_shared_from_this<Connection> {
  Connection(loop::Loop& l, Target t, bool h, Done d)
      : loop(l), target(std::move(t)), http(h), done(std::move(d)) {}

  void start(Instant deadline) {
    socket = Fd(::socket(target.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) {
      finish(false, std::string("socket: ") + strerrordesc_np(errno));
      return;
    }
    const auto self = shared_from_this();
    timer = loop.at(deadline, [self] { self->finish(false, "no answer in time"); });
    const auto* bytes = reinterpret_cast<const std::byte*>(&target.address);
    operation = loop.connect(socket.get(), {bytes, target.length}, [self](int error) {
      if (error != 0) {
        self->finish(false, std::string("connect: ") + strerrordesc_np(error));
      } else if (self->http) {
        self->ask();
      } else {
        self->finish(true, "");
      }
    });
  }

  void ask() {
    const auto self = shared_from_this();
    operation = loop.send(socket.get(),
                          "GET " + target.path + " HTTP/1.0\r\nHost: " + target.host +
                              "\r\nUser-Agent: crossbeat\r\nConnection: close\r\n\r\n",
                          [self](int error) {
                            if (error != 0) {
                              self->finish(false, std::string("send: ") + strerrordesc_np(error));
                            } else {
                              self->read();
                            }
                          });
  }

  void read() {
    const auto self = shared_from_this();
    operation = loop.recv(socket.get(), 1024, [self](int n, std::span<const std::byte> bytes) {
      if (n > 0) {
        self->answer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      }
      const std::size_t end = self->answer.find('\n');
      if (end == std::string::npos && n > 0 && self->answer.size() < 1024) {
        self->read();
      } else {
        self->judge(trim(std::string_view(self->answer).substr(0, end)));
      }
    });
  }

  // "HTTP/1.1 200 OK": 2xx and 3xx are good.
  void judge(std::string_view line) {
    constexpr std::size_t kStatus = std::string_view("HTTP/1.1 ").size();
    const bool is_http =
        line.starts_with("HTTP/1.") && line.size() >= kStatus + 3 && line[kStatus - 1] == ' ';
    const std::string_view status = is_http ? line.substr(kStatus) : "";
    const auto code = parse_number(status.substr(0, status.find(' ')), 999);
    const bool good = code && *code >= 200 && *code < 400;
    finish(good, is_http ? std::string(line) : "no HTTP answer");
  }

  void finish(bool good, const std::string& text) {
    loop.cancel(timer);
    if (done == nullptr) {
      return;
    }
    loop.forget(operation);
    socket.reset();
    const Done once = std::exchange(done, nullptr);
    once(good, text);
  }

  loop::Loop& loop;
  Target target;
  bool http;
  Done done;
  Fd socket;
  loop::OperationId operation = 0;
  loop::TimerId timer;
  std::string answer;
};

}  // namespace

bool tells_readiness(config::HealthProbe::Kind kind) {
  switch (kind) {
    case config::HealthProbe::Kind::Tcp:
    case config::HealthProbe::Kind::Http:
    case config::HealthProbe::Kind::Command: return true;
    case config::HealthProbe::Kind::None:
    case config::HealthProbe::Kind::Process:
    case config::HealthProbe::Kind::Unit: return false;
  }
  return false;
}

void probe(loop::Loop& loop, loop::Hands& hands, const config::HealthProbe& health,
           service::Driver& driver, const std::vector<std::string>& environment, Instant deadline,
           Done done) {
  const auto by_code = [&done] {
    return [done](int error, const std::string& text) { done(error == 0, text); };
  };
  switch (health.kind) {
    case config::HealthProbe::Kind::None: done(true, ""); return;
    case config::HealthProbe::Kind::Process:
    case config::HealthProbe::Kind::Unit: driver.ask(deadline, by_code()); return;
    case config::HealthProbe::Kind::Command: {
      loop::ChildPlan plan;
      for (const auto word : split(health.target, ' ')) {
        if (!word.empty()) {
          plan.command.emplace_back(word);
        }
      }
      plan.environment = environment;
      loop::run_command(loop, hands, std::move(plan), deadline, nullptr, by_code());
      return;
    }
    case config::HealthProbe::Kind::Tcp:
    case config::HealthProbe::Kind::Http: {
      const bool http = health.kind == config::HealthProbe::Kind::Http;
      auto target = http ? parse_url(health.target) : parse_host_port(health.target, std::nullopt);
      if (!target) {
        done(false, "'" + health.target + "' has no address in it; names are not looked up");
        return;
      }
      std::make_shared<Connection>(loop, std::move(*target), http, std::move(done))
          ->start(deadline);
      return;
    }
  }
}

}  // namespace cb::edge
