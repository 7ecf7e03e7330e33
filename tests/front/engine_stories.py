# SPDX-License-Identifier: Apache-2.0
"""crossbeat-volume with a real device, on one node that is alone; this script is its monitor and its register."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import loop_device
from bed import FRONT_END, MIB, OTHER_UBLK, devices_of, devices_on, keeper_of, run, ublk_devices, wait_for
from device_stories import run_fio

KILLS = int(os.environ.get("CB_KILLS", "20"))
UPGRADES = 5
HAS_UBLK = os.path.exists("/dev/ublk-control")
INSTANCE = "10.0.0.2"
NOBODY = {"epoch": 0, "generation": "0" * 32, "kind": "alone", "holder": 0}

STORIES = []
story = keeper_of(STORIES)


class Engine:
    """A formatted volume, the process that drives it, and the monitor's end of its socket."""

    def __init__(self, program, mib):
        self.root = Path(tempfile.mkdtemp(prefix="cb-engine.", dir=os.environ.get("CB_ENGINE_TOP", "/var/tmp")))
        self.program, self.bytes, self.log_bytes = program, mib * MIB, 32 * MIB
        self.directory = self.root / "var/lib/crossbeat/volumes" / INSTANCE
        self.directory.parent.mkdir(parents=True)
        self.run_folder = self.root / "run/crossbeat"
        self.run_folder.mkdir(parents=True)
        self.mount_point = self.root / "mnt"
        self.mount_point.mkdir()
        self.log = open(self.root / "log", "ab")
        self.register, self.process, self.socket, self.device = dict(NOBODY), None, None, None
        self.serial, self.events, self.front_end = 0, [], FRONT_END
        run(program, "create", "--directory", self.directory, "--size", self.bytes, "--log", self.log_bytes,
            "--node", 0, "--instance-id", "6f0e1c5a9d5b4c0f8a7d3c2b1a090807")  # fmt: skip

    @property
    def file(self):
        return self.run_folder / f"volume-{INSTANCE}/volume"

    def said(self):
        return (self.root / "log").read_text(errors="replace")[-2000:]

    # ---- the process

    def start(self):
        """Started, configured and promoted, as the monitor does it."""
        words = [self.program, "--root", self.root, "--instance", INSTANCE]
        self.process = subprocess.Popen([str(word) for word in words], stdout=self.log, stderr=self.log)
        wait_for("the process is configured", self.configure, timeout=30)
        self.device = self.ask("promote")["device"]
        return self

    def configure(self):
        """Whether it went. The socket of a process that was just killed may still take a connection, and drop it."""
        self.socket = self.connect()
        try:
            return self.socket and self.ask("configure", config={
                "node": 0, "mode": "sync", "directory": str(self.directory), "volume_bytes": self.bytes,
                "log_bytes": self.log_bytes, "front_end": self.front_end, "key": "a" * 64, "cable": None, "network": None})  # fmt: skip
        except (ConnectionError, BrokenPipeError):
            self.socket.close()
            return None

    def connect(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the process ended: {self.said()}")
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        end.settimeout(20)
        try:
            end.connect(str(self.run_folder / f"volume-{INSTANCE}.sock"))
        except OSError:
            end.close()
            return None
        return end

    def ask(self, verb, fine=True, **more):
        self.serial += 1
        self.say({"id": self.serial, "verb": verb, **more})
        while True:
            packet = self.hear()
            if packet.get("id") == self.serial:
                if fine and packet["error"]:
                    raise RuntimeError(f"{verb}: {packet}\n{self.said()}")
                return packet

    def say(self, packet):
        self.socket.send(json.dumps(packet).encode())

    def hear(self):
        """The next packet; what it asks of the register is answered."""
        said = self.socket.recv(65536)
        if not said:
            raise ConnectionError("the process hung up")
        packet = json.loads(said)
        if packet.get("register") == "read":
            self.say({"register": "answer", "number": packet["number"], "error": 0, "seen": self.register})
        elif packet.get("register") == "swap":
            granted = packet["expected"] == self.register
            if granted:
                self.register = packet["wanted"]
            self.say({"register": "answer", "number": packet["number"], "error": 0, "granted": granted})
        elif "event" in packet:
            self.events.append(packet)
        return packet

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(20)
        self.socket.close()

    def close(self):
        try:
            if run("umount", self.mount_point, fine=False).returncode != 0:
                run("umount", "-l", self.mount_point, fine=False)
            if self.process and self.process.poll() is None and not sys.exc_info()[0]:
                self.ask("demote", fine=False, hand_over=False)
        finally:
            if self.process:
                self.process.kill()
                self.process.wait()
            left = devices_on(self.file) + [device for device in ublk_devices() if device not in OTHER_UBLK]
            for process in Path("/proc").glob("[0-9]*"):
                if self.is_keeper(process):
                    left.append("its keeper")
                    os.kill(int(process.name), signal.SIGKILL)
            for device in devices_on(self.file):
                loop_device.give_up(device)
            run("umount", "-l", self.file.parent, fine=False)
            self.log.close()
            said = self.said()
            shutil.rmtree(self.root)
        if left:
            raise RuntimeError(f"left behind: {left}\n{said}")

    def is_keeper(self, process):
        """Whether it has the other end of the keeper's socket."""
        try:
            lines = Path("/proc/net/unix").read_text().splitlines()
            inode = next(line.split()[6] for line in lines if line.endswith(f" {self.file.parent}.keeper"))
            return any(os.readlink(fd) == f"socket:[{inode}]" for fd in (process / "fd").iterdir())
        except (OSError, StopIteration):
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@story("the volume process has a device, and ext4 on it")
def has_a_device(tell, program):
    with Engine(program, 128) as engine:
        engine.start()
        tell.check("promote names the device", [engine.device] == devices_of(engine.file), engine.device)
        run("mkfs.ext4", "-q", "-F", engine.device)
        data = random.Random(5).randbytes(24 * MIB)
        run("mount", engine.device, engine.mount_point)
        (engine.mount_point / "file").write_bytes(data)
        run("sync", "-f", engine.mount_point)
        refused = engine.ask("demote", fine=False, hand_over=True)
        tell.check("it is not demoted while it is mounted", refused["error"] != 0, refused)
        run("umount", engine.mount_point)
        tell.check("fsck finds nothing", run("e2fsck", "-f", "-n", engine.device, fine=False).returncode == 0)
        status = engine.ask("status")["status"]
        front = status["front_end"]
        tell.check("status names the front end", (front["kind"], front["survives_restart"]) == (FRONT_END, True), front)
        engine.ask("demote", hand_over=False)
        tell.check("demoted, the device is gone", devices_of(engine.file) == [] and not engine.file.parent.exists())
        engine.device = engine.ask("promote")["device"]
        run("mount", engine.device, engine.mount_point)
        tell.check("promoted again, the data are there", (engine.mount_point / "file").read_bytes() == data)


def under_load(tell, program, number, times, what):
    with Engine(program, 64) as engine:
        engine.start()
        device = engine.device
        fio = run_fio(device, depth=16, megabytes=40, loops=1000, bssplit="4k/80:64k/15:1m/5", fsync=16)
        try:
            for _ in range(times):
                writes = engine.ask("status")["status"]["front_end"]["writes"]
                wait_for("there is load", lambda: engine.ask("status")["status"]["front_end"]["writes"] > writes + 50)
                engine.end(number)
                engine.start()
            tell.check(f"{what}: the load goes on", fio.poll() is None, fio.poll())
        finally:
            fio.send_signal(signal.SIGINT)
            said, _ = fio.communicate(timeout=60)
        read_back = [line.split(";")[5] for line in said.splitlines() if line.startswith("3;fio")]
        tell.check(f"{what}: fio read back to verify", read_back and int(read_back[0]) > 0, said)
        errors = [line for line in said.splitlines() if "error" in line.lower() or "verify" in line.lower()]
        tell.check(f"{what}: no I/O error and no wrong byte in {times} times", not errors, "\n".join(errors[:5]))
        tell.check(f"{what}: it is still the same device", engine.device == device, engine.device)
        engine.ask("demote", hand_over=False)
        engine.end(signal.SIGTERM)
        checked = run(program, "check", "--directory", engine.directory, fine=False)
        tell.check(f"{what}: the disks are in order", checked.returncode == 0, checked.stdout + checked.stderr)


@story("killed again and again")
def killed(tell, program):
    under_load(tell, program, signal.SIGKILL, KILLS, "kills")


@story("upgraded again and again")
def upgraded(tell, program):
    under_load(tell, program, signal.SIGTERM, UPGRADES, "upgrades")


@story("answered flushes survive kills")
def answered_flushes(tell, program):
    with Engine(program, 128) as engine:
        engine.start()
        run("mkfs.ext4", "-q", "-F", engine.device)
        run("mount", engine.device, engine.mount_point)
        path, wrong, stop, synced = engine.mount_point / "numbers", [], threading.Event(), [0]

        def write():
            try:
                with open(path, "wb", buffering=0) as file:
                    while not stop.is_set():
                        file.write(f"{synced[0] + 1}\n".encode())
                        os.fsync(file.fileno())
                        synced[0] += 1
            except OSError as error:
                wrong.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(5):
            before = synced[0]
            wait_for("commits", lambda: synced[0] > before + 20 or wrong)
            engine.end(signal.SIGKILL)
            engine.start()
        stop.set()
        writer.join()
        tell.check("no write or fsync failed", not wrong, wrong)
        run("umount", engine.mount_point)
        engine.ask("demote", hand_over=False)
        engine.device = engine.ask("promote")["device"]
        run("mount", engine.device, engine.mount_point)
        lines = path.read_text().split()
        tell.check("every synced number is there", lines == [str(n) for n in range(1, synced[0] + 1)], (len(lines), synced))


def kept_through(tell, program, first, then):
    """The device of `first` is there when a process comes that is to use `then`."""
    with Engine(program, 64) as engine:
        engine.front_end = first
        engine.start()
        device = engine.device
        tell.check(f"{first}: the device is of this front end", ("ublk" in device) == (first == "ublk"), device)
        engine.end(signal.SIGKILL)
        engine.front_end = then
        engine.start()
        front = engine.ask("status")["status"]["front_end"]
        tell.check(f"{first}, then {then}: the device stays", engine.device == device and front["kind"] == first, front)
        engine.ask("demote", hand_over=False)
        engine.end(signal.SIGTERM)
        engine.front_end = "auto"
        engine.start()
        front = engine.ask("status")["status"]["front_end"]
        best = "ublk" if HAS_UBLK else "fuse"
        tell.check("when it is gone, what is best is taken", front["kind"] == best, front)
        told = "self-test of ublk has passed" if HAS_UBLK else "no /dev/ublk-control"
        tell.check("and the reason is told", told in front["note"], front)


@story("a device that is in use decides about the front end")
def device_decides(tell, program):
    kept_through(tell, program, "fuse", "auto")
    if HAS_UBLK:
        kept_through(tell, program, "ublk", "fuse")


@story("the self-test")
def self_test(tell, program):
    done = run(program, "test-ublk", fine=False)
    said = done.stdout + done.stderr
    if HAS_UBLK:
        tell.check("it passes", done.returncode == 0 and said.endswith("ublk works\n"), said)
        tell.check("and leaves nothing behind", set(ublk_devices()) <= OTHER_UBLK)
    else:
        tell.check("it says what is missing", done.returncode == 1 and "no /dev/ublk-control" in said, said)


def stop_self_test(before):
    """Stops the process of a self-test, when it has made its device. Its pid."""

    def testing():
        made = [device for device in ublk_devices() if device not in before]
        pids = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"test-ublk" in (process / "cmdline").read_bytes().split(b"\0"):
                    pids.append(int(process.name))
        return made and pids and min(pids)

    pid = wait_for("a self-test has a device", testing, every=0.001)
    os.kill(pid, signal.SIGSTOP)
    return pid


@story("a self-test that hangs")
def hanging_self_test(tell, program):
    if not HAS_UBLK:
        return
    with Engine(program, 64) as engine:
        engine.front_end = "auto"
        stopper = threading.Thread(target=stop_self_test, args=(ublk_devices(),))
        stopper.start()
        engine.start()
        stopper.join()
        front = engine.ask("status")["status"]["front_end"]
        tell.check("the volume goes on with fuse", front["kind"] == "fuse" and engine.device.startswith("/dev/loop"), front)
        tell.check("and says why", "its self-test has failed" in front["note"], front)
        engine.ask("demote", hand_over=False)
        engine.end(signal.SIGTERM)
        engine.start()
        front = engine.ask("status")["status"]["front_end"]
        tell.check("the next process tries again, and it passes", front["kind"] == "ublk", front)
        left = [device for device in ublk_devices() if device not in OTHER_UBLK]
        tell.check("and it has taken away what the first test left", left == [engine.device], left)
