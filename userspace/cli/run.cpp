// SPDX-License-Identifier: Apache-2.0
//
// The table of verbs: what they are called, what they take, and an example of each.
#include "cli/run.h"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <exception>
#include <functional>
#include <ostream>

#include "cli/resolve.h"
#include "cli/verbs.h"
#include "config/duration.h"
#include "crossbeat_version.h"

namespace cb::cli {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done; 1 failed; 2 wrong use; 3 the health monitor is not running (what is shown "
    "was\n  saved last); 4 refused by a rule, which is named; 5 timed out; 6 the configuration has "
    "errors;\n  7 needs root; 8 doctor found warnings; 9 doctor found problems.";

// A duration as an option: "30s", "10min".
Duration parse_length(const std::string& option, const std::string& text) {
  const auto length = config::parse_duration(text);
  if (!length || *length <= Duration{}) {
    throw CLI::ValidationError(option, "'" + text +
                                           "' is not a duration; write a number and its unit, such "
                                           "as 30s or 10min");
  }
  return *length;
}

class CommandLine {
 public:
  explicit CommandLine(const Terminal& terminal) : terminal_(terminal) {
    app_.name("crossbeat");
    app_.footer(
        std::string("Examples:\n"
                    "  crossbeat status                 who serves, is it protected, what to do\n"
                    "  crossbeat switchover --dry-run   what a move to the secondary would do\n"
                    "  crossbeat config check           is the configuration right, how fast is a "
                    "failover\n\n") +
        kExitCodes);
    app_.set_version_flag("--version", "crossbeat " CROSSBEAT_VERSION);
    app_.require_subcommand(1);
    app_.fallthrough();
    add_global_options();
    add_looking();
    add_moving();
    add_pairing();
    add_volume();
    add_recovery();
    add_licence_verbs();
    add_process();
    add_config();
  }

  int run(std::vector<std::string> arguments) {
    try {
      std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
      app_.parse(arguments);
      options_.timeout =
          timeout_.empty() ? std::nullopt : std::optional(parse_length("--timeout", timeout_));
    } catch (const CLI::CallForHelp&) {
      terminal_.out << app_.help() << std::flush;  // of the verb that was named
      return kDone;
    } catch (const CLI::CallForVersion&) {
      terminal_.out << "crossbeat " CROSSBEAT_VERSION << std::endl;
      return kDone;
    } catch (const CLI::ParseError& error) {
      terminal_.err << "crossbeat: " << error.what() << "\nTry: crossbeat --help\n";
      return kUsage;
    }
    while (options_.root.ends_with('/')) {
      options_.root.pop_back();
    }
    Terminal terminal = terminal_;
    terminal.colour = terminal.colour && !no_colour_;
    const Context context(options_, terminal);
    try {
      return action_(context);
    } catch (const CLI::ParseError& error) {
      terminal_.err << "crossbeat: " << error.what() << "\n";
      return kUsage;
    }
  }

 private:
  using Action = std::function<int(const Context&)>;

  CLI::App* verb(CLI::App& parent, const std::string& name, const std::string& description,
                 const std::string& footer, Action action) {
    CLI::App* app = parent.add_subcommand(name, description);
    app->footer(footer +
                "\n\nEvery verb also takes --root, --json, --no-color, --timeout and --pairing: "
                "crossbeat --help");
    app->fallthrough();
    app->callback([this, action = std::move(action)] { action_ = action; });
    return app;
  }
  CLI::App* verb(const std::string& name, const std::string& description, const std::string& footer,
                 Action action) {
    return verb(app_, name, description, footer, std::move(action));
  }

  void takes_dry_run(CLI::App* app) {
    app->add_flag("--dry-run", options_.dry_run, "Show what would happen; do nothing");
  }
  void takes_no_wait(CLI::App* app) {
    app->add_flag("--no-wait", options_.no_wait, "Return when the request was accepted");
  }
  void takes_force(CLI::App* app, const std::string& risk) {
    app->add_flag("--force", options_.force, risk);
  }

  void add_global_options() {
    app_.add_option("--root", options_.root, "All paths below DIR in place of /")
        ->type_name("DIR")
        ->envname("CROSSBEAT_ROOT");
    app_.add_flag("--json", options_.json, "Answer in JSON");
    app_.add_flag("--no-color,--no-colour", no_colour_, "No colours, also on a terminal");
    app_.add_option("--timeout", timeout_,
                    "How long to wait: for an answer (5s), for a move to be complete (2min)")
        ->type_name("TIME");
    app_.add_option("--pairing", options_.pairing,
                    "Which pairing: the health-monitor address of its primary; needed when there "
                    "are several")
        ->type_name("ADDRESS");
  }

  void add_looking() {
    CLI::App* status_verb =
        verb("status", "Who serves, is it protected, what to do",
             "Examples:\n  crossbeat status\n  crossbeat status --watch --interval 500ms\n"
             "  crossbeat status --json | jq -r '.pairings[].state'",
             [this](const Context& context) {
               watch_.interval = parse_length("--interval", interval_);
               return status(context, watch_);
             });
    status_verb->add_flag("--watch,-w", watch_.watch, "Look again and again, until interrupted");
    status_verb->add_option("--interval", interval_, "Between two looks")
        ->type_name("TIME")
        ->capture_default_str();
    status_verb->add_option("--count", watch_.count, "With --watch: end after so many looks")
        ->type_name("N");

    verb("gethainfo", "The fields of gethainfo, in their fixed order",
         "Also as a command of its own: gethainfo\nExample:\n  gethainfo | grep 'Current state'",
         [](const Context& context) { return gethainfo(context); });

    verb("getserverinfo", "The fields of getserverinfo: server, services, machine",
         "Also as a command of its own: getserverinfo\nExample:\n"
         "  getserverinfo | grep 'Operation Status'",
         [](const Context& context) { return getserverinfo(context); });

    CLI::App* events_verb =
        verb("events", "What happened, oldest first",
             "Examples:\n  crossbeat events --limit 50\n  crossbeat events --since 2h\n"
             "  crossbeat events --follow --json",
             [this](const Context& context) { return events(context, events_); });
    events_verb->add_flag("--follow,-f", events_.follow, "Go on showing what happens");
    events_verb->add_option("--since", events_.since, "From then on: 2h, or 2026-01-31T17:00:00Z")
        ->type_name("TIME");
    events_verb->add_option("--until", events_.until, "Up to then: 10min (ago), or a time")
        ->type_name("TIME");
    events_verb->add_option("--limit,-n", events_.limit, "The newest so many")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{2000}))
        ->capture_default_str();

    CLI::App* vip_verb = app_.add_subcommand("vip", "The virtual addresses");
    vip_verb->require_subcommand(1)->fallthrough();
    const auto by_hand = [this](CLI::App* app, const std::string& action, bool needed) {
      if (action != "show") {
        auto* address = app->add_option("ADDRESS", vip_.address, "By hand: this address");
        address->required(needed);
      }
      auto* interface = app->add_option("INTERFACE", vip_.interface, "By hand: on this interface");
      interface->required(needed);
    };
    // With an address or an interface: by hand; without: what the monitor has.
    const auto either = [this](const std::string& action) {
      return [this, action](const Context& context) {
        vip_.action = action;
        if (action == "announce" && !vip_.address.empty() && vip_.interface.empty()) {
          throw CLI::ValidationError("INTERFACE", "is missing");
        }
        return vip_.interface.empty() ? vip(context, action) : vip_by_hand(context, vip_);
      };
    };
    CLI::App* show_verb =
        verb(*vip_verb, "show", "Where each address is, and whether it is let through",
             "With an interface: what is on it, asking no monitor.\nExamples:\n"
             "  crossbeat vip show\n  crossbeat vip show eth0",
             either("show"));
    by_hand(show_verb, "show", false);
    CLI::App* announce_verb =
        verb(*vip_verb, "announce", "Announce the addresses that this node serves once more",
             "For switches and routers that have forgotten. With an address and an interface: that "
             "one,\n"
             "asking no monitor.\nExamples:\n  crossbeat vip announce\n"
             "  crossbeat vip announce 10.10.10.11 eth0",
             either("announce"));
    by_hand(announce_verb, "announce", false);
    takes_dry_run(announce_verb);
    for (const char* action : {"add", "remove"}) {
      CLI::App* app = verb(
          *vip_verb, action,
          std::string(action == std::string("add") ? "Add" : "Remove") +
              " an address by hand, without the monitor",
          "Refused while a monitor runs: it has the addresses in hand. Example:\n  crossbeat vip " +
              std::string(action) + " 10.10.10.11 eth0",
          either(action));
      by_hand(app, action, true);
      takes_dry_run(app);
      takes_force(app, "Also while a monitor runs, which may undo it at once");
      if (action == std::string("add")) {
        app->add_option("--label", vip_.label, "In place of INTERFACE:1")->type_name("LABEL");
      }
    }

    CLI::App* doctor_verb =
        verb("doctor", "Look for what is known to go wrong, and say what to do about it",
             "Exits with 9 when it found a problem, with 8 for a warning. Example:\n"
             "  crossbeat doctor --all",
             [this](const Context& context) { return examine(context, all_); });
    doctor_verb->add_flag("--all,-a", all_, "Also tell what is fine");

    verb("drill", "What this node would do if its peer fell silent now; moves nothing",
         "Example:\n  crossbeat drill", [](const Context& context) { return drill(context); });
  }

