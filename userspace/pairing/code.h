// SPDX-License-Identifier: Apache-2.0
//
// One-time codes: what an operator reads on the secondary and types on the primary. Ten random
// characters (50 bits) of an alphabet in which no two look alike, and an eleventh that catches
// every single mistyped character and every swap of two neighbours before anything is sent:
// "K7QM-3XWD-9FN". A code ends when a pairing has succeeded with it, after kCodeLife, or after
// kCodeTries failed runs; see docs/security.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/instant.h"
#include "base/result.h"
#include "pairing/secret.h"

namespace cb::pairing {

inline constexpr std::size_t kCodeCharacters = 10;  // that carry the secret
inline constexpr Duration kCodeLife = Duration::from_s(600);
inline constexpr int kCodeTries = 3;

// The ten characters in their one spelling (upper case, no separators, no check character): the
// password of the key exchange.
using CodeSecret = Secret<kCodeCharacters>;

// A new code from the system's random source.
CodeSecret make_code();

// For the operator, with separators and check character. The caller shows it once and keeps no
// copy.
std::string code_text(const CodeSecret& code);

// What the operator typed: either case, separators and spaces anywhere, O for 0, I and L for 1. The
// error says what is wrong with it: a typing mistake is found here, and costs no try.
Result<CodeSecret> parse_code(std::string_view typed);

// The secondary's side: at most one code is live. Time is an argument; nothing here reads a clock.
class CodeDesk {
 public:
  // Makes a new code and forgets the former one.
  std::string create(Instant now);

  // Takes one try: the code for a run of the key exchange. No code, or one that is over or used up:
  // std::nullopt (and it is wiped). A run that ends well calls use() next; any other has cost its
  // try.
  struct Try {
    CodeSecret code;
    std::uint64_t generation = 0;  // which code this was
  };
  std::optional<Try> take(Instant now);

  // True exactly once a code: the run that proved to know it may go on. The code is wiped.
  bool use(std::uint64_t generation, Instant now);

  bool live(Instant now) const;
  int tries_left(Instant now) const;  // 0 when no code is live
  Instant ends() const { return ends_; }
  void forget();

 private:
  std::optional<LockedSecret<kCodeCharacters>> code_;
  std::uint64_t generation_ = 0;
  bool used_ = true;  // or none was ever made
  int tries_left_ = 0;
  Instant ends_;
};

}  // namespace cb::pairing
