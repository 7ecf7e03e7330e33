# SPDX-License-Identifier: Apache-2.0
"""Commits a second of PostgreSQL: on the replicated volume, and with its own synchronous streaming replication over the
same cable. Both promise the same: a commit is durable on both nodes before it is acknowledged.

In turns, on the same two nodes, with the same settings; the database that is not asked stands idle meanwhile. The volume
keeps processors awake while it is written (`[volume] cpu_latency`), so the other is asked with that as well, too.
"""

import os
import re
import struct
from contextlib import contextmanager
from pathlib import Path

import report
from crossbeat_lab import ADDRESS, VIP, Lab, LabError, wait_for
from crossbeat_volume import wait_database, wait_in_step

CLIENTS = (1, 8)
OURS, NATIVE, AWAKE = "ours", "native", "native, processors awake"
LATENCY = "/dev/cpu_dma_latency"
CABLE = {"a": "10.78.0.1", "b": "10.78.0.2"}
PORT = 5433
THEIRS = ["-h", ADDRESS["a"], "-p", PORT]
SETTINGS = """
listen_addresses = '*'
port = {port}
unix_socket_directories = ''
max_connections = 50
shared_buffers = 32MB
log_destination = 'stderr'
synchronous_standby_names = '{standbys}'
"""


class Native:
    """Two servers beside the appliances', replicating by themselves."""

    def __init__(self, lab):
        self.lab = lab
        self.programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.data = {node: lab.root(node) / "native" for node in ("a", "b")}

    def postgres(self, node, program, *words):
        # Not as root, and from a folder that everybody may enter.
        become = ["env", "-C", "/", "setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        return self.lab.run(node, *become, self.programs / program, *words, timeout=120).stdout

    def folder(self, node):
        self.lab.run(node, "install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", self.data[node])

    def control(self, node, *words):
        self.postgres(node, "pg_ctl", "-D", self.data[node], "-w", "-l", self.data[node] / "server.log", *words)

    def start(self):
        for node, address in CABLE.items():
            self.lab.run(node, "ip", "address", "replace", f"{address}/24", "dev", "eth1")
        self.folder("a")
        self.postgres("a", "initdb", "-D", self.data["a"], "-U", "postgres", "--auth=trust", "--no-sync")
        with (self.data["a"] / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(SETTINGS.format(port=PORT, standbys=""))
        with (self.data["a"] / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write("host all all 10.77.0.0/24 trust\nhost replication all 10.78.0.0/24 trust\n")
        self.control("a", "start")
        self.folder("b")
        words = ["-h", CABLE["a"], "-p", PORT, "-U", "postgres", "-D", self.data["b"], "-R", "-X", "stream"]
        self.postgres("b", "pg_basebackup", *words, "--checkpoint=fast")
        self.control("b", "start")
        with (self.data["a"] / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("synchronous_standby_names = '*'\n")
        self.control("a", "reload")
        wait_for("the native standby is synchronous", self.in_sync, 30)

    def in_sync(self):
        return ask(self.lab, THEIRS, "select sync_state from pg_stat_replication", check=False) == "sync"

    def stop(self):
        for node in CABLE:
            if (self.data[node] / "postmaster.pid").exists():
                self.control(node, "-m", "immediate", "stop")


def ask(lab, where, sql, check=True):
    words = ["psql", *where, "-U", "postgres", "-X", "-q", "-t", "-A", "-c", sql, "postgres"]
    return lab.run("a", *words, check=check, timeout=60).stdout.strip()


def pgbench(lab, where, *words, timeout=120):
    return lab.run("a", "pgbench", *where, "-U", "postgres", *words, "postgres", timeout=timeout).stdout


def commits(lab, where, clients, seconds):
    said = pgbench(lab, where, "-N", "-n", "-c", clients, "-j", 1, "-T", seconds, timeout=seconds + 60)
    rate = re.search(r"tps = ([0-9.]+)", said)
    failed = re.search(r"number of failed transactions: (\d+)", said)
    if not rate or (failed and int(failed.group(1))):
        raise LabError(f"pgbench: {said.strip()}")
    return float(rate.group(1))


@contextmanager
def processors_awake(wanted):
    """What the volume asks of the kernel while it is written."""
    if not wanted:
        yield
        return
    with open(LATENCY, "wb", buffering=0) as file:
        file.write(struct.pack("i", 0))
        yield


def run(setup):
    lab = Lab(f"bench-{os.getpid()}")
    native = None
    seconds = round(setup.seconds(3, quick=2))
    try:
        lab.up("--profile", "normal", "--plain-cable", "--xdp", "auto", "--volume", "3GiB", "--postgres")
        lab.verb("pair")
        wait_in_step(lab)
        wait_database(lab)
        native = Native(lab)
        native.start()
        there = {OURS: ["-h", VIP], NATIVE: THEIRS}
        if os.access(LATENCY, os.W_OK):
            there[AWAKE] = THEIRS
        for name in (OURS, NATIVE):
            pgbench(lab, there[name], "-i", "-q", "-s", 1 if setup.quick else 10)
            print(f"  {name}: filled", flush=True)
            # Both, or only one of them writes each page whole into its log when it touches it for the first time.
            ask(lab, there[name], "checkpoint")
        seen = {(name, clients): [] for name in there for clients in CLIENTS}
        order = list(there)
        for _ in range(setup.count(9, quick=1)):
            for clients in CLIENTS:
                for name in order:
                    with processors_awake(name == AWAKE):
                        seen[name, clients].append(commits(lab, there[name], clients, seconds))
                    print(f"  {name}, {clients} clients: {seen[name, clients][-1]:.0f} commits/s", flush=True)
            order.append(order.pop(0))  # each is the first as often as the others
        if not native.in_sync():
            raise LabError("the native standby did not stay synchronous")
        wait_in_step(lab)
    finally:
        if native:
            native.stop()
        lab.down()
    rows = []
    for clients in CLIENTS:
        what = f"PostgreSQL, {clients} client{'s' if clients > 1 else ''}"
        ours = report.median(seen[OURS, clients])
        rows += [
            report.at_least(what, "commits/s", ours, report.median(seen[name, clients]), 1, f"{name}: synchronous replication")
            for name in there if name != OURS
        ]
    notes = ["pgbench -N on the node in command; both nodes and both pairs of databases share this machine"]
    if AWAKE not in there:
        notes.append(f"this machine has no {LATENCY}: its processors sleep as they like, for both")
    return rows, notes, {f"{name}-{clients}": rates for (name, clients), rates in seen.items()}
