# SPDX-License-Identifier: Apache-2.0
"""A volume's front end with an image in memory behind it (server.cpp), in a mount namespace of the test's own.

Its block devices belong to the whole machine: a Volume releases its own whatever happens, and says so when it could not.
"""

import contextlib
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/support/python"))

import loop_device  # noqa: E402
from crossbeat_lab import wait_for  # noqa: E402

MIB = 1 << 20
FRONT_END = os.environ.get("CB_FRONT_END", "fuse")

# tests/front/control.h has the same list.
FIELDS = (
    "state error device detaches reads writes flushes zeros discards resent lost survives recorded in_flight "
    "detach_wanted hold write_error flush_error read_error shuffle lie attach_wanted forced"
).split()
ATTACHED, ATTACH_FAILED, DETACHED = 1, 2, 3
HOLD_DATA, HOLD_FLUSHES = 1, 2


class Control:
    def __init__(self, path):
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            object.__setattr__(self, "memory", mmap.mmap(file.fileno(), 4096))

    def __getattr__(self, name):
        return struct.unpack_from("<Q", self.memory, 8 * FIELDS.index(name))[0]

    def __setattr__(self, name, value):
        struct.pack_into("<Q", self.memory, 8 * FIELDS.index(name), value)


def keeper_of(stories):
    """What marks a story of this list; one that is of FUSE alone is not told of another front end."""

    def story(title, fuse_alone=False):
        def keep(function):
            if FRONT_END == "fuse" or not fuse_alone:
                stories.append((title, function))
            return function

        return keep

    return story


def own_mounts():
    """Runs this script again in a mount namespace of its own, in which nothing outlives it."""
    if os.environ.get("CB_OWN_MOUNTS") != str(os.getpid()):
        os.environ["CB_OWN_MOUNTS"] = str(os.getpid())  # exec keeps the pid
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])


def run(*command, fine=True):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if fine and done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


def devices_on(path):
    found = []
    for block in Path("/sys/block").glob("loop*"):
        try:
            backing = (block / "loop/backing_file").read_text().strip()
        except OSError:
            continue
        if backing == str(path):
            found.append(f"/dev/{block.name}")
    return found


def ublk_devices():
    return sorted(f"/dev/{block.name}" for block in Path("/sys/block").glob("ublkb*"))


OTHER_UBLK = set(ublk_devices())  # somebody else's


def devices_of(file):
    """Of the front end that is tested: those of the volume whose file (with fuse) is this."""
    if FRONT_END == "ublk":
        return [device for device in ublk_devices() if device not in OTHER_UBLK]
    return devices_on(file)


class Volume:
    def __init__(self, server, mib=64, options=()):
        self.top = Path(tempfile.mkdtemp(prefix="cb-front.", dir="/dev/shm"))
        self.server, self.bytes, self.options = server, mib * MIB, list(options)
        self.folder = self.top / "volume-x"
        self.image = self.top / "image"
        self.control = Control(self.top / "control")
        self.mount_point = self.top / "mnt"
        self.mount_point.mkdir()
        self.log = open(self.top / "log", "ab")
        self.process = None
        self.keepers = []

    # ---- the server

    def start(self, *options, wait=True):
        self.control.state = 0
        command = [self.server, self.folder, self.image, self.control_path, self.bytes, "--front-end", FRONT_END]
        command += [*self.options, *options]
        self.process = subprocess.Popen([str(word) for word in command], stdout=self.log, stderr=self.log)
        if wait:
            wait_for("the server attached or failed", lambda: self.control.state or self.process.poll() is not None)
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.said()}")
        return self

    @property
    def control_path(self):
        return self.top / "control"

    @property
    def device(self):
        return f"/dev/{'ublkb' if FRONT_END == 'ublk' else 'loop'}{self.control.device}"

    def devices(self):
        """All that there are of this volume."""
        return devices_of(self.folder / "volume")

    def attached(self):
        if self.control.state != ATTACHED:
            raise RuntimeError(f"attach: {os.strerror(self.control.error)}: {self.said()}")
        return self

    def said(self):
        return (self.top / "log").read_text(errors="replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def keeper(self):
        """Its pid; 0 when there is none."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                fds = [os.readlink(fd) for fd in (process / "fd").iterdir()]
            except OSError:
                continue
            if b"--keeper" in words and any(self.socket_inode() == fd for fd in fds):
                return int(process.name)
        return 0

    def socket_inode(self):
        for line in Path("/proc/net/unix").read_text().splitlines():
            if line.endswith(f" {self.folder}.keeper"):
                return f"socket:[{line.split()[6]}]"
        return None

    def detach(self):
        """0 or the errno."""
        answers = self.control.detaches
        self.control.detach_wanted += 1
        wait_for("detach is answered", lambda: self.control.detaches > answers)
        return self.control.error

    # ---- what is on it

    def make_file_system(self):
        run("mkfs.ext4", "-q", "-F", self.device)

    @contextlib.contextmanager
    def mounted(self, *options):
        run("mount", *options, self.device, self.mount_point)
        try:
            yield self.mount_point
        finally:
            run("umount", self.mount_point)

    def check_file_system(self):
        return run("e2fsck", "-f", "-n", self.device, fine=False)

    # ---- the end

    def close(self):
        """Everything away. Raises when something would stay."""
        self.control.hold = self.control.write_error = self.control.read_error = self.control.flush_error = 0
        run("umount", self.mount_point, fine=False)
        if self.process and self.process.poll() is None:
            if self.control.state == ATTACHED:
                error = self.detach()
                if error:
                    print(f"#   detach: {os.strerror(error)}\n{self.said()}")
                else:
                    self.process.wait(10)
            if self.process.poll() is None:
                self.kill()
        if FRONT_END == "ublk" and self.devices():
            self.start()
            self.detach()
        keeper = self.keeper()
        if keeper:
            os.kill(keeper, signal.SIGKILL)
        if FRONT_END == "fuse":
            for device in self.devices():
                loop_device.give_up(device)
            run("umount", "-l", self.folder, fine=False)
        left = self.devices()
        self.log.close()
        shutil.rmtree(self.top)
        if left:
            raise RuntimeError(f"left behind: {left}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