  void add_moving() {
    CLI::App* switchover =
        verb("switchover", "Move the service from the primary to the secondary, in good order",
             "Examples:\n  crossbeat switchover --dry-run\n  crossbeat switchover",
             [](const Context& context) { return move(context, Move::Switchover); });
    takes_dry_run(switchover);
    takes_no_wait(switchover);

    CLI::App* failover = verb(
        "failover", "Take command on this node",
        "For a peer that is down. With --force also when it cannot be proved: make sure first "
        "that the\npeer does not serve, or both will. With --accept-loss also with data that is "
        "behind: what is\nlost is named, and recorded for ever; --dry-run names it and does "
        "nothing.\nExamples:\n  crossbeat failover --dry-run\n  crossbeat failover\n"
        "  crossbeat failover --accept-loss --dry-run",
        [](const Context& context) { return move(context, Move::Failover); });
    takes_dry_run(failover);
    takes_no_wait(failover);
    takes_force(failover, "Accept the risk that the refusal named");
    failover->add_flag("--accept-loss", options_.accept_loss,
                       "Also with a copy of the data that is behind; what it lacks is lost");

    CLI::App* failback =
        verb("failback", "Give command back to the primary, in good order",
             "Refused until the data is in step and the hold-down is over.\nExamples:\n"
             "  crossbeat failback --dry-run\n  crossbeat failback",
             [](const Context& context) { return move(context, Move::Failback); });
    takes_dry_run(failback);
    takes_no_wait(failback);
    takes_force(failback, "Do not wait for the end of the hold-down");

    CLI::App* maintenance_verb =
        verb("maintenance", "No automatic moves while somebody works on the pair",
             "Examples:\n  crossbeat maintenance on --for 30min\n  crossbeat maintenance off",
             [this](const Context& context) {
               std::optional<Duration> length;
               if (!length_.empty()) {
                 if (on_off_ == "off") {
                   throw CLI::ValidationError("--for", "goes with maintenance on");
                 }
                 length = parse_length("--for", length_);
               }
               return maintenance(context, on_off_ == "on", length);
             });
    maintenance_verb->add_option("on|off", on_off_)
        ->required()
        ->check(CLI::IsMember({"on", "off"}));
    maintenance_verb->add_option("--for", length_, "End by itself after this time, at most 168h")
        ->type_name("TIME");
    takes_dry_run(maintenance_verb);
    takes_no_wait(maintenance_verb);

    CLI::App* set_verb = verb(
        "set", "Change the type of failover or failback of a running pairing",
        "Examples:\n  crossbeat set --failover automatic\n  crossbeat set --failback manual",
        [this](const Context& context) { return set(context, failover_type_, failback_type_); });
    set_verb->add_option("--failover", failover_type_, "manual or automatic")
        ->check(CLI::IsMember({"manual", "automatic"}));
    set_verb->add_option("--failback", failback_type_, "manual or automatic")
        ->check(CLI::IsMember({"manual", "automatic"}));
    takes_dry_run(set_verb);
  }

