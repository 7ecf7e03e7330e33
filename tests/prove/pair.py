# SPDX-License-Identifier: Apache-2.0
"""A whole pair with a volume, and what the proofs do to it."""

import contextlib
import os
from pathlib import Path

from crossbeat_lab import ADDRESS, Lab, LabError, VIP
from crossbeat_volume import Lines, data_of, psql, volume_of, wait_in_step, wait_mounted

# Rounds follow each other faster than failures do: automatic mode must not be turned off for it.
OFTEN = ("--set", 'failover.hold_down="0s"', "--set", "failover.automatic_moves_max=8",
         "--set", 'failover.automatic_moves_window="1min"')  # fmt: skip
OTHER = {"a": "b", "b": "a"}
HERE = os.path.dirname(os.path.abspath(__file__))


def words_of(lab):
    said = []
    for node in ADDRESS:
        if lab.root(node).exists():
            pairing = lab.pairing(node)
            said.append(f"{node}: {pairing.get('state')} {pairing.get('sub_state')} {pairing.get('reason_text')}")
            said.append(f"   volume {volume_of(lab, node)}")
            said.append(f"--- log of {node}\n{lab.log(node, 30)}")
    return "\n".join(said)


@contextlib.contextmanager
def whole_pair(*options, volume="256MiB", before_start=None):
    """Both in their places and in step. before_start(lab): the nodes are there, and nothing of them runs."""
    lab = Lab(f"prove-{os.getpid()}")
    try:
        try:
            lab.up("--profile", "normal", "--volume", volume, *OFTEN, *options, *(["--no-start"] if before_start else []))
            if before_start:
                before_start(lab)
                lab.verb("start")
            lab.verb("pair")
            wait_in_step(lab)
            wait_mounted(lab, "a")
            yield lab
        except LabError as error:
            raise LabError(f"{error}\n{words_of(lab)}") from error
    finally:
        if os.environ.get("CB_KEEP_LAB"):
            print(f"# kept: LAB={lab.name} (CB_KEEP_LAB is set)")
        else:
            lab.down()


def lose(lab, direct, net):
    """Frames at random, in percent, both ways."""
    lab.verb("loss", "direct", f"{direct:.3f}")
    for node in ("a", "b"):
        lab.verb("loss", "net", f"{net:.3f}", node)


def fail_back(lab):
    done = lab.crossbeat("b", "failback", timeout=120)
    if done.returncode != 0:
        raise LabError(f"crossbeat failback: {(done.stderr or done.stdout).strip()}")
    wait_in_step(lab)
    wait_mounted(lab, "a")


class Answers(Lines):
    """From now on somebody asks the database; when() is the moment at which it answered, on CLOCK_BOOTTIME."""

    def __init__(self, lab):
        super().__init__(lab.enter("client", f"{HERE}/pg_client.py", VIP, "answers", 90))

    def when(self):
        self.process.wait(timeout=100)
        self.reader.join()
        if not self.lines or not self.lines[-1].isdigit():
            raise LabError("the database did not answer within 90 s")
        return int(self.lines[-1])


class PgWriter(Lines):
    """Inserts numbers through the virtual address, over every interruption; what was confirmed is known here."""

    def __init__(self, lab, who):
        super().__init__(lab.enter("client", f"{HERE}/pg_client.py", VIP, "insert", who))
        self.who = who

    def acked(self):
        return {int(line.split()[0]) for line in list(self.lines) if line[:1].isdigit()}

    def waits_ms(self):
        return [float(line.split()[1]) for line in list(self.lines) if line[:1].isdigit()]


class SqliteWriter(Lines):
    """Inserts numbers on the node itself; ends with its power."""

    def __init__(self, lab, node, who):
        super().__init__(lab.enter(node, f"{HERE}/sqlite_writer.py", sqlite_of(lab, node), who))
        self.who = who

    def acked(self):
        return {int(line) for line in list(self.lines) if line.isdigit()}


def sqlite_of(lab, node):
    return data_of(lab, node) / "sqlite" / "base.db"


def amcheck(lab):
    """What pg_amcheck has to say against the database; empty: nothing."""
    program = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_amcheck"))[-1]
    done = lab.run("client", program, "-h", VIP, "-U", "postgres", "--install-missing", "--heapallindexed", "postgres",
                   check=False)  # fmt: skip
    return "" if done.returncode == 0 else f"pg_amcheck: {(done.stderr or done.stdout).strip()[:500]}"


def rows_there(lab):
    there = {}
    for line in (psql(lab, "select who, n from acknowledged") or "").split():
        who, number = map(int, line.split("|"))
        there.setdefault(who, set()).add(number)
    return there
