# SPDX-License-Identifier: Apache-2.0
"""What the stories and the demo do with a replicated volume: writers whose acknowledgements are kept outside."""

import subprocess
import threading
from pathlib import Path

from crossbeat_lab import TOP, VIP, LabError, wait_for

WRITER = str(TOP / "tests/support/lab/volume_writer.py")


def volume_of(lab, node, primary="a"):
    return lab.pairing(node, primary).get("volume") or {}


def data_of(lab, node, primary="a"):
    return lab.root(node) / ("data" if primary == "a" else f"data-{primary}")


def volume_pid(lab, node):
    """The process that has the node's volume."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0].endswith("/crossbeat-volume") and "--instance" in words and str(lab.root(node)) in words:
            return int(entry.parent.name)
    raise LabError(f"there is no volume process on {node}")


def wait_in_step(lab, timeout=60.0):
    """Both in their places, and in step."""
    lab.wait_protected(timeout)
    both_in_step(lab, timeout)


def both_in_step(lab, timeout=90.0, primary="a"):
    """In command or not: each says that the copies are in step."""
    for node in (primary, "b"):
        wait_for(f"the volume of {primary} in step on {node}", lambda n=node: volume_of(lab, n, primary).get("in_step"), timeout)


def wait_mounted(lab, node, timeout=30.0, primary="a"):
    wait_for(f"the volume of {primary} mounted on {node}", lambda: volume_of(lab, node, primary).get("mounted"), timeout)


class Lines:
    """The output of a process, line by line as it comes; it goes on while the process lives."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        return self.lines


class Writer(Lines):
    """fsync after every record, on the node; which ones were acknowledged is known here."""

    def __init__(self, lab, node, name="numbers", primary="a"):
        super().__init__(lab.enter(node, WRITER, data_of(lab, node, primary) / name))
        self.name = name

    def acked(self):
        numbers = [line.split()[0] for line in self.lines if line[:1].isdigit()]
        return int(numbers[-1]) if numbers else 0

    def longest_ms(self):
        waits = [float(line.split()[1]) for line in self.lines if line[:1].isdigit()]
        return waits[-1] if waits else 0.0

    def errors(self):
        return [line for line in self.lines if line and not line[:1].isdigit()]

    def wait_more(self, count, timeout=30.0):
        target = self.acked() + count
        wait_for(f"{count} more records acknowledged", lambda: self.acked() >= target, timeout)


def present(lab, node, name="numbers", primary="a"):
    return int(lab.run(node, WRITER, data_of(lab, node, primary) / name, "--check").stdout)


def dies_under_writes(lab, count):
    """a loses its power while somebody writes there, after `count` records; the writer, when b has the volume."""
    wait_mounted(lab, "a")
    writer = Writer(lab, "a")
    writer.wait_more(count)
    lab.power_off("a")
    lab.wait_state("b", "FAILOVER_ACTIVE")
    wait_mounted(lab, "b")
    writer.stop()
    return writer


# --- PostgreSQL, asked through the virtual address from the client's namespace


def psql(lab, sql, check=True, timeout=20.0):
    done = lab.run("client", "psql", "-h", VIP, "-U", "postgres", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1",
                   "-c", sql, "postgres", check=False, timeout=timeout)
    if check and done.returncode != 0:
        raise LabError(f"psql: {sql}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip() if done.returncode == 0 else None


def wait_database(lab, timeout=60.0):
    wait_for("the database answers", lambda: psql(lab, "select 1", check=False) == "1", timeout, every=0.02)


class Rows(Lines):
    """One client that inserts numbers one by one; psql prints each that was committed, and we keep it."""

    def __init__(self, lab, who):
        sql = f"insert into acknowledged values ({who}, :n) returning n"
        script = "\n".join(sql.replace(":n", str(n)) + ";" for n in range(1, 20001))
        super().__init__(
            lab.enter("client", "psql", "-h", VIP, "-U", "postgres", "-X", "-q", "-t", "-A",
                      "-v", "ON_ERROR_STOP=1", "postgres"),
            stdin=subprocess.PIPE,
        )
        self.who = who
        self.feeder = threading.Thread(target=self._feed, args=(script,), daemon=True)
        self.feeder.start()

    def _feed(self, script):
        try:
            self.process.stdin.write(script)
            self.process.stdin.close()
        except OSError:
            pass

    def acked(self):
        return {int(line) for line in self.lines if line.isdigit()}


def missing_rows(lab, clients):
    """What was acknowledged to somebody and is not there."""
    gone = []
    count = 0
    for client in clients:
        there = {int(n) for n in (psql(lab, f"select n from acknowledged where who = {client.who}") or "").split()}
        acked = client.acked()
        count += len(acked)
        gone += [(client.who, n) for n in sorted(acked - there)]
    return count, gone
