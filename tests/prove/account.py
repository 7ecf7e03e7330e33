# SPDX-License-Identifier: Apache-2.0
"""What a proof leaves behind: every round as it was, the sentences that must hold over all of them, the machine.

A proof is a module with ROUNDS, SHORT (how many rounds), run(book, more) and verdict(rounds): run() adds rounds while
more() says so; verdict() yields (sentence, does it hold, detail).
"""

import json
import os
import random
import statistics
import sys
import time
from xml.sax.saxutils import quoteattr

import report
from crossbeat_lab import TOP


class Book:
    def __init__(self, name, module, options):
        self.name = name
        self.module = module
        self.short = options.short
        self.scale = options.scale
        self.wanted = options.rounds or (module.SHORT if options.short else module.ROUNDS)
        folder = TOP / "build/prove" / ("short" if options.short else "")
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.json"
        self.rounds = []
        self.runs = []
        if options.append and self.path.exists():
            before = json.loads(self.path.read_text(encoding="utf-8"))
            self.rounds, self.runs = before["rounds"], before["runs"]
        self.seed = options.seed if options.seed is not None else int(time.time())
        self.random = random.Random(f"{self.seed} {len(self.rounds)}")
        self.runs.append({"command": " ".join(sys.argv), "seed": self.seed, "machine": report.machine()})
        self.stopped = None
        print(f"# {name}: {module.__doc__.splitlines()[0]} (seed {self.seed})", flush=True)

    def add(self, told, **facts):
        """One round is over. `told` is a line for people."""
        self.rounds.append({"round": len(self.rounds) + 1, **facts})
        print(f"#   {len(self.rounds)}: {told}", flush=True)
        self._write({})

    def of(self, **facts):
        return [r for r in self.rounds if all(r.get(key) == value for key, value in facts.items())]

    def _write(self, more):
        told = {"name": self.name, **more, "rounds": self.rounds, "runs": self.runs}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        new.rename(self.path)
        return told

    def close(self, seconds):
        self.runs[-1]["seconds"] = round(seconds, 1)
        sentences = [(text, bool(holds), str(detail)) for text, holds, detail in self.module.verdict(self.rounds)]
        if self.stopped:
            self.runs[-1]["stopped"] = self.stopped
            sentences.append((f"{self.name} went on to its end", False, self.stopped))
        if not self.rounds:
            sentences.append(("there was at least one round", False, ""))
        for text, holds, detail in sentences:
            print(f"{'ok' if holds else 'not ok'} - {text}", flush=True)
            if detail and not holds:
                print("\n".join(f"#   {line}" for line in detail.splitlines()), flush=True)
        self._report(sentences)
        failed = sum(not holds for _, holds, _ in sentences)
        print(f"{len(sentences) - failed} passed, {failed} failed", flush=True)
        return self._write({
            "holds": not failed,
            "sentences": [{"sentence": t, "holds": h, "detail": d} for t, h, d in sentences],
        })  # fmt: skip

    def _report(self, sentences):
        path = os.environ.get("CB_REPORT")
        if not path:
            return
        lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        lines += [f'<testsuites><testsuite name="prove_{self.name}" tests="{len(sentences)}">']
        for text, holds, detail in sentences:
            lines.append(f'<testcase classname="prove_{self.name}" name={quoteattr(text)}>')
            if not holds:
                clean = "".join(c for c in detail if c.isprintable() or c in "\n\t")
                lines.append(f"<failure message={quoteattr(clean or 'not so')}/>")
            lines.append("</testcase>")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join([*lines, "</testsuite></testsuites>"]) + "\n")


def spread(values, unit="s", digits=2):
    """For people: the median and the worst."""
    if not values:
        return "never measured"
    return f"median {statistics.median(values):.{digits}f} {unit}, worst {max(values):.{digits}f} {unit} of {len(values)}"
