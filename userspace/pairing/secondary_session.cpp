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
  if (recovered_) {
    sodium_memzero(recovered_->key.data(), recovered_->key.size());
  }
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
      if (frame.kind == Kind::Commit && !peer_hello_.recover) {
        return on_commit(frame.body);
      }
      if (frame.kind == Kind::Restore && peer_hello_.recover) {
        return on_restore(frame.body);
      }
      break;
    case State::Finish:
      if (frame.kind == Kind::Finish) {
        return on_finish(frame.body);
      }
      break;
    case State::Looking:
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
  peer_hello_ = *hello;
  peer_bytes_ = body;
  if (hello->recover) {
    verdict_ = check_recovery(*hello, own_hello_);
    if (!verdict_ && (held_with(self_, hello->hm_address) == nullptr || !self_.restored)) {
      verdict_ = {Refusal::NothingToRecover, hello->hm_address.text()};
    }
    return answer_hello();
  }
  verdict_ = check_rules(*hello, own_hello_, self_.rules);
  if (!verdict_) {
    verdict_ = check_room(self_, *hello);
  }
  if (verdict_) {
    return answer_hello();
  }
  wanted_ = {hello->hm_address, hello->virtual_addresses};
  state_ = State::Looking;
  return {{}, Move::Next::Look};
}

Move SecondarySession::on_looked(const Finding& finding) {
  if (state_ != State::Looking) {
    return {{}, Move::Next::End};
  }
  verdict_ = finding;
  return answer_hello();
}

// Also when a rule does not hold: the primary finds the same over the two hellos and can name the
// values, and a dry run sees all that stands against the pairing.
Move SecondarySession::answer_hello() {
  own_hello_.verdict = verdict_.refusal;
  const auto bytes = encode_hello(own_hello_);
  if (!bytes) {
    return refuse(Refusal::NotNow, "this node's own identity cannot be sent");
  }
  own_bytes_ = *bytes;
  state_ = State::Share;
  return {frame_bytes(Kind::Hello, own_bytes_), Move::Next::Read};
}

Move SecondarySession::on_share(std::string_view body, Instant now) {
  const auto share = decode_share(body);
  if (!share) {
    return refuse(Refusal::Malformed);
  }
  if (verdict_) {
    return refuse(verdict_.refusal, verdict_.detail);
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
  pair_.peer_activation = activation_text(peer_hello_, self_.rules);
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

// Its key goes with it: whoever has proved the code could pair anew as well. The pairing itself
// stays as it is, and with it the instance and its terms.
Move SecondarySession::on_restore(std::string_view body) {
  if (!decode_commit(Kind::Restore, body, session_id_, secrets_->commit_key)) {
    return refuse(Refusal::BadMac);
  }
  const config::Pair* held = held_with(self_, peer_hello_.hm_address);
  if (held == nullptr || !self_.restored) {
    return refuse(Refusal::NothingToRecover);
  }
  const Restored restored = self_.restored(*held);
  const auto bytes = encode_restored(restored, session_id_, secrets_->commit_key);
  if (!bytes) {
    return refuse(Refusal::NotNow, "what it kept is too long to be sent");
  }
  recovered_ = *held;
  Move move = end(Refusal::None);
  move.send = frame_bytes(Kind::Restored, *bytes);
  return move;
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
  if (state_ == State::Ended) {
    return {{}, Move::Next::End};
  }
  if (verdict_) {  // the primary has read it in our hello
    detail_ = verdict_.detail;
    return end(verdict_.refusal);
  }
  return end(how);
}

}  // namespace cb::pairing