  void add_pairing() {
    verb("pairing-code", "On the secondary: make a one-time code for pairing",
         "Example, on the secondary:\n  crossbeat pairing-code",
         [](const Context& context) { return pairing_code(context); });

    CLI::App* pair_verb =
        verb("pair", "On the primary: pair with a secondary",
             "The one-time code is asked for. Examples, on the primary:\n"
             "  crossbeat pair 10.10.10.13\n"
             "  crossbeat pair 10.10.10.13 --code-file /run/code\n"
             "  ssh secondary crossbeat pairing-code --json | jq -r .code |\n"
             "    crossbeat pair 10.10.10.13 --code -",
             [this](const Context& context) { return pair(context, peer_, code_); });
    pair_verb->add_option("PEER", peer_, "Health-monitor address of the secondary")->required();
    pair_verb
        ->add_option("--code", code_.argument,
                     "The code; - reads it from standard input (arguments are visible to "
                     "other users)")
        ->type_name("CODE");
    pair_verb->add_option("--code-file", code_.file, "A file with the code; - is standard input")
        ->type_name("FILE")
        ->excludes("--code");
    takes_dry_run(pair_verb);

    CLI::App* unpair_verb =
        verb("unpair", "Dissolve a pairing, on both nodes",
             "With --force also when the peer is gone. Examples:\n  crossbeat unpair --dry-run\n"
             "  crossbeat unpair --force",
             [this](const Context& context) { return unpair(context, delete_licence_); });
    unpair_verb->add_flag("--delete-licence", delete_licence_,
                          "Also delete the activation licence of the secondary");
    takes_dry_run(unpair_verb);
    takes_force(unpair_verb, "Also when the peer cannot be told, or the service ends by it");

    CLI::App* witness_verb = app_.add_subcommand("witness", "The third voice of a pairing");
    witness_verb->require_subcommand(1)->fallthrough();
    verb(*witness_verb, "key", "Print the line that makes a machine the witness of this pairing",
         "It holds a key: let it go through a pipe. Example:\n"
         "  crossbeat witness key | ssh WITNESS sudo crossbeat-witness add",
         [](const Context& context) { return witness_key(context); });
  }

