// SPDX-License-Identifier: Apache-2.0
#include "cli/setup/apply.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "cli/json.h"

namespace cb::cli::setup {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "/var/lib/crossbeat";
constexpr const char* kJournal = "/var/lib/crossbeat/setup.journal";
constexpr const char* kLock = "/var/lib/crossbeat/setup.lock";

// Beside the file, hidden: nobody who reads a folder of drop-ins takes it for one.
std::string beside(const std::string& path, const char* what) {
  const std::size_t slash = path.rfind('/') + 1;
  return path.substr(0, slash) + "." + path.substr(slash) + what;
}
std::string new_of(const std::string& path) { return beside(path, ".crossbeat-new"); }
std::string old_of(const std::string& path) { return beside(path, ".crossbeat-old"); }

bool is_there(const std::string& path) {
  struct stat facts {};
  return lstat(path.c_str(), &facts) == 0;
}

Result<> sync_folder(const std::string& path) {
  const Fd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || fsync(folder.get()) != 0) {
    return fail(errno, "make " + path + " durable");
  }
  return {};
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

Result<> make_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? Result<>(fail(error.value(), "make the folder " + path)) : Result<>();
}

// No signal of an impatient operator between the first rename and the last.
class Undisturbed {
 public:
  Undisturbed() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE}) {
      sigaddset(&signals, signal);
    }
    sigprocmask(SIG_BLOCK, &signals, &before_);
  }
  ~Undisturbed() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Undisturbed(const Undisturbed&) = delete;
  Undisturbed& operator=(const Undisturbed&) = delete;

 private:
  sigset_t before_{};
};

Result<Fd> lock(const std::string& root) {
  CB_TRY_DO(make_folders(root + kFolder));
  const std::string path = root + kLock;
  Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) {
    return fail(errno, "open " + path);
  }
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(EBUSY, "another crossbeat setup is being applied");
  }
  return file;
}

// The new file beside the old one, durable, with the old one's owner when there is one.
Result<> stage(const FileChange& file, const std::string& path) {
  CB_TRY_DO(make_folders(folder_of(path)));
  if (file.kind == FileChange::Kind::Remove) {
    return {};
  }
  unlink(new_of(path).c_str());
  if (file.kind == FileChange::Kind::Link) {
    return symlink(file.content.c_str(), new_of(path).c_str()) == 0
               ? Result<>()
               : Result<>(fail(errno, "write " + path));
  }
  const Fd out(
      open(new_of(path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, file.mode));
  if (!out) {
    return fail(errno, "write " + path);
  }
  CB_TRY_DO(write_all(out.get(), file.content));
  if (fchmod(out.get(), file.mode) != 0 || fsync(out.get()) != 0) {
    return fail(errno, "write " + path);
  }
  return {};
}

// A second name for the old file: it stays until everything is done.
Result<> keep_old(const std::string& path) {
  unlink(old_of(path).c_str());
  if (linkat(AT_FDCWD, path.c_str(), AT_FDCWD, old_of(path).c_str(), 0) != 0 && errno != ENOENT) {
    return fail(errno, "keep " + path);
  }
  return {};
}

Result<> put_in_place(const FileChange& file, const std::string& path) {
  const bool done = file.kind == FileChange::Kind::Remove
                        ? unlink(path.c_str()) == 0 || errno == ENOENT
                        : rename(new_of(path).c_str(), path.c_str()) == 0;
  return done ? sync_folder(folder_of(path)) : Result<>(fail(errno, "replace " + path));
}

// Back to what was, as far as that is possible; says what was not.
std::string put_back(const std::vector<std::pair<std::string, bool>>& files) {
  std::string failed;
  for (const auto& [path, existed] : files) {
    unlink(new_of(path).c_str());
    const bool good =
        existed ? !is_there(old_of(path)) || rename(old_of(path).c_str(), path.c_str()) == 0
                : unlink(path.c_str()) == 0 || errno == ENOENT;
    // rename() of two names of one file does nothing: then the second is still there.
    unlink(old_of(path).c_str());
    failed += good ? "" : " " + path;
  }
  return failed;
}

Result<> write_journal(const std::string& root,
                       const std::vector<std::pair<std::string, bool>>& files) {
  Json list = Json::array();
  for (const auto& [path, existed] : files) {
    list.push_back({{"path", path.substr(root.size())}, {"existed", existed}});
  }
  return write_atomically(root + kJournal, to_line(Json{{"files", list}}) + "\n", 0600);
}

Result<> replace_all(const Plan& plan, const std::string& root) {
  for (const FileChange& file : plan.files) {
    CB_TRY_DO(put_in_place(file, root + file.path));
  }
  return {};
}

Result<> run_all(const Plan& plan, Machine& machine, std::size_t& done) {
  for (; done < plan.commands.size(); ++done) {
    CB_TRY_DO(machine.run(plan.commands[done].run));
  }
  return {};
}

}  // namespace

Result<> apply(const Plan& plan, const std::string& root, Machine& machine) {
  CB_TRY(locked, lock(root));
  const Undisturbed quiet;
  std::vector<std::pair<std::string, bool>> files;
  Result<> result;
  for (const FileChange& file : plan.files) {
    const std::string path = root + file.path;
    files.emplace_back(path, is_there(path));
    result = stage(file, path);
    if (result) {
      result = keep_old(path);
    }
    if (!result) {
      break;
    }
  }
  if (!result) {
    for (const auto& [path, existed] : files) {
      unlink(new_of(path).c_str());
      unlink(old_of(path).c_str());
    }
    return in("nothing was changed", result.error());
  }
  std::size_t commands = 0;
  result = write_journal(root, files);
  if (result) {
    result = replace_all(plan, root);
  }
  if (result) {
    result = run_all(plan, machine, commands);
  }
  if (!result) {
    const std::string failed = put_back(files);
    for (; commands-- > 0;) {
      if (const auto& undo = plan.commands[commands].undo; !undo.empty()) {
        (void)machine.run(undo);  // ignored: the first failure is the one to tell
      }
    }
    unlink((root + kJournal).c_str());
    return in(failed.empty() ? "everything was put back" : "could not be put back:" + failed,
              result.error());
  }
  unlink((root + kJournal).c_str());
  for (const auto& [path, existed] : files) {
    unlink(old_of(path).c_str());
  }
  return sync_folder(root + kFolder);
}

Result<bool> recover(const std::string& root) {
  const std::string path = root + kJournal;
  if (!is_there(path)) {
    return false;
  }
  CB_TRY(locked, lock(root));
  CB_TRY(text, read_all(path, 1u << 20));
  const auto journal = parse_object(text);
  std::vector<std::pair<std::string, bool>> files;
  if (journal && at(*journal, "files").is_array()) {
    for (const Json& file : at(*journal, "files")) {
      const std::string below = text_at(file, "path");
      if (below.starts_with('/') && below.find("..") == std::string::npos) {
        files.emplace_back(root + below, flag_at(file, "existed"));
      }
    }
  }
  if (const std::string failed = put_back(files); !failed.empty()) {
    return fail(0, "an earlier set-up died halfway; these files could not be put back:" + failed);
  }
  if (unlink(path.c_str()) != 0) {
    return fail(errno, "remove " + path);
  }
  return true;
}

}  // namespace cb::cli::setup
