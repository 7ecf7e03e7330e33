// SPDX-License-Identifier: Apache-2.0
#include "pairing/caller.h"

#include "pairing/call.h"
#include "pairing/connection.h"

namespace cb::pairing {

struct Call::Inner : std::enable_shared_from_this<Call::Inner> {
  Inner(loop::Loop& l, const config::Pair& pair, Request request, DoneCallback d)
      : loop(l), session(pair, request.verb, std::move(request.told)), done(std::move(d)) {}

  void begin(const LocalIdentity& identity, const config::Address& peer, std::uint16_t port);
  void act(const Move& move);
  void report();

  loop::Loop& loop;
  CallerSession session;
  DoneCallback done;
  std::shared_ptr<Connection> connection;
};

void Call::Inner::report() {
  const auto keep = shared_from_this();  // done may drop the call
  if (const auto last = std::exchange(done, nullptr)) {
    last(session.outcome());
  }
}

void Call::Inner::act(const Move& move) {
  if (move.next == Move::Next::Read) {
    connection->send(move.send);
    // The peer may have to write to its disk before it answers.
    connection->expect_within(kCommitTime);
  } else {
    connection->finish(move.send);
  }
}

void Call::Inner::begin(const LocalIdentity& identity, const config::Address& peer,
                        std::uint16_t port) {
  const auto tied = [weak = weak_from_this()](auto f) {
    return [weak, f](const auto&... args) {
      if (const auto self = weak.lock()) {
        f(*self, args...);
      }
    };
  };
  Connection::Events events;
  events.on_connected = tied([](Inner& self) { self.act(self.session.begin()); });
  events.on_frame =
      tied([](Inner& self, const Frame& frame) { self.act(self.session.on_frame(frame)); });
  events.on_lost = tied([](Inner& self, Refusal how, const std::string& why) {
    self.act(self.session.on_lost(how, why));
  });
  events.on_closed = tied([](Inner& self) { self.report(); });
  auto made = Connection::connect(loop, identity.hm_address, peer, port, std::move(events));
  if (made) {
    connection = *std::move(made);
    return;
  }
  (void)session.on_lost(Refusal::Unreachable, to_text(made.error()));  // ignored: it can only end
  loop.post(tied([](Inner& self) { self.report(); }));
}

Call::Call(std::shared_ptr<Inner> inner) : inner_(std::move(inner)) {}
Call::Call(Call&&) noexcept = default;
Call& Call::operator=(Call&&) noexcept = default;
Call::~Call() = default;

Call Call::start(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                 std::uint16_t port, Request request, DoneCallback done) {
  CB_CHECK(done);
  const auto ready = crypto_ready();
  CB_CHECK_MSG(ready.has_value(), "libsodium was ready when the monitor started");
  auto inner = std::make_shared<Inner>(loop, pair, std::move(request), std::move(done));
  const bool primary = pair.self_role == core::Role::Primary;
  inner->begin(identity, primary ? pair.secondary_hm : pair.primary_hm,
               port != 0 ? port : identity.port);
  return Call(std::move(inner));
}

Call Call::unpair(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                  std::uint16_t port, DoneCallback done, bool delete_licence) {
  return start(loop, identity, pair, port, {delete_licence ? Verb::UnpairAndDelete : Verb::Unpair},
               std::move(done));
}

Call Call::keep(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                std::uint16_t port, std::string text, DoneCallback done) {
  return start(loop, identity, pair, port, {Verb::Keep, std::move(text)}, std::move(done));
}

Call Call::peer_info(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                     std::uint16_t port, DoneCallback done) {
  return start(loop, identity, pair, port, {Verb::PeerInfo}, std::move(done));
}

Call Call::tell(loop::Loop& loop, const LocalIdentity& identity, const config::Pair& pair,
                std::uint16_t port, std::string told, DoneCallback done) {
  CB_CHECK(!told.empty() && told.size() <= kTellMax);
  return start(loop, identity, pair, port, {Verb::Tell, std::move(told)}, std::move(done));
}

bool Call::running() const { return inner_ && inner_->done != nullptr; }

}  // namespace cb::pairing
