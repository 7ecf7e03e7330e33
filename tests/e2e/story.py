# SPDX-License-Identifier: Apache-2.0
"""Stories about two whole appliances, told as checked sentences.

A module of this folder is a list of stories; run.py runs them. A story is a function with @story("title"); inside,
`tell.check("sentence", fact)` prints `ok - sentence` or `not ok - sentence`. Everything else that goes wrong (a
condition that does not come true, a tool that fails) makes the story's title a failed sentence, with what the
nodes said. In every story a judge at the switch watches who serves the address.
"""

import contextlib
import os
import re
import sys
import traceback
from pathlib import Path
from xml.sax.saxutils import quoteattr

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/support/python"))

from crossbeat_lab import ADDRESS, Lab, LabError, MAC, VIPS, wait_for  # noqa: E402,F401  (for the stories)
from crossbeat_lab import move_of, outage_of  # noqa: E402,F401

STORIES = []


def story(title):
    def keep(function):
        STORIES.append((title, function))
        return function

    return keep


class Tell:
    """Counts the sentences of one run."""

    def __init__(self, suite):
        self.suite = suite
        self.told = []

    def check(self, sentence, fact, detail=""):
        self.told.append((sentence, bool(fact), detail))
        print(f"{'ok' if fact else 'not ok'} - {sentence}", flush=True)
        if not fact and detail != "":
            print("\n".join(f"#   {line}" for line in str(detail).splitlines()), flush=True)
        return bool(fact)

    def failed(self):
        return [sentence for sentence, fact, _ in self.told if not fact]

    def write_report(self, path):
        lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        lines += [f'<testsuites><testsuite name="{self.suite}" tests="{len(self.told)}">']
        for sentence, fact, detail in self.told:
            lines.append(f'<testcase classname="{self.suite}" name={quoteattr(sentence)}>')
            if not fact:
                text = "".join(c for c in str(detail) if c.isprintable() or c in "\n\t")
                lines.append(f"<failure message={quoteattr(text or 'not so')}/>")
            lines.append("</testcase>")
        lines.append("</testsuite></testsuites>")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def words_of(lab):
    """What the nodes said last, for whoever has to find out what went wrong."""
    said = []
    for node in ADDRESS:
        if not lab.root(node).exists():
            continue
        for pairing in (lab.status(node) or {}).get("pairings", []):
            keys = ("state", "sub_state", "reason", "guard", "term", "peer_state", "heartbeat", "lease_ms")
            said.append(f"{node}: " + ", ".join(f"{key} {pairing.get(key)}" for key in keys))
        said.append(f"--- log of {node}\n{lab.log(node)}")
        console = lab.root(node) / "var/log/crossbeat/console.log"
        if console.exists() and not lab.log(node):
            said.append(f"--- console of {node}\n" + "\n".join(console.read_text(errors="replace").splitlines()[-8:]))
    return "\n".join(said)


def planned_restart(lab, node, start):
    """As the service manager does it: asks, waits for the end, starts the (new) program."""
    pid = lab.monitor_pid(node)
    answer = lab.request(node, verb="restart")
    if not (answer and answer.get("ok")):
        return answer
    wait_for(f"the monitor of {node} ends", lambda: not os.path.exists(f"/proc/{pid}"), 20)
    start()
    return None


@contextlib.contextmanager
def lab_of(tell, name, *options, pair="code"):
    """A lab for one story. pair: "code" as an operator does it, "file", or None."""
    lab = Lab(f"e2e-{os.getpid()}")
    try:
        try:
            lab.up(*options)
            if pair:
                lab.verb("pair", *(["--by-file"] if pair == "file" else []))
            yield lab
        except Exception as error:
            words = words_of(lab)
            if isinstance(error, LabError):
                raise LabError(f"{error}\n{words}") from error
            print(words)
            raise
    finally:
        if os.environ.get("CB_KEEP_LAB") and (tell.failed() or sys.exc_info()[0]):
            print(f"# kept: LAB={lab.name} (CB_KEEP_LAB is set; {name})")
        else:
            lab.down()


@contextlib.contextmanager
def protected_pair(tell, *options, moves=None, pair="code"):
    """A pair in which a serves and b stands ready, watched by the judge: `moves` is how often the address may move."""
    with lab_of(tell, "pair", "--profile", "fast", *options, pair=pair) as lab:
        lab.wait_protected()
        if pair == "file":
            lab.wait_able()
        judge = lab.judge()
        # Somebody always asks, so that at any time the judge sees who answers.
        lab.client("--interval-us", 2000, "--max-ms", 600_000).wait_ready()
        yield lab
        verdict(tell, lab, judge.stop(), moves)


class Disturbed(Exception):
    """The machine itself stood still, so the trial proves nothing either way: the story is told again."""


# What a node allows a late probe before its right to serve runs out; a client's thread is real-time as well.
LATE_US = 300
TRIALS = 12


def stood_still(lab, seen):
    """How the machine under the lab showed that it did not run: by threads that the scheduler never makes wait."""
    late = {node: (lab.status(node) or {}).get("node", {}).get("lateness_us", {}).get("max", 0) for node in ("a", "b")}
    late["client"] = seen["longest_own_stall_us"]
    return {who: us for who, us in late.items() if us > LATE_US}


def nothing_lost(tell, lab, seen, at_least=100):
    still = stood_still(lab, seen) if seen["lost"] else {}
    if still:
        raise Disturbed(f"{seen['lost']} probes were lost, and these ran late (us): {still}\n{seen}")
    tell.check("no probe of the client was lost", seen["lost"] == 0 and seen["answered"] > at_least, seen)


def verdict(tell, lab, seen, moves=None):
    (address,) = seen["addresses"]
    tell.check(
        "never did two machines answer for the address in overlapping time",
        not address["violations"] and seen["missed"] == 0,
        f"{address['violations']}, frames missed: {seen['missed']}\n{words_of(lab)}",
    )
    if moves is not None:
        made = max(0, len(address["tenures"]) - 1)
        times = {0: "never", 1: "once", 2: "twice"}.get(moves, f"{moves} times")
        tell.check(f"the address moved {times}", made == moves, f"{made} moves\n{words_of(lab)}")


def run(suite, stories):
    tell = Tell(suite)
    wanted = os.environ.get("CB_STORY", "")
    for title, function in stories:
        if not re.search(wanted, title):
            continue
        print(f"# {title}", flush=True)
        told_before = len(tell.told)
        for trial in range(1, TRIALS + 1):
            try:
                function(tell)
            except Disturbed as disturbed:
                if trial < TRIALS:
                    print(f"# told again: {disturbed}", flush=True)
                    del tell.told[told_before:]
                    continue
                tell.check(f"no probe was lost in any of {TRIALS} trials", False, str(disturbed))
            except LabError as error:
                tell.check(title, False, str(error))
            except Exception:  # a mistake of the story itself is a failed story
                tell.check(title, False, traceback.format_exc())
            break
    if not tell.told:
        tell.check("something was checked", False)
    if os.environ.get("CB_REPORT"):
        tell.write_report(os.environ["CB_REPORT"])
    failed = tell.failed()
    print(f"{len(tell.told) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0
