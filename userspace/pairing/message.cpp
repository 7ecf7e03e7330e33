// SPDX-License-Identifier: Apache-2.0
#include "pairing/message.h"

#include <sodium.h>

#include <algorithm>

#include "pairing/bytes.h"

namespace cb::pairing {
namespace {

constexpr std::string_view kMagic = "XBPR";

bool is_kind(std::uint8_t number) {
  return number >= static_cast<std::uint8_t>(Kind::Hello) &&
         number <= static_cast<std::uint8_t>(Kind::Keep);
}

std::string as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <std::size_t N>
std::optional<std::array<std::uint8_t, N>> exactly(std::string_view body) {
  if (body.size() != N) {
    return std::nullopt;
  }
  std::array<std::uint8_t, N> value{};
  std::copy(body.begin(), body.end(), value.begin());
  return value;
}

Mac mac_over(std::string_view label, std::string_view bytes, const Secret<32>& key) {
  Mac mac{};
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.data(), key.size(), mac.size());
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(label.data()),
                            label.size());
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size());
  crypto_generichash_final(&state, mac.data(), mac.size());
  sodium_memzero(&state, sizeof state);
  return mac;
}

// Splits "message | MAC" and checks the MAC over `covered` + message.
std::optional<std::string_view> authentic(std::string_view label, const std::string& covered,
                                          std::string_view body, const Secret<32>& key) {
  if (body.size() < sizeof(Mac)) {
    return std::nullopt;
  }
  const std::string_view message = body.substr(0, body.size() - sizeof(Mac));
  const std::string_view sent = body.substr(message.size());
  const Mac mac = mac_over(label, covered + std::string(message), key);
  if (sodium_memcmp(mac.data(), sent.data(), mac.size()) != 0) {
    return std::nullopt;
  }
  return message;
}

// Every label ends in NUL, so that none is the beginning of another.
constexpr std::string_view kCommitLabel{"crossbeat commit 1\0", 19};
constexpr std::string_view kRequestLabel{"crossbeat request 1\0", 20};
constexpr std::string_view kReplyLabel{"crossbeat reply 1\0", 18};

std::string commit_context(Kind kind, std::string_view session_id) {
  Writer out;
  out.u8(static_cast<std::uint8_t>(kind));
  out.u16(static_cast<std::uint16_t>(session_id.size()));
  out.raw(session_id);
  return out.take();
}

std::string call_context(const CallContext& context) {
  Writer out;
  out.u64(context.pairing);
  out.bytes(context.caller);
  out.bytes(context.listener);
  return out.take();
}

}  // namespace

std::string frame_bytes(Kind kind, std::string_view body) {
  CB_CHECK(body.size() <= body_max(kind));
  Writer out;
  out.raw(kMagic);
  out.u8(kFrameVersion);
  out.u8(static_cast<std::uint8_t>(kind));
  out.u16(static_cast<std::uint16_t>(body.size()));
  out.raw(body);
  return out.take();
}

bool FrameReader::feed(std::string_view bytes) {
  if (held_.size() + bytes.size() > kHeaderBytes + kBigBodyMax) {
    return false;
  }
  held_.append(bytes);
  // Wrong bytes are known as soon as they come, not when a frame is full.
  const std::string_view start = std::string_view(held_).substr(0, kMagic.size());
  if (start != kMagic.substr(0, start.size())) {
    return false;
  }
  if (held_.size() > 4 && static_cast<std::uint8_t>(held_[4]) != kFrameVersion) {
    return false;
  }
  if (held_.size() > 5 && !is_kind(static_cast<std::uint8_t>(held_[5]))) {
    return false;
  }
  if (held_.size() < kHeaderBytes) {
    return true;
  }
  const auto kind = static_cast<Kind>(held_[5]);
  Reader in(std::string_view(held_).substr(6, 2));
  const std::size_t length = in.u16().value_or(0);
  return length <= body_max(kind) && held_.size() <= kHeaderBytes + length;
}

std::optional<Frame> FrameReader::next() {
  if (held_.size() < kHeaderBytes) {
    return std::nullopt;
  }
  Reader in(std::string_view(held_).substr(6, 2));
  if (held_.size() != kHeaderBytes + in.u16().value_or(0)) {
    return std::nullopt;
  }
  Frame frame{static_cast<Kind>(held_[5]), held_.substr(kHeaderBytes)};
  held_.clear();
  return frame;
}

