# SPDX-License-Identifier: Apache-2.0
"""A node that was away comes back: how long, and how many bytes, until the copies are in step; and if the source dies meanwhile.

reboot: little was written meanwhile. written: 1 GiB, less than the log holds. overrun: more than the log holds. killed: as
overrun, but the source loses its power in the middle of the copy, and an operator puts what is left in command.
"""

import json
import shutil
import subprocess
import time

from account import spread
from crossbeat_lab import Late, LabError, wait_for
from crossbeat_volume import Lines, both_in_step, data_of, volume_of, wait_in_step, wait_mounted
from pair import HERE, SqliteWriter, lose, sqlite_of, whole_pair

KINDS = ["reboot"] * 3 + ["written"] * 3 + ["overrun"] * 3 + ["killed"] * 20
ROUNDS = len(KINDS)
SHORT = 2
MIB = 1 << 20


def received(lab, node):
    links = json.loads(lab.run(node, "ip", "-j", "-s", "link", "show").stdout)
    return sum(link["stats64"]["rx"]["bytes"] for link in links if link["ifname"] in ("eth0", "eth1"))


def write_mib(lab, node, mib, name="bulk"):
    """All of it new data, and durable."""
    bulk = Lines(lab.enter(node, f"{HERE}/bulk_writer.py", data_of(lab, node) / name, mib, mib))
    if bulk.process.wait(timeout=170) != 0:
        raise LabError(f"bulk_writer.py: {bulk.stop()[-3:]}")


def power_off_standby(lab):
    lab.power_off("b")
    lab.wait_state("a", "PRIMARY_ACTIVE", 30, "alone")
    wait_for("a acknowledges alone", lambda: volume_of(lab, "a").get("alone"), 30)


def one_return(book, lab, kind, mib):
    """b is away while `mib` are written, and comes back; its interfaces are new then, so they count from nothing."""
    wait_in_step(lab)
    power_off_standby(lab)
    began = time.monotonic()
    write_mib(lab, "a", mib)
    written_s = time.monotonic() - began
    began = time.monotonic()
    lab.power_on("b")
    started_s = time.monotonic() - began
    seen = set()

    def in_step():
        detail = volume_of(lab, "b").get("detail") or {}
        seen.add((detail.get("sync") or {}).get("kind"))
        return volume_of(lab, "b").get("in_step") and volume_of(lab, "a").get("in_step")

    wait_for("both are in step", in_step, 120, every=0.02)
    took_s = time.monotonic() - began
    moved = received(lab, "b")
    book.add(
        f"{kind}: {mib} MiB written in {written_s:.1f} s; in step {took_s:.2f} s after power-on ({started_s:.2f} s of it the "
        f"start of the monitor), {moved / MIB:.1f} MiB received",
        kind=kind, mib=mib, written_s=written_s, started_s=started_s, in_step_s=took_s, moved=moved,
        sync=sorted(k for k in seen if k),
    )  # fmt: skip


class Saved:
    """The disks of both nodes, as they were when both had lost their power."""

    def __init__(self, lab):
        self.lab = lab
        for node in ("a", "b"):
            self._copy(lab.root(node) / "var", lab.home / f"saved-{node}")

    @staticmethod
    def _copy(source, target):
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)

    def put_back(self):
        for node in ("a", "b"):
            self._copy(self.lab.home / f"saved-{node}", self.lab.root(node) / "var")


def prepare_kills(lab):
    """Both off: a holds more than b knows of, and than a log can tell. Answers what both had acknowledged, and what a alone had."""
    first = SqliteWriter(lab, "a", 1)
    wait_for("rows are committed", lambda: len(first.acked()) > 100, 30)
    write_mib(lab, "a", 40, "old")
    first.stop()
    wait_in_step(lab)
    power_off_standby(lab)
    second = SqliteWriter(lab, "a", 2)
    wait_for("rows are committed", lambda: len(second.acked()) > 100, 30)
    write_mib(lab, "a", 40, "old")  # over the same places
    write_mib(lab, "a", 40, "new")
    second.stop()
    lab.power_off("a")
    return first.acked(), second.acked()


