// SPDX-License-Identifier: Apache-2.0
#include "pairing/initiator.h"

#include <cerrno>

#include "base/log.h"
#include "pairing/connection.h"
#include "pairing/session.h"

namespace cb::pairing {

std::string_view text_of(PairStep step) {
  switch (step) {
    case PairStep::Connecting: return "connecting to the secondary";
    case PairStep::Asking: return "checking who it is and whether the two can be paired";
    case PairStep::Looking: return "looking whether they share a network, and who has the address";
    case PairStep::Proving: return "proving the code to each other";
    case PairStep::Committing: return "waiting for the secondary to save the pairing";
    case PairStep::Saving: return "saving the pairing on this node";
  }
  return "";
}

struct PairingClient::Inner : std::enable_shared_from_this<PairingClient::Inner> {
  Inner(loop::Loop& l, ClientCallbacks c) : loop(l), callbacks(std::move(c)) {}

  void begin(const LocalIdentity& identity, const PairRequest& request);
  void connect(const LocalIdentity& identity, const PairRequest& request, std::string hello);
  void act(const Move& move);
  void look();
  void save();
  void say(PairStep step);
  void fail_at_once(Failure failure);
  void report(PairOutcome outcome);

  loop::Loop& loop;
  ClientCallbacks callbacks;
  std::unique_ptr<PrimarySession> session;
  std::shared_ptr<Connection> connection;
  bool running = true;
};

void PairingClient::Inner::say(PairStep step) {
  if (callbacks.progress) {
    callbacks.progress(step);
  }
}

void PairingClient::Inner::report(PairOutcome outcome) {
  if (!running) {
    return;
  }
  running = false;
  const auto keep = shared_from_this();  // done may drop the client
  const auto done = std::move(callbacks.done);
  callbacks = {};
  done(std::move(outcome));
}

// In a later turn: the caller has no client yet.
void PairingClient::Inner::fail_at_once(Failure failure) {
  loop.post([weak = weak_from_this(), failure = std::move(failure)] {
    if (const auto self = weak.lock()) {
      self->report({std::nullopt, {}, false, failure});
    }
  });
}

void PairingClient::Inner::begin(const LocalIdentity& identity, const PairRequest& request) {
  const std::string peer = request.peer.text();
  if (const auto ready = crypto_ready(); !ready) {
    return fail_at_once(failure_of(Refusal::BadIdentity, peer, to_text(ready.error())));
  }
  std::optional<CodeSecret> code;
  if (!request.dry_run) {
    auto parsed = parse_code(request.code);
    if (!parsed) {
      return fail_at_once(failure_of(Refusal::BadCode, peer, parsed.error().what));
    }
    code = *std::move(parsed);
  }
  session = std::make_unique<PrimarySession>(
      identity, request.peer, std::move(code),
      request.dry_run ? PrimarySession::Aim::DryRun : PrimarySession::Aim::Pair);
  Move hello = session->begin();
  if (hello.next == Move::Next::End) {
    return fail_at_once(session->failure());
  }
  connect(identity, request, std::move(hello.send));
}

void PairingClient::Inner::connect(const LocalIdentity& identity, const PairRequest& request,
                                   std::string hello) {
  const auto tied = [weak = weak_from_this()](auto f) {
    return [weak, f](const auto&... args) {
      if (const auto self = weak.lock()) {
        f(*self, args...);
      }
    };
  };
  Connection::Events events;
  events.on_connected = tied([hello = std::move(hello)](Inner& self) {
    self.say(PairStep::Asking);
    self.act({hello, Move::Next::Read});
  });
  events.on_frame =
      tied([](Inner& self, const Frame& frame) { self.act(self.session->on_frame(frame)); });
  events.on_lost = tied([](Inner& self, Refusal how, const std::string& why) {
    self.act(self.session->on_lost(how, why));
  });
  events.on_closed = tied([](Inner& self) {
    const PrimarySession& over = *self.session;
    PairOutcome outcome;
    outcome.failure = over.failure();
    outcome.rules = over.rules();
    if (!outcome.failure) {
      outcome.pair = over.pair();
      outcome.renewed = over.renewed();
    }
    self.report(std::move(outcome));
  });
  auto made =
      Connection::connect(loop, identity.hm_address, request.peer,
                          request.port != 0 ? request.port : identity.port, std::move(events));
  if (!made) {
    const bool own = made.error().code == EADDRNOTAVAIL;
    return fail_at_once(failure_of(own ? Refusal::NoOwnAddress : Refusal::Unreachable,
                                   request.peer.text(), to_text(made.error())));
  }
  connection = *std::move(made);
  // A later turn, like everything else.
  loop.post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->running) {
      self->say(PairStep::Connecting);
    }
  });
}

void PairingClient::Inner::act(const Move& move) {
  using State = PrimarySession::State;
  switch (move.next) {
    case Move::Next::Read: {
      if (session->state() == State::Saving) {
        return;  // the connection went while this node saves: on_saved goes on
      }
      const bool committing = session->state() == State::Committed;
      if (session->state() == State::Share) {
        say(PairStep::Proving);
      } else if (committing) {
        say(PairStep::Committing);
      }
      connection->send(move.send);
      connection->expect_within(committing ? kCommitTime : kMessageTime);
      break;
    }
    case Move::Next::Look:
      connection->expect_nothing();
      look();
      break;
    case Move::Next::Save:
      connection->expect_nothing();
      save();
      break;
    case Move::Next::Told:  // only of a listener
    case Move::Next::Remove: CB_CHECK_MSG(false, "a primary's session asks for no removal"); break;
    case Move::Next::End: connection->finish(move.send); break;
  }
}

void PairingClient::Inner::look() {
  say(PairStep::Looking);
  if (!callbacks.look) {
    act(session->on_looked({}));
    return;
  }
  callbacks.look(
      session->wanted(),
      [weak = weak_from_this(), answered = std::make_shared<bool>(false)](const Finding& finding) {
        const auto self = weak.lock();
        if (self && self->running && !std::exchange(*answered, true) &&
            self->session->state() == PrimarySession::State::Looking) {
          self->act(self->session->on_looked(finding));
        }
      });
}

void PairingClient::Inner::save() {
  say(PairStep::Saving);
  const Answer answer = [weak = weak_from_this(),
                         answered = std::make_shared<bool>(false)](Refusal refusal) {
    const auto self = weak.lock();
    if (self && !std::exchange(*answered, true)) {
      self->act(self->session->on_saved(refusal));
    }
  };
  callbacks.save(session->pair(), answer);
}

PairingClient::PairingClient(std::shared_ptr<Inner> inner) : inner_(std::move(inner)) {}
PairingClient::PairingClient(PairingClient&&) noexcept = default;
PairingClient& PairingClient::operator=(PairingClient&&) noexcept = default;
PairingClient::~PairingClient() = default;

PairingClient PairingClient::start(loop::Loop& loop, const LocalIdentity& identity,
                                   const PairRequest& request, ClientCallbacks callbacks) {
  CB_CHECK(callbacks.done && (callbacks.save || request.dry_run));
  auto inner = std::make_shared<Inner>(loop, std::move(callbacks));
  inner->begin(identity, request);
  return PairingClient(std::move(inner));
}

bool PairingClient::running() const { return inner_ && inner_->running; }

}  // namespace cb::pairing
