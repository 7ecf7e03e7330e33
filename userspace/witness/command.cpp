// SPDX-License-Identifier: Apache-2.0
//
// What an operator of a witness asks, and what he is told.
#include <cerrno>

#include "base/clock.h"
#include "base/text.h"
#include "witness/service.h"

namespace cb::witness {
namespace {

using core::witness::Holder;
using core::witness::Record;

const char* name_of(Holder holder) {
  switch (holder) {
    case Holder::Nobody: return "nobody";
    case Holder::Primary: return "primary";
    case Holder::Secondary: return "secondary";
  }
  return "nobody";
}

std::string number(std::uint64_t value) { return std::to_string(value); }

// Texts here are our own or paths; a control character would be a path of somebody strange.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return out + "\"";
}

std::string volume_text(const Record& record) {
  const auto& volume = record.volume;
  if (volume.epoch == 0) {
    return "none";
  }
  return "epoch " + number(volume.epoch) +
         (volume.kind == core::volume::Kind::Alone ? ", alone " : ", together, written by ") +
         (volume.holder == 0 ? "primary" : "secondary");
}

std::string volume_json(const Record& record) {
  const auto& volume = record.volume;
  if (volume.epoch == 0) {
    return "null";
  }
  return "{\"epoch\":" + number(volume.epoch) +
         ",\"kind\":" + (volume.kind == core::volume::Kind::Alone ? "\"alone\"" : "\"together\"") +
         ",\"holder\":" + (volume.holder == 0 ? "\"primary\"" : "\"secondary\"") + "}";
}

std::string trouble_of(const Store::Entry& entry) {
  if (!entry.trouble.empty()) {
    return entry.trouble;
  }
  return core::witness::is_learning(entry.record) ? "new: waits until both nodes have been heard"
                                                  : "";
}

std::string heard_text(bool ever, Duration ago) {
  return ever ? to_text(ago) + " ago" : "not since the start";
}

}  // namespace

std::string Service::on_command(std::string_view command, Instant now) {
  command = trim(command);
  const bool json = command.ends_with(" --json");
  const std::string_view verb = json ? command.substr(0, command.size() - 7) : command;
  if (verb == "status") {
    return status(json, now);
  }
  if (verb == "list") {
    return list(json, now);
  }
  if (command.starts_with("add ")) {
    return add(command.substr(4));
  }
  if (command.starts_with("forget ")) {
    return forget(command.substr(7));
  }
  return "error: unknown command\n";
}

std::string Service::status(bool json, Instant now) const {
  std::uint64_t troubled = 0;
  for (const auto& [id, entry] : store_.entries()) {
    troubled += entry.trouble.empty() ? 0U : 1U;
  }
  const struct {
    const char* name;
    std::uint64_t value;
  } rows[] = {{"received", counts_.received},
              {"answered", counts_.answered},
              {"changes", counts_.changes},
              {"malformed", counts_.malformed},
              {"strangers", counts_.strangers},
              {"forged", counts_.forged},
              {"old", counts_.old},
              {"too_many", counts_.too_many},
              {"in_trouble", counts_.in_trouble}};
  if (json) {
    std::string text = "{\"schema\":1,\"pairings\":" + number(store_.entries().size()) +
                       ",\"in_trouble\":" + number(troubled) +
                       ",\"up_s\":" + number(static_cast<std::uint64_t>((now - started_).as_s())) +
                       ",\"datagrams\":{";
    for (const auto& row : rows) {
      text += (&row == rows ? "\"" : ",\"") + std::string(row.name) + "\":" + number(row.value);
    }
    return text + "}}\n";
  }
  std::string text = "Witness for " + number(store_.entries().size()) + " pairings, up for " +
                     to_text(now - started_) + "\n";
  if (troubled != 0) {
    text += "ATTENTION: " + number(troubled) + " of them cannot be answered; see: list\n";
  }
  text += "Datagrams\n";
  for (const auto& row : rows) {
    std::string line = "  " + std::string(row.name);
    line.resize(16, ' ');
    text += line + number(row.value) + "\n";
  }
  return text;
}

std::string Service::list(bool json, Instant now) const {
  std::string text = json ? "{\"schema\":1,\"pairings\":[" : "";
  bool first = true;
  for (const auto& [id, entry] : store_.entries()) {
    const Record& record = entry.record;
    std::string heard[2];
    for (core::volume::Node node = 0; node < 2; ++node) {
      const auto found = nodes_.find({id, node});
      const bool ever = found != nodes_.end() && found->second.heard != Instant{};
      const Duration ago = ever ? now - found->second.heard : Duration{};
      heard[node] = json ? (ever ? number(static_cast<std::uint64_t>(ago.as_ms())) : "null")
                         : heard_text(ever, ago);
    }
    const std::string trouble = trouble_of(entry);
    if (json) {
      text += (first ? "{" : ",{") + std::string("\"pairing\":") + quoted(pairing_text(id)) +
              ",\"holder\":" + quoted(name_of(record.holder)) + ",\"term\":" + number(record.term) +
              ",\"volume\":" + volume_json(record) + ",\"changes\":" + number(record.counter) +
              ",\"primary_heard_ms\":" + heard[0] + ",\"secondary_heard_ms\":" + heard[1] +
              ",\"trouble\":" + (trouble.empty() ? "null" : quoted(trouble)) + "}";
    } else {
      text += "pairing " + pairing_text(id) + "\n  address    held by " + name_of(record.holder) +
              ", term " + number(record.term) + "\n  volume     " + volume_text(record) +
              "\n  primary    heard " + heard[0] + "\n  secondary  heard " + heard[1] + "\n" +
              (trouble.empty() ? "" : "  ATTENTION  " + trouble + "\n");
    }
    first = false;
  }
  if (json) {
    return text + "]}\n";
  }
  return text.empty() ? "no pairing is enrolled; see: crossbeat-witness --help\n" : text;
}

std::string Service::add(std::string_view line) {
  const auto enrolment = parse_enrolment(line);
  if (!enrolment) {
    return "error: this is no enrolment line; on the node run: crossbeat witness key\n";
  }
  if (auto added = store_.add(*enrolment); !added) {
    return "error: " + to_text(added.error()) + "\n";
  }
  return "pairing " + pairing_text(enrolment->pairing) + " is enrolled\n";
}

std::string Service::forget(std::string_view text) {
  const auto bytes = parse_hex(trim(text));
  if (!bytes || bytes->size() != 8) {
    return "error: a pairing is 16 hexadecimal digits; see: list\n";
  }
  std::uint64_t pairing = 0;
  for (const std::uint8_t byte : *bytes) {
    pairing = pairing << 8 | byte;
  }
  if (auto forgotten = store_.forget(pairing); !forgotten) {
    return "error: " + to_text(forgotten.error()) + "\n";
  }
  draw(secret_.data(), secret_.size());  // no session of it can be begun again
  nodes_.erase({pairing, 0});
  nodes_.erase({pairing, 1});
  return "pairing " + pairing_text(pairing) + " is forgotten\n";
}

}  // namespace cb::witness
