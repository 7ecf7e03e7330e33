# SPDX-License-Identifier: Apache-2.0
"""The node in command loses its power at random moments while frames are lost: what was acknowledged is there.

PostgreSQL is asked through the virtual address by several clients; several SQLite writers run on the node in command. What each was
told is kept here, outside both nodes. The same rounds in mode `async` must lose something, or the account is blind.
"""

import json

from account import spread
from crossbeat_lab import boottime_ns, wait_for
from crossbeat_volume import both_in_step, psql, wait_database, wait_mounted
from pair import (
    HERE, OTHER, Answers, PgWriter, SqliteWriter, amcheck, fail_back, lose, rows_there, sqlite_of, whole_pair,
)

ROUNDS = 50
SHORT = 2
CONTROL = 10  # rounds in mode async, at most
CLIENTS = 4
WRITERS = 3


class Account:
    """What was acknowledged in the life of one lab, and what of it is there."""

    def __init__(self, lab, postgres):
        self.lab = lab
        self.postgres = postgres
        self.next = 1
        self.writers = []
        self.acked = {"postgres": {}, "sqlite": {}}

    def begin(self, node):
        first = self.next
        self.next += 10
        self.writers = [SqliteWriter(self.lab, node, first + i) for i in range(WRITERS)]
        if self.postgres:
            self.writers += [PgWriter(self.lab, first + WRITERS + i) for i in range(CLIENTS)]

    def count(self):
        return sum(len(writer.lines) for writer in self.writers)

    def wait_more(self, count):
        target = self.count() + count
        wait_for(f"{count} more rows acknowledged", lambda: self.count() >= target, 60, every=0.002)

    def end(self):
        """Answers how many were acknowledged to each kind since begin()."""
        told = {"postgres": 0, "sqlite": 0}
        for writer in self.writers:
            writer.stop()
            kind = "postgres" if isinstance(writer, PgWriter) else "sqlite"
            self.acked[kind][writer.who] = writer.acked()
            told[kind] += len(writer.acked())
        self.writers = []
        return told

    def look(self, node):
        """On the node in command: what was acknowledged and is gone (told once), and what is corrupt."""
        found = json.loads(self.lab.run(node, f"{HERE}/sqlite_writer.py", sqlite_of(self.lab, node), "--check").stdout)
        corrupt = [] if found["integrity"] == ["ok"] else [f"integrity_check: {found['integrity'][:3]}"]
        if found["wrong"]:
            corrupt.append(f"{found['wrong']} rows of SQLite hold what nobody wrote")
        there = {"sqlite": {int(who): set(numbers) for who, numbers in found["rows"].items()}, "postgres": {}}
        if self.postgres:
            there["postgres"] = rows_there(self.lab)
            corrupt += [told for told in [amcheck(self.lab)] if told]
        gone = {}
        for kind, writers in self.acked.items():
            gone[kind] = []
            for who, numbers in writers.items():
                lost = numbers - there[kind].get(who, set())
                gone[kind] += [(who, n) for n in sorted(lost)]
                writers[who] = numbers - lost
        return gone, corrupt


