// SPDX-License-Identifier: Apache-2.0
//
// Whether this node has a copy of the volume, and, on a secondary, the making of one.
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "drivers/volume/replicated.h"

namespace cb::volume {
namespace {

constexpr Duration kFolderAgain = Duration::from_s(2);

std::uint64_t file_system_of(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 ? facts.st_dev : 0;
}

std::string id_text(const config::VolumeId& id) { return to_hex(id); }

}  // namespace

void Replicated::look_at_folder() {
  if (looking_) {
    return;
  }
  looking_ = true;
  struct Seen {
    std::optional<config::VolumeId> id;
    std::uint64_t on = 0;  // which file system; 0: none can be seen
    std::string fault;
  };
  auto seen = std::make_shared<Seen>();
  hands_.run(
      [seen, folder = folder_] {
        seen->on = file_system_of(std::filesystem::path(folder).parent_path());
        const auto id = config::read_volume_id(folder);
        if (!id) {
          seen->fault = to_text(id.error());
          return id.error().code == 0 ? EIO : id.error().code;
        }
        seen->id = *id;
        return 0;
      },
      leash_.guard([this, seen](int error) {
        if (error != 0) {
          note_failure(error, seen->fault);
          on_folder(error);
        } else if (!seen->id && options_.node == 1 && copy_on_ && *copy_on_ != seen->on &&
                   !take_all_) {
          // Its disk may have gone: the one below would be filled in its place.
          trouble("this node's copy is gone with its file system: " + folder_ +
                  " is on another one now; mount it again, or make a new copy there: crossbeat "
                  "resync --full");
          on_folder(ENOENT);
        } else if (!seen->id && options_.node == 1) {
          take_all_ = false;  // an empty copy does so by itself
          create_copy();
        } else if (!seen->id) {
          trouble("the volume was not created yet; run: crossbeat volume create");
          on_folder(ENOENT);
        } else if (options_.id && *seen->id != *options_.id) {
          trouble("the copy in " + folder_ + " is of another volume (" + id_text(*seen->id) +
                  ", not " + id_text(*options_.id) +
                  "); keep it aside and start anew: crossbeat volume create --aside");
          on_folder(ESTALE);
        } else {
          copy_on_ = seen->on;
          on_folder(0);
        }
      }));
}

void Replicated::on_folder(int error) {
  looking_ = false;
  if (error == 0) {
    process_->run();
    return;
  }
  settle();  // no copy, so no process that holds it
  for (loop::Done& done : std::exchange(promote_done_, {})) {
    done(error);
  }
  if (!ended_) {
    folder_timer_ = loop_.after(kFolderAgain, leash_.guard([this] { look_at_folder(); }));
  }
}

// A secondary's copy holds nothing that could be lost: it is made without being asked for.
void Replicated::create_copy() {
  if (!options_.id) {
    trouble("the pairing does not say which volume this is; pair again");
    on_folder(EINVAL);
    return;
  }
  auto fresh = std::make_shared<std::string>();
  hands_.run(
      [fresh, folder = folder_] {
        const auto begun = config::begin_volume_folder(folder);
        *fresh = begun ? *begun : to_text(begun.error());
        return begun ? 0 : begun.error().code;
      },
      leash_.guard([this, fresh](int error) {
        if (error != 0) {
          trouble(*fresh);
          on_folder(error);
          return;
        }
        loop::ChildPlan plan;
        plan.command = {options_.program, "create",
                        "--directory",    *fresh,
                        "--size",         std::to_string(options_.volume.bytes),
                        "--log",          std::to_string(options_.volume.log_bytes),
                        "--node",         "1",
                        "--instance-id",  id_text(*options_.id)};
        for (const auto& [option, device] : {std::pair("--log-device", options_.log_device),
                                             std::pair("--home-device", options_.home_device)}) {
          if (!device.empty()) {
            plan.command.insert(plan.command.end(), {option, device});
          }
        }
        auto last = std::make_shared<std::string>();
        // A device is filled with zeros first.
        const Duration within = Duration::from_s(options_.home_device.empty() ? 60 : 24 * 60 * 60);
        loop::run_command(
            loop_, hands_, std::move(plan), boottime_now() + within,
            [last](std::string_view line) { *last = line; },
            leash_.guard([this, last](int failed, const std::string& text) {
              if (failed != 0) {
                trouble("make this node's copy: " + text + " " + *last);
                on_folder(failed);
                return;
              }
              auto on = std::make_shared<std::uint64_t>(0);
              hands_.run(
                  [on, folder = folder_, id = *options_.id] {
                    const auto done = config::finish_volume_folder(folder, id, "");
                    *on = file_system_of(std::filesystem::path(folder).parent_path());
                    return done ? 0 : done.error().code;
                  },
                  leash_.guard([this, on](int unfinished) {
                    copy_on_ = *on;
                    if (unfinished != 0) {
                      trouble(std::string("put this node's copy into its place: ") +
                              strerror(unfinished));
                    }
                    on_folder(unfinished);
                  }));
            }));
      }));
}

}  // namespace cb::volume
