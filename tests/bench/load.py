# SPDX-License-Identifier: Apache-2.0
"""What keeps the machine busy while something is measured. Each ends with its `with` block."""

import contextlib
import os
import shutil
import subprocess

from crossbeat_lab import ADDRESS, LabError, wait_for


def needed(program):
    if not shutil.which(program):
        raise LabError(f"{program} is not installed; run: sudo scripts/deps bench")


@contextlib.contextmanager
def stress(*arguments):
    """stress-ng with these arguments, until the block ends."""
    needed("stress-ng")
    process = subprocess.Popen(
        ["stress-ng", "--quiet", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for("stress-ng runs its workers", lambda: has_children(process.pid))
        yield
        if process.poll() is not None:
            raise LabError("stress-ng ended before the measurement did")
    finally:
        process.terminate()
        process.wait()


def has_children(pid):
    path = f"/proc/{pid}/task/{pid}/children"
    with open(path, encoding="utf-8") as children:
        return bool(children.read().split())


@contextlib.contextmanager
def cpu_hogs():
    """Twice as many busy processes as processors, each in a session of its own, as services are: the kernel shares
    the processor among sessions first (autogroups), so all hogs of one session would weigh no more than one."""
    with contextlib.ExitStack() as hogs:
        for _ in range(2 * (os.cpu_count() or 1)):
            hogs.enter_context(stress("--cpu", 1))
        yield


def memory_hogs():
    """Workers that fill, and keep rewriting, most of what is free."""
    return stress("--vm", 2, "--vm-bytes", "70%", "--vm-keep")


@contextlib.contextmanager
def flood(lab, node):
    """UDP from the client to a node, as fast as it goes: the service network is full."""
    needed("iperf3")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(lab.enter(node, "iperf3", "--server"), **quiet)
    sender = None
    try:
        listening = lab.enter(node, "ss", "-Hltn", "sport = :5201")
        wait_for("iperf3 listens", lambda: subprocess.check_output(listening))
        command = ["iperf3", "--client", ADDRESS[node], "--udp", "--bitrate", "0", "--length", "512", "--time", "86400"]
        sender = subprocess.Popen(lab.enter("client", *command), **quiet)
        yield
        if sender.poll() is not None:
            raise LabError("the flood ended before the measurement did")
    finally:
        for process in filter(None, (sender, server)):
            process.terminate()
            process.wait()