  void add_volume() {
    CLI::App* volume_verb = app_.add_subcommand("volume", "The replicated volume");
    volume_verb->require_subcommand(1)->fallthrough();
    CLI::App* create = verb(
        *volume_verb, "create", "On the primary: make the first copy, as [volume] describes it",
        "The secondary makes its own when it is paired. A primary that was replaced makes an "
        "empty\n"
        "copy with --fresh, and its peer fills it. Nothing that is there is overwritten.\n"
        "Examples:\n  crossbeat volume create --format\n  crossbeat volume create --dry-run\n"
        "  crossbeat volume create --fresh --aside",
        [this](const Context& context) { return volume_create(context, create_); });
    create->add_flag("--format", create_.format, "The first mount makes a file system on it");
    create->add_flag("--fresh", create_.fresh, "An empty copy, which the peer fills");
    create->add_flag("--aside", create_.aside, "Keep the copy that is there under another name");
    create->add_flag("--overwrite", create_.overwrite,
                     "Whatever log_device and home_device hold is lost");
    takes_dry_run(create);
    verb(*volume_verb, "status", "How the copies stand: position, progress, what it waits for",
         "Example:\n  crossbeat volume status --json | jq '.volumes[0].sync'",
         [](const Context& context) { return volume_status(context); });
    CLI::App* verify = verb(
        *volume_verb, "verify", "In command: read both copies and compare them, block by block",
        "Writes go on meanwhile. Exits with 1 when a block differs. Without a volume process, and\n"
        "with --offline: this node's records, log and maps alone. Changes nothing.\n"
        "Examples:\n  crossbeat volume verify\n  crossbeat volume verify --offline",
        [this](const Context& context) { return volume_verify(context, verify_); });
    CLI::Option* offline =
        verify->add_flag("--offline", verify_.offline, "Only this node's copy, from its files");
    verify->add_flag("--stop", verify_.stop, "End a comparison that runs")->excludes(offline);
    takes_no_wait(verify);
    CLI::App* resize = verb(
        *volume_verb, "resize",
        "In command: make the volume longer on both nodes, while it is used",
        "Both copies get longer, then the device; a volume never gets shorter. Ask again when it\n"
        "was interrupted. Examples:\n  crossbeat volume resize --size 20GiB --dry-run\n"
        "  crossbeat volume resize --size 20GiB --grow-fs",
        [this](const Context& context) { return volume_resize(context, resize_); });
    resize->add_option("--size", resize_.size, "The size that it is to have, as \"20GiB\"")
        ->required();
    resize->add_flag("--grow-fs", resize_.grow_fs, "Then the mounted ext4 or xfs on it as well");
    takes_dry_run(resize);
    verb(*volume_verb, "history", "Who wrote what part of the log, here and on the peer",
         "Example:\n  crossbeat volume history",
         [](const Context& context) { return volume_history(context, false); });
    verb(*volume_verb, "diff", "Where the two copies parted, if they did",
         "Exits with 9 when both hold writes that the other lacks. Example:\n"
         "  crossbeat volume diff",
         [](const Context& context) { return volume_history(context, true); });

    CLI::App* resync_verb = verb(
        "resync", "On the node that is behind: come into step, or begin anew",
        "It goes by itself; this begins it again at once. With --full this node's copy is given "
        "up\n"
        "and all of the peer's taken: the way out of a split, on the node whose writes are to go.\n"
        "Examples:\n  crossbeat resync\n  crossbeat resync --full --dry-run\n"
        "  crossbeat resync --pause",
        [this](const Context& context) { return resync(context, resync_); });
    CLI::Option* full = resync_verb->add_flag(
        "--full,--victim", resync_.full, "Give this node's copy up, and take all of the peer's");
    CLI::Option* pause = resync_verb->add_flag("--pause", resync_.pause,
                                               "Stop copying; what is written now still goes over");
    resync_verb->add_flag("--continue", resync_.go_on, "End a pause")->excludes(pause);
    pause->excludes(full);
    takes_dry_run(resync_verb);
    takes_force(resync_verb, "With --full, also when this copy is whole");
  }

