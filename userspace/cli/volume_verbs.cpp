// SPDX-License-Identifier: Apache-2.0
//
// The volume of an instance: making the first copy, looking at it, and bringing it into step. What
// the volume's process knows comes through the monitor; only what concerns the disk itself (create,
// check) is done here.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <ostream>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/volume_text.h"
#include "config/config.h"
#include "config/size.h"
#include "config/volume.h"
#include "config/volume_folder.h"

namespace cb::cli {
namespace {

// What a copy on this node is made from.
struct Described {
  config::Volume volume;
  std::string instance;
  std::string folder;
  std::string log_device;
  std::string home_device;
  bool primary = true;
  std::optional<config::VolumeId> id;  // of the pairing; nothing: not paired
};

Result<Described> describe(const Context& context) {
  const std::string& root = context.options().root;
  CB_TRY(machine, config::read_machine_facts());
  const auto node = config::load_node(root, machine);
  if (!node.ok()) {
    return fail(0, "the configuration has errors; see: crossbeat config check");
  }
  Described described;
  described.primary = node.value.role == core::Role::Primary;
  const auto pairs = config::load_pairs(root);
  if (!pairs.ok()) {
    return fail(0, "the pairings have errors; see: crossbeat config check");
  }
  const config::Pair* pair = nullptr;
  for (const config::Pair& each : pairs.value) {
    const bool chosen =
        context.options().pairing.empty() || each.primary_hm.text() == context.options().pairing;
    if (chosen && pair != nullptr) {
      return fail(0, "this node has several pairings; name one: --pairing ADDRESS");
    }
    pair = chosen ? &each : pair;
  }
  if (described.primary) {
    if (!node.value.volume) {
      return fail(0, "there is no [volume] in crossbeat.toml; write size = \"10GiB\" in [volume]");
    }
    described.volume = *node.value.volume;
    described.instance = node.value.hm_address.text();
  } else if (pair == nullptr || !pair->volume) {
    return fail(0, "a secondary gets its volume by pairing, and there is none with a volume");
  } else {
    described.volume = pair->volume->volume;
    described.instance = pair->primary_hm.text();
  }
  if (pair != nullptr && pair->volume) {
    described.id = pair->volume->id;
  }
  described.log_device = node.value.volume_log_device;
  described.home_device = node.value.volume_home_device;
  described.folder = config::volume_folder(root, node.value.volume_directory, described.instance);
  return described;
}

// Beside this program, or where the package puts it.
std::string volume_program() {
  std::array<char, 4096> self{};
  const ssize_t length = readlink("/proc/self/exe", self.data(), self.size() - 1);
  std::string folder(self.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  folder = folder.substr(0, folder.rfind('/') + 1);
  for (const std::string& path :
       {folder + "crossbeat-volume", folder + "../sbin/crossbeat-volume"}) {
    if (access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return "crossbeat-volume";
}

// Does a process hold this copy? It keeps the lock for as long as it has the disks.
bool is_in_use(const Context& context, const Described& described) {
  const std::string path =
      context.options().root + "/run/crossbeat/volume-" + described.instance + ".lock";
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file && flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

int say(const Context& context, Json reply, const std::string& text) {
  if (context.options().json) {
    reply["ok"] = true;
    context.print(reply);
  } else {
    context.terminal().out << text << std::flush;
  }
  return kDone;
}

std::vector<std::string> create_command(const Described& described, const VolumeCreate& wanted,
                                        const std::string& folder, const config::VolumeId& id) {
  std::vector<std::string> command = {volume_program(), "create",
                                      "--directory",    folder,
                                      "--size",         std::to_string(described.volume.bytes),
                                      "--log",          std::to_string(described.volume.log_bytes),
                                      "--node",         described.primary ? "0" : "1",
                                      "--instance-id",  to_hex(id)};
  if (wanted.fresh) {
    command.emplace_back("--fresh");
  }
  for (const auto& [option, device] : {std::pair("--log-device", described.log_device),
                                       std::pair("--home-device", described.home_device)}) {
    if (!device.empty()) {
      command.insert(command.end(), {option, device});
    }
  }
  if (wanted.overwrite) {
    command.emplace_back("--overwrite");
  }
  return command;
}

// Would the devices that [volume] names be taken? Asked before anything is changed.
int look_at_devices(const Context& context, const Described& described,
                    const VolumeCreate& wanted) {
  if (described.log_device.empty() && described.home_device.empty()) {
    return kDone;
  }
  auto command = create_command(described, wanted, config::fresh_volume_folder(described.folder),
                                config::VolumeId{1});
  command.emplace_back("--dry-run");
  const auto ran = run_command(command, Duration::from_s(60));
  if (!ran) {
    return context.complain(kFailed, "the devices cannot be looked at: " + to_text(ran.error()));
  }
  return ran->code == 0
             ? kDone
             : context.complain(kRefused,
                                "the copy could not be made: " + std::string(trim(ran->text)),
                                "see log_device and home_device in crossbeat.toml(5)");
}

int make_copy(const Context& context, const Described& described, const VolumeCreate& wanted) {
  config::VolumeId id{};
  if (wanted.fresh) {
    id = *described.id;
  } else if (getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
    return context.complain(kFailed, "the kernel gives no random numbers");
  }
  const auto folder = config::begin_volume_folder(described.folder);
  if (!folder) {
    return context.complain(kFailed, to_text(folder.error()));
  }
  const std::vector<std::string> command = create_command(described, wanted, *folder, id);
  // A device is filled with zeros first.
  const auto ran =
      run_command(command, Duration::from_s(described.home_device.empty() ? 600 : 24 * 60 * 60));
  if (!ran || ran->code != 0) {
    return context.complain(kFailed,
                            "the copy could not be made: " +
                                (ran ? std::string(trim(ran->text)) : to_text(ran.error())));
  }
  const std::string format = wanted.format ? described.volume.file_system : "";
  const auto done = config::finish_volume_folder(described.folder, id, format);
  if (!done) {
    return context.complain(kFailed, to_text(done.error()));
  }
  return say(context, Json{{"folder", described.folder}, {"id", to_hex(id)}, {"format", format}},
             "Made a copy of " + config::size_text(described.volume.bytes) + " in " +
                 described.folder + ", with a log of " +
                 config::size_text(described.volume.log_bytes) + ".\n" +
                 (format.empty() ? "" : "The first mount makes " + format + " on it.\n") +
                 (wanted.fresh ? "It is filled by the peer; see: crossbeat volume status\n"
                               : "The monitor takes it into use by itself within seconds; then "
                                 "pair, or pair again.\n"));
}

}  // namespace

int volume_create(const Context& context, const VolumeCreate& wanted) {
  const auto described = describe(context);
  if (!described) {
    return context.complain(kRefused, to_text(described.error()));
  }
  const auto there = config::read_volume_id(described->folder);
  if (!there) {
    const int code = there.error().code == EACCES ? kPrivileges : kFailed;
    return context.complain(code, to_text(there.error()));
  }
  if (there->has_value() && !wanted.aside) {
    return context.complain(kRefused, "there is a copy in " + described->folder + " already",
                            "--aside keeps it under another name and starts anew");
  }
  if (there->has_value() && is_in_use(context, *described)) {
    return context.complain(kRefused, "the copy in " + described->folder + " is in use",
                            "end that first: crossbeat stop");
  }
  if (!described->primary && !there->has_value()) {
    return context.complain(kRefused, "a secondary's copy is made by its monitor",
                            "see: crossbeat volume status");
  }
  if (wanted.fresh && !described->id) {
    return context.complain(kRefused, "this node is not paired, so nobody could fill a fresh copy",
                            "leave --fresh out");
  }
  if (described->primary && described->id && !wanted.fresh) {
    return context.complain(
        kRefused,
        "this primary is paired, and its peer may hold the data: a first copy would be another "
        "volume",
        "--fresh makes an empty copy that the peer fills; for another volume: crossbeat unpair");
  }
  if (const int code = look_at_devices(context, *described, wanted); code != kDone) {
    return code;
  }
  if (context.options().dry_run) {
    return say(context, Json{{"folder", described->folder}},
               std::string("Would ") + (there->has_value() ? "keep the copy aside and " : "") +
                   "make a copy of " + config::size_text(described->volume.bytes) + " in " +
                   described->folder + ".\nNothing was done.\n");
  }
  std::string aside;
  if (there->has_value()) {
    const auto kept = config::set_volume_aside(described->folder);
    if (!kept) {
      return context.complain(kFailed, to_text(kept.error()));
    }
    aside = *kept;
    if (!context.options().json) {
      context.terminal().out << "The former copy is kept in " << aside << ".\n";
    }
  }
  if (!described->primary) {
    return say(context, Json{{"aside", aside}},
               "The monitor makes a new one and takes it from the peer.\n");
  }
  return make_copy(context, *described, wanted);
}

int volume_check(const Context& context) {
  const auto described = describe(context);
  if (!described) {
    return context.complain(kRefused, to_text(described.error()));
  }
  std::vector<std::string> command = {volume_program(), "check", "--directory", described->folder};
  if (context.options().json) {
    command.emplace_back("--json");
  }
  const auto ran = run_command(command, Duration::from_s(3600), 1 << 20);
  if (!ran) {
    return context.complain(kFailed, to_text(ran.error()));
  }
  context.terminal().out << ran->text << std::flush;
  return ran->code == 0 ? kDone : kFailed;
}

int volume_status(const Context& context) {
  const auto status = context.ask(context.request("status"));
  if (!status) {
    return context.report(status.error());
  }
  const StatusView view = view_of(*status);
  Json volumes = Json::array();
  std::string text;
  for (const PairView* pair : view.instances()) {
    if (!context.options().pairing.empty() && pair->pairing != context.options().pairing) {
      continue;
    }
    if (!pair->volume.is_object()) {
      continue;
    }
    Json row{{"pairing", pair->pairing}};
    row.update(pair->volume);
    volumes.push_back(std::move(row));
    text += volume_text(*pair);
  }
  if (volumes.empty()) {
    return context.complain(kRefused, "no instance of this node has a volume",
                            "see [volume] in crossbeat.toml(5)");
  }
  return say(context, Json{{"volumes", std::move(volumes)}}, text);
}

int volume_history(const Context& context, bool compare) {
  Json request = context.request("volume");
  request["action"] = "history";
  const auto reply = context.ask(request);
  if (const auto code = context.wrong(reply)) {
    return *code;
  }
  const Json& history = at(*reply, "history");
  if (!compare) {
    return say(context, *reply, history_text(history));
  }
  const Difference difference = difference_of(history);
  Json out{{"known", difference.known}, {"split", difference.split}};
  out["parted_at"] = difference.parted_at ? Json(*difference.parted_at) : Json(nullptr);
  out["history"] = history;
  say(context, out, difference_text(difference));
  return difference.split ? kProblems : kDone;
}

int resync(const Context& context, const Resync& wanted) {
  if (wanted.pause || wanted.go_on) {
    Json request = context.request("volume");
    request["action"] = wanted.pause ? "pause" : "continue";
    const auto reply = context.ask(request);
    if (const auto code = context.wrong(reply)) {
      return *code;
    }
    return say(context, *reply,
               wanted.pause
                   ? "The resynchronization is paused; what is written now still goes over."
                     " End it: crossbeat resync --continue\n"
                   : "The resynchronization goes on.\n");
  }
  Json request = context.request("resync");
  request["full"] = wanted.full;
  const auto reply = context.ask(request);
  if (const auto code = context.wrong(reply)) {
    return *code;
  }
  if (context.options().dry_run) {
    std::string text = "crossbeat resync would, on this node:\n";
    for (const std::string& step : texts_at(*reply, "would")) {
      text += "  " + step + "\n";
    }
    return say(context, *reply, text + "Nothing was done.\n");
  }
  return say(context, *reply,
             "Begun. Watch it: crossbeat volume status, or crossbeat status --watch\n");
}

}  // namespace cb::cli
