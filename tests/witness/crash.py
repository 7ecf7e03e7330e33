#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The witness is killed at every step that touches its disk, and every such step is made to fail.

Whatever it had answered it must know afterwards; what it had not answered may have happened or not. The client is
one of its own, written from the protocol's document."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from witness import DONE, FAILED, GRANT, LEARNING, NOTHING, PRIMARY, READ, REFUSED, RELEASE, SECONDARY, SWAP, Node, enrolment, register

PROGRAM = Path(os.environ["CB_BUILD_DIR"]) / "bin/crossbeat-witness"
PAIRING, KEY = 0x1122334455667788, bytes(range(32))
STEPS = ("pwrite64", "fdatasync")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Witness:
    def __init__(self, folder, port, inject=None, watch=None):
        self.control = f"{folder}/control"
        command = [PROGRAM, "--listen", f"127.0.0.1:{port}", "--state", f"{folder}/state", "--control", self.control, "run"]
        if inject:
            command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={inject.split(':')[0]}", "-e", f"inject={inject}", *command]
        if watch:
            command = ["strace", "-f", "-qq", "-o", watch, "-e", "trace=pwrite64,fdatasync,sendto", *command]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        for line in self.process.stderr:
            if "listening" in line:
                return
        self.process.wait()

    def command(self, *words, text=None):
        return subprocess.run([PROGRAM, "--control", self.control, *words], input=text, capture_output=True, text=True, timeout=20)

    def stop(self, how=signal.SIGKILL):
        try:
            os.killpg(self.process.pid, how)
        except ProcessLookupError:
            pass
        self.process.stderr.read()  # until the last of them is gone
        self.process.stderr.close()
        self.process.wait()


def workload(primary, secondary, known):
    """Changes of both registers, one after the other. known: what was answered; returns what was asked last and not answered."""
    for step in range(1, 9):
        old, new = known["register"], register(step, step, 7, step % 2, step % 2)
        moves = (
            (primary, GRANT, {"term": 2 * step}, {"holder": 1}),
            (secondary, SWAP, {"expected": old, "wanted": new}, {"register": new}),
            (primary, RELEASE, {}, {"holder": 0}),
        )
        for node, operation, asked, means in moves:
            answer = node.ask(operation, **asked)
            if answer is None or answer[0] == FAILED:
                return means
            assert answer[0] == DONE or (operation == SWAP and answer[4] == new), (operation, answer)
            known.update(means)
    return {}


def check(folder, port, known, maybe):
    witness = Witness(folder, port)
    try:
        answer = Node(("127.0.0.1", port), PAIRING, KEY, SECONDARY).ask(READ)
        assert answer is not None and answer[0] == DONE, answer
        for name, now in (("holder", answer[1]), ("register", answer[4])):
            allowed = [known[name]] + ([maybe[name]] if name in maybe else [])
            assert now in allowed, f"{name}: {now!r} is none of {allowed!r}"
    finally:
        witness.stop()


def prepared(folder, port):
    """A witness that knows the pairing and has met both nodes, stopped."""
    witness = Witness(folder, port)
    added = witness.command("add", text=enrolment(PAIRING, KEY) + "\n")
    assert added.returncode == 0, added.stderr
    nodes = [Node(("127.0.0.1", port), PAIRING, KEY, node) for node in (PRIMARY, SECONDARY)]
    assert nodes[0].ask(READ)[0] == LEARNING
    assert nodes[1].ask(READ)[0] == DONE
    witness.stop()


def trial(call, when, error):
    """One step of one kind fails, or the process dies in it. True if it came to that."""
    with tempfile.TemporaryDirectory(prefix="crossbeat-witness-") as folder:
        port = free_port()
        prepared(folder, port)
        fault = f"error=EIO:when={when}" if error else f"signal=SIGKILL:when={when}"
        witness = Witness(folder, port, f"{call}:{fault}")
        known, maybe = {"holder": 0, "register": NOTHING}, {}
        reached = True
        if witness.process.poll() is None:
            nodes = [Node(("127.0.0.1", port), PAIRING, KEY, node, patience=0.05, tries=3) for node in (PRIMARY, SECONDARY)]
            maybe = workload(*nodes, known)
            reached = bool(maybe)
        witness.stop()
        check(folder, port, known, maybe)
        return reached


def order():
    """Killing a process loses nothing that it wrote: that each change is also synced before its answer is seen in the calls."""
    with tempfile.TemporaryDirectory(prefix="crossbeat-witness-") as folder:
        port = free_port()
        prepared(folder, port)
        calls = Path(folder) / "calls"
        witness = Witness(folder, port, watch=calls)
        nodes = [Node(("127.0.0.1", port), PAIRING, KEY, node) for node in (PRIMARY, SECONDARY)]
        assert not workload(*nodes, {"holder": 0, "register": NOTHING})
        witness.stop(signal.SIGTERM)
        unsynced, changes = False, 0
        for line in calls.read_text().splitlines():
            name = line.split()[1].split("(")[0]
            assert not (name == "sendto" and unsynced), "answered what was written and not synced"
            changes += name == "sendto"
            unsynced = name == "pwrite64" or (unsynced and name != "fdatasync")
        assert changes >= 24, changes


def main():
    order()
    began = time.monotonic()
    trials = 0
    for call in STEPS:
        for error in (False, True):
            reached = 0
            for when in (*range(1, 13), 24, 37, 52):
                trials += 1
                reached += trial(call, when, error)
            assert reached >= 10, f"only {reached} trials of {call} came to their fault"
            print(f"{call}: {'fails' if error else 'dies'} in {reached} places, nothing answered was lost", flush=True)
    print(f"{trials} trials in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