def one_round(book, lab, account, node, mode):
    """The power of `node`, which is in command, fails; its peer serves, is looked at; it comes back and into step."""
    other = OTHER[node]
    account.begin(node)
    account.wait_more(CLIENTS + WRITERS)
    losing = {"direct": book.random.uniform(0.1, 3.0), "net": book.random.uniform(0.0, 1.0)}
    lose(lab, **losing)
    account.wait_more(book.random.randrange(20, 150 if book.short else 600))
    both_in_step(lab)
    # Every second time, and always in the control: the wires first, and the node runs on for a moment.
    wires_first = mode == "async" or book.random.random() < 0.5
    t0_ns = lab.power_off(node, "silent")["t0_ns"] if wires_first else 0
    t0_ns = t0_ns or lab.power_off(node)["t0_ns"]
    if wires_first:
        lab.power_off(node)
    answers = Answers(lab) if account.postgres else None
    wait_mounted(lab, other, 60)
    mounted_s = (boottime_ns() - t0_ns) / 1e9
    database_s = (answers.when() - t0_ns) / 1e9 if answers else None
    acked = account.end()
    lose(lab, 0, 0)
    gone, corrupt = account.look(other)

    afterwards, in_step_s = {}, 0.0
    if mode != "async":  # there the histories have parted now, and a person has to choose
        # Some more, which the survivor alone acknowledges, and which its peer has to get.
        account.begin(other)
        account.wait_more(20)
        lab.power_on(node)
        began = boottime_ns()
        both_in_step(lab)
        in_step_s = (boottime_ns() - began) / 1e9
        afterwards = account.end()
    book.add(
        f"{mode}: {node} off; acknowledged {acked}, lost {sum(map(len, gone.values()))}, corrupt {len(corrupt)}; mounted "
        f"after {mounted_s:.2f} s, database after {database_s or 0:.2f} s, in step {in_step_s:.1f} s after power-on",
        mode=mode, node=node, wires_first=wires_first, loss_percent=losing, acked=acked, afterwards=afterwards,
        lost={kind: gone[kind][:50] for kind in gone}, lost_count=sum(map(len, gone.values())),
        corrupt=corrupt, mounted_s=mounted_s, database_s=database_s, in_step_s=in_step_s,
    )  # fmt: skip


def life(book, more, mode, postgres=True):
    """Rounds in one lab: twice the primary, then the secondary once, and so on."""
    options = ["--volume-mode", mode] + (["--postgres"] if postgres else [])
    with whole_pair(*options, volume="384MiB" if postgres else "64MiB") as lab:
        account = Account(lab, postgres)
        if postgres:
            wait_database(lab)
            psql(lab, "create table acknowledged (who int, n int, primary key (who, n))")
        account.look("a")  # makes the database of SQLite
        in_command = "a"
        while more():
            one_round(book, lab, account, in_command, mode)
            in_command = OTHER[in_command]
            if mode == "async" or not more():
                break
            if in_command == "b" and len(book.rounds) % 3 != 2:
                fail_back(lab)
                in_command = "a"
            else:  # the other one was off a moment ago
                lab.wait_able(OTHER[in_command])
        gone, corrupt = account.look(in_command)
        if book.rounds:
            last = book.rounds[-1]
            last["lost"] = {kind: last["lost"][kind] + gone[kind][:50] for kind in gone}
            last["lost_count"] += sum(map(len, gone.values()))
            last["corrupt"] += corrupt


def run(book, more):
    wanted = book.wanted

    def more_sync():
        return more() and len(book.of(mode="sync")) < wanted

    def more_control():
        control = book.of(mode="async")
        return more() and len(control) < CONTROL and not any(r["lost_count"] for r in control)

    book.wanted = wanted + CONTROL
    while more_control():
        life(book, more_control, "async", postgres=not book.short)
    if more_sync():
        life(book, more_sync, "sync")


def verdict(rounds):
    sync = [r for r in rounds if r["mode"] == "sync"]
    control = [r for r in rounds if r["mode"] == "async"]
    acked = sum(sum(r["acked"].values()) + sum(r["afterwards"].values()) for r in sync)
    lost = [f"round {r['round']}: {r['lost']}" for r in sync if r["lost_count"]]
    yield (f"{len(sync)} power failures in mode sync: of {acked} acknowledged rows none was lost", sync and not lost,
           "\n".join(lost) or "there was no round")  # fmt: skip
    corrupt = [f"round {r['round']}: {r['corrupt']}" for r in rounds if r["corrupt"]]
    yield "neither PostgreSQL nor SQLite found anything corrupt, in any mode", not corrupt, "\n".join(corrupt)
    told = sum(r["lost_count"] for r in control)
    yield (f"the control sees loss: {told} acknowledged rows lost by {len(control)} power failures in mode async", told > 0,
           "nothing was lost in mode async: the account would not see a loss")  # fmt: skip
    yield f"the database answers again: {spread([r['database_s'] for r in sync])}", bool(sync), ""
    yield f"the volume is mounted on the peer: {spread([r['mounted_s'] for r in sync])}", bool(sync), ""
    yield f"in step again after power-on: {spread([r['in_step_s'] for r in sync])}", bool(sync), ""
