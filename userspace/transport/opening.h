// SPDX-License-Identifier: Apache-2.0
//
// How sessions come to be (docs/protocol-transport.md section 3). Either node opens when it has no
// session; when both do, node 0's attempt counts. A node that is asked answers, and goes over to
// the new session only when a packet under its keys has come: a recorded Open, however often it is
// played, makes it compute a little and changes nothing.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/instant.h"
#include "transport/noise.h"
#include "transport/seal.h"
#include "transport/wire.h"

namespace cb::transport {

// So many of something at once, so many a second.
class Bucket {
 public:
  Bucket(int capacity, Duration each) : capacity_(capacity), each_(each) {}
  bool take(Instant now);

 private:
  int capacity_;
  Duration each_;
  Instant full_at_ = Instant::from_ns(INT64_MIN / 2);
};

// What a handshake gave.
struct Agreed {
  std::uint32_t own_connection = 0;
  std::uint32_t peer_connection = 0;
  Cipher cipher = Cipher::ChaCha20Poly1305;
  std::uint64_t session = 0;  // a public name for it, the same on both nodes
  std::uint64_t peer_room[core::transport::kClasses] = {};
  Key send;
  Key receive;
};

struct OpeningCounts {
  std::uint64_t forged = 0;   // without the pairing's key, or bent
  std::uint64_t limited = 0;  // asked too often: dropped, or told to come again with a cookie
  std::uint64_t answered = 0;
};

class Opening {
 public:
  struct Options {
    Key psk;
    int node = 0;
    std::uint64_t instance = 0;
    std::uint8_t ciphers = 0;
    std::uint64_t room[core::transport::kClasses] = {};
  };
  explicit Opening(Options options);

  // ---- this side opens. The bytes stay valid until the next call.
  // Ends or begins the wish for a session. Beginning anew takes a fresh ephemeral key.
  void start(Instant now);
  void stop();
  bool wishes() const noexcept { return mine_.has_value(); }
  ConstBytes open(Instant now);  // to send on every link, at next_open()
  Instant next_open() const noexcept { return next_open_; }

  // ---- what arrives; empty: nothing to send back
  ConstBytes on_open(ConstBytes packet, const Header& header, Instant now);
  std::optional<Agreed> on_accept(ConstBytes packet, const Header& header);
  // True: the Open goes out again at once, with the cookie.
  bool on_retry(ConstBytes packet, const Header& header, Instant now);

  // ---- sessions that we answered and that have not begun
  struct Pending {
    std::array<std::uint8_t, 32> asked{};  // the opener's ephemeral key
    std::array<std::uint8_t, kAcceptBytes> answer{};
    Agreed agreed;
    std::unique_ptr<Opener> opener;
    Instant since;
  };
  Pending* pending(std::uint32_t connection);
  void forget_pending() { pending_.clear(); }

  const OpeningCounts& counts() const noexcept { return counts_; }

 private:
  struct Mine {
    Noise noise;
    std::uint32_t connection = 0;
    Instant since;
    std::array<std::uint8_t, kOpenBytes> packet{};
    int sent = 0;
    int retries = 0;
  };
  using Mac = std::array<std::uint8_t, kMacBytes>;

  Mac mac_of(ConstBytes bytes) const;
  bool mac_is_right(ConstBytes packet) const;
  void finish(std::span<std::uint8_t> packet) const;  // its MAC, in the last bytes
  std::array<std::uint8_t, kCookieBytes> cookie_of(int age, ConstBytes asked) const;
  bool cookie_is_right(ConstBytes packet) const;
  bool may_answer(ConstBytes packet, Instant now);
  ConstBytes retry_for(ConstBytes packet, const Header& header, Instant now);
  ConstBytes answer(ConstBytes packet, Instant now);
  Offer own_offer(std::uint8_t ciphers) const;

  Options options_;
  Key mac_key_;
  Key cookie_keys_[2];
  Instant cookie_since_;
  std::optional<Mine> mine_;
  Instant next_open_ = Instant::never();
  std::vector<std::unique_ptr<Pending>> pending_;
  std::array<std::uint8_t, kDhBytes> passed_over_{};  // node 0: what lost against its own attempt
  std::array<std::uint8_t, kRetryBytes> retry_{};
  Bucket asked_;
  Bucket asked_with_cookie_;
  Bucket retries_;
  OpeningCounts counts_;
};

}  // namespace cb::transport
