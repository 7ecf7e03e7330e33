// SPDX-License-Identifier: Apache-2.0
//
// crossbeat recover: a primary that lost its configuration asks its secondary for it, with a
// one-time code. No monitor runs here meanwhile: there is nothing yet that it could run with. The
// secondary goes on as it is, also in command.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "cli/code_source.h"
#include "cli/verbs.h"
#include "config/address.h"
#include "config/platform.h"
#include "crossbeat_version.h"
#include "edge/ledger_format.h"
#include "pairing/session.h"

namespace cb::cli {
namespace {

using pairing::PrimarySession;

constexpr std::uint16_t kPort = 7388;
constexpr Duration kStepTime = Duration::from_s(10);
// The lost ledger may have reserved terms, and served in them, that the secondary never heard of:
// reservations are a few terms long, so this leaves them all behind. Even, so that whose term a
// number is does not change.
constexpr std::uint64_t kTermGap = 1u << 16;
constexpr std::size_t kFileMax = 1u << 20;

Result<> wait_for(const Fd& fd, short what, Instant deadline) {
  while (true) {
    const Duration left = deadline - boottime_now();
    pollfd one{fd.get(), what, 0};
    const int ready = left > Duration{} ? poll(&one, 1, static_cast<int>(left.as_ms()) + 1) : 0;
    if (ready > 0) {
      return Done{};
    }
    if (ready == 0) {
      return fail(ETIMEDOUT, "wait for the secondary");
    }
    if (errno != EINTR) {
      return fail(errno, "wait for the secondary");
    }
  }
}

struct Line {  // to the secondary
  Fd fd;
  config::Address own;  // as the system chose it
};

Result<Line> connect_to(const config::Address& peer) {
  Line line;
  line.fd = Fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!line.fd) {
    return fail(errno, "open a socket");
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kPort);
  std::copy(peer.bytes.begin() + 12, peer.bytes.end(),
            reinterpret_cast<std::uint8_t*>(&to.sin_addr));
  const std::string doing = "connect to " + peer.text();
  if (connect(line.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
      errno != EINPROGRESS) {
    return fail(errno, doing);
  }
  CB_TRY_DO(wait_for(line.fd, POLLOUT, boottime_now() + kStepTime));
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(line.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) {
    return fail(error != 0 ? error : errno, doing);
  }
  sockaddr_in from{};
  length = sizeof from;
  if (getsockname(line.fd.get(), reinterpret_cast<sockaddr*>(&from), &length) != 0) {
    return fail(errno, "ask for the own address");
  }
  line.own.bytes[10] = line.own.bytes[11] = 0xff;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&from.sin_addr);
  std::copy(bytes, bytes + 4, line.own.bytes.begin() + 12);
  return line;
}

Result<> send_all(const Fd& fd, std::string_view bytes) {
  const Instant deadline = boottime_now() + kStepTime;
  while (!bytes.empty()) {
    const ssize_t sent = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      CB_TRY_DO(wait_for(fd, POLLOUT, deadline));
    } else {
      return fail(errno, "send to the secondary");
    }
  }
  return Done{};
}

Result<pairing::Frame> receive_frame(const Fd& fd, pairing::FrameReader& reader) {
  const Instant deadline = boottime_now() + kStepTime;
  std::array<char, 4096> bytes{};
  while (true) {
    if (auto frame = reader.next()) {
      return *std::move(frame);
    }
    CB_TRY_DO(wait_for(fd, POLLIN, deadline));
    const ssize_t count = recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (count == 0) {
      return fail(ECONNRESET, "the secondary closed the connection");
    }
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      return fail(errno, "hear the secondary");
    }
    if (count > 0 && !reader.feed({bytes.data(), static_cast<std::size_t>(count)})) {
      return fail(EPROTO, "what answers does not speak Crossbeat's pairing protocol");
    }
  }
}

pairing::LocalIdentity who_we_are(const config::MachineFacts& machine, const config::Address& own) {
  pairing::LocalIdentity self;
  self.role = core::Role::Primary;
  self.name = machine.host_name.substr(0, machine.host_name.find('.'));
  self.name = self.name.empty() ? "primary" : self.name;
  self.version = CROSSBEAT_VERSION;
  self.udi = "recovering";
  self.hm_address = own;
  for (const auto& interface : machine.interfaces) {
    for (const config::Prefix& prefix : interface.addresses) {
      if (prefix.address == own) {
        self.networks = {prefix};
      }
    }
  }
  return self;
}

Result<pairing::Failure> talk(PrimarySession& session, const Line& line) {
  pairing::FrameReader reader;
  pairing::Move move = session.begin();
  while (move.next == pairing::Move::Next::Read) {
    CB_TRY_DO(send_all(line.fd, move.send));
    CB_TRY(frame, receive_frame(line.fd, reader));
    move = session.on_frame(frame);
  }
  (void)send_all(line.fd, move.send);  // ignored: a farewell
  return session.failure();
}

Result<> make_folders(const std::string& root, const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    if (mkdir((root + path.substr(0, at)).c_str(), 0755) != 0 && errno != EEXIST) {
      return fail(errno, "make the folder " + root + path.substr(0, at));
    }
  }
  return Done{};
}

