#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two volume processes in two network namespaces, with a cable and a network between them, real
disks, a real block device and ext4 on it. This script is both monitors and the register. With
--loopback there are no namespaces and no cable: both are on this machine's loopback.

    a ==== cable (raw frames) ==== b
    a ---- network (UDP)      ---- b
"""

import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support/python"))
import loop_device  # noqa: E402

BUILD = os.environ.get("CB_BUILD_DIR", "build/dev")
PROGRAM = os.path.join(BUILD, "bin", "crossbeat-volume")
NAME = f"cbv{os.getpid() % 10000}"
VOLUME = 192 << 20
LOG = 32 << 20
INSTANCE = "10.9.0.1"
DEADLINE = 30
LOOPBACK = "--loopback" in sys.argv
ADDRESSES = ["127.77.0.1", "127.77.0.2"] if LOOPBACK else ["10.9.0.1", "10.9.0.2"]
KILLS = int(os.environ.get("CB_VOLUME_KILLS", "20"))


def run(*command, check=True, **more):
    return subprocess.run(command, check=check, text=True, capture_output=True, **more)


def missing():
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        return "no /dev/fuse or no loop devices here"
    for tool in ("mkfs.ext4", "e2fsck", "ip", "nsenter"):
        if not shutil.which(tool):
            return f"{tool} is missing (scripts/deps test)"
    return None


class Register:
    """Compare-and-set, as the witness does it."""

    def __init__(self):
        self.value = {"epoch": 0, "generation": "0" * 32, "kind": "alone", "holder": 0}
        self.lock = threading.Lock()

    def answer(self, packet):
        reply = {"register": "answer", "number": packet["number"], "error": 0}
        with self.lock:
            if packet["register"] == "read":
                reply["seen"] = dict(self.value)
            else:
                reply["granted"] = self.value == packet["expected"]
                if reply["granted"]:
                    self.value = dict(packet["wanted"])
        return reply


class Node:
    def __init__(self, folder, number, register, errors):
        self.name = "ab"[number]
        self.number = number
        self.register = register
        self.errors = errors
        self.root = os.path.join(folder, self.name)
        self.namespace = NAME + self.name
        self.directory = os.path.join(self.root, "volume")
        self.process = None
        self.socket = None
        self.ids = 0
        self.answers = {}
        self.events = []
        self.changed = threading.Condition()
        os.makedirs(self.root)

    def create(self):
        run(PROGRAM, "create", "--directory", self.directory, "--size", str(VOLUME), "--log", str(LOG),
            "--node", str(self.number), "--instance-id", "6f0e1c5a9d5b4c0f8a7d3c2b1a090807")  # fmt: skip

    def start(self):
        log = open(os.path.join(self.root, "log"), "a")
        there = [] if LOOPBACK else ["nsenter", f"--net=/run/netns/{self.namespace}"]
        self.process = subprocess.Popen(
            [*there, PROGRAM, "--root", self.root, "--instance", INSTANCE], stdout=log, stderr=log)  # fmt: skip
        path = os.path.join(self.root, "run/crossbeat", f"volume-{INSTANCE}.sock")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def connected():
            try:
                connection.connect(path)
                return True
            except OSError:
                if self.process.poll() is not None:
                    raise AssertionError(f"{self.name} ended: {self.tail()}")
                return False

        until(connected, f"the socket of {self.name}")
        self.socket = connection
        threading.Thread(target=self.listen, args=(connection,), daemon=True).start()
        self.ask("configure", config={
            "node": self.number, "mode": "sync", "directory": self.directory, "volume_bytes": VOLUME,
            "log_bytes": LOG, "front_end": "fuse", "key": "5a" * 32,
            "cable": None if LOOPBACK else {"interface": "cable"},
            "network": {"address": ADDRESSES[self.number], "peer": ADDRESSES[1 - self.number], "port": 7389,
                        "interface": "lo" if LOOPBACK else "net"},
        })  # fmt: skip

    def listen(self, connection):
        while True:
            try:
                packet = connection.recv(65536)
            except OSError:
                packet = b""
            if not packet:
                return
            message = json.loads(packet)
            if "register" in message:
                try:
                    connection.send(json.dumps(self.register.answer(message)).encode())
                except OSError:
                    return
                continue
            with self.changed:
                if "id" in message:
                    self.answers[message["id"]] = message
                else:
                    self.events.append(message)
                self.changed.notify_all()

    def begin(self, verb, **members):
        self.ids += 1
        self.socket.send(json.dumps({"id": self.ids, "verb": verb, **members}).encode())
        return self.ids

    def answer(self, number):
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers, DEADLINE):
                raise AssertionError(f"{self.name} did not answer: {self.tail()}")
            return self.answers.pop(number)

    def ask(self, verb, error=0, **members):
        got = self.answer(self.begin(verb, **members))
        assert got["error"] == error, f"{self.name}: {verb}: {got}"
        return got

    def status(self):
        return self.ask("status")["status"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.socket.close()
        # Its ring may hold the old socket open for a moment longer: nobody would answer there.
        os.unlink(os.path.join(self.root, "run/crossbeat", f"volume-{INSTANCE}.sock"))

    def tail(self):
        with open(os.path.join(self.root, "log")) as log:
            return log.read()[-3000:]


def until(condition, what):
    """Waits for a condition that nobody announces; asks again after a short look at the clock."""
    end = time.monotonic() + DEADLINE
    wake = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        wake.wait(0.02)


class Pair:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cb-volume-pair-")
        self.register = Register()
        self.nodes = [Node(self.folder, number, self.register, []) for number in (0, 1)]
        self.a, self.b = self.nodes
        self.mounted = []

    def up(self):
        if not LOOPBACK:
            self.wire()
        for node in self.nodes:
            node.create()
            node.start()

    def wire(self):
        for node in self.nodes:
            run("ip", "netns", "add", node.namespace)
        for link, mtu in (("cable", 9000), ("net", 1500)):
            run("ip", "link", "add", link, "netns", self.a.namespace, "mtu", str(mtu), "type", "veth",
                "peer", "name", link, "mtu", str(mtu), "netns", self.b.namespace)  # fmt: skip
        for node in self.nodes:
            run("ip", "-n", node.namespace, "address", "add", f"10.9.0.{node.number + 1}/24", "dev", "net")
            for link in ("lo", "cable", "net"):
                run("ip", "-n", node.namespace, "link", "set", link, "up")

    def cut(self, node, *links):
        for link in [] if LOOPBACK else links:
            run("ip", "-n", node.namespace, "link", "set", link, "down")

    def in_step(self):
        until(lambda: self.a.status().get("in_step") and self.b.status().get("in_step"), "both in step")

    def mount(self, node, device):
        at = os.path.join(node.root, "mnt")
        os.makedirs(at, exist_ok=True)
        run("mount", "-t", "ext4", device, at)
        self.mounted.append(at)
        return at

    def unmount(self, at):
        run("umount", at)
        self.mounted.remove(at)

    def down(self):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGKILL)
                node.process.wait()
            # The keeper holds the device of a killed process: with it requests end in errors.
            mount = os.path.join(node.root, "run/crossbeat", f"volume-{INSTANCE}")
            end_keeper(mount + ".keeper")
        for at in list(self.mounted):
            run("umount", "-l", at, check=False)
        for node in self.nodes:
            mount = os.path.join(node.root, "run/crossbeat", f"volume-{INSTANCE}")
            for line in run("losetup", "-l", "-n", "-O", "NAME,BACK-FILE", check=False).stdout.splitlines():
                if node.root in line:
                    loop_device.give_up(line.split()[0])
            run("umount", "-l", mount, check=False)
            if not LOOPBACK:
                run("ip", "netns", "del", node.namespace, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def end_keeper(path):
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as keeper:
            keeper.connect(path)
            keeper.send(b"e")
    except OSError:
        pass


class Writer(threading.Thread):
    """Files that are written and synced; `kept` holds what must be there after any failure."""

    def __init__(self, at, seed):
        super().__init__(daemon=True)
        self.at = at
        self.random = random.Random(seed)
        self.kept = {}
        self.error = None
        self.stop = False

    def run(self):
        try:
            number = 0
            while not self.stop:
                name = f"file{number % 40}-{number}"
                data = self.random.randbytes(self.random.randrange(1, 120_000))
                path = os.path.join(self.at, name)
                fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.write(fd, data)
                os.fsync(fd)
                os.close(fd)
                self.kept[name] = hashlib.sha256(data).hexdigest()
                old = f"file{number % 40}-{number - 40}"
                if old in self.kept:
                    del self.kept[old]
                    os.unlink(os.path.join(self.at, old))
                number += 1
        except OSError as error:
            self.error = error

    def end(self):
        self.stop = True
        self.join(DEADLINE)


def check(at, kept):
    for name, digest in kept.items():
        with open(os.path.join(at, name), "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == digest, f"{name} is not what was synced"


def direct_blocks(device):
    """Whether every block of the device can be read past the cache."""
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, 1 << 20)
    digest = hashlib.sha256()
    for at in range(0, VOLUME, 1 << 20):
        assert os.preadv(fd, [buffer], at) == 1 << 20
        digest.update(buffer)
    os.close(fd)
    return digest.hexdigest()


def story_takeover(pair):
    """Format, promote, mkfs, mount, write; the writer dies; the other has all that was synced."""
    device = pair.a.ask("promote")["device"]
    pair.in_step()
    run("mkfs.ext4", "-q", "-F", device)
    at = pair.mount(pair.a, device)
    writer = Writer(at, 1)
    writer.start()
    until(lambda: len(writer.kept) >= 40 or writer.error, "40 files")
    # Dead with everything it had: its process, its wires, its device.
    pair.a.kill()
    pair.cut(pair.a, "cable", "net")
    kept = dict(writer.kept)
    began = time.monotonic()
    taken = pair.b.ask("promote")["device"]
    print(f"  taken over in {1000 * (time.monotonic() - began):.0f} ms, {len(kept)} files to compare")
    other = pair.mount(pair.b, taken)
    # A file that was replaced while we looked is gone on purpose.
    present = set(os.listdir(other))
    for name in list(kept):
        number = int(name.split("-")[1])
        if name not in present:
            later = f"file{number % 40}-{number + 40}"
            assert later in writer.kept or later in present, f"{name} is lost"
            del kept[name]
    check(other, kept)
    pair.unmount(other)
    fsck = run("e2fsck", "-fn", taken, check=False)
    assert fsck.returncode == 0, fsck.stdout
    assert pair.b.status()["alone"]


def story_kills(pair):
    """The volume process is killed again and again under I/O: nobody sees an error."""
    device = pair.a.ask("promote")["device"]
    pair.in_step()
    run("mkfs.ext4", "-q", "-F", device)
    at = pair.mount(pair.a, device)
    writer = Writer(at, 2)
    writer.start()
    longest = 0.0
    for kill in range(KILLS):
        before = len(writer.kept)
        until(lambda: writer.error or len(writer.kept) != before or before >= 40, "progress")
        pair.a.kill()
        began = time.monotonic()
        pair.a.start()
        assert pair.a.ask("promote")["device"] == device
        longest = max(longest, time.monotonic() - began)
        assert writer.error is None, f"kill {kill + 1}: {writer.error}"
    count = len(writer.kept)
    until(lambda: writer.error or len(writer.kept) != count or count >= 40, "progress after the last kill")
    writer.end()
    assert writer.error is None, writer.error
    assert not writer.is_alive(), "a write hangs"
    check(at, writer.kept)
    pair.unmount(at)
    fsck = run("e2fsck", "-fn", device, check=False)
    assert fsck.returncode == 0, fsck.stdout
    print(f"  {KILLS} kills, longest away {1000 * longest:.0f} ms")


def story_hand_over(pair):
    """Writes here, hands over, writes there: the two devices read the same."""
    device = pair.a.ask("promote")["device"]
    pair.in_step()
    run("dd", "if=/dev/urandom", f"of={device}", "bs=1M", "count=24", "oflag=direct", "conv=fsync")
    before = direct_blocks(device)
    with open(device, "rb"):
        pair.a.ask("demote", error=16, hand_over=True)  # EBUSY: somebody has it open
    pair.a.ask("demote", hand_over=True)
    assert pair.a.status()["device"] is None
    device = pair.b.ask("promote")["device"]
    assert direct_blocks(device) == before, "the copies differ"
    pair.in_step()
    pair.b.ask("demote", hand_over=True)
    for node in pair.nodes:
        node.ask("end")
        assert node.process.wait(DEADLINE) == 0


def story_cable_cut(pair):
    """The cable is cut under writes: the stream goes on over the network, nothing is lost."""
    device = pair.a.ask("promote")["device"]
    pair.in_step()
    run("mkfs.ext4", "-q", "-F", device)
    at = pair.mount(pair.a, device)
    writer = Writer(at, 3)
    writer.start()
    for _ in range(3):
        for state in ("down", "up"):
            run("ip", "-n", pair.b.namespace, "link", "set", "cable", state)
            marks = set(writer.kept)
            until(lambda: writer.error or len(set(writer.kept) - marks) >= 10, f"writes with the cable {state}")
    writer.end()
    assert writer.error is None, writer.error
    check(at, writer.kept)
    pair.unmount(at)
    pair.in_step()
    assert pair.a.status()["alone"] is False


STORIES = [story_takeover, story_kills, story_hand_over, story_cable_cut]


def main():
    reason = missing()
    if reason:
        print(f"volume_pair: {reason}")
        return 77
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    stories = STORIES[:-1] if LOOPBACK else STORIES
    chosen = [s for s in stories if not wanted or s.__name__[6:] in wanted]
    results = []
    for story in chosen:
        pair = Pair()
        print(f"{story.__name__[6:]}: {story.__doc__}", flush=True)
        failure = None
        try:
            pair.up()
            story(pair)
        except Exception:
            failure = traceback.format_exc()
            print(failure)
            for node in pair.nodes:
                print(f"--- {node.name}:\n{node.tail() if node.process else ''}")
        finally:
            pair.down()
        results.append((story.__name__[6:], failure))
        print("  failed" if failure else "  fine", flush=True)
    report = os.environ.get("CB_REPORT")
    if report:
        with open(report, "w") as file:
            file.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite name="volume_pair">\n')
            for name, failure in results:
                inner = '><failure message="see the output"/></testcase>' if failure else "/>"
                file.write(f'<testcase classname="VolumePair" name="{name}"{inner}\n')
            file.write("</testsuite></testsuites>\n")
    return 1 if any(failure for _, failure in results) else 0


if __name__ == "__main__":
    sys.exit(main())
