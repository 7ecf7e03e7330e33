// SPDX-License-Identifier: Apache-2.0
//
// Time zone and NTP. The zones are those of the machine's own database.
#include <algorithm>
#include <array>
#include <filesystem>

#include "base/text.h"
#include "cli/setup/check.h"
#include "cli/setup/question.h"

namespace cb::cli::setup {
namespace {

constexpr const char* kZones = "/usr/share/zoneinfo/";

struct Region {
  const char* name;
  const char* folder;  // "" is UTC
};
constexpr std::array kRegions = {Region{"Africa", "Africa"},
                                 Region{"Americas", "America"},
                                 Region{"Antarctica", "Antarctica"},
                                 Region{"Arctic Ocean", "Arctic"},
                                 Region{"Asia", "Asia"},
                                 Region{"Atlantic Ocean", "Atlantic"},
                                 Region{"Australia", "Australia"},
                                 Region{"Europe", "Europe"},
                                 Region{"Indian Ocean", "Indian"},
                                 Region{"Pacific Ocean", "Pacific"},
                                 Region{"UTC - Coordinated Universal Time", ""}};

bool is_zone(const std::string& name) {
  const bool plain = !name.empty() && name.front() != '/' && name.find("..") == std::string::npos &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' ||
                              c == '+';
                     });
  std::error_code error;
  return plain && (name == "UTC" || std::filesystem::is_regular_file(kZones + name, error));
}

std::vector<std::string> zones_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kZones + folder, error)) {
    if (entry.is_regular_file(error)) {
      names.push_back(entry.path().string().substr(std::string(kZones).size()));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string menu() {
  std::string text = "Time rules differ from place to place. Where is this machine?\n";
  for (std::size_t i = 0; i < kRegions.size(); ++i) {
    text += (i + 1 < 10 ? " " : "") + std::to_string(i + 1) + ") " + kRegions.at(i).name + "\n";
  }
  return text + std::to_string(kRegions.size() + 1) +
         ") Back to the previous question (^)\nA zone's whole name will do too, such as "
         "Europe/Brussels.";
}

// A region whose place is still to be asked is kept with a slash at its end: "Europe/".
Opinion take_region(Draft& draft, const std::string& text) {
  if (is_zone(text)) {
    draft.answers.timezone = text;
    return good();
  }
  const auto number = parse_number(text, kRegions.size());
  if (!number || *number == 0) {
    return wrong("please answer with a number of the list, or with the name of a zone");
  }
  const Region& region = kRegions.at(static_cast<std::size_t>(*number) - 1);
  const std::string folder = region.folder;
  draft.answers.timezone = folder.empty() ? "UTC" : folder + "/";
  return good();
}

Question place() {
  Question question;
  question.id = "time.place";
  question.applies = [](const Draft& draft) {
    return asked("time")(draft) && draft.answers.timezone.ends_with('/');
  };
  question.intro = [](const Draft& draft) {
    std::string text;
    std::size_t number = 0;
    for (const std::string& zone :
         zones_in(draft.answers.timezone.substr(0, draft.answers.timezone.size() - 1))) {
      text += std::to_string(++number) + ") " + zone + "\n";
    }
    return text + "Which of these?";
  };
  question.prompt = "#?";
  question.fallback = said("");
  question.take = [](Draft& draft, const std::string& text) {
    const auto zones =
        zones_in(draft.answers.timezone.substr(0, draft.answers.timezone.size() - 1));
    const auto number = parse_number(text, zones.size());
    const std::string name = is_zone(text) ? text : draft.answers.timezone + text;
    if (number && *number > 0) {
      draft.answers.timezone = zones.at(static_cast<std::size_t>(*number) - 1);
    } else if (is_zone(name)) {
      draft.answers.timezone = name;
    } else {
      return wrong("please answer with a number of the list, or with a name from it");
    }
    return good();
  };
  return question;
}

}  // namespace

void ask_time(std::vector<Question>& list) {
  list.push_back(opening("time", "Configure the time zone?", [](const Draft& draft) {
    return "Current timezone=[" + draft.answers.timezone + "]";
  }));
  Question zone;
  zone.id = "time.zone";
  zone.applies = asked("time");
  zone.intro = said(menu());
  zone.prompt = "#?";
  zone.fallback = [](const Draft& draft) { return draft.current->answers.timezone; };
  zone.take = take_region;
  list.push_back(std::move(zone));
  list.push_back(place());

  list.push_back(opening("ntp", "Configure NTP?", [](const Draft& draft) {
    return std::string(
               "With NTP, the clocks of both nodes follow the servers that you name. A pair needs\n"
               "it: times in events and data are those of two machines.\n") +
           (draft.answers.ntp ? "NTP is enabled. " + joined(draft.answers.ntp_servers)
                              : "NTP is not enabled.");
  }));
  Question enable;
  enable.id = "ntp.enabled";
  enable.applies = asked("ntp");
  enable.prompt = "Enable NTP (yes/no)";
  enable.fallback = [](const Draft& draft) { return draft.answers.ntp ? "yes" : "no"; };
  enable.take = [](Draft& draft, const std::string& text) {
    const auto answer = yes_or_no(text);
    draft.answers.ntp = answer.value_or(false);
    return answer ? good() : wrong("please answer yes or no");
  };
  list.push_back(std::move(enable));

  Question servers;
  servers.id = "ntp.servers";
  servers.applies = [](const Draft& draft) { return asked("ntp")(draft) && draft.answers.ntp; };
  servers.prompt = "NTP servers (names or addresses, with a comma between)";
  servers.fallback = [](const Draft& draft) { return joined(draft.answers.ntp_servers); };
  servers.take = [](Draft& draft, const std::string& text) {
    draft.answers.ntp_servers = words_of(text);
    for (const std::string& server : draft.answers.ntp_servers) {
      if (const std::string problem = server_problem(server); !problem.empty()) {
        return wrong(problem);
      }
    }
    return draft.answers.ntp_servers.empty() ? wrong("please name at least one server") : good();
  };
  list.push_back(std::move(servers));
}

}  // namespace cb::cli::setup
