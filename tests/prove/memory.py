# SPDX-License-Identifier: Apache-2.0
"""Too little memory: of a group of processes or of the whole machine, and what the kernel says to it."""

import os
import re
from pathlib import Path

from crossbeat_lab import LabError, wait_for

MIB = 1 << 20
# An emulated processor that its host does not run for 20 s says so too; that is no matter of memory, and progress is measured.
NOT_RUN = "watchdog: BUG: soft lockup"
COMPLAINTS = re.compile(
    r"blocked for more than|hung task|out of memory|oom-kill|page allocation failure|BUG:|WARNING:|I/O error|EXT4-fs error", re.I
)


class MemoryGroup:
    """Processes that share a limit, with whichever memory controller this machine has."""

    def __init__(self, name):
        old = Path("/sys/fs/cgroup/memory")
        self.v1 = old.is_dir()
        top = old if self.v1 else Path("/sys/fs/cgroup")
        if not self.v1:
            (top / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
        self.folder = top / name
        self.folder.mkdir()

    def limit(self, mib):
        """None: as much as there is."""
        none = "-1" if self.v1 else "max"
        file = self.folder / ("memory.limit_in_bytes" if self.v1 else "memory.max")
        file.write_text(none if mib is None else str(mib * MIB), encoding="ascii")

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

    def held_mib(self):
        """What nobody can take away from its processes, where nothing is swapped out."""
        names = ("total_rss", "total_shmem") if self.v1 else ("anon", "shmem")
        return sum(self._field("memory.stat", name) for name in names) // MIB

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


def available_mib():
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) // 1024


def reclaims():
    """How many pages the machine took away from somebody to give them to somebody else, so far."""
    lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split()[0] in ("pgsteal_kswapd", "pgsteal_direct"))


class Hog:
    """Holds the machine's memory but for some, in a file in memory: nobody can be killed for it."""

    def __init__(self, leave_mib):
        if "\nSwapTotal:             0 kB" not in Path("/proc/meminfo").read_text(encoding="ascii"):
            raise LabError("this machine has swap: its memory cannot be held")
        self.fd = os.memfd_create("crossbeat-prove-hog")
        piece = bytes(MIB)
        while available_mib() > leave_mib:
            os.write(self.fd, piece)

    def close(self):
        os.close(self.fd)


class KernelLog:
    """What the kernel complains of from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def complaints(self):
        """Since the last time."""
        found = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return found
            except BrokenPipeError:
                continue  # the oldest were overwritten
            text = record.partition(";")[2].split("\n")[0]
            if COMPLAINTS.search(text):
                found.append(text)


def waiting_tasks():
    """Who waits in the kernel and cannot be woken, and for what."""
    found = []
    for task in Path("/proc").glob("[0-9]*/task/[0-9]*"):
        try:
            name, state = (task / "comm").read_text().strip(), (task / "stat").read_text().rpartition(")")[2].split()[0]
            if state == "D":
                calls = [line.split()[1].partition("+")[0] for line in (task / "stack").read_text().splitlines()]
                found.append(f"{name} ({task.name}): {' < '.join(calls[:14])}")
        except (OSError, IndexError):
            pass  # it has ended
    return found


def abort_devices(root):
    """All that waits for a device of the lab at `root` gets an error."""
    control = Path("/sys/fs/fuse/connections")
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[4].startswith(f"{root}/") and " - fuse" in line:
            (control / fields[2].partition(":")[2] / "abort").write_text("1", encoding="ascii")
