// SPDX-License-Identifier: Apache-2.0
#include "transport/opening.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/check.h"

namespace cb::transport {

namespace {

constexpr std::string_view kPrologue = "crossbeat transport 1";
constexpr Duration kFirstAgain = Duration::from_ms(5);
constexpr Duration kAgainMax = Duration::from_ms(250);
constexpr Duration kAttempt = Duration::from_s(5);  // then a fresh ephemeral key
constexpr Duration kPendingFor = Duration::from_s(10);
constexpr std::size_t kPendingMax = 4;
constexpr int kRetriesMax = 8;  // of one attempt
constexpr Duration kCookieKeyFor = Duration::from_s(60);
constexpr std::size_t kEphemeralAt = kHeaderBytes;

Key random_key() {
  Key key;
  randombytes_buf(key.data(), 32);
  return key;
}

std::uint32_t random_connection() { return 1 + randombytes_uniform(UINT32_MAX - 1); }

ConstBytes ephemeral_of(ConstBytes open) { return open.subspan(kEphemeralAt, kDhBytes); }

std::array<std::uint8_t, kPrologue.size() + kHeaderBytes> prologue_of(ConstBytes open_header) {
  std::array<std::uint8_t, kPrologue.size() + kHeaderBytes> prologue{};
  std::ranges::copy(kPrologue, prologue.begin());
  std::ranges::copy(open_header, prologue.begin() + kPrologue.size());
  return prologue;
}

std::uint64_t session_of(std::span<const std::uint8_t, 32> hash) {
  std::uint64_t session = 0;
  std::memcpy(&session, hash.data(), sizeof(session));
  return session;
}

void keep(Agreed& agreed, const Offer& ours, const Offer& theirs, std::uint8_t cipher) {
  agreed.own_connection = ours.connection;
  agreed.peer_connection = theirs.connection;
  agreed.cipher = static_cast<Cipher>(cipher);
  std::ranges::copy(theirs.room, agreed.peer_room);
}

}  // namespace

bool Bucket::take(Instant now) {
  const Instant before = std::max(full_at_, now - each_ * capacity_);
  if (before + each_ > now) {
    return false;
  }
  full_at_ = before + each_;
  return true;
}

Opening::Opening(Options options)
    : options_(std::move(options)),
      asked_(8, Duration::from_ms(50)),
      asked_with_cookie_(8, Duration::from_ms(50)),
      retries_(16, Duration::from_ms(20)) {
  constexpr std::string_view kLabel = "crossbeat transport mac";
  mac_key_ = hmac(options_.psk.view(),
                  {reinterpret_cast<const std::uint8_t*>(kLabel.data()), kLabel.size()});
  cookie_keys_[0] = random_key();
  cookie_keys_[1] = random_key();
}

Offer Opening::own_offer(std::uint8_t ciphers) const {
  Offer offer{.connection = random_connection(), .ciphers = ciphers};
  std::ranges::copy(options_.room, offer.room);
  return offer;
}

Opening::Mac Opening::mac_of(ConstBytes bytes) const {
  Mac mac{};
  crypto_generichash(mac.data(), mac.size(), bytes.data(), bytes.size(), mac_key_.data(), 32);
  return mac;
}

bool Opening::mac_is_right(ConstBytes packet) const {
  const Mac mac = mac_of(packet.first(packet.size() - kMacBytes));
  return sodium_memcmp(mac.data(), packet.last(kMacBytes).data(), kMacBytes) == 0;
}

void Opening::finish(std::span<std::uint8_t> packet) const {
  const Mac mac = mac_of(packet.first(packet.size() - kMacBytes));
  std::ranges::copy(mac, packet.last(kMacBytes).begin());
}

// ---- this side opens

void Opening::start(Instant now) {
  const Header header{.kind = Kind::Open,
                      .detail = static_cast<std::uint8_t>(options_.node),
                      .number = options_.instance};
  const HeaderBytes head = encode(header);
  const Offer offer = own_offer(options_.ciphers);
  mine_.emplace(Mine{.noise = Noise(options_.psk.view(), prologue_of(head), random_key()),
                     .connection = offer.connection,
                     .since = now});
  passed_over_ = {};
  std::span<std::uint8_t> packet(mine_->packet);
  std::ranges::copy(head, packet.begin());
  mine_->noise.write_first(encode(offer), packet.subspan(kEphemeralAt, kNoiseBytes));
  finish(packet);
  next_open_ = now;
}

void Opening::stop() {
  mine_.reset();
  next_open_ = Instant::never();
}

ConstBytes Opening::open(Instant now) {
  CB_CHECK(mine_.has_value());
  const int sent = mine_->sent;
  if (now - mine_->since >= kAttempt) {
    start(now);
    mine_->sent = sent;
  }
  next_open_ = now + std::min(kFirstAgain * (std::int64_t{1} << std::min(sent, 10)), kAgainMax);
  ++mine_->sent;
  return mine_->packet;
}

std::optional<Agreed> Opening::on_accept(ConstBytes packet, const Header& header) {
  if (!mine_ || header.connection != mine_->connection || header.number != options_.instance ||
      header.detail != 1 - options_.node || packet.size() != kAcceptBytes) {
    return std::nullopt;
  }
  if (!mac_is_right(packet)) {
    ++counts_.forged;
    return std::nullopt;
  }
  OfferBytes bytes{};
  // A copy: whatever comes of this answer, the right one may still follow.
  Noise noise = mine_->noise.copy();
  if (!noise.read_second(packet.subspan(kEphemeralAt, kNoiseBytes), bytes)) {
    ++counts_.forged;
    return std::nullopt;
  }
  const std::optional<Offer> theirs = decode_offer(bytes);
  if (!theirs || choose_cipher(theirs->ciphers, options_.ciphers) != theirs->ciphers) {
    ++counts_.forged;
    return std::nullopt;
  }
  Agreed agreed;
  keep(agreed, {.connection = mine_->connection}, *theirs, theirs->ciphers);
  agreed.session = session_of(noise.hash());
  Noise::Split split = noise.split();
  agreed.send = std::move(split.opener);
  agreed.receive = std::move(split.responder);
  stop();
  return agreed;
}

bool Opening::on_retry(ConstBytes packet, const Header& header, Instant now) {
  if (!mine_ || header.number != options_.instance || header.detail != 1 - options_.node ||
      packet.size() != kRetryBytes || mine_->retries >= kRetriesMax) {
    return false;
  }
  const ConstBytes asked = packet.subspan(kHeaderBytes, 16);
  if (!std::ranges::equal(asked, ephemeral_of(mine_->packet).first(16))) {
    return false;
  }
  if (!mac_is_right(packet)) {
    ++counts_.forged;
    return false;
  }
  ++mine_->retries;
  std::span<std::uint8_t> open(mine_->packet);
  std::ranges::copy(packet.subspan(kHeaderBytes + 16, kCookieBytes),
                    open.subspan(kHeaderBytes + kNoiseBytes, kCookieBytes).begin());
  finish(open);
  next_open_ = now;
  return true;
}

// ---- the other side opens

ConstBytes Opening::on_open(ConstBytes packet, const Header& header, Instant now) {
  if (header.number != options_.instance || header.detail != 1 - options_.node ||
      header.connection != 0 || packet.size() != kOpenBytes) {
    return {};
  }
  if (!mac_is_right(packet)) {
    ++counts_.forged;
    return {};
  }
  if (mine_ && options_.node == 0) {
    std::ranges::copy(ephemeral_of(packet), passed_over_.begin());
    return {};  // both open: node 0's attempt counts
  }
  if (std::ranges::equal(passed_over_, ephemeral_of(packet))) {
    return {};  // a late double of what had lost against our attempt, which has succeeded since
  }
  std::erase_if(pending_, [&](const auto& held) { return now - held->since >= kPendingFor; });
  for (const auto& held : pending_) {
    if (std::ranges::equal(held->asked, ephemeral_of(packet))) {
      return held->answer;  // asked again: the answer was lost, or is doubled
    }
  }
  if (!may_answer(packet, now)) {
    ++counts_.limited;
    return retry_for(packet, header, now);
  }
  return answer(packet, now);
}

// The costly part is behind a limit. Who plays recorded packets uses it up; then only those count
// that bring a cookie, which a recording does not have.
bool Opening::may_answer(ConstBytes packet, Instant now) {
  if (now - cookie_since_ >= kCookieKeyFor) {
    cookie_keys_[1] = std::move(cookie_keys_[0]);
    cookie_keys_[0] = random_key();
    cookie_since_ = now;
  }
  return asked_.take(now) || (cookie_is_right(packet) && asked_with_cookie_.take(now));
}

std::array<std::uint8_t, kCookieBytes> Opening::cookie_of(int age, ConstBytes asked) const {
  std::array<std::uint8_t, kCookieBytes> cookie{};
  crypto_generichash(cookie.data(), cookie.size(), asked.data(), asked.size(),
                     cookie_keys_[age].data(), 32);
  return cookie;
}

bool Opening::cookie_is_right(ConstBytes packet) const {
  const ConstBytes brought = packet.subspan(kHeaderBytes + kNoiseBytes, kCookieBytes);
  for (int age = 0; age < 2; ++age) {
    const auto cookie = cookie_of(age, ephemeral_of(packet));
    if (sodium_memcmp(cookie.data(), brought.data(), kCookieBytes) == 0) {
      return true;
    }
  }
  return false;
}

ConstBytes Opening::retry_for(ConstBytes packet, const Header& header, Instant now) {
  if (!retries_.take(now)) {
    return {};
  }
  const HeaderBytes head = encode(Header{.kind = Kind::Retry,
                                         .detail = static_cast<std::uint8_t>(options_.node),
                                         .number = header.number});
  std::span<std::uint8_t> out(retry_);
  std::ranges::copy(head, out.begin());
  std::ranges::copy(ephemeral_of(packet).first(16), out.subspan(kHeaderBytes).begin());
  std::ranges::copy(cookie_of(0, ephemeral_of(packet)), out.subspan(kHeaderBytes + 16).begin());
  finish(out);
  return retry_;
}

ConstBytes Opening::answer(ConstBytes packet, Instant now) {
  Noise noise(options_.psk.view(), prologue_of(packet.first(kHeaderBytes)), random_key());
  OfferBytes bytes{};
  if (!noise.read_first(packet.subspan(kEphemeralAt, kNoiseBytes), bytes)) {
    ++counts_.forged;
    return {};
  }
  const std::optional<Offer> theirs = decode_offer(bytes);
  const std::uint8_t cipher = theirs ? choose_cipher(options_.ciphers, theirs->ciphers) : 0;
  if (cipher == 0) {
    ++counts_.forged;
    return {};
  }
  const Offer ours = own_offer(cipher);
  auto held = std::make_unique<Pending>();
  std::ranges::copy(ephemeral_of(packet), held->asked.begin());
  held->since = now;
  std::span<std::uint8_t> out(held->answer);
  std::ranges::copy(encode(Header{.kind = Kind::Accept,
                                  .detail = static_cast<std::uint8_t>(options_.node),
                                  .connection = theirs->connection,
                                  .number = options_.instance}),
                    out.begin());
  if (!noise.write_second(encode(ours), out.subspan(kEphemeralAt, kNoiseBytes))) {
    ++counts_.forged;  // a share that gives everybody the same secret
    return {};
  }
  finish(out);
  keep(held->agreed, ours, *theirs, cipher);
  held->agreed.session = session_of(noise.hash());
  Noise::Split split = noise.split();
  held->agreed.send = std::move(split.responder);
  held->agreed.receive = std::move(split.opener);
  held->opener = std::make_unique<Opener>(held->agreed.cipher, held->agreed.receive.copy());
  ++counts_.answered;
  if (pending_.size() >= kPendingMax) {
    pending_.erase(pending_.begin());
  }
  pending_.push_back(std::move(held));
  return pending_.back()->answer;
}

Opening::Pending* Opening::pending(std::uint32_t connection) {
  for (const auto& held : pending_) {
    if (held->agreed.own_connection == connection) {
      return held.get();
    }
  }
  return nullptr;
}

}  // namespace cb::transport
