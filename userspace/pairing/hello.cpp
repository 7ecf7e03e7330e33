// SPDX-License-Identifier: Apache-2.0
//
// The hello: fields as tag, length, value, in the order of their tags. It is the one message that
// other versions of the protocol must be able to read, so tags from kOptionalTag on may be unknown;
// they are authenticated with the rest, since the key exchange covers the bytes as sent.
#include <algorithm>

#include "config/volume.h"
#include "pairing/bytes.h"
#include "pairing/message.h"

namespace cb::pairing {
namespace {

enum Tag : std::uint8_t {
  kTagProtocol = 1,  // lowest, highest
  kTagRole = 2,
  kTagFlags = 3,
  kTagName = 4,
  kTagVersion = 5,
  kTagUdi = 6,
  kTagHealthAddress = 7,
  kTagTarget = 8,
  kTagNetwork = 9,    // repeated: 16 bytes of address, length
  kTagVirtual = 10,   // repeated
  kTagSettings = 11,  // failover_wait in ms, instance number
  kTagHeld = 12,      // optional: id, mark
  kTagNonce = 13,
};
constexpr std::uint8_t kOptionalTag = 128;
enum OptionalTag : std::uint8_t {
  kTagProduct = 128,    // the version of the product
  kTagVolume = 129,     // id, size, log, mode, port; mount, file system, options
  kTagModel = 130,      // of the machine
  kTagCapacity = 131,   // processors, MiB of memory and of disk, Mbit/s of network
  kTagHeartbeat = 132,  // lowest, highest version of the heartbeat
  kTagOthers = 133,     // models of the secondary's other primaries: "3310,-"
  kTagLicence = 134,    // the licence file
  kTagVerdict = 135,    // the secondary's own refusal
  kTagRecover = 136,    // the primary wants its pairing back
};

constexpr std::uint8_t kFlagDirect = 1;
constexpr std::uint8_t kFlagFailover = 2;
constexpr std::uint8_t kFlagFailback = 4;
constexpr std::uint8_t kFlags = kFlagDirect | kFlagFailover | kFlagFailback;

// What may stand in a terminal, a log and a configuration file without harm.
bool is_plain_text(std::string_view text, std::size_t limit) {
  return !text.empty() && text.size() <= limit && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
}

bool is_host(const config::Address& address) {
  const auto& b = address.bytes;
  if (address.is_v4()) {
    return b[12] != 0 && b[12] < 224;  // not "this network", multicast or reserved
  }
  return b[0] != 0xff && std::any_of(b.begin(), b.end(), [](std::uint8_t x) { return x != 0; });
}

bool is_prefix(const config::Prefix& prefix) {
  return prefix.length >= 1 && prefix.length <= (prefix.address.is_v4() ? 32 : 128) &&
         is_host(prefix.address);
}

// The lines of a licence file; what they say is licence.h's business.
bool is_licence(std::string_view text) {
  return text.size() <= kLicenceMax && std::all_of(text.begin(), text.end(), [](char c) {
           return c == '\n' || (c >= ' ' && c <= '~');
         });
}

bool are_options_sound(const Hello& hello) {
  const auto is_model_or_none = [](const std::string& model) {
    return model.empty() || config::is_model(model);
  };
  const Hello::Others none;
  const Hello::Others& others = hello.others ? *hello.others : none;
  return is_model_or_none(hello.platform.model) && is_licence(hello.licence) &&
         hello.heartbeat.lowest >= 1 && hello.heartbeat.lowest <= hello.heartbeat.highest &&
         others.size() <= CB_PAIRINGS_MAX &&
         std::all_of(others.begin(), others.end(), is_model_or_none) &&
         (hello.verdict == Refusal::None ||
          is_wire_refusal(static_cast<std::uint8_t>(hello.verdict)));
}

bool is_sound(const Hello& hello) {
  const auto prefixes = [](const std::vector<config::Prefix>& list, std::size_t limit) {
    return list.size() <= limit && std::all_of(list.begin(), list.end(), is_prefix);
  };
  return hello.protocol_min >= 1 && hello.protocol_min <= hello.protocol_max &&
         is_plain_text(hello.name, kNameMax) && is_plain_text(hello.version, kVersionMax) &&
         (hello.product_version.empty() || is_plain_text(hello.product_version, kVersionMax)) &&
         is_plain_text(hello.udi, kUdiMax) && is_host(hello.hm_address) && is_host(hello.target) &&
         !hello.networks.empty() && prefixes(hello.networks, kNetworksMax) &&
         prefixes(hello.virtual_addresses, kVirtualMax) && hello.failover_wait >= Duration{} &&
         hello.failover_wait.as_ms() <= kFailoverWaitMaxMs &&
         hello.failover_wait == Duration::from_ms(hello.failover_wait.as_ms()) &&
         (!hello.held || hello.held->id != 0) && are_options_sound(hello) &&
         (!hello.volume || config::volume_fault(hello.volume->volume).empty());
}

class HelloWriter {
 public:
  void field(std::uint8_t tag, std::string_view value) {
    out_.u8(tag);
    out_.u16(static_cast<std::uint16_t>(value.size()));
    out_.raw(value);
  }
  void prefixes(Tag tag, const std::vector<config::Prefix>& list) {
    for (const config::Prefix& prefix : list) {
      Writer value;
      value.bytes(prefix.address.bytes);
      value.u8(static_cast<std::uint8_t>(prefix.length));
      field(tag, value.take());
    }
  }
  void address(Tag tag, const config::Address& address) {
    Writer value;
    value.bytes(address.bytes);
    field(tag, value.take());
  }
  std::string take() { return out_.take(); }

