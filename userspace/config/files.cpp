// SPDX-License-Identifier: Apache-2.0
//
// The configuration's files under a root. A pairing is two files: NAME.toml, which makes it exist,
// and NAME.key. The key is there before the TOML is, and goes after it, so that a crash leaves the
// old pairing, none, or the new one; never one pairing with the key of another.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "config/defaults.h"
#include "config/value.h"

namespace cb::config {
namespace {

constexpr const char* kNodeFile = "/etc/crossbeat/crossbeat.toml";
constexpr const char* kStateDir = "/var/lib/crossbeat";
constexpr const char* kPairsDir = "/var/lib/crossbeat/pairs";
constexpr std::size_t kKeyDigits = 64;

// "/" and "" are the same root, and "/x/" is "/x".
std::string under(std::string root, const char* path) {
  while (root.ends_with('/')) {
    root.pop_back();
  }
  return root + path;
}

std::string pair_path(const std::string& root, const Pair& pair, const char* suffix) {
  return under(root, kPairsDir) + "/" + pair.primary_hm.text() + suffix;
}

// What may hold or guard a secret: a plain file of ours that nobody else can read or change.
Result<std::string> read_private(const std::string& path, std::size_t limit) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) {
    return fail(errno, "open " + path);
  }
  struct stat facts;
  if (fstat(fd.get(), &facts) != 0) {
    return fail(errno, "look at " + path);
  }
  if (!S_ISREG(facts.st_mode)) {
    return fail(0, path + " is not a plain file");
  }
  if ((facts.st_mode & 077) != 0) {
    return fail(0, "others can read or change " + path +
                       "; its key may be known: unpair and pair "
                       "again, or run chmod 600 if you are sure that nobody did");
  }
  if (facts.st_uid != geteuid() && facts.st_uid != 0) {
    return fail(0, path + " belongs to user " + std::to_string(facts.st_uid) + ", not to root");
  }
  return read_all(fd, limit);
}

Result<std::array<uint8_t, 32>> read_key(const std::string& path) {
  CB_TRY(text, read_private(path, kKeyDigits + 2));
  const auto bytes = parse_hex(std::string_view(text).substr(0, kKeyDigits));
  if (text.size() != kKeyDigits + 1 || text.back() != '\n' || !bytes || bytes->size() != 32 ||
      std::count(bytes->begin(), bytes->end(), 0) == 32) {
    return fail(0, path +
                       " is not a key (64 hexadecimal digits and a line end); unpair and pair "
                       "again");
  }
  std::array<uint8_t, 32> key{};
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

Result<> sync_directory(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    return fail(errno, "open " + path);
  }
  if (fsync(fd.get()) != 0) {
    return fail(errno, "make " + path + " durable");
  }
  return Done{};
}

Result<> make_directory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    return sync_directory(path.substr(0, path.rfind('/')));
  }
  if (errno != EEXIST) {
    return fail(errno, "make the directory " + path);
  }
  return Done{};
}

Result<> make_pairs_directory(const std::string& root) {
  for (const char* path : {"/var", "/var/lib", kStateDir}) {
    CB_TRY_DO(make_directory(under(root, path), 0755));
  }
  return make_directory(under(root, kPairsDir), 0700);
}

Result<> remove_file(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail(errno, "remove " + path);
  }
  return Done{};
}

