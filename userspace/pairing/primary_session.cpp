// SPDX-License-Identifier: Apache-2.0
//
// The primary proves first: a stranger in the secondary's place learns whether one guess was right,
// and the operator sees a failure; a stranger in the primary's place learns nothing before it has
// used up a try.
#include <sodium.h>

#include <algorithm>

#include "pairing/session.h"

namespace cb::pairing {
namespace {

constexpr std::string_view kHalfDone =
    "the secondary was asked to save and its answer did not arrive; this node is not paired. Pair "
    "again with a new code (`crossbeat pairing-code` on the secondary): that replaces whatever the "
    "secondary may have saved";

}  // namespace

PrimarySession::PrimarySession(LocalIdentity self, const config::Address& peer,
                               std::optional<CodeSecret> code, bool dry_run)
    : self_(std::move(self)), peer_(peer), code_(std::move(code)), dry_run_(dry_run) {
  CB_CHECK(code_ || dry_run_);
}

PrimarySession::~PrimarySession() {
  sodium_memzero(pair_.key.data(), pair_.key.size());
  for (config::Pair& pair : self_.pairs) {
    sodium_memzero(pair.key.data(), pair.key.size());
  }
}

Move PrimarySession::fail_with(Refusal refusal, std::string_view detail, bool tell_peer) {
  failure_ = failure_of(refusal, peer_.text(), detail);
  state_ = State::Ended;
  run_.reset();
  code_.reset();
  return {tell_peer ? frame_bytes(Kind::Refuse, encode_refuse(refusal)) : std::string(),
          Move::Next::End};
}

Move PrimarySession::begin() {
  if (self_.role != core::Role::Primary) {
    return fail_with(Refusal::SelfNotPrimary, "", false);
  }
  if (peer_ == self_.hm_address) {
    return fail_with(Refusal::SameNode, "", false);
  }
  for (const config::Pair& pair : self_.pairs) {
    if (pair.self_role == core::Role::Primary && pair.secondary_hm != peer_) {
      return fail_with(Refusal::AlreadyPaired, pair.secondary_hm.text(), false);
    }
  }
  own_hello_ = make_hello(self_, peer_);
  const auto bytes = encode_hello(own_hello_);
  if (!bytes) {
    return fail_with(Refusal::BadIdentity,
                     "a name, version, UDI or address that cannot be sent (too long, too many, or "
                     "with unusual characters)",
                     false);
  }
  own_bytes_ = *bytes;
  return {frame_bytes(Kind::Hello, own_bytes_), Move::Next::Read};
}

Move PrimarySession::on_frame(const Frame& frame) {
  if (frame.kind == Kind::Refuse && state_ != State::Ended && state_ != State::Saving) {
    const auto refusal = decode_refuse(frame.body);
    return fail_with(refusal.value_or(Refusal::Malformed), "", false);
  }
  switch (state_) {
    case State::Hello:
      if (frame.kind == Kind::Hello) {
        return on_hello(frame.body);
      }
      break;
    case State::Share:
      if (frame.kind == Kind::Share) {
        return on_share(frame.body);
      }
      break;
    case State::Proof:
      if (frame.kind == Kind::Proof) {
        return on_proof(frame.body);
      }
      break;
    case State::Committed:
      if (frame.kind == Kind::Committed) {
        return on_committed(frame.body);
      }
      break;
    case State::Saving: break;
    case State::Ended: return {{}, Move::Next::End};
  }
  return on_lost(Refusal::Malformed);
}

Move PrimarySession::on_hello(std::string_view body) {
  const auto peer_hello = decode_hello(body);
  if (!peer_hello) {
    return fail_with(Refusal::Malformed, "", true);
  }
  if (const Finding finding = check_rules(own_hello_, *peer_hello)) {
    return fail_with(finding.refusal, finding.detail, true);
  }
  pair_ = pair_from(core::Role::Primary, own_hello_, *peer_hello);
  renewed_ = is_renewal(own_hello_, *peer_hello);
  if (dry_run_) {
    state_ = State::Ended;
    return {{}, Move::Next::End};
  }
  session_id_ = session_id_of(own_hello_, *peer_hello);
  const std::string channel = channel_of(own_hello_, *peer_hello);
  run_ = Pake::start({Side::Initiator, channel, session_id_, own_bytes_, body}, code_->view());
  code_.reset();
  state_ = State::Share;
  return {frame_bytes(Kind::Share, encode_share(run_->share())), Move::Next::Read};
}

Move PrimarySession::on_share(std::string_view body) {
  const auto share = decode_share(body);
  if (!share || !run_->finish(*share)) {
    return fail_with(Refusal::Malformed, "", true);
  }
  state_ = State::Proof;
  return {frame_bytes(Kind::Proof, encode_proof(run_->proof())), Move::Next::Read};
}

Move PrimarySession::on_proof(std::string_view body) {
  const auto proof = decode_proof(body);
  if (!proof || !run_->verify(*proof)) {
    return fail_with(proof ? Refusal::WrongCode : Refusal::Malformed, "", true);
  }
  secrets_ = pairing_secrets(run_->key().view());
  run_.reset();
  state_ = State::Committed;
  return {frame_bytes(Kind::Commit,
                      encode_commit(Kind::Commit, Choice::Go, session_id_, secrets_->commit_key)),
          Move::Next::Read};
}

Move PrimarySession::on_committed(std::string_view body) {
  if (!decode_commit(Kind::Committed, body, session_id_, secrets_->commit_key)) {
    return on_lost(Refusal::BadMac);
  }
  if (renewed_) {
    const config::Pair* held = held_with(self_, peer_);
    CB_CHECK(held != nullptr);  // it is in our hello
    pair_.id = held->id;
    pair_.key = held->key;
  } else {
    pair_.id = secrets_->id;
    std::copy(secrets_->key.view().begin(), secrets_->key.view().end(), pair_.key.begin());
  }
  state_ = State::Saving;
  return {{}, Move::Next::Save};
}

Move PrimarySession::on_saved(Refusal refusal) {
  if (state_ != State::Saving) {
    return {{}, Move::Next::End};
  }
  const Choice choice = refusal == Refusal::None ? Choice::Go : Choice::Undo;
  std::string bytes = frame_bytes(
      Kind::Finish, encode_commit(Kind::Finish, choice, session_id_, secrets_->commit_key));
  if (refusal != Refusal::None) {
    (void)fail_with(Refusal::OwnSaveFailed, "", false);  // ignored: the Finish is what is sent
  }
  state_ = State::Ended;
  secrets_.reset();
  return {std::move(bytes), Move::Next::End};
}

Move PrimarySession::on_lost(Refusal how, std::string_view detail) {
  if (state_ == State::Saving || state_ == State::Ended) {
    // While saving: both have proved the code and the peer has saved; the connection is not needed
    // any more.
    return {{}, state_ == State::Ended ? Move::Next::End : Move::Next::Read};
  }
  const bool half_done = state_ == State::Committed;
  Move move = fail_with(how, detail, false);
  if (half_done) {
    failure_.next = kHalfDone;
  }
  return move;
}

}  // namespace cb::pairing
