// SPDX-License-Identifier: Apache-2.0
#include "edge/event_batch.h"

#include <cstdint>

#include "base/text.h"

namespace cb::edge {
namespace {

// version | origin 8 | count | count x (number 8 | wall us 8 | boottime ns 8 |
//   description 2 + n | remarks 2 + n | state 2 + n), big-endian
constexpr char kVersion = 1;
constexpr std::size_t kOriginBytes = 8;
constexpr std::int64_t kWallMax = 7'258'118'400'000'000;  // the year 2200

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) {
    out.push_back(static_cast<char>(value >> (8 * i) & 0xffU));
  }
}

void put_text(std::string& out, const std::string& text) {
  put(out, text.size(), 2);
  out += text;
}

class Cutter {
 public:
  explicit Cutter(std::string_view bytes) : left_(bytes) {}
  std::optional<std::uint64_t> number(std::size_t bytes) {
    if (left_.size() < bytes) {
      return std::nullopt;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      value = value << 8U | static_cast<unsigned char>(left_[i]);
    }
    left_.remove_prefix(bytes);
    return value;
  }
  std::optional<std::string> text(std::size_t limit) {
    const auto size = number(2);
    if (!size || *size > limit || *size > left_.size()) {
      return std::nullopt;
    }
    std::string text(left_.substr(0, *size));
    left_.remove_prefix(*size);
    return text;
  }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

std::optional<EventEntry> decode_one(Cutter& in) {
  const auto number = in.number(8);
  const auto wall_us = in.number(8);
  const auto at_ns = in.number(8);
  auto description = in.text(kDescriptionMax);
  auto remarks = in.text(kRemarksMax);
  auto state = in.text(kEventFieldMax);
  if (!number || *number == 0 || *number > INT64_MAX || !wall_us ||
      *wall_us > static_cast<std::uint64_t>(kWallMax) || !at_ns || *at_ns > INT64_MAX ||
      !description || description->empty() || !remarks || !state) {
    return std::nullopt;
  }
  EventEntry entry;
  entry.number = *number;
  entry.wall = wall_text(static_cast<std::int64_t>(*wall_us) * 1000);
  entry.at_ns = static_cast<std::int64_t>(*at_ns);
  entry.description = std::move(*description);
  entry.remarks = std::move(*remarks);
  entry.state = std::move(*state);
  clean(entry);
  return entry;
}

}  // namespace

std::string encode_batch(const std::vector<EventEntry>& entries, std::size_t& taken) {
  taken = 0;
  std::string out(1, kVersion);
  const auto origin = entries.empty() ? std::nullopt : parse_hex(entries.front().origin);
  if (!origin || origin->size() != kOriginBytes) {
    return {};
  }
  out.append(origin->begin(), origin->end());
  out.push_back(0);  // how many, known at the end
  for (const EventEntry& entry : entries) {
    std::string one;
    put(one, entry.number, 8);
    put(one, static_cast<std::uint64_t>(parse_wall_us(entry.wall).value_or(0)), 8);
    put(one, static_cast<std::uint64_t>(entry.at_ns), 8);
    put_text(one, clean_text(entry.description, kDescriptionMax));
    put_text(one, clean_text(entry.remarks, kRemarksMax));
    put_text(one, clean_text(entry.state, kEventFieldMax));
    if (taken == kBatchMax || out.size() + one.size() > kBatchBytesMax) {
      break;
    }
    out += one;
    ++taken;
  }
  out[1 + kOriginBytes] = static_cast<char>(taken);
  return out;
}

std::optional<std::vector<EventEntry>> decode_batch(std::string_view bytes,
                                                    const std::string& pairing,
                                                    const std::string& generated_by) {
  if (bytes.size() > kBatchBytesMax) {
    return std::nullopt;
  }
  Cutter in(bytes);
  const auto version = in.number(1);
  const auto origin = in.number(kOriginBytes);
  const auto count = in.number(1);
  if (!version || *version != static_cast<std::uint64_t>(kVersion) || !origin || !count ||
      *count == 0 || *count > kBatchMax) {
    return std::nullopt;
  }
  std::string name;
  put(name, *origin, static_cast<int>(kOriginBytes));
  const std::vector<std::uint8_t> raw(name.begin(), name.end());
  std::vector<EventEntry> entries;
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto entry = decode_one(in);
    if (!entry || (!entries.empty() && entry->number <= entries.back().number)) {
      return std::nullopt;
    }
    entry->pairing = pairing;
    entry->generated_by = generated_by;
    entry->origin = pairing + "/" + to_hex(raw);
    entries.push_back(std::move(*entry));
  }
  return in.at_end() ? std::optional(std::move(entries)) : std::nullopt;
}

}  // namespace cb::edge
