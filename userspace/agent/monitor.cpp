// SPDX-License-Identifier: Apache-2.0
//
// The life of the monitor: open() in an order in which nothing happens before everything that can
// fail has been tried; run() turns the loop; finish() leaves the machine clean, or, for a planned
// restart, just as it is.
#include "agent/monitor.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "agent/exit_code.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "core/state_text.h"
#include "crossbeat_version.h"
#include "pairing/boot_id.h"
#include "pairing/licence.h"
#include "pairing/secret.h"

namespace cb::agent {
namespace {

constexpr Duration kBeatEvery = Duration::from_ms(50);  // a turn at least this often
constexpr int kControlPriority = 50;                    // below the probe thread's FIFO rung
constexpr Duration kGatewayEvery = Duration::from_s(1);

Result<> make_directory(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return fail(error.value(), "make the directory " + path);
  }
  if (chmod(path.c_str(), mode) != 0) {
    return fail(errno, "set the mode of " + path);
  }
  return cb::Done{};
}

// The program of the volumes: of the same build as this one, wherever that is.
std::string volume_program() {
  std::array<char, 4096> self{};
  const ssize_t length = readlink("/proc/self/exe", self.data(), self.size() - 1);
  std::string path(self.data(), length > 0 ? static_cast<size_t>(length) : 0);
  path = path.substr(0, path.rfind('/') + 1) + "crossbeat-volume";
  return access(path.c_str(), X_OK) == 0 ? path : "crossbeat-volume";
}

Result<Fd> take_lock(const std::string& root) {
  const std::string path = root + "/run/crossbeat/crossbeatd.lock";
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) {
    return fail(errno, "open " + path);
  }
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    const std::string pid = read_all(fd, 32).value_or("");
    return fail(errno, "a monitor runs already" + (pid.empty() ? "" : " (process " + pid + ")") +
                           "; see: crossbeat status");
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(fd.get(), 0) != 0 || pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    return fail(errno, "write " + path);
  }
  return fd;
}

// FIFO for the loop; the ladder ends at nice.
bool take_control_priority() {
  sched_param parameters{};
  parameters.sched_priority = kControlPriority;
  if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters) == 0) {
    return true;
  }
  (void)setpriority(PRIO_PROCESS, 0, -15);  // ignored: the status says what was got
  return false;
}

uint64_t random_id() {
  uint64_t id = 0;
  while (id == 0) {
    randombytes_buf(&id, sizeof id);
  }
  return id;
}

}  // namespace

Result<std::unique_ptr<Monitor>> Monitor::open(const Options& options, config::Node node,
                                               std::vector<config::Pair> pairs) {
  std::unique_ptr<Monitor> monitor(new Monitor);
  monitor->options_ = options;
  monitor->pairs_ = std::move(pairs);
  monitor->world_.root = options.root;
  monitor->world_.node = std::move(node);
  monitor->world_.volume_program = volume_program();
  monitor->started_ = boottime_now();
  CB_TRY(machine, config::read_machine_facts());
  monitor->machine_ = std::move(machine);
  const config::Product& product = monitor->world_.node.product;
  monitor->world_.udi = product.udi_product + ":" + product.udi_version + ":" + product.udi_serial;
  monitor->read_rule_book();
  CB_TRY_DO(pairing::crypto_ready());
  CB_TRY_DO(make_directory(options.root + "/run/crossbeat", 0755));
  CB_TRY_DO(make_directory(options.root + "/var/lib/crossbeat", 0700));
  CB_TRY(lock, take_lock(options.root));
  monitor->lock_ = std::move(lock);
  monitor->open_console();
  if (auto opened = monitor->open_everything(); !opened) {
    monitor->clean_up_failed_start();
    return std::move(opened).error();
  }
  return monitor;
}

Result<> Monitor::open_everything() {
  CB_TRY_DO(open_world());
  CB_TRY_DO(open_units());
  return open_faces();
}

// Nothing half done is left. What an earlier monitor of this boot left running is not ours to take
// down.
void Monitor::clean_up_failed_start() {
  world_.prober.reset();
  units_.clear();
  if (world_.kernel && !world_.kernel->facts().kept) {
    if (const auto detached = world_.kernel->detach(); !detached) {
      log_warning("%s", to_text(detached.error()).c_str());
    }
  }
}

