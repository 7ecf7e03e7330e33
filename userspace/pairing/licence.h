// SPDX-License-Identifier: Apache-2.0
//
// The activation licence: a short text that the maker signed with Ed25519. It names the machine
// (UDI), a model, or both, and may end on a day. Exactly one spelling of each licence is accepted.
//
//   crossbeat-licence 1
//   id L-MSE-7.0-K9
//   udi AIR-MSE-VA-K9:V01:mse1_666f2046       may be left out when there is a model
//   model VA-Low                              may be left out
//   expires 2027-12-31                        may be left out; the last day that it holds
//   signature <128 hexadecimal digits>
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/ir.h"

namespace cb::pairing {

// Below the root.
inline constexpr char kLicencePath[] = "/var/lib/crossbeat/licence";

struct Licence {
  std::string id;
  std::string udi;
  std::string model;
  std::string expires;    // "2027-12-31"
  std::string signature;  // 128 hexadecimal digits
  bool operator==(const Licence&) const = default;
};

// The error says which line is wrong.
Result<Licence> parse_licence(std::string_view text);
std::string licence_text(const Licence& licence);

enum class Activation : std::uint8_t {
  NotRequired,  // the maker demands none
  Activated,
  Missing,
  Malformed,
  BadSignature,  // bent, or another maker's
  OtherMachine,
  OtherModel,
  Expired,
};
std::string_view text_of(Activation activation);  // "activated", "not required", "expired"

// Whose licence this is said to be, and the day.
struct LicenceHolder {
  std::string udi;
  std::string model;
  std::string today;
};
// What the text is worth under the maker's key (64 hexadecimal digits). Not whether it is demanded:
// never NotRequired.
Activation judge_licence(std::string_view text, std::string_view public_key,
                         const LicenceHolder& holder);
// The same, when the maker demands it; else NotRequired.
Activation activation_of(std::string_view text, const config::Licence& demand,
                         const LicenceHolder& holder);
bool is_active(Activation activation);

// The maker's side. A seed is 64 hexadecimal digits.
struct MakerKey {
  std::string seed;
  std::string public_key;
};
MakerKey make_maker_key();
Result<std::string> public_key_of(std::string_view seed);
Result<Licence> sign_licence(Licence licence, std::string_view seed);

// "2026-01-31" of a wall clock in seconds.
std::string day_of(std::int64_t wall_s);

}  // namespace cb::pairing
