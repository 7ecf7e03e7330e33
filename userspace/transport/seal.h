// SPDX-License-Identifier: Apache-2.0
//
// Packets sealed and opened: AEAD under the keys of one direction, with the packet number as nonce.
// Keys change by *phases*: the secret of a phase gives its key, its nonce base and the next secret,
// and is forgotten with it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "transport/aead_engine.h"
#include "transport/secret.h"

namespace cb::transport {

const char* name_of(Cipher cipher);

// The ciphers this machine offers, a bit each: AES only where the CPU has it.
std::uint8_t own_ciphers();
// The one for two nodes that offer these. 0: there is none in common.
std::uint8_t choose_cipher(std::uint8_t ours, std::uint8_t theirs);

// Where the rest of an opened packet goes, by its front, which is not known to be authentic yet.
using Place = std::function<std::uint8_t*(std::span<const std::uint8_t> front)>;
inline constexpr std::size_t kFront = 16;

// The key of one phase in use.
class Aead {
 public:
  Aead(Cipher cipher, const Key& secret, bool seals);
  Aead(Aead&&) = default;
  Aead& operator=(Aead&&) = default;

  // Seals front and data, one behind the other, into out, and the tag behind them.
  void seal(std::uint64_t number, std::span<const std::uint8_t> header,
            std::span<const std::uint8_t> front, std::span<const std::uint8_t> data,
            std::uint8_t* out);
  // sealed: with the tag. The first kFront bytes (or all, if there are less) go to front, then
  // `rest` says, of what these pretend to be, where the others go. False: not authentic, and what
  // was written is worthless.
  [[nodiscard]] bool open(std::uint64_t number, std::span<const std::uint8_t> header,
                          std::span<const std::uint8_t> sealed, std::uint8_t* front,
                          const Place& rest);

 private:
  std::array<std::uint8_t, kNonceBytes> nonce(std::uint64_t number) const;

  std::unique_ptr<AeadEngine> engine_;
  std::array<std::uint8_t, kNonceBytes> base_{};
};

class Sealer {
 public:
  Sealer(Cipher cipher, Key secret);
  // Phases only ever follow one another.
  void seal(std::uint32_t phase, std::uint64_t number, std::span<const std::uint8_t> header,
            std::span<const std::uint8_t> front, std::span<const std::uint8_t> data,
            std::uint8_t* out);

 private:
  Cipher cipher_;
  Key secret_;
  Aead aead_;
  std::uint32_t phase_ = 0;
};

// Knows the present phase, the one before (for what comes late) and the next.
class Opener {
 public:
  Opener(Cipher cipher, Key secret);
  // phase: the low byte, as the header says it.
  [[nodiscard]] bool open(std::uint8_t phase, std::uint64_t number,
                          std::span<const std::uint8_t> header,
                          std::span<const std::uint8_t> sealed, std::uint8_t* front,
                          const Place& rest);
  std::uint32_t phase() const noexcept { return phase_; }

 private:
  Cipher cipher_;
  Key secret_;  // of the present phase
  Aead present_;
  std::unique_ptr<Aead> former_;
  std::unique_ptr<Aead> next_;
  std::uint32_t phase_ = 0;
};

}  // namespace cb::transport
