// SPDX-License-Identifier: Apache-2.0
//
// One function per verb; each returns what crossbeat exits with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/context.h"
#include "cli/move.h"

namespace cb::cli {

// status_verbs.cpp
struct WatchOptions {
  bool watch = false;
  Duration interval = Duration::from_s(1);
  std::int64_t count = 0;  // looks, then stop; 0: until interrupted
};
int status(const Context& context, const WatchOptions& watch);
int gethainfo(const Context& context);
int getserverinfo(const Context& context);

// move_verbs.cpp
int move(const Context& context, Move move);
int maintenance(const Context& context, bool on, std::optional<Duration> length);

// process_verbs.cpp
int restart(const Context& context);
int stop(const Context& context);

// pair_verbs.cpp
struct CodeSource {
  std::string argument;  // --code; "-" for standard input
  std::string file;      // --code-file; "-" for standard input
};
int pairing_code(const Context& context);
int pair(const Context& context, const std::string& peer, const CodeSource& code);
int unpair(const Context& context, bool delete_licence);
int witness_key(const Context& context);

// licence_verbs.cpp
struct LicenceOptions {
  std::string action;  // "show", "add", "delete", "make-key", "sign"
  std::string file;
  std::string key_file;  // sign: the maker's secret key
  std::string id;
  std::string udi;
  std::string model;
  std::string expires;
};
int licence(const Context& context, const LicenceOptions& wanted);
int add_licence(const Context& context, const std::string& file);

// recover_verbs.cpp
int recover(const Context& context, const std::string& from, const CodeSource& code);

// event_verbs.cpp
struct EventsOptions {
  std::int64_t limit = 20;
  bool follow = false;
  std::string since;  // "2h", or the beginning of an RFC 3339 time
  std::string until;
};
int events(const Context& context, const EventsOptions& wanted);

// volume_verbs.cpp
struct VolumeCreate {
  bool format = false;     // the first mount makes a file system
  bool fresh = false;      // an empty copy, of a primary that was replaced
  bool aside = false;      // keep the copy that is there under another name
  bool overwrite = false;  // whatever the configured devices hold
};
int volume_create(const Context& context, const VolumeCreate& wanted);
int volume_status(const Context& context);
int volume_check(const Context& context);  // of this node's copy alone, from its files
int volume_history(const Context& context, bool compare);

// volume_verify.cpp
struct VolumeVerify {
  bool offline = false;  // this node's copy alone
  bool stop = false;     // a comparison that runs
};
int volume_verify(const Context& context, const VolumeVerify& wanted);

// volume_resize.cpp
struct VolumeResize {
  std::string size;      // "20GiB"
  bool grow_fs = false;  // the file system on it as well
};
int volume_resize(const Context& context, const VolumeResize& wanted);

// volume_verbs.cpp
struct Resync {
  bool full = false;
  bool pause = false;
  bool go_on = false;
};
int resync(const Context& context, const Resync& wanted);

// small_verbs.cpp
int vip(const Context& context, const std::string& action);
int drill(const Context& context);
int set(const Context& context, const std::string& failover, const std::string& failback);

// vip_verbs.cpp
struct VipByHand {
  std::string action;   // "add", "remove", "show", "announce"
  std::string address;  // not for show
  std::string interface;
  std::string label;  // add; empty: "<interface>:1"
};
int vip_by_hand(const Context& context, const VipByHand& wanted);

// doctor_verbs.cpp. all: tell also what is fine.
int examine(const Context& context, bool all);

// setup_verbs.cpp
struct SetupOptions {
  std::string answers;                   // a file; empty: ask
  std::string interfaces = "eth0,eth1";  // of the machine that the tree is for; with --root
};
int set_up(const Context& context, const SetupOptions& wanted);

// config_verbs.cpp: these ask no monitor
int config_check(const Context& context, const std::string& file);
int config_show(const Context& context);

}  // namespace cb::cli
