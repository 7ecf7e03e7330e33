// SPDX-License-Identifier: Apache-2.0
//
// docs/configuration.md tells every key, and the defaults that hold.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/text.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/duration.h"
#include "config/value.h"
#include "tests/config/files.h"
#include "tests/config/machine.h"

namespace cb::config::test {
namespace {

// "node.role" -> its cells: key, type, default, range, meaning.
using Rows = std::map<std::string, std::vector<std::string>>;

std::string document() { return contents(fixtures() / "../../docs/configuration.md"); }

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  for (const std::string_view cell : split(line, '|')) {
    cells.emplace_back(trim(cell));
  }
  return cells;
}

std::string unquoted(std::string_view code) { return std::string(code.substr(1, code.size() - 2)); }

Rows documented_keys() {
  Rows rows;
  std::string section;
  const std::string text = document();
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("## [")) {
      const std::string_view name = trim(line.substr(3));
      section = name.starts_with("[[") ? name.substr(2, name.size() - 4)
                                       : name.substr(1, name.size() - 2);
    } else if (line.starts_with("`health = ")) {
      section = "service.health";
    } else if (line.starts_with("| `") && !section.empty()) {
      const auto cells = cells_of(line);
      if (cells.size() == 7) {  // outer bars make an empty cell on both sides
        rows[section + "." + unquoted(cells[1])] = {cells.begin() + 1, cells.end() - 1};
      }
    }
  }
  rows.erase("heartbeat.fast");  // the table of profiles
  rows.erase("heartbeat.normal");
  rows.erase("heartbeat.relaxed");
  return rows;
}

void collect(const Value& table, const std::string& path,
             std::map<std::string, const Value*>& out) {
  for (const Member& member : table.members) {
    const std::string key = path.empty() ? member.key : path + "." + member.key;
    if (member.value.kind == Value::Kind::Table) {
      collect(member.value, key, out);
    } else if (member.value.kind == Value::Kind::List && !member.value.items.empty() &&
               member.value.items[0].kind == Value::Kind::Table) {
      for (const Value& item : member.value.items) {
        collect(item, key, out);
      }
    }
    out[key] = &member.value;
  }
}

bool same(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.text != b.text || a.number != b.number || a.flag != b.flag ||
      a.items.size() != b.items.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same(a.items[i], b.items[i])) {
      return false;
    }
  }
  return true;
}

TEST(Document, TellsEveryKeyAndNoOther) {
  const auto full = parse_document(contents(fixtures() / "good/full.toml"), "full.toml");
  std::map<std::string, const Value*> keys;
  collect(full.value, "", keys);
  std::set<std::string> known;
  for (const auto& [key, value] : keys) {
    if (value->kind != Value::Kind::Table && key != "service" && key != "hook") {
      known.insert(key);
    }
  }
  known.insert("service.health");
  std::set<std::string> told;
  for (const auto& [key, cells] : documented_keys()) {
    told.insert(key);
  }
  EXPECT_EQ(told, known);
}

TEST(Document, TellsTheDefaultsThatHold) {
  const std::string least = contents(fixtures() / "good/minimal.toml") +
                            "[[service]]\nname = \"x\"\nunit = \"x.service\"\n"
                            "[[hook]]\nname = \"x\"\ncommand = [\"/x\"]\n"
                            "[volume]\nsize = \"1GiB\"\n";
  const auto node = parse_node(least, "minimal.toml", machine());
  ASSERT_TRUE(node.ok());
  const auto shown = parse_document(node_to_toml(node.value), "shown.toml");
  std::map<std::string, const Value*> keys;
  collect(shown.value, "", keys);
  int compared = 0;
  for (const auto& [key, cells] : documented_keys()) {
    const std::string& cell = cells[2];
    if (!cell.starts_with('`')) {
      continue;
    }
    const std::string literal = cell.substr(1, cell.find('`', 1) - 1);
    if (key == "service.health.kind") {
      EXPECT_EQ(literal, "\"none\"");
      continue;
    }
    const auto told = parse_document("x = " + literal, "x");
    ASSERT_TRUE(told.ok()) << key << " = " << literal;
    ASSERT_TRUE(keys.contains(key)) << key;
    EXPECT_TRUE(same(*told.value.find("x"), *keys.at(key))) << key << ": told " << literal;
    ++compared;
  }
  EXPECT_GE(compared, 25);
}

TEST(Document, TellsTheNumbersOfTheProfiles) {
  for (const ProfileNumbers& numbers : kProfiles) {
    std::string row = "| `" + std::string(numbers.name) + "` |";
    for (const std::string& cell :
         {duration_text(numbers.interval), duration_text(numbers.answer_within),
          std::to_string(numbers.probes_lost), duration_text(numbers.network_interval),
          duration_text(numbers.burst_interval)}) {
      row += " " + cell + " |";
    }
    EXPECT_NE(document().find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace cb::config::test
