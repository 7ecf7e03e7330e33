// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/replicated_file_system.h"

#include <cerrno>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "config/volume_folder.h"
#include "loop/child.h"

namespace cb::volume {
namespace {

constexpr Duration kChildDeadline = Duration::from_s(18);  // below that of a volume's rung
constexpr Duration kFormatDeadline = Duration::from_s(600);
constexpr Duration kTryAgain = Duration::from_ms(100);
constexpr std::size_t kMountsMax = 16 << 20;

}  // namespace

struct FileSystem::Look {
  int error = 0;
  std::string text;
  std::string source;   // mounted at the place now; empty: nothing is
  bool broken = false;  // ... and it no longer takes writes
  std::string format;   // still to be made
};

FileSystem::FileSystem(loop::Loop& loop, loop::Hands& hands, FileSystemPlan plan)
    : loop_(loop), hands_(hands), plan_(std::move(plan)) {}

void FileSystem::look(std::function<void(const Look&)> then) {
  auto seen = std::make_shared<Look>();
  hands_.run(
      [seen, plan = plan_] {
        std::error_code error;
        std::filesystem::create_directories(plan.mount_point, error);
        // An I/O error of a broken mount is no reason to stop: it is taken away.
        const auto mounts = read_all("/proc/self/mountinfo", kMountsMax);
        if (!mounts) {
          seen->error = mounts.error().code;
          seen->text = to_text(mounts.error());
          return 0;
        }
        for (const std::string_view line : split(*mounts, '\n')) {
          const auto words = split(line, ' ');
          std::size_t dash = 6;
          while (dash < words.size() && words[dash] != "-") {
            ++dash;
          }
          if (words.size() > 5 && words[4] == plan.mount_point && dash + 3 < words.size()) {
            seen->source = words[dash + 2];  // the last one is on top
            seen->broken = false;
            for (const std::string_view option : split(words[dash + 3], ',')) {
              seen->broken = seen->broken || option == "ro" || option == "shutdown" ||
                             option == "emergency_ro";
            }
          }
        }
        if (seen->source.empty() && error) {
          seen->error = error.value();
          seen->text = "make the folder " + plan.mount_point + ": " + error.message();
        }
        const auto format = config::format_wanted(plan.folder);
        seen->format = format ? *format : "";
        return 0;
      },
      leash_.guard([seen, then = std::move(then)](int) { then(*seen); }));
}

void FileSystem::run(std::vector<std::string> command, Answer done) {
  const bool formats = command[0].starts_with("mkfs");
  auto last = std::make_shared<std::string>();
  loop::ChildPlan plan;
  plan.command = std::move(command);
  loop::run_command(
      loop_, hands_, std::move(plan), boottime_now() + (formats ? kFormatDeadline : kChildDeadline),
      [last](std::string_view line) {
        if (!trim(line).empty()) {
          *last = line;
        }
      },
      leash_.guard([last, done = std::move(done)](int error, const std::string& text) {
        // What it said; after a failure how it ended as well.
        const std::string words = last->empty() ? "" : " (" + *last + ")";
        done(error, error == 0 ? *last : text + words);
      }));
}

void FileSystem::mount(const std::string& device, Answer done) {
  if (plan_.mount_point.empty()) {
    done(0, "");
    return;
  }
  look(leash_.guard([this, device, done = std::move(done)](const Look& seen) {
    if (seen.error != 0) {
      done(seen.error, seen.text);
    } else if (!seen.source.empty() && seen.source == device && !seen.broken) {
      done(0, "");
    } else if (!seen.source.empty()) {
      detach_first(device, done);
    } else if (!seen.format.empty()) {
      make(device, seen.format, done);
    } else {
      mount_now(device, done);
    }
  }));
}

void FileSystem::detach_first(const std::string& device, Answer done) {
  run({"umount", "-l", plan_.mount_point},
      [this, device, done = std::move(done)](int error, const std::string& text) {
        if (error != 0) {
          done(error, "something is mounted at " + plan_.mount_point + " already: " + text);
        } else {
          mount(device, done);
        }
      });
}

// A device that holds something already is left as it is, whatever was asked for: mkfs would ask a
// person only.
void FileSystem::make(const std::string& device, const std::string& kind, Answer done) {
  run({"wipefs", "--no-act", "--noheadings", device},
      [this, device, kind, done = std::move(done)](int error, const std::string& said) {
        if (error != 0 || !said.empty()) {
          done(error != 0 ? error : EEXIST,
               "no file system is made on " + device + ": it holds something already " + said);
          return;
        }
        std::vector<std::string> command = {"mkfs." + kind, "-q"};
        if (kind == "ext4") {
          command.insert(command.end(), {"-E", "nodiscard"});
        } else {
          command.emplace_back("-K");
        }
        command.push_back(device);
        run(std::move(command), [this, device, done](int failed, const std::string& text) {
          if (failed != 0) {
            done(failed, "make the file system: " + text);
          } else {
            note_made(device, done);
          }
        });
      });
}

void FileSystem::note_made(const std::string& device, Answer done) {
  hands_.run(
      [folder = plan_.folder] {
        const auto gone = config::format_done(folder);
        return gone ? 0 : gone.error().code;
      },
      leash_.guard([this, device, done = std::move(done)](int error) {
        if (error != 0) {
          done(error, "note that the file system was made");
        } else {
          mount_now(device, done);
        }
      }));
}

void FileSystem::mount_now(const std::string& device, Answer done) {
  std::vector<std::string> command = {"mount", "-t", plan_.kind};
  if (!plan_.options.empty()) {
    command.insert(command.end(), {"-o", plan_.options});
  }
  command.insert(command.end(), {device, plan_.mount_point});
  run(std::move(command), std::move(done));
}

void FileSystem::unmount(bool detach, Answer done) {
  if (plan_.mount_point.empty()) {
    done(0, "");
    return;
  }
  unmount_once(detach, boottime_now() + plan_.busy_for, std::move(done));
}

void FileSystem::unmount_once(bool detach, Instant deadline, Answer done) {
  look(leash_.guard([this, detach, deadline, done = std::move(done)](const Look& seen) {
    if (seen.error != 0 || seen.source.empty()) {
      done(seen.error, seen.text);
      return;
    }
    const bool late = boottime_now() >= deadline;
    std::vector<std::string> command = {"umount", plan_.mount_point};
    if (detach && (late || seen.broken)) {
      command.insert(command.begin() + 1, "-l");
    }
    run(std::move(command), [=, this](int error, const std::string& text) {
      if (error == 0 && seen.source.empty()) {
        done(0, "");
      } else if (error != 0 && late) {
        done(EBUSY, text);
      } else if (error == 0) {
        unmount_once(detach, deadline, done);  // there may be another one below it
      } else {
        loop_.after(kTryAgain, leash_.guard([=, this] { unmount_once(detach, deadline, done); }));
      }
    });
  }));
}

}  // namespace cb::volume