Result<> Monitor::open_world() {
  const config::Node& node = world_.node;
  CB_TRY(loop, loop::Loop::open());
  world_.loop = std::move(loop);
  // Before any thread is started, so that all of them leave these signals to the loop.
  CB_TRY_DO(world_.loop->on_signals({SIGTERM, SIGINT, SIGHUP}, [this](int signal) {
    if (signal == SIGHUP) {
      log_notice("SIGHUP: nothing to reload; a changed configuration needs: crossbeat restart");
      return;
    }
    begin_ending(Ending::Stop);
  }));
  LogSetup log;
  log.least = parse_log_level(node.log_level).value_or(LogLevel::Info);
  log.identifier = "crossbeatd";
  CB_TRY_DO(make_directory(options_.root + "/var/log/crossbeat", 0755));
  log.file = options_.root + "/var/log/crossbeat/health-monitor.log";
  CB_TRY_DO(log_open(log));
  log_notice("crossbeatd " CROSSBEAT_VERSION " starts as %s on %s",
             node.role == core::Role::Primary ? "Primary" : "Secondary",
             node.network_interface.c_str());

  CB_TRY(urgent,
         loop::Hands::start(*world_.loop, {.name = "cb-urgent", .fifo = kControlPriority - 1}));
  world_.urgent = std::move(urgent);
  CB_TRY(slow, loop::Hands::start(*world_.loop, {.name = "cb-slow", .fifo = std::nullopt}));
  world_.slow = std::move(slow);
  pair_files_ = std::make_unique<PairFiles>(*world_.loop, *world_.slow, options_.root);

  std::vector<std::string> interfaces{node.network_interface};
  if (!node.direct_interface.empty()) {
    interfaces.push_back(node.direct_interface);
  }
  CB_TRY(link, edge::LinkEdge::open(
                   *world_.loop, *world_.slow, interfaces,
                   [this](const auto& now, const auto& before) { on_link(now, before); }));
  world_.link = std::move(link);

  CB_TRY(boot, pairing::node_boot_id(options_.root));
  edge::KernelOptions kernel_options;
  kernel_options.root = options_.root.empty() ? "/" : options_.root;
  kernel_options.direct_ifname = node.direct_interface;
  kernel_options.service_ifname = node.network_interface;
  kernel_options.xdp_mode = static_cast<edge::XdpMode>(node.xdp_mode);
  CB_TRY(kernel, edge::Kernel::open(kernel_options));
  world_.kernel = std::make_unique<edge::Kernel>(std::move(kernel));
  maps_kept_ = world_.kernel->facts().kept && world_.kernel->node()->boot == boot;
  announce_presence(boot);

  edge::AddressOptions address;
  address.interface = node.network_interface;
  address.label = node.address_label;
  address.on_foreign_removal = [this](const config::Prefix& prefix, const std::string& text) {
    log_warning("%s", text.c_str());
    add_event("", "Address " + prefix.text() + " was removed by somebody else", text);
  };
  address.on_repaired = [this](const config::Prefix& prefix) {
    log_notice("address %s is back; announcing it again", prefix.text().c_str());
    world_.announce->again(prefix);
  };
  CB_TRY(addresses, edge::AddressEdge::open(*world_.loop, *world_.urgent, std::move(address)));
  world_.address = std::move(addresses);
  CB_TRY(announce, edge::AnnounceEdge::open(*world_.loop, {.interface = node.network_interface,
                                                           .schedule = node.announce_schedule,
                                                           .refresh = node.announce_refresh}));
  world_.announce = std::move(announce);
  CB_TRY(arp, edge::ArpEdge::open(*world_.loop, {.interface = node.network_interface,
                                                 .self = v4_of(node.hm_address)}));
  world_.arp = std::move(arp);
  // A fence is a rung of the ladder, not a voice.
  std::vector<std::string> voices;
  std::copy_if(node.arbitration.begin(), node.arbitration.end(), std::back_inserter(voices),
               [](const std::string& kind) { return kind != "fence"; });
  // The witness last, wherever it is written: its yes is a promise, and no later no may follow it.
  std::stable_partition(voices.begin(), voices.end(),
                        [](const std::string& kind) { return kind != "witness"; });
  world_.arbitration = std::make_unique<edge::ArbitrationEdge>(*world_.loop, std::move(voices));
  CB_TRY(events, edge::EventLog::open(
                     *world_.loop, {.store = {.root = options_.root.empty() ? "/" : options_.root,
                                              .days = node.product.events_days}}));
  world_.events = std::move(events);
  CB_TRY(hooks, edge::HookEdge::open(
                    *world_.loop, node.hooks,
                    [this](const std::string& pairing, const std::string& hook, int error,
                           const std::string& text) { on_hook(pairing, hook, error, text); }));
  world_.hooks = std::move(hooks);
  CB_TRY(prober, edge::Prober::start([l = world_.loop.get()] { l->wake(); }));
  world_.prober = std::move(prober);
  if (world_.has_v4_gateway()) {
    world_.arp->watch_gateway(v4_of(node.gateway), kGatewayEvery, 1, 3,
                              [this](bool answers) { on_gateway(answers); });
  }
  world_.loop->watch(world_.kernel->changes_fd(), [this] {
    world_.kernel->drain_changes([](const cb_change& change) {
      if (change.kind == CB_CHANGE_BAD_TAGS) {
        log_warning(
            "heartbeats that are not authentic arrive on the %s link (pairing slot %u); they are "
            "dropped",
            change.link == CB_LINK_DIRECT ? "direct" : "network", change.slot);
      }
    });  // the facts themselves are in the maps, which every turn reads
  });
  return cb::Done{};
}

