// SPDX-License-Identifier: Apache-2.0
#include "config/platform.h"

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "config/reader.h"
#include "config/value.h"
#include "platforms_built_in.h"

namespace cb::config {
namespace {

constexpr const char* kPlaces[] = {"/etc/crossbeat/platforms.toml",
                                   "/usr/local/share/crossbeat/platforms.toml",
                                   "/usr/share/crossbeat/platforms.toml"};

bool holds(const std::vector<std::string>& list, std::string_view model) {
  return std::find(list.begin(), list.end(), model) != list.end();
}

std::string list_of(const std::vector<std::string>& models) {
  std::string text;
  for (const std::string& model : models) {
    text += (text.empty() ? "" : ", ") + (model.empty() ? "a machine without a model" : model);
  }
  return text;
}

std::string model_of(Reader& table, std::string_view key) {
  const std::string model = table.text(key).value_or("");
  if (!is_model(model)) {
    table.wrong(key, "must be a model: up to 32 letters, digits, dashes and dots");
  }
  return model;
}

std::vector<std::string> models_of(Reader& table, std::string_view key, std::size_t least,
                                   std::size_t most) {
  auto models = table.texts(key, false).value_or(std::vector<std::string>{});
  if (models.size() < least || models.size() > most ||
      !std::all_of(models.begin(), models.end(), is_model)) {
    table.wrong(key, "must be a list of " + std::to_string(least) + " to " + std::to_string(most) +
                         " models, such as [\"VA-Standard\", \"VA-High\"]");
  }
  return models;
}

// Are all of `some` in `all`, each as often as it occurs? Both in order.
bool includes(std::vector<std::string> all, std::vector<std::string> some) {
  std::sort(all.begin(), all.end());
  std::sort(some.begin(), some.end());
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

std::uint64_t least_of(std::uint64_t wanted, int tolerance_percent) {
  return wanted - wanted / 100 * static_cast<std::uint64_t>(tolerance_percent);
}

struct Compared {
  const char* what;
  const char* unit;
  std::uint64_t primary;
  std::uint64_t secondary;
  int tolerance_percent;
};

}  // namespace

bool is_model(std::string_view text) {
  return !text.empty() && text.size() <= kModelMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
         });
}

std::string Capacity::text() const {
  const auto part = [](std::uint64_t value, const std::string& unit) {
    return value == 0 ? std::string() : std::to_string(value) + unit;
  };
  std::string text;
  for (const std::string& one : {part(processors, processors == 1 ? " processor" : " processors"),
                                 part(memory_mib, " MiB of memory"), part(disk_mib, " MiB of disk"),
                                 part(network_mbits, " Mbit/s of network")}) {
    text += (text.empty() || one.empty() ? "" : ", ") + one;
  }
  return text.empty() ? "not known" : text;
}

bool Platforms::knows(std::string_view model) const {
  return !model.empty() && std::any_of(rows.begin(), rows.end(), [&](const Row& row) {
    return row.primary == model || holds(row.secondaries, model);
  });
}

Parsed<Platforms> parse_platforms(std::string_view toml, std::string_view file_name) {
  Parsed<Platforms> parsed;
  parsed.value.source = file_name;
  const Parsed<Value> document = parse_document(toml, file_name);
  if (!document.ok()) {
    parsed.problems = document.problems;
    return parsed;
  }
  Platforms& rules = parsed.value;
  Notes notes(file_name);
  Reader top(&document.value, "", notes);
  Reader comparison = top.table("comparison");
  const auto percent = [&](std::string_view key, int otherwise) {
    return static_cast<int>(comparison.number(key, 0, 50).value_or(otherwise));
  };
  rules.memory_tolerance_percent = percent("memory_tolerance_percent", 5);
  rules.disk_tolerance_percent = percent("disk_tolerance_percent", 0);
  comparison.finish();
  for (Reader& row : top.tables("pair")) {
    Platforms::Row one{model_of(row, "primary"), models_of(row, "secondaries", 1, 64)};
    if (std::any_of(rules.rows.begin(), rules.rows.end(),
                    [&](const auto& other) { return other.primary == one.primary; })) {
      row.wrong("primary", "has a row already; write all of its secondaries in one");
    }
    rules.rows.push_back(std::move(one));
    row.finish();
  }
  for (Reader& row : top.tables("together")) {
    rules.together.push_back({model_of(row, "secondary"), models_of(row, "primaries", 2, 16)});
    row.finish();
  }
  if (rules.rows.size() + rules.together.size() > kPlatformRowsMax) {
    notes.error(0, "there are more than " + std::to_string(kPlatformRowsMax) + " rows");
  }
  top.finish();
  parsed.problems = notes.take();
  return parsed;
}