  void add_licence_verbs() {
    CLI::App* licence_verb = app_.add_subcommand("licence", "The activation licence of this node");
    licence_verb->require_subcommand(1)->fallthrough();
    const auto act = [this](const std::string& action) {
      return [this, action](const Context& context) {
        licence_.action = action;
        return licence(context, licence_);
      };
    };
    verb(*licence_verb, "show", "Is this node activated, and by what",
         "Example:\n  crossbeat licence show", act("show"));
    CLI::App* add_verb =
        verb(*licence_verb, "add", "Add the licence that the maker gave for this node",
             "Example:\n  crossbeat licence add /root/mse1.licence", act("add"));
    add_verb->add_option("FILE", licence_.file, "The licence")->required();
    takes_dry_run(add_verb);
    takes_dry_run(verb(*licence_verb, "delete", "Delete the licence of this node",
                       "Example:\n  crossbeat licence delete", act("delete")));
    CLI::App* key_verb = verb(*licence_verb, "make-key", "For makers: a new pair of keys",
                              "Example:\n  crossbeat licence make-key maker.key", act("make-key"));
    key_verb->add_option("FILE", licence_.file, "Where the secret key goes")->required();
    CLI::App* sign_verb = verb(*licence_verb, "sign", "For makers: print a licence, signed",
                               "Example:\n  crossbeat licence sign --key maker.key --id L-1 --udi "
                               "AIR-MSE-VA-K9:V01:mse1 --expires 2027-12-31 > mse1.licence",
                               act("sign"));
    sign_verb->add_option("--key", licence_.key_file, "The maker's secret key")
        ->required()
        ->type_name("FILE");
    sign_verb->add_option("--id", licence_.id, "The licence's name")->required()->type_name("NAME");
    sign_verb->add_option("--udi", licence_.udi, "Only this machine")->type_name("UDI");
    sign_verb->add_option("--model", licence_.model, "Only this model")->type_name("MODEL");
    sign_verb->add_option("--expires", licence_.expires, "The last day")->type_name("DAY");
  }

  void add_recovery() {
    CLI::App* recover_verb = verb(
        "recover", "On a primary that lost its configuration: get it back from the secondary",
        "The monitor must not run here. On the secondary: crossbeat pairing-code. Examples, here:\n"
        "  crossbeat recover --from 10.10.10.13\n  systemctl start crossbeat",
        [this](const Context& context) { return recover(context, peer_, code_); });
    recover_verb->add_option("--from", peer_, "Health-monitor address of the secondary")
        ->required()
        ->type_name("ADDRESS");
    recover_verb->add_option("--code", code_.argument, "The code; - reads it from standard input")
        ->type_name("CODE");
    recover_verb->add_option("--code-file", code_.file, "A file with the code")
        ->type_name("FILE")
        ->excludes("--code");
    takes_dry_run(recover_verb);
    takes_force(recover_verb, "Also replace a pairing that is still here");
  }

