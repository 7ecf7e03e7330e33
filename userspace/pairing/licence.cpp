// SPDX-License-Identifier: Apache-2.0
#include "pairing/licence.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/text.h"
#include "config/platform.h"
#include "pairing/message.h"
#include "pairing/secret.h"

namespace cb::pairing {
namespace {

constexpr std::string_view kFirst = "crossbeat-licence 1\n";
// Signed before the text itself, so that no signature of something else fits. Ends in NUL.
constexpr std::string_view kLabel{"crossbeat licence 1\0", 20};
constexpr std::size_t kIdMax = 32;

// What may stand in a line: printable, no space at its ends, nothing that needs quoting.
bool is_word(std::string_view text, std::size_t limit) {
  return !text.empty() && text.size() <= limit && text.front() != ' ' && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

bool is_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') {
    return false;
  }
  int numbers[3] = {0, 0, 0};
  int at = 0;
  for (const char c : text) {
    if (c == '-') {
      ++at;
    } else if (c < '0' || c > '9' || at > 2) {
      return false;
    } else {
      numbers[at] = numbers[at] * 10 + (c - '0');
    }
  }
  return at == 2 && numbers[0] >= 2000 && numbers[1] >= 1 && numbers[1] <= 12 && numbers[2] >= 1 &&
         numbers[2] <= 31;
}

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// What is wrong with its parts, or nothing.
std::string_view fault_of(const Licence& licence) {
  if (!is_word(licence.id, kIdMax)) {
    return "the id must be 1 to 32 printable characters";
  }
  if (!licence.udi.empty() && !is_word(licence.udi, kUdiMax)) {
    return "the UDI must be at most 128 printable characters";
  }
  if (!licence.model.empty() && !config::is_model(licence.model)) {
    return "the model must be up to 32 letters, digits, dashes and dots";
  }
  if (licence.udi.empty() && licence.model.empty()) {
    return "a licence names a UDI, a model, or both";
  }
  if (!licence.expires.empty() && !is_day(licence.expires)) {
    return "the last day must be written as 2027-12-31";
  }
  return "";
}

std::string signed_part(const Licence& licence) {
  std::string text(kFirst);
  text += "id " + licence.id + "\n";
  if (!licence.udi.empty()) {
    text += "udi " + licence.udi + "\n";
  }
  if (!licence.model.empty()) {
    text += "model " + licence.model + "\n";
  }
  if (!licence.expires.empty()) {
    text += "expires " + licence.expires + "\n";
  }
  return text;
}

std::string message_of(const Licence& licence) {
  return std::string(kLabel) + signed_part(licence);
}

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string licence_text(const Licence& licence) {
  return signed_part(licence) + "signature " + licence.signature + "\n";
}

Result<Licence> parse_licence(std::string_view text) {
  if (text.size() > kLicenceMax) {
    return fail(0, "it is too long to be a licence");
  }
  if (!text.starts_with(kFirst)) {
    return fail(0, "it does not begin with 'crossbeat-licence 1'");
  }
  Licence licence;
  std::string_view rest = text.substr(kFirst.size());
  const auto line = [&](std::string_view word, std::string& place) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos || !rest.starts_with(word)) {
      return;
    }
    place = rest.substr(word.size(), end - word.size());
    rest.remove_prefix(end + 1);
  };
  line("id ", licence.id);
  line("udi ", licence.udi);
  line("model ", licence.model);
  line("expires ", licence.expires);
  line("signature ", licence.signature);
  if (const auto fault = fault_of(licence); !fault.empty()) {
    return fail(0, std::string(fault));
  }
  if (!is_hex(licence.signature, 2 * crypto_sign_BYTES)) {
    return fail(0, "its signature is not 128 hexadecimal digits");
  }
  if (licence_text(licence) != text) {
    return fail(0, "it has lines that do not belong there");
  }
  return licence;
}

std::string_view text_of(Activation activation) {
  switch (activation) {
    case Activation::NotRequired: return "not required";
    case Activation::Activated: return "activated";
    case Activation::Missing: return "no licence";
    case Activation::Malformed: return "not a licence";
    case Activation::BadSignature: return "not signed by the maker";
    case Activation::OtherMachine: return "for another machine";
    case Activation::OtherModel: return "for another model";
    case Activation::Expired: return "expired";
  }
  return "";
}

bool is_active(Activation activation) {
  return activation == Activation::NotRequired || activation == Activation::Activated;
}

Activation judge_licence(std::string_view text, std::string_view public_key,
                         const LicenceHolder& holder) {
  if (text.empty()) {
    return Activation::Missing;
  }
  const auto licence = parse_licence(text);
  if (!licence) {
    return Activation::Malformed;
  }
  const auto key = parse_hex(public_key);
  const auto signature = parse_hex(licence->signature);
  const std::string message = message_of(*licence);
  if (!crypto_ready() || !key || key->size() != crypto_sign_PUBLICKEYBYTES || !signature ||
      crypto_sign_verify_detached(signature->data(), bytes_of(message), message.size(),
                                  key->data()) != 0) {
    return Activation::BadSignature;
  }
  if (!licence->udi.empty() && licence->udi != holder.udi) {
    return Activation::OtherMachine;
  }
  if (!licence->model.empty() && licence->model != holder.model) {
    return Activation::OtherModel;
  }
  // Days of one form compare as texts.
  if (!licence->expires.empty() && holder.today > licence->expires) {
    return Activation::Expired;
  }
  return Activation::Activated;
}

Activation activation_of(std::string_view text, const config::Licence& demand,
                         const LicenceHolder& holder) {
  return demand.required ? judge_licence(text, demand.public_key, holder) : Activation::NotRequired;
}

Result<std::string> public_key_of(std::string_view seed) {
  CB_TRY_DO(crypto_ready());
  const auto bytes = parse_hex(seed);
  if (!bytes || bytes->size() != crypto_sign_SEEDBYTES) {
    return fail(0, "the maker's secret key is not 64 hexadecimal digits");
  }
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> key{};
  Secret<crypto_sign_SECRETKEYBYTES> secret;
  crypto_sign_seed_keypair(key.data(), secret.data(), bytes->data());
  return to_hex(key);
}

MakerKey make_maker_key() {
  Secret<crypto_sign_SEEDBYTES> seed;
  randombytes_buf(seed.data(), seed.size());
  MakerKey made;
  made.seed = to_hex(seed.view());
  made.public_key = public_key_of(made.seed).value_or("");
  return made;
}

Result<Licence> sign_licence(Licence licence, std::string_view seed) {
  CB_TRY_DO(public_key_of(seed));
  if (const auto fault = fault_of(licence); !fault.empty()) {
    return fail(0, std::string(fault));
  }
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> key{};
  Secret<crypto_sign_SECRETKEYBYTES> secret;
  const auto bytes = parse_hex(seed);
  crypto_sign_seed_keypair(key.data(), secret.data(), bytes->data());
  const std::string message = message_of(licence);
  std::array<std::uint8_t, crypto_sign_BYTES> signature{};
  crypto_sign_detached(signature.data(), nullptr, bytes_of(message), message.size(), secret.data());
  licence.signature = to_hex(signature);
  return licence;
}

std::string day_of(std::int64_t wall_s) {
  const std::time_t seconds = wall_s;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 16> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return {text.data(), length};
}

}  // namespace cb::pairing
