// SPDX-License-Identifier: Apache-2.0
//
// The one-time code is a secret: it is asked for, or read from a file, and passes through nobody's
// process list. It is never printed again.
#include "cli/code_source.h"

#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <istream>
#include <ostream>

#include "base/file.h"
#include "base/text.h"

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

}  // namespace

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
  // Hidden before it is asked for: whoever types at once is neither shown nor unheard.
  const Hidden hidden(true);
  terminal.err << "Pairing code (shown on the secondary by: crossbeat pairing-code): "
               << std::flush;
  std::string line = read_line(context);
  terminal.err << "\n";
  return line;
}

}  // namespace cb::cli
