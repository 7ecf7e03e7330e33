# SPDX-License-Identifier: Apache-2.0
"""Every state of a switchover and of a failback, made to last: what gethainfo prints on both nodes, to the letter.

The service of each node has gates: its start, or its stop, goes on when the story opens the gate. So a state that
passes in a millisecond otherwise can be looked at, without waiting for a time.
"""

import os
import signal

from story import TOP, lab_of, story, wait_for  # first: it finds the lab
from crossbeat_lab import VIP
from crossbeat_volume import dies_under_writes, present, volume_of, volume_pid, wait_in_step
from hainfo import FAILBACK, FAILOVER, base, block, events_of, product, shows, tells

GATE = """#!/bin/sh
# Passes at once, or when somebody opens the gate.
[ ! -p "$1" ] || cat "$1"
"""


class Gate:
    def __init__(self, lab, node, which):
        self.path = lab.home / f"{node}.{which}"

    def shut(self):
        os.mkfifo(self.path)

    def open(self):
        """For whoever waits at it, and for all that come later."""

        def reached():
            try:
                return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK) + 1
            except OSError:  # nobody waits yet
                return 0

        end = wait_for(f"somebody waits at {self.path.name}", reached, 20) - 1
        self.path.unlink()
        os.close(end)


def gates_of(lab, node):
    script = lab.home / "gate"
    script.write_text(GATE)
    gates = {which: Gate(lab, node, which) for which in ("start", "stop")}
    path = lab.root(node) / "etc/crossbeat/crossbeat.toml"
    commands = "".join(f'{which} = ["/bin/sh", "{script}", "{gate.path}"]\n' for which, gate in gates.items())
    path.write_text(path.read_text() + f'\n[[service]]\nname = "Gated"\n{commands}')
    return gates


def begin(lab):
    lab.verb("start")
    lab.verb("pair")


def shows_primary(tell, lab, step, a):
    shows(tell, lab, f"{step}: the primary is {a}", "a", base("a", "Primary", VIP, 1) + block(1, "b", VIP, True, a, failover="Automatic"))


def both(tell, lab, step, a, b):
    shows_primary(tell, lab, step, a)
    not_applicable = base("b", "Secondary", "Not Applicable for a secondary", 1)
    shows(tell, lab, f"{step}: the secondary is {b}", "b", not_applicable + block(1, "a", VIP, False, b, failover="Automatic"))


def asked(tell, lab, node, verb, *options):
    done = lab.crossbeat(node, verb, "--no-wait", *options)
    tell.check(f"{verb} is accepted", done.returncode == 0, done.stdout + done.stderr)


@story("every state of a switchover and of a failback with data, as gethainfo shows it on both nodes")
def every_state(tell):
    options = ("--profile", "fast", "--failover", "automatic", "--volume", "64MiB", "--no-start",
               "--set", 'volume.stuck_after="2s"')
    with lab_of(tell, "walk", *options, pair=None) as lab:
        product(lab)
        a, b = gates_of(lab, "a"), gates_of(lab, "b")
        begin(lab)
        wait_in_step(lab)
        both(tell, lab, "normal", "PRIMARY_ACTIVE", "SECONDARY_ACTIVE")

        a["stop"].shut()
        b["start"].shut()
        asked(tell, lab, "a", "switchover")
        both(tell, lab, "the primary's services stop", "FAILOVER_INVOKED", "FAILOVER_INVOKED")
        a["stop"].open()
        wait_for("b has the address", lambda: VIP in lab.addresses("b"), 20)
        both(tell, lab, "the secondary's services start", "TERMINATED", "FAILOVER_INVOKED")
        b["start"].open()
        both(tell, lab, "the failover is complete", "TERMINATED", "FAILOVER_ACTIVE")

        for node in "ba":
            wait_for(f"the copies are in step, says {node}", lambda: volume_of(lab, node).get("in_step"), 60)
        b["stop"].shut()
        a["start"].shut()
        asked(tell, lab, "b", "failback", "--force")
        both(tell, lab, "the secondary's services stop", "FAILBACK_ACTIVE", "FAILBACK_ACTIVE")
        b["stop"].open()
        wait_for("a has the address", lambda: VIP in lab.addresses("a"), 20)
        shows_primary(tell, lab, "the primary's services start", "FAILBACK_ACTIVE")
        # What the primary writes from now on the secondary does not get.
        held = volume_pid(lab, "b")
        os.kill(held, signal.SIGSTOP)
        a["start"].open()
        both(tell, lab, "the primary serves, the data is not in step", "FAILBACK_COMPLETE", "SECONDARY_ALONE")
        begun = "Synchronization was begun again"
        wait_for("it is found that nothing moves", lambda: begun in {e["description"] for e in events_of(lab, "b")}, 20)
        tell.check("a synchronization that stands still is found, begun again, and said", True)
        os.kill(held, signal.SIGCONT)
        both(tell, lab, "done", "PRIMARY_ACTIVE", "SECONDARY_ACTIVE")
        tells(tell, lab, "the failback", FAILBACK)


UNIT = TOP / "scripts/systemd/crossbeat.service"
UNDER_UNIT = TOP / "tests/support/lab/under_unit.py"


def process_status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.strip("\n").split(":\t", 1) for line in file if ":\t" in line)


@story("the monitor under the limits of its own unit: a power failure, and the way back, with data")
def under_its_unit(tell):
    options = ("--profile", "fast", "--volume", "64MiB", "--set", 'failover.hold_down="0s"', "--no-start")
    with lab_of(tell, "walk", *options, pair=None) as lab:
        for node in "ab":
            gates_of(lab, node)  # a service that is a plain command; its gates stay open
        lab.environment["LAB_LAUNCH"] = f"{UNDER_UNIT} {UNIT}"
        begin(lab)
        wait_in_step(lab)
        for name, pid in (("the monitor", lab.monitor_pid("a")), ("the volume's process", volume_pid(lab, "a"))):
            status = process_status(pid)
            held = int(status["CapBnd"], 16) & (1 << 16 | 1 << 22 | 1 << 25)  # modules, boot, the clock
            limited = status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and not held
            tell.check(f"{name} has the unit's filter and no capability that the unit takes away", limited, status)
        done = lab.run("a", UNDER_UNIT, UNIT, "swapoff", "/nonexistent", check=False)
        tell.check("what the unit forbids is refused to root", "Not superuser" in done.stderr, done.stderr)

        writer = dies_under_writes(lab, 20)
        there = present(lab, "b", writer.name)
        tell.check("the secondary serves, with all that was written", VIP in lab.addresses("b") and there >= writer.acked() > 0, there)
        lab.power_on("a")
        wait_for("a is in step again", lambda: volume_of(lab, "a").get("in_step"), 60)
        done = lab.crossbeat("b", "failback", timeout=120)
        tell.check("the failback succeeds", done.returncode == 0, done.stdout + done.stderr)
        wait_in_step(lab)
        tells(tell, lab, "the failover and the failback", FAILOVER + FAILBACK)
        lab.verb("stop", "b")
        tell.check("a graceful stop leaves nothing of it in the kernel", not list((lab.root("b") / "sys/fs/bpf").glob("crossbeat/*")))
