// SPDX-License-Identifier: Apache-2.0
//
// crossbeat-volume: options -> Process. Thin; everything else is in userspace/replication/.
#include <getopt.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "crossbeat_version.h"
#include "drivers/volume/keeper.h"
#include "drivers/volume/memory.h"
#include "drivers/volume/ublk_test.h"
#include "replication/back_ends.h"
#include "replication/files.h"
#include "replication/process.h"
#include "replication/report.h"

namespace {

using namespace cb;

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

constexpr char kHelp[] =
    R"(crossbeat-volume - drives one replicated volume

Usage: crossbeat-volume --root DIR --instance ADDRESS
       crossbeat-volume create --directory DIR --size BYTES --log BYTES --node 0|1 --instance-id HEX32
       crossbeat-volume check --directory DIR [--json]
       crossbeat-volume test-ublk [--root DIR] [--instance ADDRESS]

Without a verb it waits for the monitor, which configures it (docs/volume-process.md).

  --root DIR          all paths below DIR in place of / (also: CROSSBEAT_ROOT)
  --instance ADDRESS  the instance's name: the primary's health-monitor address
create formats a volume and refuses to overwrite one:
  --size, --log       bytes of the volume and of its log, multiples of 4096
  --node              0 on the pair's primary, 1 on its secondary
  --instance-id       32 hexadecimal digits, the same on both nodes
  --fresh             holds nothing and takes the peer's copy (always so on node 1): for a new
                      machine in place of a primary that is lost
  --log-device PATH, --home-device PATH   a block device in place of the file; refused when it is in
                      use, or holds anything at either end
  --overwrite         whatever the devices hold
  --dry-run           looks at the folder and the devices as create does, and changes nothing
check reads superblock, map and log and changes nothing:
  --json              for programs
test-ublk makes a small device with the kernel's ublk driver, tries all that a volume needs of it, and
takes it away again.
  --version, --help

Exit codes: 0 done, 1 failed or damaged, 2 wrong option.

Examples:
  crossbeat-volume create --directory /var/lib/crossbeat/volumes/10.0.0.2 --size 10737418240 \
    --log 1073741824 --node 0 --instance-id 6f0e1c5a9d5b4c0f8a7d3c2b1a090807
  crossbeat-volume check --directory /var/lib/crossbeat/volumes/10.0.0.2
)";

struct Options {
  std::string verb;
  std::string root;
  std::string instance;
  replication::Format format;
  bool node_given = false;
  bool json = false;
  bool dry_run = false;
};

int usage(const std::string& what) {
  fprintf(stderr, "crossbeat-volume: %s. Try: crossbeat-volume --help\n", what.c_str());
  return kExitUsage;
}

int failed(const Error& error) {
  fprintf(stderr, "crossbeat-volume: %s\n", to_text(error).c_str());
  return kExitFailed;
}

// What is written for the kernel's write-back must never wait for write-back: memory is locked, and
// the kernel is told that this process is what its dirty pages wait for, and to kill others first.
replication::Memory harden() {
  (void)prctl(PR_SET_DUMPABLE, 0);  // keys never reach a core dump
  const rlimit none{0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);
  const rlimit endless{RLIM_INFINITY, RLIM_INFINITY};
  (void)setrlimit(RLIMIT_MEMLOCK, &endless);  // ignored: without the right the next call tells
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, -1);
  replication::Memory memory;
  memory.io_flusher_error = volume::become_io_flusher();
  if (const int error = volume::be_spared_when_memory_ends(); error != 0) {
    log_info("volume: may be killed when memory ends (%s)",
             to_text(fail(error, "oom_score_adj")).c_str());
  }
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
    memory.lock_error = errno;
    log_warning("volume: memory is not locked (%s): under memory pressure writes may stall",
                to_text(fail(memory.lock_error, "mlockall")).c_str());
  }
  return memory;
}

// Every commit on either node waits for this thread and its disks' workers, and what they do takes
// a few microseconds. The threads for slow work stay as they are.
void come_first() {
  constexpr int kNice = -15;
  if (setpriority(PRIO_PROCESS, 0, kNice) != 0) {
    log_info("volume: no priority before other processes (%s): commits may wait for them",
             to_text(fail(errno, "setpriority")).c_str());
  }
}

std::string own_path() {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : "crossbeat-volume";
}

int run(const Options& options) {
  LogSetup log;
  log.identifier = "crossbeat-volume";
  if (auto opened = log_open(log); !opened) {
    return failed(opened.error());
  }
  const replication::Memory memory = harden();
  auto loop = loop::Loop::open();
  if (!loop) {
    return failed(loop.error());
  }
  bool stop = false;
  if (auto caught = (*loop)->on_signals({SIGTERM, SIGINT}, [&](int) { stop = true; }); !caught) {
    return failed(caught.error());
  }
  (void)signal(SIGPIPE, SIG_IGN);
  loop::HandsOptions hands_options;
  hands_options.name = "cb-vol-slow";
  auto hands = loop::Hands::start(**loop, hands_options);
  if (!hands) {
    return failed(hands.error());
  }
  come_first();
  const replication::Places places{options.root, options.instance};
  replication::Makers makers = replication::real_makers(**hands, places, own_path());
  makers.memory = memory;
  auto process = replication::Process::open(**loop, **hands, places, std::move(makers));
  if (!process) {
    return failed(process.error());
  }
  log_info("volume %s: waits for its monitor", options.instance.c_str());
  int code = kExitDone;
  while (!stop && !(*process)->ended()) {
    if (auto turned = (*loop)->turn(Instant::never()); !turned) {
      code = failed(turned.error());
      break;
    }
  }
  process->reset();
  hands->reset();
  log_close();
  return code;
}

