#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one breach of each rule in a small tree and demands that this rule, and no other, finds it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.sax.saxutils import quoteattr

sys.dont_write_bytecode = True

import rules  # noqa: E402

CPP = "// SPDX-License-Identifier: Apache-2.0\n"
HEADER = CPP + "#pragma once\n"
SHELL = "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\n"
PYTHON = "# SPDX-License-Identifier: Apache-2.0\n"

# A tree that keeps every rule, with the things that look like breaches and are not.
GOOD = {
    "userspace/core/step.cpp": CPP
    + '#include "core/step.h"\n#include <optional>\n#include "base/check.h"\n'
    + "// double is not used, and default: neither\nint f() { return 0; }\n",
    "userspace/core/step.h": HEADER + '#include "bpf/crossbeat_wire.h"\n',
    "userspace/base/check.h": HEADER,
    "userspace/edge/service.cpp": CPP + '#include "drivers/service/service.h"\nstd::system_error e();\n',
    "drivers/service/service.h": HEADER + '#include "base/fd.h"\n',
    "bpf/crossbeat_wire.h": "/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */\n",
    "tests/core/step_test.cpp": CPP + 'TEST(A, B) { GTEST_SKIP() << "why"; }\n',
    "tests/e2e/run": SHELL + "# tidy-allow: sleep this loop polls a condition\nsleep 0.01\nsleeper 3\n",
    "tests/e2e/run.py": PYTHON + "import time  # time.sleep(1) in a comment\n",
    "docs/testing.md": "[up](../README.md) [web](https://example.org/x) [here](#a)\n```\n[x](no)\n```\n",
    "README.md": "See [testing](docs/testing.md).\n",
    "scripts/lab": SHELL + "sleep 1 # see docs/testing.md\n# TODO(#12): more\n",
}

BREACHES = [
    (rules.core_includes_only_what_is_pure, "userspace/core/step.h", HEADER + "#include <string>\n"),
    (rules.core_includes_only_what_is_pure, "userspace/core/x.h", HEADER + '#include "base/clock.h"\n'),
    (rules.core_decides_without_floating_point, "userspace/core/step.h", HEADER + "double share;\n"),
    (rules.rooms_know_only_those_below_them, "userspace/base/x.h", HEADER + '#include "core/state.h"\n'),
    (rules.rooms_know_only_those_below_them, "userspace/edge/x.h", HEADER + '#include "agent/agent.h"\n'),
    (rules.rooms_know_only_those_below_them, "drivers/link/x.h", HEADER + '#include "edge/link.h"\n'),
    (rules.drivers_do_not_know_one_another, "drivers/link/x.h", HEADER + '#include "drivers/fence/fence.h"\n'),
    (rules.steps_have_no_default, "userspace/core/step_active.cpp", CPP + "  default: return s;\n"),
    (rules.nothing_sleeps, "tests/core/step_test.cpp", CPP + "usleep(10);\n"),
    (rules.nothing_sleeps, "tests/core/step_test.cpp", CPP + "std::this_thread::sleep_for(1s);\n"),
    (rules.nothing_sleeps, "userspace/edge/x.cpp", CPP + "::nanosleep(&t, nullptr);\n"),
    (rules.nothing_sleeps, "tests/e2e/run", SHELL + "start; sleep 1\n"),
    (rules.nothing_sleeps, "tests/e2e/run.py", PYTHON + "time.sleep(1)\n"),
    (rules.nothing_sleeps, "tests/e2e/run", SHELL + "# tidy-allow: sleep\nsleep 1\n"),  # no reason
    (rules.banned_calls_are_not_made, "userspace/edge/x.cpp", CPP + 'int n = system("ls");\n'),
    (rules.banned_calls_are_not_made, "userspace/edge/x.cpp", CPP + "int n = std::atoi(s);\n"),
    (rules.every_todo_has_a_number, "userspace/edge/x.cpp", CPP + "// TODO: later\n"),
    (rules.no_test_is_disabled_or_skipped_in_silence, "tests/core/x.cpp", CPP + "TEST(A, DISABLED_B) {}\n"),
    (rules.no_test_is_disabled_or_skipped_in_silence, "tests/core/x.cpp", CPP + "GTEST_SKIP();\n"),
    (rules.files_are_short, "userspace/edge/x.cpp", CPP + "\n" * 600),
    (rules.every_source_names_its_licence, "userspace/edge/x.cpp", "int x;\n"),
    (rules.every_source_names_its_licence, "scripts/new", "#!/bin/sh\necho\n"),
    (rules.every_source_names_its_licence, "bpf/x.bpf.c", CPP),
    (rules.headers_are_guarded, "userspace/edge/x.h", CPP + "int x;\n"),
    (rules.links_lead_somewhere, "README.md", "[gone](docs/gone.md)\n"),
    (rules.links_lead_somewhere, "userspace/edge/x.cpp", CPP + "// docs/gone.md section 5\n"),
    (rules.no_path_of_somebodys_machine, "README.md", "cd /home/somebody/crossbeat\n"),
]