void Monitor::add_event(const std::string& pairing, const std::string& description,
                        const std::string& remarks) {
  edge::EventEntry entry;
  entry.pairing = pairing;
  entry.description = description;
  entry.generated_by = world_.node.role == core::Role::Primary ? "Primary" : "Secondary";
  entry.remarks = remarks;
  world_.events->add(std::move(entry));
}

void Monitor::on_hook(const std::string& pairing, const std::string& hook, int error,
                      const std::string& text) {
  if (error != 0) {
    log_warning("hook %s: %s", hook.c_str(), text.c_str());
  }
  add_event(pairing, "hook " + hook + (error == 0 ? " was run" : " failed"), text);
}

void Monitor::announce_presence(uint64_t boot) {
  cb_node& node = *world_.kernel->node();
  node.monitor_tgid = world_.kernel->facts().tgid;
  node.boot = boot;
  node.session = random_id();
  node.wall_offset_ns = static_cast<uint64_t>(wall_offset_ns());
  node.udp_port = world_.node.port;
  CB_WRITE_ONCE(node.exit_ns, 0);
}

Result<> Monitor::open_units() {
  if (!maps_kept_) {
    // Nothing of an earlier life may stand: addresses of ours without a guard that knows them.
    std::vector<config::Prefix> known = world_.node.virtual_addresses;
    for (const config::Pair& pair : pairs_) {
      known.insert(known.end(), pair.virtual_addresses.begin(), pair.virtual_addresses.end());
    }
    world_.address->clear_leftovers(std::move(known), Instant::never(), [](int error) {
      if (error != 0) {
        log_warning("addresses of an earlier run could not be removed: %s", strerror(error));
      }
    });
  }
  for (const config::Pair& pair : pairs_) {
    bool found = false;
    (void)slot_for(pair.id, found);
    CB_TRY(ledger,
           edge::Ledger::open(*world_.loop, options_.root, pair.primary_hm.text(), pair.id));
    auto unit = add_unit(pair, std::move(ledger), std::nullopt,
                         maps_kept_ && found ? Origin::KeptRunning : Origin::Started);
    if (!unit) {
      return in("pairing " + pair.primary_hm.text(), unit.error());
    }
  }
  if (pairs_.empty() && world_.node.role == core::Role::Primary) {
    const cb_pair& map = world_.kernel->pairs()[0];
    auto unit = add_unit(std::nullopt, nullptr, std::nullopt,
                         maps_kept_ && map.pairing == 0 && map.guard_mode == CB_GUARD_SOLO
                             ? Origin::KeptRunning
                             : Origin::Started);
    if (!unit) {
      return unit.error();
    }
  }
  return cb::Done{};
}

Result<Unit*> Monitor::add_unit(std::optional<config::Pair> pair,
                                std::unique_ptr<edge::Ledger> ledger,
                                const std::optional<core::LedgerRecord>& inherited, Origin origin) {
  bool found = false;
  const unsigned slot = pair ? slot_for(pair->id, found) : 0;
  if (slot >= CB_PAIRINGS_MAX) {
    return fail(ENOSPC, "this node has " + std::to_string(CB_PAIRINGS_MAX) + " pairings already");
  }
  UnitCallbacks callbacks;
  callbacks.changed = [this] { status_changed(); };
  if (pair) {
    callbacks.volume_grown = [this, id = pair->id](std::uint64_t bytes) {
      volume_grown(id, bytes);
    };
  }
  callbacks.exited = [this] { world_.loop->wake(); };
  if (pair) {
    callbacks.heartbeats_up = [this, id = pair->id] {
      if (event_exchange_) {
        event_exchange_->peer_answers(id);
      }
    };
  }
  CB_TRY(unit, Unit::open(world_, slot, std::move(pair), std::move(ledger), inherited,
                          std::move(callbacks)));
  units_.push_back(std::move(unit));
  Unit* added = units_.back().get();
  Instance& instance = added->instance();
  instance.set_carrier(
      core::Link::Network,
      world_.link->facts(world_.node.network_interface).state == edge::LinkState::Up);
  if (!world_.node.direct_interface.empty()) {
    instance.set_carrier(
        core::Link::Direct,
        world_.link->facts(world_.node.direct_interface).state == edge::LinkState::Up);
  }
  refresh_paths();
  added->start(origin, boottime_now());
  if (network_ok_) {
    added->tell(*network_ok_ ? core::EventKind::NetworkUp : core::EventKind::NetworkDown);
  }
  if (ending_ != Ending::None) {
    tell_to_end(*added);  // a pairing that was under way when everybody else was told
  }
  return added;
}