std::string encode_share(const PakeShare& share) { return as_text(share); }
std::optional<PakeShare> decode_share(std::string_view body) { return exactly<kShareBytes>(body); }
std::string encode_proof(const PakeProof& proof) { return as_text(proof); }
std::optional<PakeProof> decode_proof(std::string_view body) { return exactly<kProofBytes>(body); }

std::string encode_refuse(Refusal refusal) { return std::string(1, static_cast<char>(refusal)); }

std::optional<Refusal> decode_refuse(std::string_view body) {
  if (body.size() != 1 || body[0] == 0) {
    return std::nullopt;
  }
  const auto number = static_cast<std::uint8_t>(body[0]);
  // A later version may know more reasons.
  return is_wire_refusal(number) ? static_cast<Refusal>(number) : Refusal::NotNow;
}

std::string encode_commit(Kind kind, Choice choice, std::string_view session_id,
                          const Secret<32>& key) {
  const std::string message(1, static_cast<char>(choice));
  return message + as_text(mac_over(kCommitLabel, commit_context(kind, session_id) + message, key));
}

std::optional<Choice> decode_commit(Kind kind, std::string_view body, std::string_view session_id,
                                    const Secret<32>& key) {
  const auto message = authentic(kCommitLabel, commit_context(kind, session_id), body, key);
  if (!message || message->size() != 1) {
    return std::nullopt;
  }
  const auto choice = static_cast<Choice>((*message)[0]);
  if (choice == Choice::Go || (choice == Choice::Undo && kind == Kind::Finish)) {
    return choice;
  }
  return std::nullopt;
}

std::string encode_ask(const Ask& ask) {
  Writer out;
  out.u64(ask.pairing);
  out.bytes(ask.nonce);
  return out.take();
}

std::optional<Ask> decode_ask(std::string_view body) {
  Reader in(body);
  Ask ask;
  const auto pairing = in.u64();
  if (!pairing || *pairing == 0 || !in.bytes(ask.nonce) || !in.at_end()) {
    return std::nullopt;
  }
  ask.pairing = *pairing;
  return ask;
}

std::string encode_challenge(const Nonce& nonce) { return as_text(nonce); }
std::optional<Nonce> decode_challenge(std::string_view body) { return exactly<16>(body); }

std::string encode_request(const Request& request, const CallContext& context,
                           const Secret<32>& key) {
  const std::string message = static_cast<char>(request.verb) + request.told;
  return message + as_text(mac_over(kRequestLabel, call_context(context) + message, key));
}

std::optional<Request> decode_request(std::string_view body, const CallContext& context,
                                      const Secret<32>& key) {
  const auto message = authentic(kRequestLabel, call_context(context), body, key);
  if (!message || message->empty()) {
    return std::nullopt;
  }
  const Request request{static_cast<Verb>((*message)[0]), std::string(message->substr(1))};
  switch (request.verb) {
    case Verb::Unpair:
    case Verb::UnpairAndDelete:
    case Verb::PeerInfo: return request.told.empty() ? std::optional(request) : std::nullopt;
    case Verb::Keep: return std::nullopt;  // has a kind of its own
    case Verb::Tell:
      return request.told.empty() || request.told.size() > kTellMax ? std::nullopt
                                                                    : std::optional(request);
  }
  return std::nullopt;
}

std::string encode_reply(const Reply& reply, const CallContext& context, const Secret<32>& key) {
  Writer out;
  out.u8(static_cast<std::uint8_t>(reply.verb));
  out.u8(static_cast<std::uint8_t>(reply.refusal));
  out.raw(reply.hello);
  std::string message = out.take();
  const Mac mac = mac_over(kReplyLabel, call_context(context) + message, key);
  return message + as_text(mac);
}

std::optional<Reply> decode_reply(std::string_view body, const CallContext& context,
                                  const Secret<32>& key) {
  const auto message = authentic(kReplyLabel, call_context(context), body, key);
  if (!message) {
    return std::nullopt;
  }
  Reader in(*message);
  const auto verb = in.u8();
  const auto refusal = in.u8();
  if (!verb || !refusal || *verb == 0 || *verb > static_cast<std::uint8_t>(Verb::Keep)) {
    return std::nullopt;
  }
  Reply reply;
  reply.verb = static_cast<Verb>(*verb);
  reply.refusal =
      *refusal == 0 || is_wire_refusal(*refusal) ? static_cast<Refusal>(*refusal) : Refusal::NotNow;
  reply.hello = std::string(in.rest());
  const bool wants_hello = reply.verb == Verb::PeerInfo && reply.refusal == Refusal::None;
  return wants_hello == !reply.hello.empty() ? std::optional(reply) : std::nullopt;
}

}  // namespace cb::pairing
