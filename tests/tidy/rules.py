# SPDX-License-Identifier: Apache-2.0
"""The rules of the house. Each rule takes a Tree and yields (path, line number, what is wrong)."""

import json
import os
import re
import subprocess
from pathlib import Path

SOURCE_SUFFIXES = {".c", ".h", ".cpp", ".py", ".cmake", ".sh"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".md", ".txt", ".toml", ".json", ".service", ".html", ".js", ".css"}
LINES_MAX = 600

# A line that breaks a rule on purpose says so, with the reason, on the line itself or the one above.
ALLOWED = re.compile(r"tidy-allow: \S+ \S+")


class Tree:
    """The files of the project, read once. build: the build folder, or None."""

    def __init__(self, top, build=None):
        self.top = Path(top)
        self.build = Path(build) if build else None
        self.texts = {}
        for folder, folders, names in os.walk(self.top):
            if Path(folder) == self.top:
                folders[:] = [f for f in folders if f not in {"build", ".git", ".cache"}]
            folders[:] = [f for f in folders if f != "__pycache__"]
            for name in names:
                path = Path(folder) / name
                relative = path.relative_to(self.top).as_posix()
                if path.is_symlink():
                    continue
                text = self._text_of(path)
                if text is not None:
                    self.texts[relative] = text

    @staticmethod
    def _text_of(path):
        known = path.suffix in TEXT_SUFFIXES or path.name in {"Makefile", ".clang-format", ".clang-tidy"}
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if not known and not data.startswith(b"#!"):
            return None
        return data.decode("utf-8", errors="replace")

    def files(self, pattern):
        matches = re.compile(pattern).search
        return [(path, text) for path, text in sorted(self.texts.items()) if matches(path)]

    def sources(self):
        for path, text in sorted(self.texts.items()):
            suffix = Path(path).suffix
            if suffix in SOURCE_SUFFIXES or text.startswith("#!") or path.endswith(("CMakeLists.txt", "Makefile")):
                yield path, text


def lines_matching(text, pattern, strip_comments=False):
    """(number, match) for each line that matches and is not allowed by a comment."""
    found = re.compile(pattern)
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r"//.*|^\s*\*.*|^\s*/\*.*", "", line) if strip_comments else line
        match = found.search(code)
        if match and not ALLOWED.search(line) and not ALLOWED.search(before):
            yield number, match
        before = line


INCLUDE = r'^\s*#\s*include\s*(["<])([^">]+)[">]'

CORE_STANDARD = {
    "algorithm", "array", "bit", "cerrno", "chrono", "compare", "cstddef", "cstdint", "initializer_list", "limits", "optional",
    "span", "string_view", "type_traits", "utility",
}  # fmt: skip
PURE_BASE = {"base/check.h", "base/instant.h", "base/fixed_list.h", "base/prng.h", "base/net.h", "base/crc32c.h"}


def core_includes_only_what_is_pure(tree):
    for path, text in tree.files(r"^userspace/core/.*\.(h|cpp)$"):
        for number, match in lines_matching(text, INCLUDE):
            kind, name = match.groups()
            if kind == "<":
                fine = name in CORE_STANDARD
            else:
                fine = name.startswith("core/") or name in PURE_BASE or name == "bpf/crossbeat_wire.h"
            if not fine:
                yield path, number, f"core/ may not include {name}"


def core_decides_without_floating_point(tree):
    for path, text in tree.files(r"^userspace/core/.*\.(h|cpp)$"):
        for number, match in lines_matching(text, r"\b(float|double)\b", strip_comments=True):
            yield path, number, f"{match.group(1)} in core/: decisions are made of whole numbers"


# Who may know whom. A room that is not named here (agent, the programs) may know everybody.
KNOWS = {
    "userspace/base": {"base"},
    "userspace/config": {"base", "core", "config", "bpf"},
    "userspace/witness": {"base", "core", "witness"},
    "userspace/loop": {"base", "core", "loop", "bpf"},
    "userspace/edge": {"base", "core", "witness", "config", "loop", "edge", "bpf", "drivers"},
    "userspace/transport": {"base", "core", "loop", "transport", "bpf", "drivers"},
    "userspace/replication": {"base", "core", "config", "loop", "transport", "replication", "bpf", "drivers"},
    "drivers": {"base", "core", "config", "loop", "drivers", "bpf"},
}
ROOMS = {
    "base", "core", "witness", "config", "loop", "edge", "pairing", "agent", "cli", "transport", "replication", "console",
}  # fmt: skip


