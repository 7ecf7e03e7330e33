// SPDX-License-Identifier: Apache-2.0
//
// What a witness and its client take from the wire and from a disk is written the same again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "witness/message.h"
#include "witness/slot.h"

namespace {

void demand(bool fact) {
  if (!fact) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cb::witness;
  const auto bytes = std::as_bytes(std::span(data, size));
  const Key key{};
  if (const auto message = decode(bytes)) {
    const bool sealed = message->type != Type::Stranger;
    const Datagram again = encode(*message, sealed ? &key : nullptr);
    const std::size_t compared = sealed ? kMessageBytes - kTagBytes : kMessageBytes;
    demand(std::equal(again.begin(), again.begin() + compared, bytes.begin()));
    demand(decode(again) == message);
  }
  if (const auto record = decode_slot(bytes, 7)) {
    const Slot again = encode_slot(7, *record);
    demand(std::equal(again.begin(), again.end(), bytes.begin()));
  }
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  if (const auto enrolment = parse_enrolment(line)) {
    demand(parse_enrolment(enrolment_line(*enrolment)).has_value());
  }
  return 0;
}
