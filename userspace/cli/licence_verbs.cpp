// SPDX-License-Identifier: Apache-2.0
//
// The activation licence: shown, added, deleted; and, for the maker, keys and signatures. Nothing
// of it needs a running monitor; a running one is told, so that the next pairing knows.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <ostream>

#include "base/file.h"
#include "base/text.h"
#include "cli/verbs.h"
#include "pairing/licence.h"
#include "pairing/message.h"
#include "pairing/secret.h"

namespace cb::cli {
namespace {

using pairing::Activation;

constexpr std::size_t kFileBytesMax = 4096;

struct Here {  // this machine, and what its maker demands
  config::Licence demand;
  pairing::LicenceHolder holder;
};

Result<Here> read_here(const Context& context) {
  CB_TRY(machine, config::read_machine_facts());
  const auto node = config::load_node(context.options().root, machine);
  // A problem elsewhere in the file is `config check`'s affair; one that leaves no UDI is ours.
  const config::Product& product = node.value.product;
  if (product.udi_serial.empty()) {
    return fail(0, "the configuration cannot be read; see: crossbeat config check");
  }
  Here here;
  here.demand = node.value.licence;
  here.holder = {product.udi_product + ":" + product.udi_version + ":" + product.udi_serial,
                 product.model, pairing::day_of(std::time(nullptr))};
  return here;
}

std::string path_in(const Context& context) {
  return context.options().root + pairing::kLicencePath;
}

// A monitor that runs takes it up; one that does not reads it when it starts.
void tell_monitor(const Context& context) {
  (void)context.ask(Json{{"verb", "licence"}});  // ignored: it is not needed
}

void show_licence(std::ostream& out, const pairing::Licence& licence) {
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) {
      out << "  " << name << ": " << value << "\n";
    }
  };
  line("Licence", licence.id);
  line("For the machine", licence.udi);
  line("For the model", licence.model);
  line("Until", licence.expires);
}

int show(const Context& context) {
  const auto here = read_here(context);
  if (!here) {
    return context.complain(kConfig, to_text(here.error()));
  }
  const std::string text = read_all(path_in(context), kFileBytesMax).value_or("");
  const Activation found = pairing::activation_of(text, here->demand, here->holder);
  const auto licence = pairing::parse_licence(text);
  if (context.options().json) {
    Json reply{{"ok", true},
               {"activation", std::string(pairing::text_of(found))},
               {"required", here->demand.required},
               {"udi", here->holder.udi},
               {"model", here->holder.model},
               {"licence", nullptr}};
    if (licence) {
      reply["licence"] = {{"id", licence->id},
                          {"udi", licence->udi},
                          {"model", licence->model},
                          {"expires", licence->expires}};
    }
    context.print(reply);
    return pairing::is_active(found) ? kDone : kRefused;
  }
  std::ostream& out = context.terminal().out;
  out << "Activation: " << pairing::text_of(found) << "\n";
  out << "This machine: " << here->holder.udi
      << (here->holder.model.empty() ? "" : ", model " + here->holder.model) << "\n";
  if (licence) {
    show_licence(out, *licence);
  }
  return pairing::is_active(found) ? kDone : kRefused;
}

int remove(const Context& context) {
  if (context.options().dry_run) {
    context.terminal().out << "Would delete " << path_in(context) << ". Nothing was done.\n";
    return kDone;
  }
  if (unlink(path_in(context).c_str()) != 0 && errno != ENOENT) {
    return context.complain(errno == EACCES ? kPrivileges : kFailed,
                            to_text(fail(errno, "delete " + path_in(context))));
  }
  tell_monitor(context);
  if (context.options().json) {
    context.print(Json{{"ok", true}});
  } else {
    context.terminal().out << "The licence of this node is deleted.\n";
  }
  return kDone;
}

int make_key(const Context& context, const std::string& file) {
  if (const auto ready = pairing::crypto_ready(); !ready) {
    return context.complain(kFailed, to_text(ready.error()));
  }
  if (access(file.c_str(), F_OK) == 0) {
    return context.complain(kRefused, file + " is there already",
                            "a maker's secret key is never overwritten; name another file");
  }
  const pairing::MakerKey made = pairing::make_maker_key();
  if (const auto written = write_atomically(file, made.seed + "\n", 0600); !written) {
    return context.complain(kFailed, to_text(written.error()));
  }
  if (context.options().json) {
    context.print(Json{{"ok", true}, {"public_key", made.public_key}});
  } else {
    context.terminal().out << "The secret key is in " << file
                           << "; keep it, and keep it secret. For crossbeat.toml:\n[licence]\n"
                           << "public_key = \"" << made.public_key << "\"\nrequired = true\n";
  }
  return kDone;
}

int sign(const Context& context, const LicenceOptions& wanted) {
  const auto seed = read_all(wanted.key_file, kFileBytesMax);
  if (!seed) {
    return context.complain(kFailed, to_text(seed.error()));
  }
  const auto made =
      pairing::sign_licence({wanted.id, wanted.udi, wanted.model, wanted.expires, ""}, trim(*seed));
  if (!made) {
    return context.complain(kUsage, "the licence cannot be signed: " + to_text(made.error()));
  }
  context.terminal().out << pairing::licence_text(*made);
  return kDone;
}

}  // namespace

int add_licence(const Context& context, const std::string& file) {
  const auto here = read_here(context);
  if (!here) {
    return context.complain(kConfig, to_text(here.error()));
  }
  const auto text = read_all(file, kFileBytesMax);
  if (!text) {
    return context.complain(kFailed, to_text(text.error()));
  }
  const auto licence = pairing::parse_licence(*text);
  if (!licence) {
    return context.complain(kRefused, file + " is not a licence: " + to_text(licence.error()),
                            "copy the file as the maker gave it to you, byte for byte");
  }
  if (!here->demand.public_key.empty()) {
    const Activation found = pairing::judge_licence(*text, here->demand.public_key, here->holder);
    if (found != Activation::Activated) {
      return context.complain(
          kRefused, file + " does not activate this machine: " + std::string(text_of(found)),
          "ask the maker for a licence of " + here->holder.udi +
              (here->holder.model.empty() ? "" : ", model " + here->holder.model));
    }
  }
  if (context.options().dry_run) {
    context.terminal().out << "This licence activates this machine. Nothing was done.\n";
    return kDone;
  }
  for (const char* folder : {"/var", "/var/lib", "/var/lib/crossbeat"}) {
    mkdir((context.options().root + folder).c_str(), 0755);  // what is wrong shows in the writing
  }
  if (const auto written = write_atomically(path_in(context), *text, 0644); !written) {
    return context.complain(written.error().code == EACCES ? kPrivileges : kFailed,
                            to_text(written.error()));
  }
  tell_monitor(context);
  if (context.options().json) {
    context.print(Json{{"ok", true}, {"id", licence->id}});
  } else {
    context.terminal().out << "The licence " << licence->id << " is added.\n";
  }
  return kDone;
}

int licence(const Context& context, const LicenceOptions& wanted) {
  if (wanted.action == "show") {
    return show(context);
  }
  if (wanted.action == "add") {
    return add_licence(context, wanted.file);
  }
  if (wanted.action == "delete") {
    return remove(context);
  }
  return wanted.action == "make-key" ? make_key(context, wanted.file) : sign(context, wanted);
}

}  // namespace cb::cli
