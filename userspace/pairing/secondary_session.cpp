// SPDX-License-Identifier: Apache-2.0
#include <sodium.h>

#include <algorithm>

#include "pairing/session.h"

namespace cb::pairing {

SecondarySession::SecondarySession(const LocalIdentity& self, CodeDesk& desk,
                                   const config::Address& source)
    : self_(self), desk_(desk), source_(source) {}

SecondarySession::~SecondarySession() {
  sodium_memzero(pair_.key.data(), pair_.key.size());
  if (former_) {
    sodium_memzero(former_->key.data(), former_->key.size());
  }
}

Move SecondarySession::end(Refusal refusal) {
  refusal_ = refusal;
  state_ = State::Ended;
  run_.reset();
  return {{}, Move::Next::End};
}

Move SecondarySession::refuse(Refusal refusal, std::string detail) {
  detail_ = std::move(detail);
  Move move = end(refusal);
  move.send = frame_bytes(Kind::Refuse, encode_refuse(refusal));
  return move;
}

Move SecondarySession::on_frame(const Frame& frame, Instant now) {
  if (frame.kind == Kind::Refuse && state_ != State::Saving && state_ != State::Removing) {
    const auto refusal = decode_refuse(frame.body);
    return refusal ? on_lost(*refusal) : refuse(Refusal::Malformed);
  }
  switch (state_) {
    case State::Hello:
      if (frame.kind == Kind::Hello) {
        return on_hello(frame.body);
      }
      break;
    case State::Share:
      if (frame.kind == Kind::Share) {
        return on_share(frame.body, now);
      }
      break;
    case State::Proof:
      if (frame.kind == Kind::Proof) {
        return on_proof(frame.body, now);
      }
      break;
    case State::Commit:
      if (frame.kind == Kind::Commit) {
        return on_commit(frame.body);
      }
      break;
    case State::Finish:
      if (frame.kind == Kind::Finish) {
        return on_finish(frame.body);
      }
      break;
    case State::Saving:
    case State::Removing: break;
    case State::Ended: return {{}, Move::Next::End};
  }
  return refuse(Refusal::Malformed);
}

Move SecondarySession::on_hello(std::string_view body) {
  const auto hello = decode_hello(body);
  if (!hello) {
    return refuse(Refusal::Malformed);
  }
  own_hello_ = make_hello(self_, source_);
  own_hello_.instance_number = instance_number_for(self_, *hello);
  if (const Finding finding = check_rules(*hello, own_hello_)) {
    return refuse(finding.refusal, finding.detail);
  }
  if (const Finding finding = check_room(self_, *hello)) {
    return refuse(finding.refusal, finding.detail);
  }
  const auto bytes = encode_hello(own_hello_);
  if (!bytes) {
    return refuse(Refusal::NotNow, "this node's own identity cannot be sent");
  }
  own_bytes_ = *bytes;
  peer_hello_ = *hello;
  peer_bytes_ = body;
  state_ = State::Share;
  return {frame_bytes(Kind::Hello, own_bytes_), Move::Next::Read};
}

Move SecondarySession::on_share(std::string_view body, Instant now) {
  const auto share = decode_share(body);
  if (!share) {
    return refuse(Refusal::Malformed);
  }
  // From here on the run has cost a try, however it ends.
  const auto attempt = desk_.take(now);
  if (!attempt) {
    return refuse(Refusal::NoCode);
  }
  generation_ = attempt->generation;
  session_id_ = session_id_of(peer_hello_, own_hello_);
  const std::string channel = channel_of(peer_hello_, own_hello_);
  run_ = Pake::start({Side::Responder, channel, session_id_, own_bytes_, peer_bytes_},
                     attempt->code.view());
  if (!run_->finish(*share)) {
    return refuse(Refusal::Malformed);
  }
  state_ = State::Proof;
  return {frame_bytes(Kind::Share, encode_share(run_->share())), Move::Next::Read};
}

Move SecondarySession::on_proof(std::string_view body, Instant now) {
  const auto proof = decode_proof(body);
  if (!proof) {
    return refuse(Refusal::Malformed);
  }
  if (!run_->verify(*proof)) {
    return refuse(Refusal::WrongCode);
  }
  // A code pairs once: of two runs that both know it, the first wins.
  if (!desk_.use(generation_, now)) {
    return refuse(Refusal::NoCode);
  }
  secrets_ = pairing_secrets(run_->key().view());
  const std::string answer = encode_proof(run_->proof());
  run_.reset();
  state_ = State::Commit;
  return {frame_bytes(Kind::Proof, answer), Move::Next::Read};
}

Move SecondarySession::on_commit(std::string_view body) {
  if (!decode_commit(Kind::Commit, body, session_id_, secrets_->commit_key)) {
    return refuse(Refusal::BadMac);
  }
  // The pairings may have changed since the hello.
  if (const Finding finding = check_room(self_, peer_hello_)) {
    return refuse(finding.refusal, finding.detail);
  }
  if (instance_number_for(self_, peer_hello_) != own_hello_.instance_number) {
    return refuse(Refusal::NotNow, "another pairing was made meanwhile");
  }
  const config::Pair* held = held_with(self_, peer_hello_.hm_address);
  pair_ = pair_from(core::Role::Secondary, peer_hello_, own_hello_);
  if (is_renewal(peer_hello_, own_hello_)) {
    if (held == nullptr || held->id != own_hello_.held->id) {
      return refuse(Refusal::NotNow, "the pairing was changed meanwhile");
    }
    pair_.id = held->id;
    pair_.key = held->key;
  } else {
    for (const config::Pair& other : self_.pairs) {
      if (other.id == secrets_->id) {
        return refuse(Refusal::NotNow, "the new pairing's id is taken");  // one in 2^60
      }
    }
    pair_.id = secrets_->id;
    std::copy(secrets_->key.view().begin(), secrets_->key.view().end(), pair_.key.begin());
  }
  if (held != nullptr) {
    former_ = *held;
  }
  state_ = State::Saving;
  return {{}, Move::Next::Save};
}

Move SecondarySession::on_saved(Refusal refusal) {
  if (state_ == State::Ended) {  // the connection went while we saved
    saved_ = refusal == Refusal::None;
    return {{}, Move::Next::End};
  }
  CB_CHECK(state_ == State::Saving);
  if (refusal != Refusal::None) {
    return refuse(refusal);
  }
  saved_ = true;
  state_ = State::Finish;
  return {frame_bytes(Kind::Committed, encode_commit(Kind::Committed, Choice::Go, session_id_,
                                                     secrets_->commit_key)),
          Move::Next::Read};
}

Move SecondarySession::on_finish(std::string_view body) {
  const auto choice = decode_commit(Kind::Finish, body, session_id_, secrets_->commit_key);
  if (!choice) {
    return refuse(Refusal::BadMac);
  }
  if (*choice == Choice::Go) {
    return end(Refusal::None);
  }
  state_ = State::Removing;
  return {{}, Move::Next::Remove};
}

Move SecondarySession::on_removed(Refusal refusal) {
  saved_ = refusal != Refusal::None;
  return end(Refusal::OwnSaveFailed);  // the primary's; it said so
}

Move SecondarySession::on_lost(Refusal how) {
  return state_ == State::Ended ? Move{{}, Move::Next::End} : end(how);
}

}  // namespace cb::pairing
