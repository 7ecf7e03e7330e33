// SPDX-License-Identifier: Apache-2.0
#include "config/suggest.h"

#include <algorithm>
#include <array>

namespace cb::config {
namespace {

constexpr std::size_t kWordMax = 64;

}  // namespace

// Optimal string alignment: Levenshtein with swaps of neighbours, three rows at a time.
std::size_t distance(std::string_view a, std::string_view b) {
  a = a.substr(0, kWordMax);
  b = b.substr(0, kWordMax);
  std::array<std::size_t, kWordMax + 1> before{};
  std::array<std::size_t, kWordMax + 1> last{};
  std::array<std::size_t, kWordMax + 1> row{};
  for (std::size_t j = 0; j <= b.size(); ++j) {
    last[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

std::string suggestion(std::string_view written, std::span<const std::string> known) {
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(1, written.size() / 3) + 1;
  for (const std::string& word : known) {
    const std::size_t far = distance(written, word);
    if (far < best_distance) {
      best = &word;
      best_distance = far;
    }
  }
  return best == nullptr ? "" : "; did you mean '" + *best + "'?";
}

std::string alternatives(std::span<const std::string> known) {
  std::string text;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i > 0) {
      text += i + 1 == known.size() ? " or " : ", ";
    }
    text += known[i];
  }
  return text;
}

}  // namespace cb::config
