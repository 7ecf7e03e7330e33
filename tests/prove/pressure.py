# SPDX-License-Identifier: Apache-2.0
"""Writes through the page cache while writer and volume processes together have little memory: nothing stands still.

The kernel frees memory by writing to the volume, and the volume's process is among those that need memory: if it waited
for that there would be a deadlock. It asks the kernel not to make it wait (PR_SET_IO_FLUSHER), which takes a capability.

On a machine of its own (`--guest`) every second round is short of memory as a whole. pressure-control does the same without it.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from account import spread
from cable import images_alike
from crossbeat_lab import LabError, pause
from crossbeat_volume import Lines, data_of, volume_of, volume_pid, wait_in_step
from memory import NOT_RUN, Hog, KernelLog, MemoryGroup, abort_devices, available_mib, reclaims, waiting_tasks
from pair import HERE, whole_pair

ROUNDS = 10
SHORT = 1
SECONDS = 60  # a round
SHORT_SECONDS = 5
ROOM_MIB = 40  # beside what the processes hold
FILE_MIB = 96
WARM_MIB = 3 * FILE_MIB
CAP_SYS_RESOURCE = 24
OWN_MACHINE = os.environ.get("CB_PROVE_GUEST") == "1"
# Emulated time: what is proved here is not how fast a failure is noticed.
CALM = ("--profile", "relaxed", "--failover", "manual", "--set", 'heartbeat.monitor_grace="10s"') if OWN_MACHINE else ()
STANDSTILL_S = 60 if OWN_MACHINE else 20


class StoodStill(LabError):
    pass


class Pressed:
    """A whole pair and a writer in one group."""

    def __init__(self, lab, log):
        self.lab = lab
        self.log = log
        self.writer = None
        self.group = MemoryGroup(f"crossbeat-prove-{os.getpid()}")
        self.hog = None
        self.pids = [volume_pid(lab, node) for node in ("a", "b")]
        for pid in self.pids:
            self.group.add(pid)
        self.path = data_of(lab, "a") / "pressed"

    def press(self, kind):
        """kind: who is short of memory, the "group" or the "machine"."""
        if self.hog:
            self.hog.close()
            self.hog = None
        self.group.limit(self.group.held_mib() + ROOM_MIB if kind == "group" else None)
        if kind == "machine":
            self.hog = Hog(ROOM_MIB)

    def begin(self, pieces):
        """So many are written before there is any pressure: the volume's processes have all that they ever hold."""
        self.writer = Lines(self.lab.enter("a", f"{HERE}/cached_writer.py", self.path, FILE_MIB))
        self.group.add(self.writer.process.pid)
        while len(self.writer.lines) < pieces:
            self.next_piece()

    def next_piece(self):
        seen, end = len(self.writer.lines), time.monotonic() + STANDSTILL_S
        while len(self.writer.lines) == seen:
            if time.monotonic() > end:
                raise StoodStill(f"nothing was written for {STANDSTILL_S} s")
            pause(0.02)

    def short(self):
        return self.group.short_of_memory() if self.hog is None else reclaims()

    def facts(self):
        said = self.log.complaints()
        not_run = [line for line in said if OWN_MACHINE and line.startswith(NOT_RUN)]
        errors = [line for line in self.writer.lines if not line[:1].isdigit()][:3]
        alive = [pid for pid in self.pids if Path(f"/proc/{pid}").exists()]
        return {
            "killed": self.group.killed(),
            "kernel": [line for line in said if line not in not_run],
            "not_run": not_run,
            "available_mib": available_mib(),
            "locked_mib": [locked_mib(pid) for pid in alive],
            "in_step": bool(volume_of(self.lab, "a").get("in_step")),
            "errors": errors + (["a volume process ended"] if alive != self.pids else []),
        }

    def end(self):
        """The writer ends by itself, and what it wrote is there. How many MiB of it were read back."""
        self.writer.process.send_signal(signal.SIGTERM)
        try:
            self.writer.process.wait(timeout=STANDSTILL_S * 3)
        except subprocess.TimeoutExpired as late:
            raise StoodStill("the writer does not end") from late
        self.writer.reader.join()
        done = sum(line[:1].isdigit() for line in self.writer.lines)
        return int(self.lab.run("a", f"{HERE}/cached_writer.py", self.path, FILE_MIB, "--check", done, timeout=300).stdout)

    def close(self):
        if self.hog:
            self.hog.close()
        if self.writer and self.writer.process.poll() is None:
            self.writer.process.kill()
            try:
                self.writer.process.wait(timeout=5)
            except subprocess.TimeoutExpired:  # not even that reaches it
                abort_devices(self.lab.home)
        if self.writer:
            self.writer.stop()
        self.group.close()


