// SPDX-License-Identifier: Apache-2.0
#include "pairing/session.h"

namespace cb::pairing {
namespace {

std::string_view view_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string session_id_of(const Hello& primary, const Hello& secondary) {
  std::string id(view_of(primary.nonce));
  id += view_of(secondary.nonce);
  return id;
}

std::string channel_of(const Hello& primary, const Hello& secondary) {
  const char protocol = static_cast<char>(agreed_protocol(primary, secondary));
  std::string channel;
  append_with_length(channel, "crossbeat pairing");
  append_with_length(channel, std::string_view(&protocol, 1));
  append_with_length(channel, view_of(primary.hm_address.bytes));
  append_with_length(channel, view_of(secondary.hm_address.bytes));
  return channel;
}

}  // namespace cb::pairing
