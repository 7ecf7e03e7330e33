// SPDX-License-Identifier: Apache-2.0
#include "edge/kernel_pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace cb::edge {

namespace {

constexpr mode_t kPinMode = 0700;

thread_local std::string said;

// Warnings only, and of those the first: libbpf goes from the cause to all that failed because of
// it.
int listen(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) {
    return 0;
  }
  char line[2048];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  if (length <= 0) {
    return 0;
  }
  std::string_view text(line);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.remove_suffix(1);
  }
  if (text.starts_with("libbpf: ")) {
    text.remove_prefix(8);
  }
  if (said.empty()) {
    const auto line_end = text.find('\n');
    said = text.substr(0, line_end);
  }
  return length;
}

Result<> make_folder(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return explain(errno, "make the folder " + path);
  }
  return {};
}

Result<bool> is_bpffs(const std::string& path) {
  struct statfs facts {};
  if (statfs(path.c_str(), &facts) != 0) {
    return explain(errno, "look at " + path);
  }
  return static_cast<unsigned long>(facts.f_type) == BPF_FS_MAGIC;
}

}  // namespace

void listen_to_libbpf() {
  said.clear();
  libbpf_set_print(listen);
}

void forget_libbpf() { said.clear(); }

std::string libbpf_said() { return said; }

Error explain(int code, std::string what) {
  if (code == EPERM || code == EACCES) {
    what +=
        " (run as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN; in a "
        "container, "
        "outside of it)";
  }
  return fail(code, std::move(what));
}

Result<std::string> make_pin_directory(const std::string& root) {
  std::string path = root.empty() ? "/" : root;
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  if (path == "/") {
    path.clear();
  }
  // For the machine's own root these exist; mkdir says so and that is all.
  for (const char* part : {"/sys", "/sys/fs", "/sys/fs/bpf"}) {
    CB_TRY_DO(make_folder(path + part, 0755));
  }
  path += "/sys/fs/bpf";
  CB_TRY(mounted, is_bpffs(path));
  if (!mounted) {
    if (mount("bpf", path.c_str(), "bpf", 0, "mode=0700") != 0) {
      return explain(errno, "mount bpffs: mount -t bpf bpf " + path);
    }
  }
  path += "/crossbeat";
  CB_TRY_DO(make_folder(path, kPinMode));
  if (chmod(path.c_str(), kPinMode) != 0) {
    return explain(errno, "close the folder " + path + " to others");
  }
  return path;
}

Result<Fd> open_pin(const std::string& path) {
  const int fd = bpf_obj_get(path.c_str());
  if (fd < 0) {
    if (errno == ENOENT) {
      return Fd();
    }
    return explain(errno, "open the pin " + path);
  }
  return Fd(fd);
}

Result<> remove_pin(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return explain(errno, "remove the pin " + path);
  }
  return {};
}

Result<> replace_pin(int fd, const std::string& path) {
  const std::string fresh = path + "_new";
  CB_TRY_DO(remove_pin(fresh));  // of a process killed in here
  if (bpf_obj_pin(fd, fresh.c_str()) != 0) {
    return explain(errno, "pin " + path);
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    const int code = errno;
    // ignored: the error is reported already
    (void)remove_pin(fresh);
    return explain(code, "pin " + path);
  }
  return {};
}

}  // namespace cb::edge
