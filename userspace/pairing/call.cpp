// SPDX-License-Identifier: Apache-2.0
#include "pairing/call.h"

#include <sodium.h>

namespace cb::pairing {
namespace {

core::Role opposite(core::Role role) {
  return role == core::Role::Primary ? core::Role::Secondary : core::Role::Primary;
}

PeerInfo info_of(const Hello& hello) {
  return {hello.role,
          hello.name,
          hello.version,
          hello.udi,
          hello.hm_address,
          hello.virtual_addresses,
          hello.direct,
          hello.automatic_failover,
          hello.automatic_failback};
}

}  // namespace

// ---- the caller

CallerSession::CallerSession(const config::Pair& pair, Verb verb, std::string told)
    : peer_(pair.self_role == core::Role::Primary ? pair.secondary_hm : pair.primary_hm),
      peer_role_(opposite(pair.self_role)),
      request_{verb, std::move(told)},
      keys_(call_keys(pair.key, pair.self_role)) {
  context_.pairing = pair.id;
  randombytes_buf(context_.caller.data(), context_.caller.size());
}

Move CallerSession::begin() {
  return {frame_bytes(Kind::Ask, encode_ask({context_.pairing, context_.caller})),
          Move::Next::Read};
}

Move CallerSession::fail_with(Refusal refusal, std::string_view detail) {
  state_ = State::Ended;
  outcome_.failure = failure_of(refusal, peer_.text(), detail);
  if (request_.verb == Verb::Unpair || request_.verb == Verb::UnpairAndDelete) {
    if (refusal == Refusal::UnknownPairing) {
      outcome_.peer_done = true;
      outcome_.note = peer_.text() + " did not know this pairing";
    } else if (outcome_.may_remove()) {
      outcome_.note = peer_.text() +
                      " could not be told; if it still lives, run `crossbeat unpair` there too (" +
                      outcome_.failure.what + ")";
    }
  }
  return {{}, Move::Next::End};
}

Move CallerSession::on_frame(const Frame& frame) {
  if (state_ == State::Ended) {
    return {{}, Move::Next::End};
  }
  if (frame.kind == Kind::Refuse) {
    // Not authentic: it may say that the call failed, but not that the peer forbids what we want.
    const Refusal refusal = decode_refuse(frame.body).value_or(Refusal::Malformed);
    return fail_with(refusal == Refusal::NotNow ? Refusal::Busy : refusal);
  }
  if (state_ == State::Challenge && frame.kind == Kind::Challenge) {
    const auto nonce = decode_challenge(frame.body);
    if (!nonce) {
      return fail_with(Refusal::Malformed);
    }
    context_.listener = *nonce;
    state_ = State::Reply;
    if (request_.verb == Verb::Keep) {
      const auto sealed = encode_keep(request_.told, context_, keys_.request);
      return sealed ? Move{frame_bytes(Kind::Keep, *sealed), Move::Next::Read}
                    : fail_with(Refusal::BadIdentity, "the configuration is too long to be kept");
    }
    return {frame_bytes(Kind::Request, encode_request(request_, context_, keys_.request)),
            Move::Next::Read};
  }
  if (state_ == State::Reply && frame.kind == Kind::Reply) {
    return on_reply(frame.body);
  }
  return fail_with(Refusal::Malformed);
}

Move CallerSession::on_reply(std::string_view body) {
  const auto reply = decode_reply(body, context_, keys_.answer);
  if (!reply || reply->verb != request_.verb) {
    return fail_with(Refusal::BadMac);
  }
  if (reply->refusal != Refusal::None) {
    return fail_with(reply->refusal);
  }
  if (request_.verb == Verb::PeerInfo) {
    const auto hello = decode_hello(reply->hello);
    if (!hello || hello->role != peer_role_) {
      return fail_with(Refusal::Malformed);
    }
    outcome_.info = info_of(*hello);
  }
  outcome_.peer_done = true;
  state_ = State::Ended;
  return {{}, Move::Next::End};
}

Move CallerSession::on_lost(Refusal how, std::string_view detail) {
  return state_ == State::Ended ? Move{{}, Move::Next::End} : fail_with(how, detail);
}

// ---- the node that is called

ListenerSession::ListenerSession(const LocalIdentity& self, const config::Address& source)
    : self_(self), source_(source) {}

Move ListenerSession::refuse(Refusal refusal) {
  refusal_ = refusal;
  state_ = State::Ended;
  return {frame_bytes(Kind::Refuse, encode_refuse(refusal)), Move::Next::End};
}

Move ListenerSession::reply(const Reply& reply) {
  refusal_ = reply.refusal;
  state_ = State::Ended;
  return {frame_bytes(Kind::Reply, encode_reply(reply, context_, keys_->answer)), Move::Next::End};
}

Move ListenerSession::on_frame(const Frame& frame) {
  if (state_ == State::Ask && frame.kind == Kind::Ask) {
    return on_ask(frame.body);
  }
  if (state_ == State::Request && frame.kind == Kind::Request) {
    return on_request(frame.body);
  }
  if (state_ == State::Request && frame.kind == Kind::Keep) {
    return on_keep(frame.body);
  }
  return state_ == State::Ended ? Move{{}, Move::Next::End} : refuse(Refusal::Malformed);
}

// Only a primary's configuration is kept: it is the one that is given back.
Move ListenerSession::on_keep(std::string_view body) {
  auto text = decode_keep(body, context_, keys_->request);
  if (!text) {
    return refuse(Refusal::BadMac);
  }
  verb_ = Verb::Keep;
  if (self_.role != core::Role::Secondary) {
    return reply({verb_, Refusal::NotNow, {}});
  }
  kept_ = *std::move(text);
  state_ = State::Keeping;
  return {{}, Move::Next::Save};
}

Move ListenerSession::on_kept(Refusal refusal) {
  if (state_ != State::Keeping) {
    return {{}, Move::Next::End};
  }
  return reply({Verb::Keep, refusal, {}});
}

Move ListenerSession::on_ask(std::string_view body) {
  const auto ask = decode_ask(body);
  if (!ask) {
    return refuse(Refusal::Malformed);
  }
  for (const config::Pair& pair : self_.pairs) {
    if (pair.id == ask->pairing) {
      keys_ = call_keys(pair.key, opposite(pair.self_role));
      context_.pairing = ask->pairing;
      context_.caller = ask->nonce;
      randombytes_buf(context_.listener.data(), context_.listener.size());
      state_ = State::Request;
      return {frame_bytes(Kind::Challenge, encode_challenge(context_.listener)), Move::Next::Read};
    }
  }
  return refuse(Refusal::UnknownPairing);
}

Move ListenerSession::on_request(std::string_view body) {
  auto request = decode_request(body, context_, keys_->request);
  if (!request) {
    return refuse(Refusal::BadMac);
  }
  switch (request->verb) {
    case Verb::Unpair:
    case Verb::UnpairAndDelete:
      verb_ = request->verb;
      state_ = State::Removing;
      return {{}, Move::Next::Remove};
    case Verb::Tell:
      state_ = State::Telling;
      told_ = std::move(request->told);
      return {{}, Move::Next::Told};
    case Verb::Keep:  // comes as a message of its own kind
    case Verb::PeerInfo: break;
  }
  const auto hello = encode_hello(make_hello(self_, source_));
  return hello ? reply({Verb::PeerInfo, Refusal::None, *hello})
               : reply({Verb::PeerInfo, Refusal::NotNow, {}});
}

Move ListenerSession::on_removed(Refusal refusal) {
  if (state_ != State::Removing) {
    return {{}, Move::Next::End};
  }
  return reply({verb_, refusal, {}});
}

Move ListenerSession::on_told(Refusal refusal) {
  if (state_ != State::Telling) {
    return {{}, Move::Next::End};
  }
  return reply({Verb::Tell, refusal, {}});
}

Move ListenerSession::on_lost(Refusal how) {
  if (state_ != State::Ended) {
    refusal_ = how;
    state_ = State::Ended;
  }
  return {{}, Move::Next::End};
}

}  // namespace cb::pairing