def locked_mib(pid):
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    fields = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return round(min(int(fields["VmLck"]), int(fields["VmRSS"])) / 1024)


def one_round(book, pressed, kind, seconds):
    pressed.press(kind)
    written, short_before = len(pressed.writer.lines), pressed.short()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pressed.next_piece()
    waits = [float(line.split()[1]) for line in pressed.writer.lines[written:] if line[:1].isdigit()]
    short = pressed.short() - short_before
    said = "times the group had no memory left" if kind == "group" else "pages the machine took back"
    book.add(
        f"{kind}: {len(waits)} MiB, the longest wait {max(waits):.0f} ms; {short} {said}",
        kind=kind, mib=len(waits), longest_ms=max(waits), short=short, **pressed.facts(),
    )  # fmt: skip


def may_ask_the_kernel():
    line = next(x for x in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if x.startswith("CapEff"))
    return int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1


def run(book, more):
    if not may_ask_the_kernel():
        raise LabError(
            "this proof needs CAP_SYS_RESOURCE: without it a volume under memory pressure does stand still; "
            "--guest runs it in a machine that has it"
        )
    kinds = ["group", "machine"] if OWN_MACHINE else ["group"]
    log = KernelLog()
    with whole_pair(*CALM, volume="256MiB") as lab:
        pressed = Pressed(lab, log)
        try:
            pressed.begin(WARM_MIB)
            while more():
                one_round(book, pressed, kinds[len(book.rounds) % len(kinds)], SHORT_SECONDS if book.short else SECONDS)
            last = book.rounds[-1]
            last["read_back_mib"] = pressed.end()
            pressed.press(None)
            wait_in_step(lab)
            last["digest"] = images_alike(lab)
            print(f"#   {last['read_back_mib']} MiB read back; device and both images: {last['digest']}", flush=True)
        except StoodStill as still:
            raise LabError("\n".join([str(still), *waiting_tasks(), *log.complaints()])) from still
        finally:
            pressed.close()


def verdict(rounds):
    errors = [f"round {r['round']}: {r['errors']}" for r in rounds if r["errors"]]
    yield f"no error in {sum(r['mib'] for r in rounds)} MiB through the page cache", rounds and not errors, "\n".join(errors)
    for kind, unit in (("group", "times a round there was no memory left"), ("machine", "pages taken back a round")):
        short = [r["short"] for r in rounds if r["kind"] == kind]
        if short or kind == "group":
            yield f"the {kind} was short of memory all the time: {spread(short, unit, 0)}", short and min(short) > 100, short
    yield f"nothing stood still: {spread([r['longest_ms'] for r in rounds], 'ms for 1 MiB', 0)}", rounds and all(
        r["longest_ms"] < STANDSTILL_S * 1000 for r in rounds), ""  # fmt: skip
    yield "nobody was killed for want of memory", rounds and not any(r["killed"] for r in rounds), ""
    said = [line for r in rounds for line in r["kernel"]]
    yield "the kernel had nothing to complain of", rounds and not said, "\n".join(said[:20])
    apart = [r["round"] for r in rounds if not r["in_step"]]
    yield "the pair was in step after each round", rounds and not apart, apart
    back = rounds[-1].get("read_back_mib") if rounds else None
    yield f"what was written last is read back: {back} MiB", back == FILE_MIB, back
    yield "device and both images have one digest at the end", rounds and rounds[-1].get("digest"), ""
