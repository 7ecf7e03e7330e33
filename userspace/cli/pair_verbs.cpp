// SPDX-License-Identifier: Apache-2.0
//
// Pairing and its rules, as an operator sees them.
#include <ostream>

#include "base/clock.h"
#include "cli/code_source.h"
#include "cli/verbs.h"
#include "cli/view.h"

namespace cb::cli {
namespace {

// Lines with "progress" may come before the answer.
Result<Json> answer(const Context& context, Client& client, const Json& request, Instant deadline) {
  CB_TRY_DO(client.send(request, deadline));
  while (true) {
    CB_TRY(line, client.receive(deadline));
    if (line.contains("ok")) {
      return line;
    }
    if (const std::string progress = text_at(line, "progress");
        !progress.empty() && !context.options().json) {
      context.terminal().out << clock_text() << "  " << progress << std::endl;
    }
  }
}

// Which rules were looked at, and what they said.
void print_rules(const Context& context, const Json& reply) {
  if (context.options().json) {
    return;
  }
  const Terminal& terminal = context.terminal();
  const Json& rules = at(reply, "rules");
  if (!rules.is_array()) {
    return;
  }
  for (const Json& line : rules) {
    const bool holds = flag_at(line, "holds");
    terminal.out << "  " << terminal.painted(holds ? Tone::Good : Tone::Alarm, holds ? "ok" : "NO")
                 << "  " << harmless(text_at(line, "rule")) << ": "
                 << harmless(text_at(line, "text")) << "\n";
  }
}

// The maker demands a licence of this node, and somebody is there to be asked for it.
bool got_licence(const Context& context, const Json& reply) {
  const Terminal& terminal = context.terminal();
  if (text_at(reply, "refusal") != "primary-licence" || !terminal.in_is_terminal ||
      context.options().json || context.options().dry_run) {
    return false;
  }
  terminal.err << text_at(reply, "error")
               << "\nLicence file of this node (empty: give up): " << std::flush;
  const std::string file = read_line(context);
  return !file.empty() && add_licence(context, file) == kDone;
}

}  // namespace

int pairing_code(const Context& context) {
  const auto reply = context.ask(context.request("pairing-code"));
  if (const auto code = context.settled(reply)) {
    return *code;
  }
  std::ostream& out = context.terminal().out;
  out << "Pairing code: " << text_at(*reply, "code", "?") << "\n";
  out << "It works once";
  if (const auto seconds = number_at(*reply, "valid_s")) {
    out << ", for " << age_text(*seconds * 1000);
  }
  out << ". On the primary, type:\n  crossbeat pair " << text_at(*reply, "hm_address", "ADDRESS")
      << "\n";
  return kDone;
}

// The line alone on standard output, so that it goes through a pipe.
int witness_key(const Context& context) {
  const auto reply = context.ask(context.request("witness-key"));
  if (const auto code = context.settled(reply)) {
    return *code;
  }
  context.terminal().out << text_at(*reply, "line", "?") << "\n";
  context.terminal().err << "This line makes a machine the witness of the pairing "
                         << text_at(*reply, "pairing", "?")
                         << ". Keep it secret; on the witness: crossbeat-witness add\n";
  return kDone;
}

int pair(const Context& context, const std::string& peer, const CodeSource& source) {
  auto client = context.connect();  // before anybody is asked for anything
  if (!client) {
    return context.report(client.error());
  }
  Result<std::string> code = std::string();
  if (!context.options().dry_run || !source.argument.empty() || !source.file.empty()) {
    code = code_from(context, source);
    if (!code) {
      return context.complain(kUsage, to_text(code.error()),
                              "write it to standard input: crossbeat pair " + peer +
                                  " --code -, or into a file: --code-file FILE");
    }
    if (code->empty()) {
      return context.complain(kUsage, "the pairing code is empty",
                              "run crossbeat pairing-code on the secondary");
    }
  }
  Json request = context.request("pair");
  request["peer"] = peer;
  request["code"] = *code;
  auto reply = answer(context, *client, request, context.answer_deadline(Duration::from_s(60)));
  if (reply && !is_ok(*reply) && got_licence(context, *reply)) {
    reply = answer(context, *client, request, context.answer_deadline(Duration::from_s(60)));
  }
  if (!reply) {
    return context.report(reply.error());
  }
  if (!is_ok(*reply)) {
    print_rules(context, *reply);
    return context.refused(*reply);
  }
  if (context.options().json) {
    context.print(*reply);
    return kDone;
  }
  print_rules(context, *reply);
  const Json& other = at(*reply, "peer");
  context.terminal().out << (context.options().dry_run ? "Pairing would succeed with "
                                                       : "Paired with ")
                         << text_at(other, "name", peer) << " ("
                         << text_at(other, "hm_address", peer) << ").";
  context.terminal().out << (context.options().dry_run
                                 ? " Nothing was done.\n"
                                 : " Watch it come into step: crossbeat status --watch\n");
  return kDone;
}

int unpair(const Context& context, bool delete_licence) {
  auto client = context.connect();
  if (!client) {
    return context.report(client.error());
  }
  Json request = context.request("unpair");
  if (delete_licence) {
    request["delete_licence"] = true;
  }
  const auto reply =
      answer(context, *client, request, context.answer_deadline(Duration::from_s(60)));
  if (const auto code = context.settled(reply)) {
    return *code;
  }
  std::ostream& out = context.terminal().out;
  if (context.options().dry_run) {
    out << "crossbeat unpair would:\n";
    int number = 0;
    for (const std::string& step : texts_at(*reply, "would")) {
      out << "  " << ++number << ". " << step << "\n";
    }
    out << "Nothing was done.\n";
    return kDone;
  }
  out << "The pairing is removed.";
  if (at(*reply, "peer_told").is_boolean() && !flag_at(*reply, "peer_told")) {
    out << " The peer could not be told: run crossbeat unpair --force there too.";
  }
  out << "\n";
  if (const std::string note = text_at(*reply, "note"); !note.empty()) {
    out << note << "\n";
  }
  return kDone;
}

}  // namespace cb::cli