def one_kill(book, lab, saved, both, alone):
    saved.put_back()
    lose(lab, 0, 0)
    lab.power_on("b")
    lab.wait_able("b")
    lab.power_on("a")
    lab.verb("heal")
    wait_for("a writes", lambda: volume_of(lab, "a").get("mounted"), 40)
    lose(lab, 5, 0)
    wanted = book.random.randrange(1, 950)

    def on_its_way():
        detail = volume_of(lab, "b").get("detail") or {}
        sync = detail.get("sync") or {}
        return (sync.get("kind") == "copy" and sync.get("permille", 0) >= wanted and detail) or (
            volume_of(lab, "b").get("in_step") and detail)

    detail = wait_for(f"the copy is at {wanted} permille", on_its_way, 60, every=0.001)
    lab.power_off("a")
    lose(lab, 0, 0)
    at = {"sync": detail.get("sync"), "standing": detail.get("standing"), "image_kept": (detail.get("sync") or {}).get("image_kept")}
    try:
        lab.wait_state("b", "FAILOVER_ACTIVE", 3)
        by_itself = True
    except Late:
        by_itself = False
    failed, found = "", {}
    if not by_itself:
        done = lab.crossbeat("b", "failover", "--accept-loss", timeout=120)
        failed = "" if done.returncode == 0 else (done.stderr or done.stdout).strip()
    if not failed:
        lab.wait_state("b", "FAILOVER_ACTIVE", 30)
        wait_mounted(lab, "b")
        found = json.loads(lab.run("b", f"{HERE}/sqlite_writer.py", sqlite_of(lab, "b"), "--check").stdout)
    rows = {int(who): set(numbers) for who, numbers in found.get("rows", {}).items()}
    whole = found.get("integrity") == ["ok"] and not found.get("wrong")
    missing = sorted(both - rows.get(1, set()))
    newer = len(rows.get(2, set()) & alone)
    book.add(
        f"killed at {(at['sync'] or {}).get('permille')} permille ({at['image_kept']}): "
        f"{failed or ('by itself' if by_itself else 'as told')}; whole {whole}, of what both had {len(missing)} missing, "
        f"{newer} of {len(alone)} newer rows",
        kind="killed", at=at, by_itself=by_itself, failed=failed, whole=whole, missing=missing[:20], newer=newer, alone=len(alone),
    )  # fmt: skip
    lab.power_off("b")


def left(book):
    """The kinds that are still to be done."""
    done = [r["kind"] for r in book.rounds]
    wanted = KINDS[: book.wanted] if not book.short else ["reboot", "overrun"]
    return [kind for kind in sorted(set(wanted), key=wanted.index) for _ in range(wanted.count(kind) - done.count(kind))]


def run(book, more):
    scale = book.scale * (0.05 if book.short else 1)
    mib = {"reboot": 8, "written": round(1024 * scale), "overrun": round(512 * scale)}
    log = {"reboot": 64, "written": mib["written"] * 2, "overrun": max(16, round(64 * scale))}
    for kind in ("reboot", "written", "overrun"):
        if more() and kind in left(book):
            with whole_pair("--log", f"{log[kind]}MiB", volume=f"{max(64, round(mib[kind] * 1.4))}MiB") as lab:
                while more() and kind in left(book):
                    one_return(book, lab, kind, mib[kind])
                both_in_step(lab)
    if more() and "killed" in left(book):
        with whole_pair("--log", "16MiB", volume="160MiB") as lab:
            both, alone = prepare_kills(lab)
            saved = Saved(lab)
            while more() and "killed" in left(book):
                one_kill(book, lab, saved, both, alone)


def verdict(rounds):
    for kind in ("reboot", "written", "overrun"):
        these = [r for r in rounds if r["kind"] == kind]
        if these:
            moved = max(r["moved"] for r in these) / MIB
            yield (f"{kind} ({these[0]['mib']} MiB written meanwhile): in step {spread([r['in_step_s'] for r in these])} after power-on, "
                   f"at most {moved:.1f} MiB received", True, "")  # fmt: skip
    for r in rounds:
        if r["kind"] == "overrun":
            yield f"round {r['round']}: the overrun log made a copy necessary", "copy" in r["sync"], r["sync"]
    killed = [r for r in rounds if r["kind"] == "killed"]
    if killed:
        bad = [f"round {r['round']}: {r}" for r in killed if r["failed"] or not r["whole"] or r["missing"]]
        yield (f"{len(killed)} sources lost their power in the middle of a copy: what was left could be put in command and was whole",
               not bad, "\n".join(bad))  # fmt: skip
        wrong = [f"round {r['round']}: {r}" for r in killed if r["by_itself"] and r["newer"] < r["alone"]]
        yield "none took over by itself with rows missing that had been acknowledged", not wrong, "\n".join(wrong)
