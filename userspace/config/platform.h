// SPDX-License-Identifier: Apache-2.0
//
// Which machines may be a pair: the platform matrix, which of a secondary's primaries go together,
// and, for machines that no row names, the comparison of what they have. The rules are a file that
// the maker may edit (platforms.toml); without one the shipped rules hold, which are built in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace cb::config {

// What a machine has; zero: not known, and then not compared.
struct Capacity {
  std::uint32_t processors = 0;
  std::uint64_t memory_mib = 0;
  std::uint64_t disk_mib = 0;       // of the file system of /var/lib/crossbeat
  std::uint32_t network_mbits = 0;  // of the network interface
  std::string text() const;         // "4 processors, 7936 MiB of memory, ..."
  bool operator==(const Capacity&) const = default;
};

struct Platform {
  std::string model;  // [product] model; empty: none
  Capacity capacity;
  bool operator==(const Platform&) const = default;
};

struct Platforms {
  struct Row {  // [[pair]]
    std::string primary;
    std::vector<std::string> secondaries;
    bool operator==(const Row&) const = default;
  };
  struct Together {  // [[together]]: these primaries, at most, on one secondary
    std::string secondary;
    std::vector<std::string> primaries;
    bool operator==(const Together&) const = default;
  };
  std::vector<Row> rows;
  std::vector<Together> together;
  int memory_tolerance_percent = 5;
  int disk_tolerance_percent = 0;
  std::string source;  // the file, or "built in"

  // Whether any row names it. Such a model pairs by the matrix alone.
  bool knows(std::string_view model) const;
  bool operator==(const Platforms&) const = default;
};

inline constexpr std::size_t kModelMax = 32;
inline constexpr std::size_t kPlatformRowsMax = 256;
bool is_model(std::string_view text);  // letters, digits, '-', '.', '_'; 1 to kModelMax

Parsed<Platforms> parse_platforms(std::string_view toml, std::string_view file_name);
// The maker's file in <root>/etc/crossbeat/, or the shipped one in <root>/usr/local/share or
// <root>/usr/share, or what is built in. A file with problems is not passed over: nothing pairs
// until it is corrected. Blocks.
Parsed<Platforms> load_platforms(const std::string& root);
std::string_view built_in_platforms();

// What the machine under this root has. Blocks; what cannot be read is zero.
Capacity read_capacity(const std::string& root, const std::string& network_interface);

struct Judgement {
  enum class By : std::uint8_t { Matrix, Comparison };
  By by = By::Comparison;
  bool allowed = true;
  std::string text;  // why, in the machines' own numbers
};
// May this secondary stand by for this primary?
Judgement judge_pair(const Platforms& rules, const Platform& primary, const Platform& secondary);
// May it stand by for all of these at once? One primary is judge_pair's affair.
Judgement judge_together(const Platforms& rules, const std::string& secondary_model,
                         std::vector<std::string> primary_models);

}  // namespace cb::config
