// SPDX-License-Identifier: Apache-2.0
#include "edge/register.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/text.h"

namespace cb::edge {
namespace {

constexpr std::size_t kFileMax = 256;

std::uint32_t checksum(std::string_view text) {
  return crc32c(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace

// "CBREG1 EPOCH HIGH LOW together|alone HOLDER CHECKSUM"; with a witness
// "CBREG2 EPOCH HIGH LOW together|alone HOLDER PAIRING CHECKSUM"
std::string register_text(const KeptRegister& kept) {
  const Register& value = kept.value;
  std::array<char, 160> line{};
  int length =
      snprintf(line.data(), line.size(), "CBREG%d %llu %016llx %016llx %s %u",
               kept.witness == 0 ? 1 : 2, static_cast<unsigned long long>(value.epoch),
               static_cast<unsigned long long>(value.generation.high),
               static_cast<unsigned long long>(value.generation.low),
               value.kind == core::volume::Kind::Together ? "together" : "alone", value.holder);
  std::string text(line.data(), static_cast<std::size_t>(length));
  if (kept.witness != 0) {
    length = snprintf(line.data(), line.size(), " %016llx",
                      static_cast<unsigned long long>(kept.witness));
    text.append(line.data(), static_cast<std::size_t>(length));
  }
  snprintf(line.data(), line.size(), " %08x\n", checksum(text));
  return text + line.data();
}

std::optional<KeptRegister> parse_register(std::string_view text) {
  unsigned version = 0;
  unsigned long long epoch = 0;
  unsigned long long high = 0;
  unsigned long long low = 0;
  std::array<char, 16> kind{};
  unsigned holder = 0;
  unsigned long long witness = 0;
  const std::string line(text);
  const int found = sscanf(line.c_str(), "CBREG%1u %llu %16llx %16llx %15s %u %16llx", &version,
                           &epoch, &high, &low, kind.data(), &holder, &witness);
  if (found < 6 || holder > 1) {
    return std::nullopt;
  }
  KeptRegister kept;
  kept.value.epoch = epoch;
  kept.value.generation = {high, low};
  kept.value.kind = std::string_view(kind.data()) == "together" ? core::volume::Kind::Together
                                                                : core::volume::Kind::Alone;
  kept.value.holder = static_cast<core::volume::Node>(holder);
  kept.witness = version == 2 && found == 7 ? witness : 0;
  // Exactly what would have been written, checksum included.
  return register_text(kept) == text ? std::optional(kept) : std::nullopt;
}

std::string RegisterEdge::path_of(const std::string& root, const std::string& instance) {
  return root + "/var/lib/crossbeat/ledger/" + instance + ".register";
}

RegisterEdge::RegisterEdge(loop::Hands& hands, const std::string& root, const std::string& instance)
    : hands_(hands), path_(path_of(root, instance)) {
  if (const auto text = read_all(path_, kFileMax)) {
    kept_ = parse_register(*text);
  }
}

void RegisterEdge::write(const KeptRegister& wanted, loop::Done done) {
  if (busy_) {
    done(EBUSY);
    return;
  }
  busy_ = true;
  hands_.run(
      [path = path_, text = register_text(wanted)] {
        const auto written = write_atomically(path, text, 0600);
        return written ? 0 : (written.error().code != 0 ? written.error().code : EIO);
      },
      leash_.guard([this, wanted, done = std::move(done)](int error) {
        busy_ = false;
        if (error == 0) {
          kept_ = wanted;
        }
        done(error);
      }));
}

}  // namespace cb::edge