std::string_view built_in_platforms() { return kBuiltInPlatforms; }

Parsed<Platforms> load_platforms(const std::string& root) {
  std::string base = root;
  while (base.ends_with('/')) {
    base.pop_back();
  }
  for (const char* place : kPlaces) {
    const std::string path = base + place;
    const auto text = read_all(path, kDocumentBytesMax);
    if (text) {
      return parse_platforms(*text, path);
    }
    if (text.error().code != ENOENT) {
      Parsed<Platforms> parsed;
      parsed.value.source = path;
      parsed.problems.push_back({path, 0, false, to_text(text.error())});
      return parsed;
    }
  }
  return parse_platforms(built_in_platforms(), "built in");
}

Judgement judge_pair(const Platforms& rules, const Platform& primary, const Platform& secondary) {
  if (rules.knows(primary.model) || rules.knows(secondary.model)) {
    const auto row = std::find_if(rules.rows.begin(), rules.rows.end(),
                                  [&](const auto& one) { return one.primary == primary.model; });
    const std::string both =
        "a primary " + list_of({primary.model}) + " with a secondary " + list_of({secondary.model});
    if (row == rules.rows.end()) {
      return {Judgement::By::Matrix, false,
              both + ": the platform matrix has no row for this primary"};
    }
    const bool allowed = holds(row->secondaries, secondary.model);
    return {Judgement::By::Matrix, allowed,
            both + (allowed ? ": in the platform matrix"
                            : ": the platform matrix allows " + list_of(row->secondaries))};
  }
  const Capacity& p = primary.capacity;
  const Capacity& s = secondary.capacity;
  const Compared all[] = {
      {"processors", "", p.processors, s.processors, 0},
      {"memory", " MiB", p.memory_mib, s.memory_mib, rules.memory_tolerance_percent},
      {"disk", " MiB", p.disk_mib, s.disk_mib, rules.disk_tolerance_percent},
      {"network", " Mbit/s", p.network_mbits, s.network_mbits, 0},
  };
  std::string less;
  int compared = 0;
  for (const Compared& one : all) {
    if (one.primary == 0 || one.secondary == 0) {
      continue;
    }
    ++compared;
    if (one.secondary < least_of(one.primary, one.tolerance_percent)) {
      less += (less.empty() ? "" : "; ") + std::string(one.what) + ": the secondary has " +
              std::to_string(one.secondary) + one.unit + ", the primary " +
              std::to_string(one.primary) + one.unit;
    }
  }
  if (!less.empty()) {
    return {Judgement::By::Comparison, false, less};
  }
  return {Judgement::By::Comparison, true,
          compared == 0 ? "nothing to compare: one of the nodes does not tell what it has"
                        : "the secondary has " + s.text() + "; the primary " + p.text()};
}

Judgement judge_together(const Platforms& rules, const std::string& secondary_model,
                         std::vector<std::string> primary_models) {
  Judgement judgement;
  const std::string all = list_of(primary_models);
  const bool listed = rules.knows(secondary_model) ||
                      std::any_of(primary_models.begin(), primary_models.end(),
                                  [&](const auto& model) { return rules.knows(model); });
  judgement.by = listed ? Judgement::By::Matrix : Judgement::By::Comparison;
  if (primary_models.size() < 2 || !listed) {
    judgement.text = primary_models.size() < 2 ? "it is the only primary" : "no row names them";
    return judgement;
  }
  std::string sets;
  for (const Platforms::Together& set : rules.together) {
    if (set.secondary != secondary_model) {
      continue;
    }
    if (includes(set.primaries, primary_models)) {
      judgement.text = all + " on one " + list_of({secondary_model}) + ": in the matrix";
      return judgement;
    }
    sets += (sets.empty() ? "" : ", or ") + list_of(set.primaries);
  }
  judgement.allowed = false;
  judgement.text = all + " on one " + list_of({secondary_model}) + ": " +
                   (sets.empty() ? "it takes one primary only" : "the matrix allows " + sets);
  return judgement;
}

}  // namespace cb::config