void Monitor::refresh_paths() {
  paths_ = {};
  for (const auto& unit : units_) {
    unit->fill_paths(paths_);
  }
  world_.prober->set_paths(paths_);
}

Result<> Monitor::open_faces() {
  CB_TRY(server,
         pairing::PairingServer::open(
             *world_.loop, identity(),
             {.on_paired = [this](const config::Pair& pair,
                                  pairing::Answer answer) { take_pair(pair, answer); },
              .on_unpaired =
                  [this](uint64_t id, pairing::Answer answer) {
                    forget_pair(id, [answer = std::move(answer)](const Result<>& dropped) {
                      answer(dropped ? pairing::Refusal::None : pairing::Refusal::SaveFailed);
                    });
                  },
              .on_told = [this](uint64_t id, const std::string& told,
                                pairing::Answer answer) { take_told(id, told, answer); },
              .on_keep = [this](uint64_t id, std::string text,
                                pairing::Answer answer) { keep(id, text, answer); },
              .on_recovered =
                  [this](const config::Pair& pair) {
                    add_event(pair.primary_hm.text(), "Configuration given back to the primary",
                              "it had lost it");
                  },
              .on_delete_licence = [this] { delete_licence(); },
              .look = [this](const pairing::Wanted& wanted,
                             pairing::LookAnswer answer) { look_at_network(wanted, answer); },
              .on_refused =
                  [this](const config::Address& primary, const pairing::Failure& failure) {
                    add_event(primary.text(), "Pairing refused", failure.what);
                  }}));
  pairing_server_ = std::move(server);
  event_exchange_ =
      std::make_unique<EventExchange>(*world_.loop, *world_.events, [this] { return identity(); });
  event_exchange_->set_pairs(pairs_);
  CB_TRY(control,
         ControlServer::open(*world_.loop, options_.root + "/run/crossbeat/control.sock",
                             [this](const Json& request, const ControlServer::Client& client) {
                               on_request(request, client);
                             }));
  control_ = std::move(control);
  return cb::Done{};
}

Monitor::~Monitor() {
  control_.reset();
  keep_call_.reset();
  unpair_call_.reset();
  pairing_client_.reset();
  pairing_server_.reset();
  event_exchange_.reset();
  world_.prober.reset();  // no probe leaves any more: sockets and maps may go
  units_.clear();
}

// ---- facts of the machine

void Monitor::on_link(const edge::LinkFacts& now, const edge::LinkFacts& before) {
  const bool up = now.state == edge::LinkState::Up;
  if (now.state != before.state) {
    log_notice("interface %s: %s", now.name.c_str(), edge::text_of(now.state));
  }
  const bool network = now.name == world_.node.network_interface;
  for (const auto& unit : units_) {
    unit->instance().set_carrier(network ? core::Link::Network : core::Link::Direct, up);
  }
  if (now.index != before.index || now.mac != before.mac) {
    if (network) {
      world_.arp->on_interface_changed();
    }
    if (!network) {
      follow_direct();
    } else if (now.index != 0 &&
               static_cast<uint32_t>(now.index) != world_.kernel->facts().service_ifindex) {
      log_error("interface %s was made anew: its programs are gone. Run: crossbeat restart",
                now.name.c_str());
    }
    refresh_paths();
  }
  if (network) {
    if (up && before.state != edge::LinkState::Up) {
      world_.announce->again();
    }
    update_network();
  } else if (!up) {
    // Evidence about the link only; but the peer's power-off looks just so: ask the other link at
    // once.
    for (const auto& unit : units_) {
      world_.prober->burst(static_cast<int>(unit->instance().slot()));
    }
  }
}