Result<std::vector<std::string>> file_names(const std::string& directory) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), &closedir);
  if (!dir) {
    if (errno == ENOENT) {
      return names;  // never paired
    }
    return fail(errno, "list " + directory);
  }
  while (true) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) {
      break;
    }
    names.emplace_back(static_cast<const char*>(entry->d_name));
  }
  if (errno != 0) {
    return fail(errno, "list " + directory);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class PairsLoader {
 public:
  explicit PairsLoader(const std::string& root) : directory_(under(root, kPairsDir)) {}

  Parsed<std::vector<Pair>> run() {
    const auto names = file_names(directory_);
    if (!names) {
      problem(directory_, false, to_text(names.error()));
      return std::move(parsed_);
    }
    for (const std::string& name : *names) {
      if (name.ends_with(".toml")) {
        load(name.substr(0, name.size() - 5));
      } else if (name.ends_with(".key") &&
                 !std::binary_search(names->begin(), names->end(),
                                     name.substr(0, name.size() - 4) + ".toml")) {
        problem(directory_ + "/" + name, true,
                "a key without its pairing, left by a pairing that did not finish; remove it");
      }
    }
    if (parsed_.value.size() > CB_PAIRINGS_MAX) {
      problem(directory_, false,
              "there are more than " + std::to_string(CB_PAIRINGS_MAX) + " pairings");
    }
    return std::move(parsed_);
  }

 private:
  void problem(const std::string& file, bool warning, std::string what) {
    parsed_.problems.push_back({file, 0, warning, std::move(what)});
  }

  void load(const std::string& name) {
    const std::string path = directory_ + "/" + name + ".toml";
    const auto toml = read_private(path, kDocumentBytesMax);
    if (!toml) {
      return problem(path, false, to_text(toml.error()));
    }
    Parsed<Pair> pair = parse_pair(*toml, path);
    parsed_.problems.insert(parsed_.problems.end(), pair.problems.begin(), pair.problems.end());
    if (!pair.ok()) {
      return;
    }
    if (pair.value.primary_hm.text() != name) {
      return problem(path, false,
                     "the file is for the primary " + pair.value.primary_hm.text() +
                         " but is named after " + name);
    }
    const auto key = read_key(directory_ + "/" + name + ".key");
    if (!key) {
      return problem(path, false, to_text(key.error()));
    }
    pair.value.key = *key;
    for (const Pair& other : parsed_.value) {
      if (other.id == pair.value.id) {
        return problem(path, false,
                       "has the same id as the pairing with the primary " +
                           other.primary_hm.text() + "; one is a copy: remove it");
      }
    }
    parsed_.value.push_back(std::move(pair.value));
  }

  std::string directory_;
  Parsed<std::vector<Pair>> parsed_;
};

}  // namespace

Parsed<Node> load_node(const std::string& root, const MachineFacts& machine) {
  const std::string path = under(root, kNodeFile);
  const auto text = read_all(path, kDocumentBytesMax);
  if (!text) {
    Parsed<Node> parsed;
    parsed.problems.push_back(
        {path, 0, false,
         to_text(text.error()) + (text.error().code == ENOENT
                                      ? "; write it: see crossbeat.toml(5) for an example"
                                      : "")});
    return parsed;
  }
  return parse_node(*text, path, machine);
}

Parsed<std::vector<Pair>> load_pairs(const std::string& root) { return PairsLoader(root).run(); }

Result<> save_pair(const std::string& root, const Pair& pair) {
  CB_TRY_DO(make_pairs_directory(root));
  const std::string toml = pair_path(root, pair, ".toml");
  const std::string key = pair_path(root, pair, ".key");
  CB_TRY_DO(remove_file(toml));
  CB_TRY_DO(sync_directory(under(root, kPairsDir)));
  CB_TRY_DO(write_atomically(key, to_hex(pair.key) + "\n", 0600));
  if (auto written = write_atomically(toml, pair_to_toml(pair), 0600); !written) {
    unlink(key.c_str());  // the pairing failed; load_pairs names a key that stays behind
    return written;
  }
  return Done{};
}

Result<> remove_pair(const std::string& root, const Pair& pair) {
  CB_TRY_DO(remove_file(pair_path(root, pair, ".toml")));
  CB_TRY_DO(sync_directory(under(root, kPairsDir)));
  CB_TRY_DO(remove_file(pair_path(root, pair, ".key")));
  CB_TRY_DO(remove_file(pair_path(root, pair, ".node")));  // what was kept for the primary
  return sync_directory(under(root, kPairsDir));
}

}  // namespace cb::config
