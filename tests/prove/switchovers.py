# SPDX-License-Identifier: Apache-2.0
"""Command moves back and forth under clients that commit all the time: no move refused, no commit lost."""

import time

from account import spread
from crossbeat_lab import LabError, wait_for
from crossbeat_volume import both_in_step, psql, volume_of, wait_database, wait_in_step
from pair import OTHER, PgWriter, amcheck, rows_there, whole_pair

ROUNDS = 100
SHORT = 4
CLIENTS = 4
A_LOOK = 10  # rounds between two looks at all rows


def missing(lab, writers):
    acked = [(w.who, w.acked()) for w in writers]  # first: they go on
    there = rows_there(lab)
    return [(who, n) for who, numbers in acked for n in sorted(numbers - there.get(who, set()))]


def in_their_places(lab, node):
    """`node` is in command, with its volume writing and its peer ready."""
    if node == "a":
        wait_in_step(lab)
        return
    lab.wait_state("b", "FAILOVER_ACTIVE", 30)
    both_in_step(lab, 60)
    lab.wait_state("a", "TERMINATED", 30, "peer-in-command")


def move(book, lab, node, writers):
    """Command goes away from `node` when it is told to."""
    verb = "switchover" if node == "a" else "failback"
    began = time.monotonic()
    done = lab.crossbeat(node, verb, timeout=120)
    refused = "" if done.returncode == 0 else (done.stderr or done.stdout).strip()
    if refused:
        book.add(f"{verb} on {node}: REFUSED: {refused}", verb=verb, refused=refused, lost=[], outage_s=None)
        raise LabError(f"crossbeat {verb} on {node}: {refused}")
    moved_s = time.monotonic() - began
    # A client is served again when it has two more rows: one may have been on its way back before.
    marks = [len(w.lines) + 2 for w in writers]
    wait_for("every client commits again", lambda: all(len(w.lines) >= m for w, m in zip(writers, marks)), 60)
    outage_s = max(max(w.waits_ms()[w.looked_at:], default=0) for w in writers) / 1e3
    for writer in writers:
        writer.looked_at = len(writer.waits_ms())
    in_their_places(lab, OTHER[node])
    settled_s = time.monotonic() - began
    lost = missing(lab, writers) if (len(book.rounds) + 1) % A_LOOK == 0 else []
    book.add(f"{verb}: command moved in {moved_s:.2f} s, the slowest client waited {outage_s:.2f} s, settled after {settled_s:.2f} s",
             verb=verb, refused="", lost=lost[:50], moved_s=moved_s, outage_s=outage_s, settled_s=settled_s,
             rows=sum(len(w.lines) for w in writers))  # fmt: skip
    if lost:
        raise LabError(f"acknowledged and gone: {lost[:20]}")


def run(book, more):
    with whole_pair("--postgres", volume="384MiB") as lab:
        wait_database(lab)
        psql(lab, "create table acknowledged (who int, n int, primary key (who, n))")
        writers = [PgWriter(lab, who) for who in range(CLIENTS)]
        for writer in writers:
            writer.looked_at = 0
        wait_for("rows are committed", lambda: all(len(w.lines) > 20 for w in writers), 30)
        in_command = "a"
        while more():
            move(book, lab, in_command, writers)
            in_command = OTHER[in_command]
        for writer in writers:
            writer.stop()
        book.rounds[-1]["lost"] += missing(lab, writers)[:50]
        book.rounds[-1]["corrupt"] = amcheck(lab)
        book.rounds[-1]["acked"] = sum(len(w.acked()) for w in writers)
        book.rounds[-1]["alone"] = [n for n in ("a", "b") if volume_of(lab, n).get("alone")]


def verdict(rounds):
    refused = [f"round {r['round']}: {r['refused']}" for r in rounds if r["refused"]]
    yield f"none of {len(rounds)} moves back to back was refused", rounds and not refused, "\n".join(refused)
    acked = sum(r.get("acked", 0) for r in rounds)
    lost = [f"round {r['round']}: {r['lost']}" for r in rounds if r["lost"]]
    yield f"of {acked} acknowledged rows none was lost", acked > 0 and not lost, "\n".join(lost) or "nothing was acknowledged"
    corrupt = [r["corrupt"] for r in rounds if r.get("corrupt")]
    yield "pg_amcheck finds nothing", not corrupt, "\n".join(corrupt)
    outages = [r["outage_s"] for r in rounds if r["outage_s"] is not None]
    yield f"the slowest client waited: {spread(outages)}", bool(outages), ""
    yield f"both in step and in their places again: {spread([r['settled_s'] for r in rounds if 'settled_s' in r])}", True, ""