// The pairing's file last: with it the pairing exists, and then its ledger is there, with terms
// that nobody has served in.
Result<std::string> write_back(const std::string& root, const pairing::Restored& restored) {
  std::string notes;
  const std::string node = "/etc/crossbeat/crossbeat.toml";
  if (!restored.node.empty()) {
    CB_TRY_DO(make_folders(root, node));
    const auto present = read_all(root + node, kFileMax);
    if (present && *present != restored.node) {
      CB_TRY_DO(write_atomically(root + node + ".before-recovery", *present, 0600));
      notes += "The former " + node + " is beside it as crossbeat.toml.before-recovery.\n";
    }
    CB_TRY_DO(write_atomically(root + node, restored.node, 0644));
  } else {
    notes +=
        "The secondary had not kept this node's crossbeat.toml: write it (crossbeat setup) "
        "before you start the monitor.\n";
  }
  edge::LedgerSlot slot;
  slot.pairing = restored.pair.id;
  slot.sequence = 1;
  slot.record.term = (restored.term & ~std::uint64_t{1}) + kTermGap;
  slot.record.reserved_term = slot.record.term;
  std::string ledger = edge::encode(slot);
  ledger.resize(edge::kLedgerBytes, '\0');
  const std::string path =
      "/var/lib/crossbeat/ledger/" + restored.pair.primary_hm.text() + ".ledger";
  CB_TRY_DO(make_folders(root, path));
  CB_TRY_DO(write_atomically(root + path, ledger, 0600));
  CB_TRY_DO(config::save_pair(root, restored.pair));
  return notes;
}

int failed(const Context& context, const pairing::Failure& failure) {
  if (context.options().json) {
    context.print(Json{{"ok", false},
                       {"error", failure.what},
                       {"next", failure.next},
                       {"refusal", std::string(name_of(failure.refusal))},
                       {"code", failure.exit_code}});
    return failure.exit_code;
  }
  return context.complain(failure.exit_code, failure.what, failure.next);
}

int tell(const Context& context, const pairing::Restored& restored, const std::string& notes) {
  const config::Pair& pair = restored.pair;
  if (context.options().json) {
    context.print(Json{{"ok", true},
                       {"pairing", pair.primary_hm.text()},
                       {"peer", pair.peer_name},
                       {"configuration", !restored.node.empty()},
                       {"done", !context.options().dry_run}});
    return kDone;
  }
  std::ostream& out = context.terminal().out;
  out << (context.options().dry_run ? "Would get back" : "Got back") << " from " << pair.peer_name
      << ":\n  the pairing of " << pair.primary_hm.text() << " with " << pair.secondary_hm.text()
      << "\n";
  for (const config::Prefix& address : pair.virtual_addresses) {
    out << "  the virtual address " << address.text() << "\n";
  }
  out << (restored.node.empty() ? "" : "  this node's crossbeat.toml\n") << notes
      << (context.options().dry_run ? "Nothing was done here; the code is used up.\n"
                                    : "Now: systemctl start crossbeat\n");
  return kDone;
}

}  // namespace

int recover(const Context& context, const std::string& from, const CodeSource& source) {
  const auto peer = config::parse_address(from);
  if (!peer || !peer->is_v4()) {
    return context.complain(kUsage, "'" + from + "' is not an IPv4 address",
                            "give the health-monitor address of the secondary");
  }
  if (context.ask(Json{{"verb", "status"}})) {
    return context.complain(kRefused, "the health monitor runs here",
                            "stop it first: systemctl stop crossbeat");
  }
  const auto pairs = config::load_pairs(context.options().root);
  if (!pairs.value.empty() && !context.options().force) {
    return context.complain(
        kRefused, "this node still has a pairing, with " + pairs.value[0].secondary_hm.text(),
        "if the monitor starts with it, nothing is lost; if not: --force replaces it");
  }
  if (const auto ready = pairing::crypto_ready(); !ready) {
    return context.complain(kFailed, to_text(ready.error()));
  }
  const auto machine = config::read_machine_facts();
  if (!machine) {
    return context.complain(kFailed, to_text(machine.error()));
  }
  const auto typed = code_from(context, source);
  if (!typed) {
    return context.complain(kUsage, to_text(typed.error()), "write it to standard input: --code -");
  }
  auto code = pairing::parse_code(*typed);
  if (!code) {
    return context.complain(kUsage, to_text(code.error()),
                            "on the secondary: crossbeat pairing-code");
  }
  const auto line = connect_to(*peer);
  if (!line) {
    return context.complain(
        line.error().code == ETIMEDOUT ? kTimedOut : kFailed, to_text(line.error()),
        "give this machine its old addresses, and look at the monitor of " + from);
  }
  PrimarySession session(who_we_are(*machine, line->own), *peer, *std::move(code),
                         PrimarySession::Aim::Recover);
  const auto failure = talk(session, *line);
  if (!failure) {
    return context.complain(failure.error().code == ETIMEDOUT ? kTimedOut : kFailed,
                            to_text(failure.error()), "look at the log of the secondary");
  }
  if (*failure) {
    return failed(context, *failure);
  }
  if (context.options().dry_run) {
    return tell(context, *session.restored(), "");
  }
  const auto notes = write_back(context.options().root, *session.restored());
  if (!notes) {
    return context.complain(notes.error().code == EACCES ? kPrivileges : kFailed,
                            to_text(notes.error()), "make room, and recover again");
  }
  return tell(context, *session.restored(), *notes);
}

}  // namespace cb::cli