def rooms_know_only_those_below_them(tree):
    for folder, knows in KNOWS.items():
        for path, text in tree.files(rf"^{folder}/.*\.(h|cpp|c)$"):
            for number, match in lines_matching(text, INCLUDE):
                kind, name = match.groups()
                room = name.split("/")[0]
                if kind == '"' and room in ROOMS | {"bpf", "drivers", "tests"} and room not in knows:
                    yield path, number, f"{folder}/ may not know {room}/ (it includes {name})"


def drivers_do_not_know_one_another(tree):
    for path, text in tree.files(r"^drivers/[^/]+/.*\.(h|cpp|c)$"):
        own = path.split("/")[1]
        for number, match in lines_matching(text, r'^\s*#\s*include\s*"drivers/([^/"]+)/'):
            if match.group(1) != own:
                yield path, number, f"a {own} driver may not know a {match.group(1)} driver"


# What the compiler itself may call, and the one way out of core.
CORE_MAY_CALL = re.compile(
    r"^(cb::check_failed\(.*|mem(cpy|move|set|cmp|chr)|strlen|abort|__stack_chk_fail|__popcountdi2|_GLOBAL_OFFSET_TABLE_"
    r"|std::__throw_bad_optional_access\(\)|std::__glibcxx_assert_fail\(.*|cb::crc32c\(.*|std::__throw_out_of_range_fmt\(.*)$"
)


def core_calls_nobody(tree):
    """The archive's undefined symbols: no clock, no socket, no allocation, nothing that prints."""
    archives = sorted((tree.build / "userspace/core").glob("**/libcb_core*.a")) if tree.build else []
    if not archives:
        return
    cache = (tree.build / "CMakeCache.txt").read_text(errors="replace")
    if re.search(r"^CB_SANITIZE:\w+=.+$", cache, re.M) or re.search(r"^CB_FUZZ:\w+=ON$", cache, re.M):
        return  # instrumented code calls its runtime
    for archive in archives:
        listing = subprocess.run(["nm", "-C", str(archive)], capture_output=True, text=True, check=True).stdout
        defined, wanted = set(), set()
        for line in listing.splitlines():
            match = re.match(r"^(?:[0-9a-f]+)? +([A-Za-z]) (.*)$", line)
            if match:
                (wanted if match.group(1) == "U" else defined).add(match.group(2))
        for symbol in sorted(wanted - defined):
            if not CORE_MAY_CALL.match(symbol):
                yield "userspace/core", 0, f"{archive.name} calls {symbol}"


def steps_have_no_default(tree):
    for path, text in tree.files(r"^userspace/core/step.*\.cpp$"):
        for number, _ in lines_matching(text, r"\bdefault\s*:", strip_comments=True):
            yield path, number, "default: hides the event that somebody forgot"


def nothing_sleeps(tree):
    in_tests = r"(?<!\w)(u|nano|clock_nano)?sleep\s*\(|\bsleep_(for|until)\s*\("
    # The probe thread's own period (clock_nanosleep to an absolute time) is the one wait of the product.
    in_product = r"(?<!\w)(u|nano)?sleep\s*\(|this_thread::sleep_"
    for path, text in tree.files(r"^(userspace|drivers|tests)/.*\.(h|cpp|c)$"):
        pattern = in_tests if path.startswith("tests/") else in_product
        for number, _ in lines_matching(text, pattern, strip_comments=True):
            yield path, number, "a timed sleep: wait for the condition"
    for path, text in tree.files(r"^tests/"):
        if path.startswith("tests/tidy/"):
            continue
        if path.endswith(".py"):
            pattern = r"^[^#]*\btime\.sleep\s*\("
        elif path.endswith(".sh") or re.match(r"#!.*\b(ba)?sh\b", text):
            pattern = r"(^|[;&|({]|\bdo|\bthen|\belse)\s*sleep\s+[\"$0-9.]"
        else:
            continue
        for number, _ in lines_matching(text, pattern):
            yield path, number, "a timed sleep: wait for the condition"


BANNED_CALLS = {
    "system": "no shell: start the program itself",
    "popen": "no shell: start the program itself",
    "strcpy": "no bound",
    "strcat": "no bound",
    "sprintf": "no bound",
    "gets": "no bound",
    "atoi": "no error: use parse_number",
    "rand": "not seeded by us: use base/prng.h",
}


