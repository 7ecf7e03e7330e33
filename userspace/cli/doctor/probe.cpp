// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor/probe.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"

namespace cb::cli::doctor {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr std::size_t kLargestShown = 16;
constexpr std::size_t kWalkMax = 20'000;  // files that are looked at; more would take too long

class MachineProbe final : public Probe {
 public:
  MachineProbe(std::string root, Asked asked) : root_(std::move(root)), asked_(std::move(asked)) {
    machine_ = config::read_machine_facts().value_or(config::MachineFacts{});
    auto node = config::load_node(root_, machine_);
    auto pairs = config::load_pairs(root_);
    configured_ = {std::move(node.value), std::move(pairs.value), std::move(node.problems)};
    configured_.problems.insert(configured_.problems.end(), pairs.problems.begin(),
                                pairs.problems.end());
  }

  std::optional<std::string> read(const std::string& path) const override {
    auto text = read_all(place(path), kFileBytesMax);
    return text ? std::optional(*std::move(text)) : std::nullopt;
  }
  bool is_there(const std::string& path) const override {
    struct stat facts {};
    return lstat(place(path).c_str(), &facts) == 0;
  }
  std::vector<std::string> names_in(const std::string& path) const override {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(place(path), error)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::optional<Disk> disk(const std::string& path) const override {
    struct statvfs facts {};
    if (statvfs(place(path).c_str(), &facts) != 0) {
      return std::nullopt;
    }
    return Disk{facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize, facts.f_files,
                facts.f_favail};
  }
  std::vector<File> largest_below(const std::string& path) const override {
    namespace fs = std::filesystem;
    std::vector<File> files;
    struct stat top {};
    if (stat(place(path).c_str(), &top) != 0) {
      return files;
    }
    std::error_code error;
    std::size_t seen = 0;
    fs::recursive_directory_iterator entry(place(path),
                                           fs::directory_options::skip_permission_denied, error);
    for (; !error && entry != fs::recursive_directory_iterator() && seen < kWalkMax;
         entry.increment(error), ++seen) {
      struct stat facts {};
      if (lstat(entry->path().c_str(), &facts) != 0) {
        continue;
      }
      if (facts.st_dev != top.st_dev) {
        entry.disable_recursion_pending();
      } else if (S_ISREG(facts.st_mode)) {
        // What it takes, not how long it is: files have holes.
        files.push_back({path + entry->path().string().substr(place(path).size()),
                         static_cast<std::uint64_t>(facts.st_blocks) * 512});
      }
    }
    std::sort(files.begin(), files.end(),
              [](const File& one, const File& other) { return one.bytes > other.bytes; });
    files.resize(std::min(files.size(), kLargestShown));
    return files;
  }
  std::string real(const std::string& path) const override { return place(path); }
  Result<CommandOutput> run(const std::vector<std::string>& command) const override {
    return run_command(command, Duration::from_s(5));
  }
  config::MachineFacts machine() const override { return machine_; }
  std::string kernel_release() const override {
    utsname name{};
    uname(&name);
    return static_cast<const char*>(name.release);
  }
  const Asked& asked() const override { return asked_; }
  const Configured& configured() const override { return configured_; }

 private:
  std::string place(const std::string& path) const {
    const bool kernel = path.starts_with("/proc/") || path.starts_with("/sys/");
    return kernel ? path : root_ + path;
  }

  std::string root_;
  Asked asked_;
  config::MachineFacts machine_;
  Configured configured_;
};

}  // namespace

std::unique_ptr<Probe> machine_probe(const std::string& root, Asked asked) {
  return std::make_unique<MachineProbe>(root, std::move(asked));
}

}  // namespace cb::cli::doctor
