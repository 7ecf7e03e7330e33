# SPDX-License-Identifier: Apache-2.0
"""Writes through the page cache while writer and volume processes together have little memory: nothing stands still.

The kernel frees memory by writing to the volume, and the volume's process is among those that need memory: if it waited
for that there would be a deadlock. It asks the kernel not to make it wait (PR_SET_IO_FLUSHER), which takes a capability.
"""

import os
import time
from pathlib import Path

from account import spread
from cable import images_alike
from crossbeat_lab import LabError, wait_for
from crossbeat_volume import Lines, data_of, volume_pid, wait_in_step
from pair import HERE, whole_pair

ROUNDS = 10
SHORT = 1
SECONDS = 60  # a round
SHORT_SECONDS = 5
LIMIT_MIB = 48
FILE_MIB = 96
STANDSTILL_MS = 20_000
CAP_SYS_RESOURCE = 24


class MemoryGroup:
    """Processes that share a limit, with whichever memory controller this machine has."""

    def __init__(self, name, limit):
        old = Path("/sys/fs/cgroup/memory")
        self.v1 = old.is_dir()
        top = old if self.v1 else Path("/sys/fs/cgroup")
        if not self.v1:
            (top / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
        self.folder = top / name
        self.folder.mkdir()
        (self.folder / ("memory.limit_in_bytes" if self.v1 else "memory.max")).write_text(str(limit), encoding="ascii")

    def add(self, pid):
        (self.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def _field(self, file, name):
        lines = (self.folder / file).read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.split()[0] == name)

    def short_of_memory(self):
        """How often somebody wanted more than there was."""
        if self.v1:
            return int((self.folder / "memory.failcnt").read_text(encoding="ascii"))
        return self._field("memory.events", "max")

    def killed(self):
        return self._field("memory.oom_control" if self.v1 else "memory.events", "oom_kill")

    def close(self):
        """Its processes go back to where all others are."""
        for pid in (self.folder / "cgroup.procs").read_text(encoding="ascii").split():
            try:
                (self.folder.parent / "cgroup.procs").write_text(pid, encoding="ascii")
            except OSError:
                pass  # it has ended
        wait_for("the group of processes is empty", lambda: not (self.folder / "cgroup.procs").read_text().strip(), 10)
        self.folder.rmdir()


def one_round(book, group, writer, seconds, pids):
    written, short_before = len(writer.lines), group.short_of_memory()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = len(writer.lines)
        wait_for("another MiB is written", lambda: len(writer.lines) > seen, STANDSTILL_MS / 1000)
    lines = writer.lines[written:]
    waits = [float(line.split()[1]) for line in lines if line[:1].isdigit()]
    short = group.short_of_memory() - short_before
    alive = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    book.add(
        f"{len(waits)} MiB, the longest wait {max(waits):.0f} ms; {short} times there was no memory left",
        mib=len(waits), longest_ms=max(waits), short=short, killed=group.killed(),
        errors=[line for line in lines if not line[:1].isdigit()][:3] + (["a volume process ended"] if alive != pids else []),
    )  # fmt: skip


def may_ask_the_kernel():
    line = next(x for x in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if x.startswith("CapEff"))
    return int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1


def run(book, more):
    if not may_ask_the_kernel():
        raise LabError("this proof needs CAP_SYS_RESOURCE: without it a volume under memory pressure does stand still")
    with whole_pair(volume="256MiB") as lab:
        group = MemoryGroup(f"crossbeat-prove-{os.getpid()}", LIMIT_MIB << 20)
        writer = None
        try:
            pids = [volume_pid(lab, node) for node in ("a", "b")]
            if None in pids:
                raise LabError("there is no volume process on a node")
            for pid in pids:
                group.add(pid)
            path = data_of(lab, "a") / "pressed"
            writer = Lines(lab.enter("a", f"{HERE}/cached_writer.py", path, FILE_MIB))
            group.add(writer.process.pid)
            wait_for("the first MiB are written", lambda: len(writer.lines) > FILE_MIB, 60)
            while more():
                one_round(book, group, writer, SHORT_SECONDS if book.short else SECONDS, pids)
            writer.stop()
            wait_in_step(lab)
            book.rounds[-1]["digest"] = images_alike(lab)
        finally:
            if writer:
                writer.stop()
            group.close()


def verdict(rounds):
    errors = [f"round {r['round']}: {r['errors']}" for r in rounds if r["errors"]]
    yield f"no error in {sum(r['mib'] for r in rounds)} MiB through the page cache", rounds and not errors, "\n".join(errors)
    short = [r["short"] for r in rounds]
    yield f"memory was short all the time: {spread(short, 'times a round', 0)}", short and min(short) > 100, short
    yield f"nothing stood still: {spread([r['longest_ms'] for r in rounds], 'ms for 1 MiB', 0)}", rounds and all(
        r["longest_ms"] < STANDSTILL_MS for r in rounds), ""  # fmt: skip
    yield "nobody was killed for want of memory", rounds and not any(r["killed"] for r in rounds), ""
    yield "device and both images have one digest at the end", rounds and rounds[-1].get("digest"), ""
