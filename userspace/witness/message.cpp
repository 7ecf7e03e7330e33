// SPDX-License-Identifier: Apache-2.0
#include "witness/message.h"

#include <sodium.h>

#include "base/check.h"
#include "core/volume/bytes.h"

namespace cb::witness {
namespace {

using core::volume::Get;
using core::volume::Kind;
using core::volume::Put;
using core::volume::Register;
using core::witness::Holder;
using core::witness::Operation;
using core::witness::Result;

constexpr std::uint32_t kMagic = 0x57544243;  // "CBTW"
constexpr std::size_t kBodyAt = 64;
constexpr std::size_t kTagAt = kMessageBytes - kTagBytes;

void put_nonce(Put& put, const Nonce& nonce) {
  for (const std::uint8_t byte : nonce) {
    put(byte);
  }
}

Nonce take_nonce(Get& get) {
  Nonce nonce;
  for (std::uint8_t& byte : nonce) {
    byte = get.take<std::uint8_t>();
  }
  return nonce;
}

void put_register(Put& put, const Register& value) {
  put(value.epoch)(value.generation.high)(value.generation.low);
  put(static_cast<std::uint8_t>(value.kind))(value.holder);
  put.skip_to(put.at() + 6);
}

// at: where it begins. Whether it is what put_register would have written.
bool take_register(Get& get, std::size_t at, Register& out) {
  out.epoch = get.take<std::uint64_t>();
  out.generation.high = get.take<std::uint64_t>();
  out.generation.low = get.take<std::uint64_t>();
  const auto kind = get.take<std::uint8_t>();
  out.kind = static_cast<Kind>(kind);
  out.holder = get.take<std::uint8_t>();
  return get.zero_to(at + 32) && kind <= static_cast<std::uint8_t>(Kind::Alone) && out.holder <= 1;
}

bool in_range(std::uint8_t value, std::uint8_t first, std::uint8_t last) {
  return value >= first && value <= last;
}

bool take_request(Get& get, Message& m) {
  m.request.term = get.take<std::uint64_t>();
  return take_register(get, kBodyAt + 8, m.request.known) &&
         take_register(get, kBodyAt + 40, m.request.expected) &&
         take_register(get, kBodyAt + 72, m.request.wanted);
}

bool take_record(Get& get, Message& m) {
  m.record.counter = get.take<std::uint64_t>();
  m.record.term = get.take<std::uint64_t>();
  const auto holder = get.take<std::uint8_t>();
  m.record.holder = static_cast<Holder>(holder);
  m.record.met = get.take<std::uint8_t>();
  return get.zero_to(kBodyAt + 24) && holder <= static_cast<std::uint8_t>(Holder::Secondary) &&
         m.record.met <= 3 && take_register(get, kBodyAt + 24, m.record.volume);
}

Key tag_of(std::span<const std::byte> bytes, const Key& key) {
  Key out{};
  static_assert(sizeof(Key) == kTagBytes);
  const int failed = crypto_generichash(out.data(), out.size(),
                                        reinterpret_cast<const unsigned char*>(bytes.data()),
                                        kTagAt, key.data(), key.size());
  CB_CHECK(failed == 0);
  return out;
}

bool has_nonce_of_server(Type type) { return type != Type::Hello && type != Type::Stranger; }
bool is_numbered(Type type) {
  return type == Type::Request || type == Type::Answer || type == Type::NoSession;
}
bool has_operation(Type type) { return type == Type::Request || type == Type::Answer; }

}  // namespace

Datagram encode(const Message& m, const Key* key) {
  CB_CHECK((key == nullptr) == (m.type == Type::Stranger));
  Datagram out{};
  Put put(out);
  put(kMagic)(kVersion)(static_cast<std::uint8_t>(m.type))(m.request.node);
  put(has_operation(m.type) ? static_cast<std::uint8_t>(m.request.operation) : std::uint8_t{0});
  put(m.pairing);
  put_nonce(put, m.client);
  put_nonce(put, has_nonce_of_server(m.type) ? m.server : Nonce{});
  put(is_numbered(m.type) ? m.sequence : std::uint64_t{0});
  put(m.type == Type::Answer ? static_cast<std::uint8_t>(m.result) : std::uint8_t{0});
  put(static_cast<std::uint8_t>(m.type == Type::Request && m.request.holds ? 1 : 0));
  put.skip_to(kBodyAt);
  if (m.type == Type::Request) {
    put(m.request.term);
    put_register(put, m.request.known);
    put_register(put, m.request.expected);
    put_register(put, m.request.wanted);
  } else if (m.type == Type::Answer) {
    put(m.record.counter)(m.record.term);
    put(static_cast<std::uint8_t>(m.record.holder))(m.record.met);
    put.skip_to(kBodyAt + 24);
    put_register(put, m.record.volume);
  }
  put.skip_to(kTagAt);
  if (key != nullptr) {
    const Key tag = tag_of(out, *key);
    for (const std::uint8_t byte : tag) {
      put(byte);
    }
  }
  return out;
}

std::optional<Message> decode(std::span<const std::byte> bytes) {
  if (bytes.size() != kMessageBytes) {
    return std::nullopt;
  }
  Get get(bytes);
  Message m;
  const bool ours = get.take<std::uint32_t>() == kMagic && get.take<std::uint8_t>() == kVersion;
  const auto type = get.take<std::uint8_t>();
  if (!ours || !in_range(type, 1, static_cast<std::uint8_t>(Type::Stranger))) {
    return std::nullopt;
  }
  m.type = static_cast<Type>(type);
  m.request.node = get.take<std::uint8_t>();
  const auto operation = get.take<std::uint8_t>();
  m.pairing = get.take<std::uint64_t>();
  m.client = take_nonce(get);
  m.server = take_nonce(get);
  m.sequence = get.take<std::uint64_t>();
  const auto result = get.take<std::uint8_t>();
  const auto holds = get.take<std::uint8_t>();
  bool fine = m.request.node <= 1 && m.pairing != 0 && get.zero_to(kBodyAt);
  fine = fine && (has_nonce_of_server(m.type) || m.server == Nonce{});
  fine = fine && (m.sequence != 0) == is_numbered(m.type);
  fine = fine && holds <= (m.type == Type::Request ? 1 : 0);
  m.request.holds = holds != 0;
  if (has_operation(m.type)) {
    fine = fine && in_range(operation, 1, static_cast<std::uint8_t>(Operation::Seize));
    m.request.operation = static_cast<Operation>(operation);
  } else {
    fine = fine && operation == 0;
  }
  if (m.type == Type::Answer) {
    fine = fine && in_range(result, 1, static_cast<std::uint8_t>(Result::Failed));
    m.result = static_cast<Result>(result);
    fine = fine && take_record(get, m) && get.zero_to(kTagAt);
  } else {
    fine = fine && result == 0 && (m.type != Type::Request || take_request(get, m)) &&
           get.zero_to(kTagAt);
  }
  if (fine && m.type == Type::Stranger) {
    fine = get.zero_to(kMessageBytes);
  }
  return fine ? std::optional(m) : std::nullopt;
}

bool is_authentic(std::span<const std::byte> bytes, const Key& key) {
  if (bytes.size() != kMessageBytes) {
    return false;
  }
  const Key tag = tag_of(bytes, key);
  return sodium_memcmp(tag.data(), bytes.data() + kTagAt, kTagBytes) == 0;
}

}  // namespace cb::witness