def banned_calls_are_not_made(tree):
    pattern = r"(?<![\w:.>])(?:std::|::)?(" + "|".join(BANNED_CALLS) + r")\s*\("
    for path, text in tree.files(r"^(userspace|drivers|tests)/.*\.(h|cpp|c)$"):
        for number, match in lines_matching(text, pattern, strip_comments=True):
            yield path, number, f"{match.group(1)}(): {BANNED_CALLS[match.group(1)]}"


def every_todo_has_a_number(tree):
    for path, text in tree.sources():
        if path.startswith("tests/tidy/"):
            continue
        for number, _ in lines_matching(text, r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))"):
            yield path, number, "TODO without a number: write TODO(#12), or do it"


def no_test_is_disabled_or_skipped_in_silence(tree):
    for path, text in tree.files(r"^tests/.*\.(h|cpp)$"):
        for number, _ in lines_matching(text, r"\bDISABLED_"):
            yield path, number, "a disabled test: mend it or remove it"
        for number, _ in lines_matching(text, r"\bGTEST_SKIP\(\)\s*;"):
            yield path, number, "a skip without a reason"


def files_are_short(tree):
    for path, text in tree.sources():
        length = text.count("\n")
        if length > LINES_MAX:
            yield path, length, f"{length} lines; split it, {LINES_MAX} is the limit"


def every_source_names_its_licence(tree):
    dual = "(GPL-2.0-only OR Apache-2.0)"
    for path, text in tree.sources():
        head = "\n".join(text.splitlines()[:3])
        for_the_kernel = re.match(r"^bpf/.*\.[ch]$", path) or path.endswith(".bpf.c")
        wanted = [dual] if for_the_kernel else ["Apache-2.0", dual]
        if not any(f"SPDX-License-Identifier: {licence}" in head for licence in wanted):
            yield path, 1, f"the first lines lack SPDX-License-Identifier: {wanted[0]}"


def headers_are_guarded(tree):
    for path, text in tree.files(r"^(userspace|drivers|tests)/.*\.h$"):
        if "#pragma once" not in text and not re.search(r"^#ifndef \w+\n#define \w+", text, re.M):
            yield path, 1, "no #pragma once"


def links_lead_somewhere(tree):
    for path, text in tree.files(r"\.md$"):
        folder = (tree.top / path).parent
        in_code = False
        for number, line in enumerate(text.splitlines(), 1):
            in_code ^= line.startswith("```")
            if in_code:
                continue
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                if re.match(r"^[a-z]+:", target) or target.startswith("#"):
                    continue
                if not (folder / target.split("#")[0]).exists():
                    yield path, number, f"the link {target} leads nowhere"
    for path, text in tree.sources():
        if path.startswith("tests/tidy/"):
            continue
        for number, match in lines_matching(text, r"\bdocs/[\w./-]+\.md\b"):
            if not (tree.top / match.group(0)).exists():
                yield path, number, f"{match.group(0)} is cited but not there"


def no_path_of_somebodys_machine(tree):
    for path, text in sorted(tree.texts.items()):
        if path.startswith("tests/tidy/"):
            continue
        for number, match in lines_matching(text, r"(?<![\w./$}])/(?:home/\w|work/|tmp/\w+\.\d)"):
            yield path, number, f"a path of one machine: {match.group(0)}"


def every_test_source_is_built(tree):
    """A test that nobody compiles passes for ever."""
    database = tree.build / "compile_commands.json" if tree.build else None
    if database is None or not database.exists():
        return
    built = {os.path.realpath(entry["file"]) for entry in json.loads(database.read_text())}
    for path, _ in tree.files(r"^(tests|userspace|drivers)/.*\.cpp$"):
        if path.startswith("tests/fuzz/"):
            continue  # built by preset fuzz
        if os.path.realpath(tree.top / path) not in built:
            yield path, 1, "no target compiles this file"


RULES = [
    core_includes_only_what_is_pure,
    core_decides_without_floating_point,
    core_calls_nobody,
    rooms_know_only_those_below_them,
    drivers_do_not_know_one_another,
    steps_have_no_default,
    nothing_sleeps,
    banned_calls_are_not_made,
    every_todo_has_a_number,
    no_test_is_disabled_or_skipped_in_silence,
    files_are_short,
    every_source_names_its_licence,
    headers_are_guarded,
    links_lead_somewhere,
    no_path_of_somebodys_machine,
    every_test_source_is_built,
]
