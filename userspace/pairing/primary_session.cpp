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
                               std::optional<CodeSecret> code, Aim aim)
    : self_(std::move(self)), peer_(peer), code_(std::move(code)), aim_(aim) {
  CB_CHECK(code_ || aim_ == Aim::DryRun);
}

PrimarySession::~PrimarySession() {
  sodium_memzero(pair_.key.data(), pair_.key.size());
  if (restored_) {
    sodium_memzero(restored_->pair.key.data(), restored_->pair.key.size());
  }
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
  own_hello_.recover = aim_ == Aim::Recover;
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
      if (frame.kind == Kind::Committed && aim_ == Aim::Pair) {
        return on_committed(frame.body);
      }
      if (frame.kind == Kind::Restored && aim_ == Aim::Recover) {
        return on_restored(frame.body);
      }
      break;
    case State::Looking:
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
  const bool recover = aim_ == Aim::Recover;
  rules_ = explain_rules(own_hello_, *peer_hello, self_.rules);
  if (const Finding finding = recover ? check_recovery(own_hello_, *peer_hello)
                                      : check_rules(own_hello_, *peer_hello, self_.rules)) {
    return fail_with(finding.refusal, finding.detail, true);
  }
  // What only the secondary can know, or judges by rules of its own.
  const Refusal verdict = peer_hello->verdict;
  const bool of_network = verdict == Refusal::NotNeighbours || verdict == Refusal::VirtualAnswered;
  if (verdict != Refusal::None && !of_network) {
    return fail_by_verdict(verdict);
  }
  peer_hello_ = *peer_hello;
  peer_bytes_ = body;
  if (recover) {
    return prove();
  }
  wanted_ = {peer_, own_hello_.virtual_addresses};
  state_ = State::Looking;
  return {{}, Move::Next::Look};
}

Move PrimarySession::fail_by_verdict(Refusal verdict) {
  rules_.push_back({"the secondary's own rules", false, std::string(name_of(verdict))});
  return fail_with(verdict, "so the secondary says; its log has the details", true);
}

Move PrimarySession::on_looked(const Finding& finding) {
  if (state_ != State::Looking) {
    return {{}, Move::Next::End};
  }
  rules_.push_back({"network", !finding,
                    finding ? finding.detail
                            : peer_.text() + " answers to ARP, and nobody else has a virtual "
                                             "address"});
  if (finding) {
    return fail_with(finding.refusal, finding.detail, true);
  }
  if (peer_hello_.verdict != Refusal::None) {
    return fail_by_verdict(peer_hello_.verdict);
  }
  pair_ = pair_from(core::Role::Primary, own_hello_, peer_hello_);
  pair_.peer_activation = activation_text(peer_hello_, self_.rules);
  renewed_ = is_renewal(own_hello_, peer_hello_);
  if (aim_ == Aim::DryRun) {
    state_ = State::Ended;
    return {{}, Move::Next::End};
  }
  return prove();
}

Move PrimarySession::prove() {
  session_id_ = session_id_of(own_hello_, peer_hello_);
  const std::string channel = channel_of(own_hello_, peer_hello_);
  run_ =
      Pake::start({Side::Initiator, channel, session_id_, own_bytes_, peer_bytes_}, code_->view());
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
  const Kind kind = aim_ == Aim::Recover ? Kind::Restore : Kind::Commit;
  return {frame_bytes(kind, encode_commit(kind, Choice::Go, session_id_, secrets_->commit_key)),
          Move::Next::Read};
}

// Nothing has changed at the secondary, so there is nothing to confirm or to take back.
Move PrimarySession::on_restored(std::string_view body) {
  restored_ = decode_restored(body, session_id_, secrets_->commit_key);
  const bool ours = restored_ && restored_->pair.self_role == core::Role::Primary &&
                    restored_->pair.primary_hm == self_.hm_address &&
                    restored_->pair.secondary_hm == peer_;
  if (!ours) {
    restored_.reset();
    return fail_with(Refusal::BadMac, "", false);
  }
  state_ = State::Ended;
  secrets_.reset();
  return {{}, Move::Next::End};
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
  const bool half_done = state_ == State::Committed && aim_ == Aim::Pair;
  Move move = fail_with(how, detail, false);
  if (half_done) {
    failure_.next = kHalfDone;
  }
  return move;
}

}  // namespace cb::pairing