 private:
  Writer out_;
};

// A machine without a model is written as "-".
std::string text_of(const Hello::Others& models) {
  std::string text;
  for (const std::string& model : models) {
    text += (text.empty() ? "" : ",") + (model.empty() ? "-" : model);
  }
  return text;
}

Hello::Others models_in(std::string_view text) {
  Hello::Others models;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view model = text.substr(0, comma);
    models.emplace_back(model == "-" ? "" : model.empty() ? "?" : model);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return models;
}

void write_options(const Hello& hello, HelloWriter& out) {
  if (!hello.platform.model.empty()) {
    out.field(kTagModel, hello.platform.model);
  }
  const config::Capacity& capacity = hello.platform.capacity;
  Writer value;
  value.u32(capacity.processors);
  value.u64(capacity.memory_mib);
  value.u64(capacity.disk_mib);
  value.u32(capacity.network_mbits);
  out.field(kTagCapacity, value.take());
  value.u8(hello.heartbeat.lowest);
  value.u8(hello.heartbeat.highest);
  out.field(kTagHeartbeat, value.take());
  if (hello.others) {
    out.field(kTagOthers, text_of(*hello.others));
  }
  if (!hello.licence.empty()) {
    out.field(kTagLicence, hello.licence);
  }
  if (hello.verdict != Refusal::None) {
    value.u8(static_cast<std::uint8_t>(hello.verdict));
    out.field(kTagVerdict, value.take());
  }
  if (hello.recover) {
    value.u8(1);
    out.field(kTagRecover, value.take());
  }
}

bool read_prefix(Reader& in, std::vector<config::Prefix>& list, std::size_t limit) {
  config::Prefix prefix;
  if (list.size() >= limit || !in.bytes(prefix.address.bytes)) {
    return false;
  }
  const auto length = in.u8();
  if (!length) {
    return false;
  }
  prefix.length = *length;
  list.push_back(prefix);
  return true;
}

std::string volume_value(const config::PairVolume& described) {
  const config::Volume& volume = described.volume;
  Writer value;
  value.bytes(described.id);
  value.u64(volume.bytes);
  value.u64(volume.log_bytes);
  value.u8(static_cast<std::uint8_t>(volume.mode));
  value.u16(volume.port);
  for (const std::string* text :
       {&volume.mount_point, &volume.file_system, &volume.mount_options}) {
    value.u8(static_cast<std::uint8_t>(text->size()));
    value.raw(*text);
  }
  return value.take();
}

bool read_volume(Reader& in, config::PairVolume& described) {
  config::Volume& volume = described.volume;
  if (!in.bytes(described.id)) {
    return false;
  }
  volume.bytes = in.u64().value_or(0);
  volume.log_bytes = in.u64().value_or(0);
  volume.mode = static_cast<config::Volume::Mode>(in.u8().value_or(0xff));
  volume.port = in.u16().value_or(0);
  for (std::string* text : {&volume.mount_point, &volume.file_system, &volume.mount_options}) {
    const auto length = in.u8();
    const auto bytes = length ? in.raw(*length) : std::nullopt;
    if (!bytes) {
      return false;
    }
    *text = std::string(*bytes);
  }
  return config::volume_fault(volume).empty();
}

// False: the value does not have the form of its tag.
bool read_field(std::uint8_t tag, Reader in, Hello& hello) {
  bool fits = true;
  switch (tag) {
    case kTagProtocol:
      hello.protocol_min = in.u8().value_or(0);
      hello.protocol_max = in.u8().value_or(0);
      break;
    case kTagRole: {
      const std::uint8_t role = in.u8().value_or(0xff);
      fits = role <= static_cast<std::uint8_t>(core::Role::Secondary);
      hello.role = static_cast<core::Role>(role);
      break;
    }
    case kTagFlags: {
      const std::uint8_t flags = in.u8().value_or(0xff);
      fits = (flags & ~kFlags) == 0;
      hello.direct = (flags & kFlagDirect) != 0;
      hello.automatic_failover = (flags & kFlagFailover) != 0;
      hello.automatic_failback = (flags & kFlagFailback) != 0;
      break;
    }
    case kTagName: hello.name = std::string(in.rest()); break;
    case kTagVersion: hello.version = std::string(in.rest()); break;
    case kTagUdi: hello.udi = std::string(in.rest()); break;
    case kTagHealthAddress: fits = in.bytes(hello.hm_address.bytes); break;
    case kTagTarget: fits = in.bytes(hello.target.bytes); break;
    case kTagNetwork: fits = read_prefix(in, hello.networks, kNetworksMax); break;
    case kTagVirtual: fits = read_prefix(in, hello.virtual_addresses, kVirtualMax); break;
    case kTagSettings: {
      const auto wait_ms = in.u32();
      const auto instance = in.u32();
      fits = wait_ms && instance;
      hello.failover_wait = Duration::from_ms(wait_ms.value_or(0));
      hello.instance_number = instance.value_or(0);
      break;
    }
    case kTagHeld: {
      HeldPairing held;
      held.id = in.u64().value_or(0);
      fits = in.bytes(held.mark);
      hello.held = held;
      break;
    }
    case kTagNonce: fits = in.bytes(hello.nonce); break;
    case kTagProduct:
      hello.product_version = std::string(in.rest());
      fits = !hello.product_version.empty();
      break;
    case kTagVolume: fits = read_volume(in, hello.volume.emplace()); break;
    case kTagModel:
      hello.platform.model = std::string(in.rest());
      fits = !hello.platform.model.empty();
      break;
    case kTagCapacity: {
      config::Capacity& capacity = hello.platform.capacity;
      capacity.processors = in.u32().value_or(0);
      capacity.memory_mib = in.u64().value_or(0);
      capacity.disk_mib = in.u64().value_or(0);
      const auto network = in.u32();
      capacity.network_mbits = network.value_or(0);
      fits = network.has_value();
      break;
    }
    case kTagHeartbeat:
      hello.heartbeat.lowest = in.u8().value_or(0);
      hello.heartbeat.highest = in.u8().value_or(0);
      break;
    case kTagOthers: hello.others = models_in(in.rest()); break;
    case kTagLicence:
      hello.licence = std::string(in.rest());
      fits = !hello.licence.empty();
      break;
    case kTagVerdict: {
      // A later version may know more reasons.
      const std::uint8_t number = in.u8().value_or(0);
      fits = number != 0;
      hello.verdict = is_wire_refusal(number) ? static_cast<Refusal>(number) : Refusal::NotNow;
      break;
    }
    case kTagRecover:
      hello.recover = in.u8() == 1;
      fits = hello.recover;
      break;
    default: fits = tag >= kOptionalTag && (in.rest(), true);
  }
  return fits && in.at_end();
}

}  // namespace

std::optional<std::string> encode_hello(const Hello& hello) {
  if (!is_sound(hello)) {
    return std::nullopt;
  }
  HelloWriter out;
  const auto number = [](auto... bytes) {
    Writer value;
    (value.u8(bytes), ...);
    return value.take();
  };
  const auto flag = [](bool on, std::uint8_t bit) {
    return on ? bit : static_cast<std::uint8_t>(0);
  };
  out.field(kTagProtocol, number(hello.protocol_min, hello.protocol_max));
  out.field(kTagRole, number(static_cast<std::uint8_t>(hello.role)));
  out.field(kTagFlags,
            number(static_cast<std::uint8_t>(flag(hello.direct, kFlagDirect) |
                                             flag(hello.automatic_failover, kFlagFailover) |
                                             flag(hello.automatic_failback, kFlagFailback))));
  out.field(kTagName, hello.name);
  out.field(kTagVersion, hello.version);
  out.field(kTagUdi, hello.udi);
  out.address(kTagHealthAddress, hello.hm_address);
  out.address(kTagTarget, hello.target);
  out.prefixes(kTagNetwork, hello.networks);
  out.prefixes(kTagVirtual, hello.virtual_addresses);
  Writer settings;
  settings.u32(static_cast<std::uint32_t>(hello.failover_wait.as_ms()));
  settings.u32(hello.instance_number);
  out.field(kTagSettings, settings.take());
  if (hello.held) {
    Writer held;
    held.u64(hello.held->id);
    held.bytes(hello.held->mark);
    out.field(kTagHeld, held.take());
  }
  Writer nonce;
  nonce.bytes(hello.nonce);
  out.field(kTagNonce, nonce.take());
  if (!hello.product_version.empty()) {
    out.field(kTagProduct, hello.product_version);
  }
  if (hello.volume) {
    out.field(kTagVolume, volume_value(*hello.volume));
  }
  write_options(hello, out);
  return out.take();
}

std::optional<Hello> decode_hello(std::string_view body) {
  Reader in(body);
  Hello hello;
  std::uint32_t seen = 0;  // bit per tag below kOptionalTag
  std::uint8_t last = 0;
  while (!in.at_end()) {
    const auto tag = in.u8();
    const auto length = in.u16();
    const auto value = length ? in.raw(*length) : std::nullopt;
    const bool repeats = tag && (*tag == kTagNetwork || *tag == kTagVirtual);
    if (!tag || !value || *tag < last || (*tag == last && !repeats) ||
        !read_field(*tag, Reader(*value), hello)) {
      return std::nullopt;
    }
    last = *tag;
    if (*tag < kOptionalTag) {
      seen |= 1u << *tag;
    }
  }
  constexpr std::uint32_t kRequired = 1u << kTagProtocol | 1u << kTagRole | 1u << kTagFlags |
                                      1u << kTagName | 1u << kTagVersion | 1u << kTagUdi |
                                      1u << kTagHealthAddress | 1u << kTagTarget |
                                      1u << kTagSettings | 1u << kTagNonce;
  if ((seen & kRequired) != kRequired || !is_sound(hello)) {
    return std::nullopt;
  }
  return hello;
}

}  // namespace cb::pairing
