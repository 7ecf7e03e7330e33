// SPDX-License-Identifier: Apache-2.0
#include "pairing/boot_id.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/file.h"
#include "base/text.h"
#include "pairing/secret.h"

namespace cb::pairing {
namespace {

// The file: "<kernel's boot id> <16 hexadecimal digits>\n".
constexpr std::size_t kFileBytesMax = 256;

Result<> make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return fail(errno, "make the folder " + path);
  }
  return {};
}

bool is_trustworthy(int fd) {
  struct stat facts {};
  return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) &&
         (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0 && facts.st_uid == geteuid();
}

// 0: there is no id for this boot.
std::uint64_t read_kept(const std::string& path, std::string_view kernel_boot) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd || !is_trustworthy(fd.get())) {
    return 0;
  }
  const auto content = read_all(fd, kFileBytesMax);
  if (!content) {
    return 0;
  }
  const auto words = split(trim(*content), ' ');
  if (words.size() != 2 || words[0] != kernel_boot || words[1].size() != 16) {
    return 0;
  }
  const auto bytes = parse_hex(words[1]);
  if (!bytes) {
    return 0;
  }
  std::uint64_t id = 0;
  for (const std::uint8_t byte : *bytes) {
    id = (id << 8) | byte;
  }
  return id;
}

}  // namespace

Result<std::uint64_t> node_boot_id(const std::string& root,
                                   const std::string& kernel_boot_id_path) {
  CB_TRY_DO(crypto_ready());
  CB_TRY(kernel_file, read_all(kernel_boot_id_path, kFileBytesMax));
  const std::string kernel_boot(trim(kernel_file));
  if (kernel_boot.empty() || kernel_boot.find(' ') != std::string::npos) {
    return fail(0, "read the kernel's boot id: " + kernel_boot_id_path + " does not hold one");
  }

  const std::string base = root == "/" ? "" : root;
  CB_TRY_DO(make_folder(base + "/run"));
  CB_TRY_DO(make_folder(base + "/run/crossbeat"));
  const std::string path = base + "/run/crossbeat/boot";
  if (const std::uint64_t kept = read_kept(path, kernel_boot); kept != 0) {
    return kept;
  }

  std::array<std::uint8_t, 8> fresh{};
  std::uint64_t id = 0;
  while (id == 0) {
    randombytes_buf(fresh.data(), fresh.size());
    id = 0;
    for (const std::uint8_t byte : fresh) {
      id = (id << 8) | byte;
    }
  }
  CB_TRY_DO(write_atomically(path, kernel_boot + " " + to_hex(fresh) + "\n", 0600));
  return id;
}

}  // namespace cb::pairing
