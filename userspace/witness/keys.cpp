// SPDX-License-Identifier: Apache-2.0
#include "witness/keys.h"

#include <sodium.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/text.h"

namespace cb::witness {
namespace {

constexpr std::string_view kNodeLabel = "crossbeat witness node 1";
constexpr std::string_view kSessionLabel = "crossbeat witness session 1";
constexpr std::string_view kEnrolment = "cbw1-";
constexpr std::size_t kCheckBytes = 4;

void add(std::vector<std::uint8_t>& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

Key derive(const Key& master, const std::vector<std::uint8_t>& from) {
  Key out{};
  const int failed = crypto_generichash(out.data(), out.size(), from.data(), from.size(),
                                        master.data(), master.size());
  CB_CHECK(failed == 0);
  return out;
}

std::vector<std::uint8_t> enrolment_bytes(const Enrolment& enrolment) {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(enrolment.pairing >> (8 * i)));
  }
  bytes.insert(bytes.end(), enrolment.key.begin(), enrolment.key.end());
  std::array<std::uint8_t, 32> digest{};
  crypto_generichash(digest.data(), digest.size(), bytes.data(), bytes.size(), nullptr, 0);
  bytes.insert(bytes.end(), digest.begin(), digest.begin() + kCheckBytes);
  return bytes;
}

}  // namespace

Result<> crypto_ready() {
  if (sodium_init() < 0) {
    return fail(ENOSYS, "start libsodium: no source of random numbers");
  }
  return Done{};
}

Key node_key(const Key& witness_key, core::volume::Node node, Direction direction) {
  std::vector<std::uint8_t> from;
  add(from, kNodeLabel);
  from.push_back(node);
  from.push_back(static_cast<std::uint8_t>(direction));
  return derive(witness_key, from);
}

Key session_key(const Key& node_key, const Nonce& client, const Nonce& server) {
  std::vector<std::uint8_t> from;
  add(from, kSessionLabel);
  from.insert(from.end(), client.begin(), client.end());
  from.insert(from.end(), server.begin(), server.end());
  return derive(node_key, from);
}

void draw(std::uint8_t* bytes, std::size_t count) { randombytes_buf(bytes, count); }

void wipe(Key& key) noexcept { sodium_memzero(key.data(), key.size()); }

std::string enrolment_line(const Enrolment& enrolment) {
  std::vector<std::uint8_t> bytes = enrolment_bytes(enrolment);
  std::string line = std::string(kEnrolment) + to_hex(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return line;
}

std::optional<Enrolment> parse_enrolment(std::string_view line) {
  line = trim(line);
  if (!line.starts_with(kEnrolment)) {
    return std::nullopt;
  }
  auto bytes = parse_hex(line.substr(kEnrolment.size()));
  Enrolment enrolment;
  if (!bytes || bytes->size() != 8 + enrolment.key.size() + kCheckBytes) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < 8; ++i) {
    enrolment.pairing |= std::uint64_t{(*bytes)[i]} << (8 * i);
  }
  std::copy_n(bytes->begin() + 8, enrolment.key.size(), enrolment.key.begin());
  const bool whole = *bytes == enrolment_bytes(enrolment);
  sodium_memzero(bytes->data(), bytes->size());
  if (!whole || enrolment.pairing == 0) {
    return std::nullopt;
  }
  return enrolment;
}

}  // namespace cb::witness