// A cable's interface that was made anew (a driver that was loaded again, a virtual machine's card
// that was plugged again) has none of our programs. Until they are there the link is silent, and
// the other one bears witness.
void Monitor::follow_direct() {
  const auto index = static_cast<uint32_t>(world_.link->facts(world_.node.direct_interface).index);
  if (attaching_direct_ || ending_ != Ending::None || index == 0 ||
      index == world_.kernel->facts().direct_ifindex) {
    return;
  }
  attaching_direct_ = true;
  auto again = std::make_shared<std::optional<Result<edge::Kernel::DirectAgain>>>();
  world_.slow->run(
      [kernel = world_.kernel.get(), again] {
        again->emplace(kernel->attach_direct_again());
        return 0;
      },
      [this, again, index](int) {
        attaching_direct_ = false;
        const std::string& name = world_.node.direct_interface;
        if (*again) {
          if (**again) {
            world_.kernel->adopt(***again);
            log_notice("interface %s was made anew: attached to it again", name.c_str());
            add_event("", "Interface " + name + " was made anew", "attached to it again");
            refresh_paths();
          } else if (static_cast<uint32_t>(world_.link->facts(name).index) == index) {
            log_error("interface %s was made anew, and the cable is not used: %s", name.c_str(),
                      to_text((**again).error()).c_str());
            return;
          }
        }
        follow_direct();  // it may have changed again meanwhile
      });
}

void Monitor::on_gateway(bool answers) {
  gateway_answers_ = answers;
  if (!answers) {
    log_warning("the gateway %s does not answer", world_.node.gateway.text().c_str());
  }
  update_network();
}

void Monitor::update_network() {
  const bool ok = world_.link->facts(world_.node.network_interface).state == edge::LinkState::Up &&
                  gateway_answers_;
  if (network_ok_ == ok) {
    return;
  }
  network_ok_ = ok;
  for (const auto& unit : units_) {
    unit->tell(ok ? core::EventKind::NetworkUp : core::EventKind::NetworkDown);
  }
}

// ---- turning

int Monitor::run() {
  control_is_fifo_ = take_control_priority();
  memory_locked_ = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
  if (!control_is_fifo_ || !memory_locked_) {
    log_warning(
        "%s%s: failovers may be slower under load. Give the service LimitRTPRIO=99 and "
        "LimitMEMLOCK=infinity",
        control_is_fifo_ ? "" : "no real-time priority ",
        memory_locked_ ? "" : "memory not locked");
  }
  update_network();
  watch_maintenance(Duration{});  // one that ended while no monitor ran
  give_configuration(Duration::from_s(2));
  world_.notify.ready("running");
  console_->running();
  look_for_console();
  while (!ended()) {
    take_turn();
  }
  finish();
  return kExitDone;
}

void Monitor::take_turn() {
  Instant until = boottime_now() + kBeatEvery;
  for (const auto& unit : units_) {
    until = std::min(until, unit->instance().next_deadline(boottime_now()));
  }
  turn_due_ = until;
  const auto turned = world_.loop->turn(until);
  CB_CHECK_MSG(turned.has_value(), "the io_uring of the control loop failed");
  // The clock once, before anything is read; then everything that has arrived; judgement last.
  const Instant now = boottime_now();
  const Duration late = now - turn_due_;
  const Duration stall = world_.node.heartbeat.monitor_grace / 4;
  for (const auto& unit : units_) {
    Instance& instance = unit->instance();
    if (late > stall) {
      instance.note_stall(late);
    }
    instance.drain(now);
    instance.judge(now);
    instance.run(now);
  }
  beat(boottime_now());
}

void Monitor::beat(Instant now) {
  cb_node& node = *world_.kernel->node();
  const auto at = static_cast<uint64_t>(now.as_ns());
  CB_WRITE_ONCE(node.beat_ns, at);
  CB_WRITE_ONCE(node.fresh_until_ns,
                at + static_cast<uint64_t>(world_.node.heartbeat.monitor_grace.as_ns()));
  CB_WRITE_ONCE(node.wall_offset_ns, static_cast<uint64_t>(wall_offset_ns()));
}

int run(const Options& options, config::Node node, std::vector<config::Pair> pairs) {
  auto monitor = Monitor::open(options, std::move(node), std::move(pairs));
  if (!monitor) {
    log_error("%s", to_text(monitor.error()).c_str());
    log_close();
    return monitor.error().code == EPERM || monitor.error().code == EACCES ? kExitPrivileges
                                                                           : kExitFailed;
  }
  const int code = (*monitor)->run();
  monitor->reset();
  log_close();
  return code;
}

}  // namespace cb::agent
