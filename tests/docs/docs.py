#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The papers against the programs.

Every command line of `crossbeat` in README.md and docs/ is run in an empty tree, where no monitor answers: whatever
comes of it, it must not be "wrong use". Every text of an event and every state has its place in docs/events.md.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(os.environ.get("CB_SOURCE_DIR", Path(__file__).resolve().parents[2]))
PROGRAM = Path(os.environ["CB_BUILD_DIR"]) / "bin/crossbeat"
WRONG_USE = 2

# What stands for something of the reader's own.
PLACEHOLDERS = {
    "ADDRESS": "10.10.10.13", "ADDRESS-OF-THE-SECONDARY": "10.10.10.13", "SECONDARY": "10.10.10.13", "PEER": "10.10.10.13", "INTERFACE": "lo", "FILE": "/dev/null",
    "TIME": "2h", "LABEL": "lo:1", "DIR": "/nonexistent", "N": "5", "NODE": "a", "VERB": "status", "...": "",
}  # fmt: skip
# These touch this machine, not the tree: they are told to do nothing.
BY_HAND = re.compile(r"^vip (add|remove)\b")
NOT_OURS = re.compile(r"<|\[|\||\{|^crossbeat ([a-z ]+ \d|witness key|transport mac|key|iv|next)$")  # a grammar, or the label of a key


def code_of(text):
    """(line number, code) of each code span and each line of a code block."""
    block = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("```"):
            block = not block
        elif block:
            yield number, line.strip().removeprefix("$ ").removeprefix("# ")
        else:
            for span in re.findall(r"`([^`]+)`", line):
                yield number, span


def commands_in(text):
    for number, code in code_of(text):
        code = code.split("  #")[0].split(" # ")[0]
        for part in re.split(r"\||&&|;", code):
            words = part.strip().removeprefix("sudo ").strip()
            words = re.sub(r"^scripts/lab exec \w+ -- ", "", words)
            if re.match(r"crossbeat [a-z-]", words) and not NOT_OURS.search(words):
                yield number, words


def parses(words, root):
    try:
        arguments = [PLACEHOLDERS.get(word, word) for word in shlex.split(words)[1:]]
    except ValueError:
        return True  # a sentence with a quote in it
    arguments = [word for word in arguments if word]
    if BY_HAND.match(" ".join(arguments)) and "--dry-run" not in arguments:
        arguments.append("--dry-run")
    if "--watch" in arguments:
        arguments += ["--count", "1"]
    done = subprocess.run(
        [PROGRAM, "--root", root, "--timeout", "1s", *arguments],
        cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode != WRONG_USE:
        return True
    if re.search(r"write it to standard input: --code -|on the secondary: crossbeat pairing-code", done.stderr):
        return True  # understood: it wants the code, and nobody is there to type one
    # A verb that is only named, without what it needs, must be there.
    if re.search(r"(?<!subcommand) is required|nothing to set", done.stderr):
        verbs = [word for word in arguments if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        done = subprocess.run(
            [PROGRAM, *verbs, "--help"], cwd=root, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode == 0:
            return True
    return done.stderr.strip() or "wrong use"


def main():
    failures, checks = [], 0
    with tempfile.TemporaryDirectory() as root:
        seen = {}
        for path in [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]:
            for number, words in commands_in(path.read_text(encoding="utf-8")):
                if words not in seen:
                    seen[words] = parses(words, root)
                checks += 1
                if seen[words] is not True:
                    failures.append(f"{path.relative_to(TOP)}:{number}: `{words}`: {seen[words]}")
        if len(seen) < 25:
            failures.append(f"only {len(seen)} different command lines were found: this test no longer sees them")

    events = re.sub(r"\s+", " ", (TOP / "docs/events.md").read_text(encoding="utf-8"))
    source = (TOP / "userspace/core/operator_text.cpp").read_text(encoding="utf-8")
    told = source[source.index("text_of(Report report)") : source.index("text_of(Verdict verdict)")]
    texts = re.findall(r'"((?:[^"\\]|\\.)*)"', told)
    texts = [text for text in texts if text]
    for folder in ("userspace/agent", "userspace/edge"):
        for path in sorted((TOP / folder).rglob("*.cpp")):
            text = path.read_text(encoding="utf-8")
            texts += re.findall(r'\.description = "([^"]+)"', text)
            texts += re.findall(r'add_event\([^,;]*, "([^"]+?)"[,)]', text)
    for text in texts:
        checks += 1
        if text not in events:
            failures.append(f"docs/events.md does not explain the event \"{text}\"")
    if len(texts) < 30:
        failures.append(f"only {len(texts)} texts of events were found: this test no longer sees them")

    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{checks - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
