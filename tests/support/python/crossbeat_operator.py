# SPDX-License-Identifier: Apache-2.0
"""An operator who knows nothing of the trouble: reads what doctor prints, and does what is written.

The commands that doctor prints are the machine's own (systemctl, timedatectl, networkctl). A node of the lab is no
whole machine, so Machine gives each node small programs of these names, which do to the node what the real ones do to a
machine. They know nothing of any trouble.
"""

import os
import pty
import re
import select
import subprocess
import time

from crossbeat_lab import TOP, VIPS, Late, LabError, pause

SYSTEMCTL = """#!/bin/sh
case "$1 $2" in
  "start crossbeat" | "stop crossbeat") exec env {environment} {lab} "$1" {node} ;;
  "restart crossbeat") {lab} stop {node} && exec env {environment} {lab} start {node} ;;
esac
echo "systemctl: $* is not there" >&2
exit 1
"""
TIMEDATECTL = """#!/bin/sh
case "$1" in
  show) state="$(cat {home}/ntp)"; echo "NTP=$state"; echo "NTPSynchronized=$state" ;;
  set-ntp) [ "$2" = true ] && echo yes > {home}/ntp && echo 0 > {home}/clock ;;
  *) echo "timedatectl: $1?" >&2; exit 1 ;;
esac
"""
# What systemd-networkd does to addresses that it did not set, whenever it sets an interface up.
NETWORKCTL = """#!/bin/sh
for file in {root}/etc/systemd/network/*.network; do
  [ -e "$file" ] || continue
  cat "$file" "$file.d/"*.conf 2>/dev/null | grep -q '^KeepConfiguration=\\(static\\|yes\\)$' ||
    ip address del {address}/32 dev eth0 2>/dev/null || :
done
"""


class Machine:
    """What a node of the lab lacks to be a whole machine: its service manager, its clock, its networkd."""

    def __init__(self, lab, node):
        self.lab = lab
        self.node = node
        self.home = lab.home / f"machine-{node}"
        self.home.mkdir()
        (self.home / "clock").write_text("0\n")
        (self.home / "ntp").write_text("yes\n")
        names = {
            "home": self.home,
            "root": lab.root(node),
            "node": node,
            "address": VIPS.get(node, VIPS["a"]),
            "lab": TOP / "scripts/lab",
            "environment": f"LD_PRELOAD={lab.tool_path('libcb_wrong_clock.so')} CB_WRONG_CLOCK={self.home}/clock",
        }
        for name, text in (("systemctl", SYSTEMCTL), ("timedatectl", TIMEDATECTL), ("networkctl", NETWORKCTL)):
            program = self.home / name
            program.write_text(text.format(**names))
            program.chmod(0o755)

    def environment(self):
        path = f"{self.home}:{self.lab.build}/bin:{os.environ['PATH']}"
        return dict(self.lab.environment, CROSSBEAT_ROOT=str(self.lab.root(self.node)), PATH=path)

    def output(self, *command):
        done = subprocess.run(
            self.lab.enter(self.node, *command), env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    def terminal(self, command, answer, timeout=30.0):
        """Runs it at a terminal, where answer(text so far) is typed when it is something. The text and how it ended."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            self.lab.enter(self.node, "sh", "-c", command),
            env=self.environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )
        os.close(theirs)
        text, answered, deadline = "", 0, time.monotonic() + timeout
        while time.monotonic() < deadline:
            ready, _, _ = select.select([ours], [], [], 0.1)
            if ready:
                try:
                    part = os.read(ours, 4096)
                except OSError:  # nobody has it open any more
                    part = b""
                if not part:
                    break
                text += part.decode(errors="replace").replace("\r", "")
            typed = answer(text[answered:])
            if typed:
                answered = len(text)
                os.write(ours, typed.encode() + b"\n")
        os.close(ours)
        try:
            return text, process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            return text, process.wait()


ADVICE = re.compile(r"^(problem|warning|note)\s+([^:]+): (.*)$")
STEP = re.compile(r"^ {11}(\S+)# (.+)$")


def read_doctor(text):
    """[(severity, check, what, [(node, command), ...])] of its text."""
    found = []
    for line in text.splitlines():
        if advice := ADVICE.match(line):
            found.append((*advice.groups(), []))
        elif (step := STEP.match(line)) and found:
            found[-1][3].append(step.groups())
    return found


class Operator:
    AGAIN_S = 3.0  # what did not help at once may help a little later

    def __init__(self, lab, nodes="ab"):
        self.lab = lab
        self.machines = {node: Machine(lab, node) for node in nodes}
        self.code = ""
        self.did = []  # "node# command"
        self.read = []  # what was read and made him do something
        self.tried = {}

    def doctor(self, node):
        return read_doctor(self.machines[node].output("crossbeat", "doctor"))

    def status(self, node):
        return self.machines[node].output("crossbeat", "status")

    def _answer(self, text):
        """What he types: a code that he was shown, yes to what he was told to do."""
        if re.search(r"Pairing code[^\n]*: $", text):
            return self.code
        return "y" if re.search(r"\? ?(\[y/N\] ?)?$", text) else None

    def run(self, node, command):
        self.did.append(f"{node}# {command}")
        text, code = self.machines[node].terminal(command, self._answer)
        print("\n".join(f"#   {line}" for line in [self.did[-1], *text.splitlines()] + ([f"exit {code}"] if code else [])), flush=True)
        if shown := re.search(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{3}\b", text):
            self.code = shown.group(0)
        # A program's own words may say what to do as well.
        for advised in re.findall(r"mend it with: (.+)", text):
            if f"{node}# {advised}" not in self.did:
                self.run(node, advised)

    def take_a_step(self):
        """The first advice that is new, or old enough to be followed once more."""
        for node in self.machines:
            for severity, check, what, steps in self.doctor(node):
                last = self.tried.get((node, check))
                if steps and severity != "note" and (last is None or time.monotonic() - last > self.AGAIN_S):
                    self.read.append(f"{severity} {check}: {what}")
                    for on, command in steps:
                        if on not in self.machines:
                            raise LabError(f"doctor on {node} speaks of a node {on}: {command}")
                        self.run(on, command)
                    self.tried[(node, check)] = time.monotonic()
                    return True
        return False

    def ill(self, ignored):
        """What is not well, in words; empty: nothing."""
        for node in self.machines:
            first = self.status(node).splitlines()[:1]
            if not first or not first[0].startswith("PROTECTED. "):
                return f"{node}: {first}"
            for severity, check, what, steps in self.doctor(node):
                if severity != "note" and (steps or check not in ignored):
                    return f"{node}: {severity} {check}: {what}"
        return ""

    def put_right(self, ignored, timeout=40.0):
        """Does what is written until both nodes say that all is well. What he did, and what he read."""
        self.did, self.read, self.tried = [], [], {}
        deadline = time.monotonic() + timeout
        while self.take_a_step() or (ill := self.ill(ignored)):
            if time.monotonic() > deadline:
                raise Late(f"after {timeout:g} s of doing what is printed: {self.ill(ignored)}\ndid: {self.did}")
            pause(0.05)
        return self.did, self.read