int test_ublk(const Options& options) {
  const replication::Places places{options.root, options.instance};
  const std::string folder = places.device_folder() + ".test";
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);
  return error ? failed(fail(error.value(), "make the folder of " + folder))
               : volume::run_ublk_test(folder);
}

int check(const Options& options) {
  auto files = replication::open_files(options.format.folder, false);
  if (!files) {
    return failed(files.error());
  }
  auto found = replication::inspect(*files);
  if (!found) {
    return failed(found.error());
  }
  puts(replication::report(*found, options.json).c_str());
  return found->damaged_until != 0 || found->map_lost ? kExitFailed : kExitDone;
}

bool parse_id(std::string_view text, replication::Format& format) {
  const auto bytes = parse_hex(text);
  if (!bytes || bytes->size() != 16) {
    return false;
  }
  for (std::size_t i = 0; i < 8; ++i) {
    format.instance_high = format.instance_high << 8 | (*bytes)[i];
    format.instance_low = format.instance_low << 8 | (*bytes)[8 + i];
  }
  return true;
}

// A name that becomes part of paths.
bool plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.find('/') == std::string::npos &&
         name.front() != '.';
}

int parse(int argc, char** argv, Options& options) {
  static const option kOptions[] = {{"root", required_argument, nullptr, 'r'},
                                    {"instance", required_argument, nullptr, 'i'},
                                    {"directory", required_argument, nullptr, 'd'},
                                    {"size", required_argument, nullptr, 's'},
                                    {"log", required_argument, nullptr, 'l'},
                                    {"node", required_argument, nullptr, 'n'},
                                    {"instance-id", required_argument, nullptr, 'I'},
                                    {"fresh", no_argument, nullptr, 'f'},
                                    {"log-device", required_argument, nullptr, 'L'},
                                    {"home-device", required_argument, nullptr, 'H'},
                                    {"overwrite", no_argument, nullptr, 'o'},
                                    {"dry-run", no_argument, nullptr, 'N'},
                                    {"json", no_argument, nullptr, 'j'},
                                    {"version", no_argument, nullptr, 'v'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {nullptr, 0, nullptr, 0}};
  for (int c = 0; (c = getopt_long(argc, argv, "h", kOptions, nullptr)) != -1;) {
    const std::string value = optarg == nullptr ? "" : optarg;
    switch (c) {
      case 'r': options.root = value; break;
      case 'i': options.instance = value; break;
      case 'd': options.format.folder = value; break;
      case 's':
      case 'l': {
        const auto number = parse_number(value);
        if (!number) {
          return usage("'" + value + "' is no number of bytes");
        }
        (c == 's' ? options.format.volume_bytes : options.format.log_bytes) = *number;
        break;
      }
      case 'n':
        if (value != "0" && value != "1") {
          return usage("--node is 0 or 1");
        }
        options.node_given = true;
        options.format.node = value == "1" ? 1 : 0;
        break;
      case 'I':
        if (!parse_id(value, options.format)) {
          return usage("--instance-id has 32 hexadecimal digits");
        }
        break;
      case 'f': options.format.fresh = true; break;
      case 'L': options.format.log_device = value; break;
      case 'H': options.format.home_device = value; break;
      case 'o': options.format.overwrite = true; break;
      case 'N': options.dry_run = true; break;
      case 'j': options.json = true; break;
      case 'v': puts("crossbeat-volume " CROSSBEAT_VERSION); return kExitDone;
      case 'h': fputs(kHelp, stdout); return kExitDone;
      default: fputs("Try: crossbeat-volume --help\n", stderr); return kExitUsage;
    }
  }
  if (optind < argc) {
    options.verb = argv[optind++];
  }
  if (optind < argc) {
    return usage(std::string("unexpected argument '") + argv[optind] + "'");
  }
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "keeper") {
    return volume::run_keeper();  // executed by the front end alone
  }
  Options options;
  if (const char* root = getenv("CROSSBEAT_ROOT"); root != nullptr) {
    options.root = root;
  }
  if (const int code = parse(argc, argv, options); code >= 0) {
    return code;
  }
  if (options.root == "/") {
    options.root.clear();
  }
  if (options.verb == "create") {
    if (options.format.folder.empty() || !options.node_given) {
      return usage("create needs --directory, --size, --log, --node and --instance-id");
    }
    auto created = options.dry_run ? replication::could_create(options.format)
                                   : replication::create(options.format);
    return created ? kExitDone : failed(created.error());
  }
  if (options.verb == "check") {
    return options.format.folder.empty() ? usage("check needs --directory") : check(options);
  }
  if (options.verb == "test-ublk") {
    return options.instance.empty() || plain_name(options.instance)
               ? test_ublk(options)
               : usage("--instance is no name");
  }
  if (!options.verb.empty()) {
    return usage("no such verb: " + options.verb);
  }
  if (!plain_name(options.instance)) {
    return usage("--instance ADDRESS is needed");
  }
  return run(options);
}