class TidyBites(unittest.TestCase):
    def setUp(self):
        self.top = Path(tempfile.mkdtemp(prefix="crossbeat-tidy-"))
        self.addCleanup(shutil.rmtree, self.top)
        for path, text in GOOD.items():
            self.write(path, text)

    def write(self, path, text):
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def broken(self, build=None):
        tree = rules.Tree(self.top, build)
        return {rule.__name__: list(rule(tree)) for rule in rules.RULES if list(rule(tree))}

    def test_a_good_tree_breaks_no_rule(self):
        self.assertEqual(self.broken(), {})

    def test_each_breach_is_found_by_its_rule_alone(self):
        for rule, path, text in BREACHES:
            with self.subTest(rule=rule.__name__, path=path, text=text):
                self.setUp()
                self.write(path, text)
                found = self.broken()
                self.assertEqual(list(found), [rule.__name__])
                self.assertEqual({finding[0] for finding in found[rule.__name__]}, {path})

    def test_every_rule_has_a_breach_here(self):
        by_build = {"core_calls_nobody", "every_test_source_is_built"}
        planted = {rule.__name__ for rule, _, _ in BREACHES} | by_build
        self.assertEqual(planted, {rule.__name__ for rule in rules.RULES})

    def test_a_test_that_nobody_compiles_is_found(self):
        build = self.top / "build"
        build.mkdir()
        compiled = [path for path in GOOD if path.endswith(".cpp")]
        database = [{"file": str(self.top / path)} for path in compiled]
        (build / "compile_commands.json").write_text(json.dumps(database))
        self.assertEqual(self.broken(build), {})
        (build / "compile_commands.json").write_text(json.dumps(database[:-1]))
        self.assertEqual(list(self.broken(build)), ["every_test_source_is_built"])

    def test_a_core_that_reads_the_clock_or_allocates_is_found(self):
        build = self.top / "build"
        (build / "userspace/core").mkdir(parents=True)
        (build / "CMakeCache.txt").write_text("CB_SANITIZE:STRING=\n")
        calls = {
            "clock_gettime": "#include <time.h>\nint f() { timespec t; return clock_gettime(0, &t); }",
            "operator new": "int* f() { return new int[3]; }",
            "printf": '#include <cstdio>\nvoid f(int n) { printf("%d", n); }',
        }
        for symbol, source in calls.items():
            (build / "x.cpp").write_text(source)
            subprocess.run(["c++", "-O1", "-c", "x.cpp", "-o", "x.o"], cwd=build, check=True)
            subprocess.run(["ar", "rcs", "userspace/core/libcb_core.a", "x.o"], cwd=build, check=True)
            found = self.broken(build)
            self.assertEqual(list(found), ["core_calls_nobody"])
            self.assertIn(symbol, found["core_calls_nobody"][0][2])


def main():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(TidyBites)
    names = [test.id().split(".")[-1] for test in suite]
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    if os.environ.get("CB_REPORT"):
        bad = {test.id().split(".")[-1].split(" ")[0]: text for test, text in outcome.failures + outcome.errors}
        with open(os.environ["CB_REPORT"], "w", encoding="utf-8") as report:
            report.write("<testsuites><testsuite>\n")
            for name in names:
                text = bad.get(name)
                failure = f"<failure message={quoteattr(text[-300:])}/>" if text else ""
                report.write(f'<testcase classname="TidyBites" name="{name}">{failure}</testcase>\n')
            report.write("</testsuite></testsuites>\n")
    return 0 if outcome.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
