// SPDX-License-Identifier: Apache-2.0
//
// Pairing. The one-time code is a secret: it is asked for, or read from a file, and passes through
// nobody's process list. It is never printed again.
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <istream>
#include <ostream>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/verbs.h"
#include "cli/view.h"

namespace cb::cli {
namespace {

constexpr std::size_t kCodeBytesMax = 256;

// Typed characters are not shown while this lives.
class Hidden {
 public:
  explicit Hidden(bool is_terminal)
      : active_(is_terminal && tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (active_) {
      termios quiet = before_;
      quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
      tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
  }
  ~Hidden() {
    if (active_) {
      tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
  }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;

 private:
  termios before_{};
  bool active_;
};

std::string read_line(const Context& context) {
  std::string line;
  std::getline(context.terminal().in, line);
  return std::string(trim(std::string_view(line).substr(0, kCodeBytesMax)));
}

Result<std::string> code_from(const Context& context, const CodeSource& source) {
  const Terminal& terminal = context.terminal();
  if (!source.file.empty() && source.file != "-") {
    CB_TRY(text, read_all(source.file, kCodeBytesMax));
    return std::string(trim(text));
  }
  if (!source.argument.empty() && source.argument != "-") {
    terminal.err << "crossbeat: warning: a code among the arguments can be read by every user of "
                    "this machine; leave --code out to be asked for it\n";
    return source.argument;
  }
  if (!terminal.in_is_terminal) {
    if (source.argument != "-" && source.file != "-") {
      return fail(0, "there is nobody to ask for the pairing code");
    }
    return read_line(context);
  }
  terminal.err << "Pairing code (shown on the secondary by: crossbeat pairing-code): "
               << std::flush;
  const Hidden hidden(true);
  std::string line = read_line(context);
  terminal.err << "\n";
  return line;
}

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

}  // namespace

int pairing_code(const Context& context) {
  const auto reply = context.ask(context.request("pairing-code"));
  if (!reply) {
    return context.report(reply.error());
  }
  if (!is_ok(*reply)) {
    return context.refused(*reply);
  }
  if (context.options().json) {
    context.print(*reply);
    return kDone;
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
  if (!reply) {
    return context.report(reply.error());
  }
  if (!is_ok(*reply)) {
    return context.refused(*reply);
  }
  if (context.options().json) {
    context.print(*reply);
    return kDone;
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
  const auto code = code_from(context, source);
  if (!code) {
    return context.complain(kUsage, to_text(code.error()),
                            "write it to standard input: crossbeat pair " + peer +
                                " --code -, or into a file: --code-file FILE");
  }
  if (code->empty()) {
    return context.complain(kUsage, "the pairing code is empty",
                            "run crossbeat pairing-code on the secondary");
  }
  Json request = context.request("pair");
  request["peer"] = peer;
  request["code"] = *code;
  const auto reply =
      answer(context, *client, request, context.answer_deadline(Duration::from_s(60)));
  if (!reply) {
    return context.report(reply.error());
  }
  if (!is_ok(*reply)) {
    return context.refused(*reply);
  }
  if (context.options().json) {
    context.print(*reply);
    return kDone;
  }
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

int unpair(const Context& context) {
  auto client = context.connect();
  if (!client) {
    return context.report(client.error());
  }
  const auto reply = answer(context, *client, context.request("unpair"),
                            context.answer_deadline(Duration::from_s(60)));
  if (!reply) {
    return context.report(reply.error());
  }
  if (!is_ok(*reply)) {
    return context.refused(*reply);
  }
  if (context.options().json) {
    context.print(*reply);
    return kDone;
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
