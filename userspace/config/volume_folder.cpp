// SPDX-License-Identifier: Apache-2.0
#include "config/volume_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace cb::config {
namespace {

constexpr const char* kIdFile = "/volume.id";
constexpr const char* kFormatFile = "/volume.format";

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

Result<> sync_folder(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) {
    return fail(errno, "make " + path + " durable");
  }
  return Done{};
}

}  // namespace

std::string volume_folder(const std::string& root, const std::string& directory,
                          const std::string& instance) {
  std::string path = root + directory;
  while (path.ends_with('/')) {
    path.pop_back();
  }
  return path + "/" + instance;
}

Result<std::optional<VolumeId>> read_volume_id(const std::string& folder) {
  const auto text = read_all(folder + kIdFile, 64);
  if (!text) {
    if (text.error().code == ENOENT) {
      return std::optional<VolumeId>();
    }
    return text.error();
  }
  const auto bytes = parse_hex(trim(*text));
  VolumeId id{};
  if (!bytes || bytes->size() != id.size()) {
    return fail(EUCLEAN, folder + kIdFile + " is not a volume's id");
  }
  std::copy(bytes->begin(), bytes->end(), id.begin());
  return std::optional(id);
}

std::string fresh_volume_folder(const std::string& folder) { return folder + ".new"; }

Result<std::string> begin_volume_folder(const std::string& folder) {
  const std::string fresh = fresh_volume_folder(folder);
  std::error_code error;
  std::filesystem::remove_all(fresh, error);
  if (!error) {
    std::filesystem::create_directories(fresh, error);
  }
  if (error) {
    return fail(error.value(), "make the folder " + fresh);
  }
  if (chmod(fresh.c_str(), 0700) != 0) {
    return fail(errno, "set the mode of " + fresh);
  }
  return fresh;
}

Result<> finish_volume_folder(const std::string& folder, const VolumeId& id,
                              const std::string& format) {
  const std::string fresh = fresh_volume_folder(folder);
  if (!format.empty()) {
    CB_TRY_DO(write_atomically(fresh + kFormatFile, format + "\n", 0600));
  }
  CB_TRY_DO(write_atomically(fresh + kIdFile, to_hex(id) + "\n", 0600));
  CB_TRY_DO(sync_folder(fresh));
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_NOREPLACE) != 0) {
    return fail(errno, "rename " + fresh + " to " + folder);
  }
  return sync_folder(parent_of(folder));
}

Result<std::string> format_wanted(const std::string& folder) {
  const auto text = read_all(folder + kFormatFile, 64);
  if (!text) {
    if (text.error().code == ENOENT) {
      return std::string();
    }
    return text.error();
  }
  return std::string(trim(*text));
}

Result<> format_done(const std::string& folder) {
  if (unlink((folder + kFormatFile).c_str()) != 0 && errno != ENOENT) {
    return fail(errno, "remove " + folder + kFormatFile);
  }
  return sync_folder(folder);
}

Result<std::string> set_volume_aside(const std::string& folder) {
  for (int number = 1; number < 1000; ++number) {
    const std::string aside = folder + ".aside-" + std::to_string(number);
    if (renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, aside.c_str(), RENAME_NOREPLACE) == 0) {
      CB_TRY_DO(sync_folder(parent_of(folder)));
      return aside;
    }
    if (errno != EEXIST) {
      return fail(errno, "rename " + folder + " to " + aside);
    }
  }
  return fail(EEXIST, "there are too many copies aside of " + folder + "; remove some");
}

}  // namespace cb::config
