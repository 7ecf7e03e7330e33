// SPDX-License-Identifier: Apache-2.0
#include "pairing/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/log.h"
#include "pairing/call.h"
#include "pairing/connection.h"
#include "pairing/session.h"

namespace cb::pairing {
namespace {

constexpr std::size_t kConnectionsMax = 8;  // of those who are not paired
constexpr std::size_t kPairedMax = 3;       // of each who is
// Connections that may begin: a store of tokens that refills. An honest pairing needs one.
constexpr int kTokensMax = 12;
constexpr Duration kTokenEvery = Duration::from_ms(500);

struct Tokens {
  int left = kTokensMax;
  Instant refilled;
  bool take(Instant now) {
    const std::int64_t earned = (now - refilled) / kTokenEvery;
    if (earned > 0) {
      refilled = now;
      left = static_cast<int>(std::min<std::int64_t>(kTokensMax, left + earned));
    }
    if (left == 0) {
      return false;
    }
    --left;
    return true;
  }
};

}  // namespace

// One connection and what it turned out to be about.
struct Peer {
  config::Address source;
  bool is_paired = false;
  std::shared_ptr<Connection> connection;
  std::unique_ptr<SecondarySession> pairing;
  std::unique_ptr<ListenerSession> call;
  bool ended = false;
};

struct PairingServer::Inner : std::enable_shared_from_this<PairingServer::Inner> {
  Inner(loop::Loop& l, LocalIdentity identity, ServerCallbacks c)
      : loop(l), self(std::move(identity)), callbacks(std::move(c)) {}
  ~Inner() {
    loop.forget(accepting);
    // An answer that the owner still holds keeps its peer; the connection must not outlive the
    // server.
    for (const auto& [key, peer] : peers) {
      peer->connection.reset();
    }
  }
  Inner(const Inner&) = delete;
  Inner& operator=(const Inner&) = delete;

  void listen(Fd fd);
  void on_connection(Fd fd);
  bool is_paired(const config::Address& source) const;
  bool may_begin(const config::Address& source, bool paired);
  void on_frame(const std::shared_ptr<Peer>& peer, const Frame& frame);
  void on_lost(const std::shared_ptr<Peer>& peer, Refusal how);
  void act(const std::shared_ptr<Peer>& peer, const Move& move);
  void end(const std::shared_ptr<Peer>& peer, const Move& move);
  void report_pairing(const Peer& peer);
  void report_call(const Peer& peer);
  void look(const std::shared_ptr<Peer>& peer);
  void save(const std::shared_ptr<Peer>& peer);
  void remove(const std::shared_ptr<Peer>& peer);
  Answer answer(const std::shared_ptr<Peer>& peer,
                void (Inner::*on_answer)(const std::shared_ptr<Peer>&, Refusal));
  void on_saved(const std::shared_ptr<Peer>& peer, Refusal refusal);
  void on_removed(const std::shared_ptr<Peer>& peer, Refusal refusal);
  void take(const std::shared_ptr<Peer>& peer);
  void on_told(const std::shared_ptr<Peer>& peer, Refusal refusal);