  void add_process() {
    CLI::App* resolve_verb = verb(
        "resolve-conflict", "On the secondary: end a conflict; the newer term goes on",
        "When both nodes serve and neither has yielded by itself. Takes the address and the "
        "services down\nhere, in order, and starts the monitor again, which asks before it "
        "serves. The node that had served in\nthe newer term goes on: usually the primary, but "
        "the secondary when an operator had forced it; then\ncrossbeat failback returns "
        "command. Examples:\n"
        "  crossbeat resolve-conflict --dry-run\n  crossbeat resolve-conflict",
        [](const Context& context) { return resolve_conflict(context); });
    takes_dry_run(resolve_verb);
    takes_force(resolve_verb, "Also when this node does not hear a primary that serves");
    CLI::App* restart_verb = verb("restart", "Restart the monitor; the address stays where it is",
                                  "Example:\n  crossbeat restart",
                                  [](const Context& context) { return restart(context); });
    takes_dry_run(restart_verb);
    takes_no_wait(restart_verb);

    CLI::App* stop_verb =
        verb("stop", "Stop the monitor in good order: hand over, or say goodbye",
             "Example:\n  crossbeat stop", [](const Context& context) { return stop(context); });
    takes_dry_run(stop_verb);
    takes_no_wait(stop_verb);
  }

  void add_config() {
    CLI::App* setup_verb = verb(
        "setup", "Set this machine up: names, role, interfaces, addresses, time",
        "Asks, shows what it will change, and changes all of it or nothing. Can be run again.\n"
        "Examples:\n  crossbeat setup\n  crossbeat setup --answers /root/answers.toml --dry-run",
        [this](const Context& context) { return set_up(context, setup_); });
    setup_verb->add_option("--answers", setup_.answers, "Do not ask: take the answers from FILE")
        ->type_name("FILE");
    setup_verb
        ->add_option("--interfaces", setup_.interfaces,
                     "With --root: the interfaces of the machine that the tree is for")
        ->type_name("LIST")
        ->capture_default_str();
    takes_dry_run(setup_verb);

    CLI::App* config_verb = app_.add_subcommand("config", "The configuration");
    config_verb->require_subcommand(1)->fallthrough();
    CLI::App* check_verb =
        verb(*config_verb, "check", "Print every problem, or the whole timeline of a failover",
             "Examples:\n  crossbeat config check\n  crossbeat config check /tmp/crossbeat.toml",
             [this](const Context& context) { return config_check(context, file_); });
    check_verb->add_option("FILE", file_, "In place of /etc/crossbeat/crossbeat.toml");
    verb(*config_verb, "show", "Print every setting as it holds, defaults included",
         "Example:\n  crossbeat config show",
         [](const Context& context) { return config_show(context); });
  }

  const Terminal& terminal_;
  CLI::App app_{"crossbeat: the command line of a Crossbeat node"};
  Options options_;
  Action action_;
  bool no_colour_ = false;
  std::string timeout_;
  std::string interval_ = "1s";
  std::string length_;
  std::string on_off_;
  std::string peer_;
  std::string file_;
  std::string failover_type_;
  std::string failback_type_;
  WatchOptions watch_;
  EventsOptions events_;
  CodeSource code_;
  SetupOptions setup_;
  VolumeCreate create_;
  VolumeVerify verify_;
  VolumeResize resize_;
  Resync resync_;
  VipByHand vip_;
  bool all_ = false;
  bool delete_licence_ = false;
  LicenceOptions licence_;
};

}  // namespace

int run(int argc, const char* const* argv, const Terminal& terminal) {
  try {
    std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const std::string self = argc > 0 ? argv[0] : "crossbeat";
    for (const char* name : {"gethainfo", "getserverinfo"}) {
      if (self.substr(self.rfind('/') + 1) == name) {
        arguments.insert(arguments.begin(), name);
      }
    }
    return CommandLine(terminal).run(std::move(arguments));
  } catch (const std::exception& error) {
    terminal.err << "crossbeat: " << error.what() << "\n";
    return kFailed;
  }
}

}  // namespace cb::cli
