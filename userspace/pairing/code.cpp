// SPDX-License-Identifier: Apache-2.0
//
// The check character is a weighted sum over GF(32): character i counts 2^(i+1) times, the check
// character once. All weights differ and none is zero, so one wrong character or two swapped ones
// always change it.
#include "pairing/code.h"

namespace cb::pairing {
namespace {

// Crockford's base 32: no I, L, O (taken for 1 and 0) and no U.
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kGroup = 4;
constexpr std::string_view kExample = "K7QM-3XWD-9FN";

// The value of a typed character, or -1.
int value_of(char c) {
  if (c >= 'a' && c <= 'z') {
    c = static_cast<char>(c - 'a' + 'A');
  }
  if (c == 'O') {
    c = '0';
  }
  if (c == 'I' || c == 'L') {
    c = '1';
  }
  const std::size_t at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// Multiplication by 2 in GF(32), modulo x^5 + x^2 + 1.
constexpr unsigned twice(unsigned value) {
  value <<= 1;
  return (value & 0x20) != 0 ? value ^ 0x25 : value;
}

char check_character(std::span<const std::uint8_t, kCodeCharacters> code) {
  // Horner's rule, from the last character to the first.
  unsigned sum = 0;
  for (std::size_t i = kCodeCharacters; i > 0; --i) {
    sum = twice(sum ^ static_cast<unsigned>(value_of(static_cast<char>(code[i - 1]))));
  }
  return kAlphabet[sum];
}

}  // namespace

CodeSecret make_code() {
  CodeSecret code;
  randombytes_buf(code.data(), code.size());
  for (std::size_t i = 0; i < code.size(); ++i) {
    code.data()[i] = static_cast<std::uint8_t>(kAlphabet[code.data()[i] % kAlphabet.size()]);
  }
  return code;
}

std::string code_text(const CodeSecret& code) {
  std::string text;
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (i > 0 && i % kGroup == 0) {
      text.push_back('-');
    }
    text.push_back(static_cast<char>(code.data()[i]));
  }
  text.push_back(check_character(code.view()));
  return text;
}

Result<CodeSecret> parse_code(std::string_view typed) {
  CodeSecret code;
  std::size_t count = 0;
  char check = 0;
  for (const char c : typed) {
    if (c == '-' || c == ' ' || c == '\t') {
      continue;
    }
    const int value = value_of(c);
    if (value < 0) {
      return fail(0, "the code has a character that codes do not have; it looks like " +
                         std::string(kExample));
    }
    const char plain = kAlphabet[static_cast<std::size_t>(value)];
    if (count < code.size()) {
      code.data()[count] = static_cast<std::uint8_t>(plain);
    } else {
      check = plain;
    }
    if (++count > code.size() + 1) {
      break;
    }
  }
  if (count != code.size() + 1) {
    return fail(0, "the code must have 11 characters, like " + std::string(kExample));
  }
  if (check != check_character(code.view())) {
    return fail(0, "the code is mistyped: its last character does not fit the others");
  }
  return code;
}

std::string CodeDesk::create(Instant now) {
  const CodeSecret code = make_code();
  code_.emplace(code);
  ++generation_;
  used_ = false;
  tries_left_ = kCodeTries;
  ends_ = now + kCodeLife;
  return code_text(code);
}

std::optional<CodeDesk::Try> CodeDesk::take(Instant now) {
  if (!live(now)) {
    forget();
    return std::nullopt;
  }
  Try one{code_->copy(), generation_};
  if (--tries_left_ == 0) {
    code_.reset();  // the run that has the last try keeps its own copy
  }
  return one;
}

bool CodeDesk::use(std::uint64_t generation, Instant now) {
  if (used_ || generation != generation_ || now >= ends_) {
    return false;
  }
  forget();
  return true;
}

bool CodeDesk::live(Instant now) const { return code_.has_value() && now < ends_; }

int CodeDesk::tries_left(Instant now) const { return live(now) ? tries_left_ : 0; }

void CodeDesk::forget() {
  code_.reset();
  used_ = true;
  tries_left_ = 0;
}

}  // namespace cb::pairing