  loop::Loop& loop;
  LocalIdentity self;
  ServerCallbacks callbacks;
  CodeDesk desk;
  Fd listener;
  loop::OperationId accepting = 0;
  std::map<const Peer*, std::shared_ptr<Peer>> peers;
  Tokens tokens;  // for all who are not paired
  std::map<std::string, Tokens> paired_tokens;
  Counters counters;
};

// ---- connections

void PairingServer::Inner::listen(Fd fd) {
  listener = std::move(fd);
  tokens.refilled = boottime_now();
  accepting = loop.accept(listener.get(), [weak = weak_from_this()](Fd connection) {
    if (const auto inner = weak.lock()) {
      inner->on_connection(std::move(connection));
    }
  });
}

bool PairingServer::Inner::is_paired(const config::Address& source) const {
  return std::any_of(self.pairs.begin(), self.pairs.end(), [&](const config::Pair& pair) {
    return source == (self.role == core::Role::Primary ? pair.secondary_hm : pair.primary_hm);
  });
}

// A node that is paired has a store and connections of its own: sixteen primaries that tell their
// events at once do not stand in each other's way, nor strangers in theirs.
bool PairingServer::Inner::may_begin(const config::Address& source, bool paired) {
  const auto open =
      static_cast<std::size_t>(std::count_if(peers.begin(), peers.end(), [&](const auto& peer) {
        return paired ? peer.second->source == source : !peer.second->is_paired;
      }));
  // Only neighbours: a pair lives in one subnet.
  if (open >= (paired ? kPairedMax : kConnectionsMax) || !is_in_any(source, self.networks)) {
    return false;
  }
  Tokens& store = paired ? paired_tokens[source.text()] : tokens;
  return store.take(boottime_now());
}

void PairingServer::Inner::on_connection(Fd fd) {
  const auto source = source_of(fd);
  if (!source) {
    return;  // gone already
  }
  const bool paired = is_paired(*source);
  if (!may_begin(*source, paired)) {
    ++counters.turned_away;
    const std::string busy = frame_bytes(Kind::Refuse, encode_refuse(Refusal::Busy));
    // Ignored: a courtesy, if it arrives.
    (void)::send(fd.get(), busy.data(), busy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  ++counters.accepted;
  auto peer = std::make_shared<Peer>();
  peer->source = *source;
  peer->is_paired = paired;
  const auto tied = [weak_inner = weak_from_this(), weak = std::weak_ptr(peer)](auto&& f) {
    return [weak_inner, weak, f](const auto&... args) {
      const auto inner = weak_inner.lock();
      const auto alive = weak.lock();
      if (inner && alive) {
        f(*inner, alive, args...);
      }
    };
  };
  Connection::Events events;
  events.on_frame = tied([](Inner& inner, const std::shared_ptr<Peer>& p, const Frame& frame) {
    inner.on_frame(p, frame);
  });
  events.on_lost = tied([](Inner& inner, const std::shared_ptr<Peer>& p, Refusal how,
                           const std::string&) { inner.on_lost(p, how); });
  events.on_closed =
      tied([](Inner& inner, const std::shared_ptr<Peer>& p) { inner.peers.erase(p.get()); });
  peer->connection = Connection::adopt(loop, std::move(fd), std::move(events));
  peers.emplace(peer.get(), peer);
  peer->connection->expect_within(kMessageTime);
  peer->connection->start();
}

void PairingServer::Inner::on_frame(const std::shared_ptr<Peer>& peer, const Frame& frame) {
  if (!peer->pairing && !peer->call) {
    if (frame.kind == Kind::Ask) {
      peer->call = std::make_unique<ListenerSession>(self, peer->source);
    } else {
      peer->pairing = std::make_unique<SecondarySession>(self, desk, peer->source);
    }
  }
  act(peer,
      peer->call ? peer->call->on_frame(frame) : peer->pairing->on_frame(frame, boottime_now()));
}

void PairingServer::Inner::on_lost(const std::shared_ptr<Peer>& peer, Refusal how) {
  if (how == Refusal::TimedOut) {
    ++counters.timed_out;
  }
  Move move{{}, Move::Next::End};
  if (how == Refusal::Malformed) {
    move.send = frame_bytes(Kind::Refuse, encode_refuse(how));
  }
  if (peer->call) {
    (void)peer->call->on_lost(how);  // ignored: it can only end
  } else if (peer->pairing) {
    (void)peer->pairing->on_lost(how);  // ignored: it can only end
  }
  end(peer, move);
}

// ---- what a session wants

void PairingServer::Inner::act(const std::shared_ptr<Peer>& peer, const Move& move) {
  switch (move.next) {
    case Move::Next::Read:
      peer->connection->send(move.send);
      peer->connection->expect_within(kMessageTime);
      break;
    case Move::Next::Look:
      peer->connection->expect_nothing();
      look(peer);
      break;
    case Move::Next::Save:
      peer->connection->expect_nothing();
      save(peer);
      break;
    case Move::Next::Remove:
      peer->connection->expect_nothing();
      remove(peer);
      break;
    case Move::Next::Told:
      peer->connection->expect_nothing();
      take(peer);
      break;
    case Move::Next::End: end(peer, move); break;
  }
}

// The owner's answer to a callback: once, and only while somebody is there to hear it.
Answer PairingServer::Inner::answer(const std::shared_ptr<Peer>& peer,
                                    void (Inner::*on_answer)(const std::shared_ptr<Peer>&,
                                                             Refusal)) {
  return [weak = weak_from_this(), peer, on_answer,
          answered = std::make_shared<bool>(false)](Refusal refusal) {
    const auto inner = weak.lock();
    if (inner && !std::exchange(*answered, true)) {
      ((*inner).*on_answer)(peer, refusal);
    }
  };
}

void PairingServer::Inner::look(const std::shared_ptr<Peer>& peer) {
  if (!callbacks.look) {
    act(peer, peer->pairing->on_looked({}));
    return;
  }
  callbacks.look(peer->pairing->wanted(),
                 [weak = weak_from_this(), peer,
                  answered = std::make_shared<bool>(false)](const Finding& finding) {
                   const auto inner = weak.lock();
                   if (inner && !std::exchange(*answered, true) && !peer->ended) {
                     inner->act(peer, peer->pairing->on_looked(finding));
                   }
                 });
}

void PairingServer::Inner::save(const std::shared_ptr<Peer>& peer) {
  if (peer->call && callbacks.on_keep) {
    callbacks.on_keep(peer->call->pairing(), peer->call->kept(), answer(peer, &Inner::on_saved));
    return;
  }
  if (peer->call) {
    on_saved(peer, Refusal::NotNow);
    return;
  }
  callbacks.on_paired(peer->pairing->pair(), answer(peer, &Inner::on_saved));
}

void PairingServer::Inner::on_saved(const std::shared_ptr<Peer>& peer, Refusal refusal) {
  if (peer->call) {
    act(peer, peer->call->on_kept(refusal));
    return;
  }
  if (refusal == Refusal::None) {
    ++counters.paired;
    if (peer->ended) {
      log_warning(
          "pairing with %s: saved, but the connection is gone; if it does not pair again, remove "
          "this half with `crossbeat unpair`",
          peer->source.text().c_str());
    }
  }
  act(peer, peer->pairing->on_saved(refusal));
}

void PairingServer::Inner::remove(const std::shared_ptr<Peer>& peer) {
  if (peer->call) {
    if (peer->call->deletes_licence() && callbacks.on_delete_licence) {
      callbacks.on_delete_licence();
    }
    callbacks.on_unpaired(peer->call->pairing(), answer(peer, &Inner::on_removed));
  } else if (peer->pairing->former()) {
    callbacks.on_paired(*peer->pairing->former(), answer(peer, &Inner::on_removed));
  } else {
    callbacks.on_unpaired(peer->pairing->pair().id, answer(peer, &Inner::on_removed));
  }
}

void PairingServer::Inner::on_removed(const std::shared_ptr<Peer>& peer, Refusal refusal) {
  if (peer->call) {
    counters.unpaired += refusal == Refusal::None ? 1 : 0;
    act(peer, peer->call->on_removed(refusal));
  } else {
    act(peer, peer->pairing->on_removed(refusal));
  }
}

void PairingServer::Inner::take(const std::shared_ptr<Peer>& peer) {
  const Answer answered = answer(peer, &Inner::on_told);
  if (callbacks.on_told) {
    callbacks.on_told(peer->call->pairing(), peer->call->told(), answered);
  } else {
    answered(Refusal::NotNow);
  }
}

void PairingServer::Inner::on_told(const std::shared_ptr<Peer>& peer, Refusal refusal) {
  counters.told += refusal == Refusal::None ? 1 : 0;
  act(peer, peer->call->on_told(refusal));
}

void PairingServer::Inner::end(const std::shared_ptr<Peer>& peer, const Move& move) {
  if (!std::exchange(peer->ended, true)) {
    if (peer->pairing) {
      report_pairing(*peer);
    } else if (peer->call) {
      report_call(*peer);
    }
  }
  peer->connection->finish(move.send);
}

void PairingServer::Inner::report_pairing(const Peer& peer) {
  const SecondarySession& session = *peer.pairing;
  const std::string source = peer.source.text();
  if (session.refusal() == Refusal::None && session.recovered()) {
    log_notice("the primary %s got its pairing and its configuration back", source.c_str());
    if (callbacks.on_recovered) {
      callbacks.on_recovered(*session.recovered());
    }
    return;
  }
  if (session.refusal() == Refusal::None) {
    log_notice("paired with the primary %s", source.c_str());
    return;
  }
  if (session.refusal() == Refusal::WrongCode) {
    ++counters.wrong_code;
    log_warning("pairing with %s refused: wrong code, or altered messages; tries left: %d",
                source.c_str(), desk.tries_left(boottime_now()));
    return;
  }
  if (session.refusal() == Refusal::OwnSaveFailed) {
    log_warning("pairing with %s taken back: the primary could not save it%s", source.c_str(),
                session.saved() ? "; this node could not remove its half" : "");
    return;
  }
  ++counters.refused;
  const std::string name(name_of(session.refusal()));
  if (session.saved()) {
    log_warning("pairing with %s: saved, but the primary did not confirm (%s)", source.c_str(),
                name.c_str());
  } else {
    log_notice("pairing with %s not made: %s%s%s", source.c_str(), name.c_str(),
               session.detail().empty() ? "" : ": ", session.detail().c_str());
    const Failure failure = failure_of(session.refusal(), source, session.detail());
    if (callbacks.on_refused && session.verdict()) {
      log_notice("what to do: %s", failure.next.c_str());
      callbacks.on_refused(peer.source, failure);
    }
  }
}

void PairingServer::Inner::report_call(const Peer& peer) {
  const ListenerSession& session = *peer.call;
  if (session.refusal() == Refusal::None) {
    return;  // the owner knows of an unpair, and nothing else changes anything
  }
  ++counters.refused;
  log_notice("call from %s not served: %s", peer.source.text().c_str(),
             std::string(name_of(session.refusal())).c_str());
}

// ---- the face

PairingServer::PairingServer(std::shared_ptr<Inner> inner) : inner_(std::move(inner)) {}
PairingServer::PairingServer(PairingServer&&) noexcept = default;
PairingServer& PairingServer::operator=(PairingServer&&) noexcept = default;
PairingServer::~PairingServer() = default;

Result<PairingServer> PairingServer::open(loop::Loop& loop, const LocalIdentity& identity,
                                          ServerCallbacks callbacks) {
  CB_TRY_DO(crypto_ready());
  CB_CHECK(callbacks.on_paired && callbacks.on_unpaired);
  CB_TRY(listener, listen_on(identity.hm_address, identity.port));
  auto inner = std::make_shared<Inner>(loop, identity, std::move(callbacks));
  inner->listen(std::move(listener));
  return PairingServer(std::move(inner));
}

void PairingServer::update(const LocalIdentity& identity) { inner_->self = identity; }

Result<std::string> PairingServer::create_code() {
  if (inner_->self.role != core::Role::Secondary) {
    return fail(0, "make a pairing code: only a secondary has codes; run `crossbeat pair` here");
  }
  log_notice("a pairing code was made; it is valid for %lld minutes and %d tries",
             static_cast<long long>(kCodeLife.as_s() / 60), kCodeTries);
  return inner_->desk.create(boottime_now());
}

const PairingServer::Counters& PairingServer::counters() const { return inner_->counters; }

std::uint16_t PairingServer::port() const { return port_of(inner_->listener); }

}  // namespace cb::pairing
