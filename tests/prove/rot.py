# SPDX-License-Identifier: Apache-2.0
"""Disks that lie, tear, misdirect, fail and fill up, on either node: detected, mended or stopped with a reason, never served.

Damage to the log and to the superblock is done while the node has no power; to the home image while it runs.
"""

import json
import mmap
import os
import subprocess

from crossbeat_lab import LabError, Late, wait_for
from crossbeat_volume import both_in_step, data_of, volume_of, wait_mounted
from pair import HERE, SqliteWriter, sqlite_of, whole_pair
from small_disk import SmallDisk

HARMS = ("bit", "torn", "misdirected")
KINDS = (
    [("log", harm, node) for node in ("b", "a") for harm in HARMS]
    + [("home", harm, node) for node in ("b", "a") for harm in HARMS]
    + [("alone", "bit", "b"), ("superblock", "bit", "b"), ("superblock", "bit", "a")]
    + [("disk", kind, node) for node in ("b", "a") for kind in ("eio", "full")]
)
ROUNDS = len(KINDS)
SHORT = 4
BLOCK = 4096


def folder_of(lab, node):
    return lab.root(node) / "var/lib/crossbeat/volumes/10.77.0.11"


def image_facts(lab, node):
    return (volume_of(lab, node).get("detail") or {}).get("image") or {}


def facts_after_damage(lab, node, kind):
    """Once it tells of such damage; the monitor asks now and then. What it told last, if it never does."""

    def told():
        facts = image_facts(lab, node)
        return facts if facts.get(kind) else None

    try:
        return wait_for("the node tells of damage", told, 5, every=0.05)
    except Late:
        return image_facts(lab, node)


def look_at(lab, node):
    """What the node's files say, without its process."""
    program = lab.build / "bin/crossbeat-volume"
    done = subprocess.run([program, "check", "--directory", folder_of(lab, node), "--json"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    if not done.stdout.strip():
        raise LabError(f"crossbeat-volume check on {node}: {done.stderr.strip()}")
    return json.loads(done.stdout)  # 1 where it found damage: it says so, and what


def harm(path, harm_kind, at, other):
    """At a block of a file; `other`: where the misdirected block comes from."""
    with open(path, "r+b") as file:
        file.seek(at)
        block = bytearray(file.read(BLOCK))
        if harm_kind == "bit":
            block[1234] ^= 0x20
        elif harm_kind == "torn":
            block[BLOCK // 2:] = os.urandom(BLOCK // 2)
        else:
            file.seek(other)
            block = file.read(BLOCK)
        file.seek(at)
        file.write(block)
        file.flush()
        os.fsync(file.fileno())


def data_between(log, first, last, length):
    """A block in the middle of this part of the log that is data: what stands behind a batch's header is padding."""
    middle = (first + (last - first) // 2) // BLOCK * BLOCK
    with open(log, "rb") as file:
        for position in range(middle, last, BLOCK):
            file.seek(position % length)
            if file.read(4) != b"CBL1":
                return position
    return middle


def rows_missing(lab, node, writers):
    found = json.loads(lab.run(node, f"{HERE}/sqlite_writer.py", sqlite_of(lab, node), "--check").stdout)
    gone = []
    for writer in writers:
        gone += sorted(writer.acked() - set(found["rows"].get(str(writer.who), [])))
    if found["integrity"] != ["ok"] or found["wrong"]:
        gone.append(f"integrity {found['integrity'][:3]}, {found['wrong']} rows hold what nobody wrote")
    return gone


def written(lab, node, who, count=100):
    writer = SqliteWriter(lab, node, who)
    wait_for("rows are committed", lambda: len(writer.acked()) > count, 30)
    return writer


# --- the log and the superblock


def log_round(lab, what, harm_kind, node):
    """The power fails under load; the log is damaged where nobody has applied it; the node comes back."""
    writer = written(lab, "a", 1)
    lab.power_off(node)
    if node == "a":
        wait_mounted(lab, "b", 60)
    writer.stop()
    found = look_at(lab, node)
    if what == "superblock":
        # The newer copy: the older one is true as well, only less new.
        harm(folder_of(lab, node) / "superblock", harm_kind, 0, 0)
        detected = look_at(lab, node)["superblock_copies"] == 1
    else:
        first, last = found["checkpoint"], found["end"]
        if last - first < 8 * BLOCK:
            first = found["tail"]
        length = found["log_bytes"]
        middle = data_between(folder_of(lab, node) / "log", first, last, length)
        harm(folder_of(lab, node) / "log", harm_kind, middle % length, first % length)
        now = look_at(lab, node)
        # An end before the damage of which the superblock knows is damage; a shorter end it takes from its peer.
        detected = now["damaged_until"] != 0 or now["end"] < found["end"]
        if middle < found["checkpoint"]:
            detected = None  # already in the image: nobody reads it there but a peer that lacks it
    lab.power_on(node)
    both_in_step(lab)
    served_by = "a" if node == "b" else "b"
    gone = rows_missing(lab, served_by, [writer])
    lab.power_off(served_by)  # what the damaged one has now is all there is
    wait_mounted(lab, node, 60)
    return {"detected": detected, "gone": gone + rows_missing(lab, node, [writer]), "said": f"{found['checkpoint']}..{found['end']}"}


# --- the home image


def place_of(path, pattern):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as image:
        return image.find(pattern)


def read_past_caches(lab, node, path):
    """Answers the bytes, or the error."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    done = subprocess.run(["dd", f"if={path}", "bs=64k", "iflag=direct", "status=none"], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr.decode().strip()


def home_round(lab, what, harm_kind, node):
    pattern = os.urandom(16 * BLOCK)
    for name in ("marked", "other"):
        path = data_of(lab, "a") / name
        path.write_bytes(pattern if name == "marked" else os.urandom(16 * BLOCK))
        lab.run("a", "sync", "-f", path)
    marked_to = volume_of(lab, "a")["position"]
    # A log and a half more: what a node that starts applies again would mend the harm before anybody looks.
    filling = data_of(lab, "a") / "filling"
    filling.write_bytes(os.urandom(24 << 20))
    lab.run("a", "sync", "-f", filling)
    image = folder_of(lab, node) / "home"
    at = wait_for("the image has what was written", lambda: max(0, place_of(image, pattern)), 20, every=0.1) + 4 * BLOCK
    if node == "b" and what == "home":
        lab.power_off("b")  # its scrub begins anew with its next start
        begins = look_at(lab, "b")["checkpoint"]
        if begins < marked_to:
            raise LabError(f"b would apply its log from {begins} again, and with it what was marked at {marked_to}")
        harm(image, harm_kind, at, at + 8 * BLOCK)
        lab.power_on("b")
        both_in_step(lab)
        wait_for("the scrub has found it", lambda: image_facts(lab, "b").get("mended"), 60, every=0.05)
    else:
        wait_for("the scrub has gone through", lambda: image_facts(lab, node).get("scrub_rounds"), 90, every=0.05)
        harm(image, harm_kind, at, at + 8 * BLOCK)
    server = "a"
    if node == "b":
        lab.power_off("a")
        wait_mounted(lab, "b", 60)
        server = "b"
    got = read_past_caches(lab, server, data_of(lab, server) / "marked")
    facts = facts_after_damage(lab, server, "lost" if what == "alone" else "mended")
    if what == "alone":  # nobody is left who has it: an error, and nothing else
        return {"detected": facts.get("lost", 0) > 0, "gone": [] if isinstance(got, str) else ["it was served"], "said": f"{str(got)[:200]}; {facts}"}
    gone = [] if got == pattern else [f"read: {got[:200] if isinstance(got, str) else 'other bytes than were written'}"]
    return {"detected": facts.get("mended", 0) > 0, "gone": gone, "said": str(facts)}


# --- disks that fail and fill up


def disk_round(lab, disk, what, kind, node):
    writer = written(lab, "a", 1)
    disk.breaks()
    other = "b" if node == "a" else "a"
    bulk = subprocess.Popen(lab.enter("a", f"{HERE}/bulk_writer.py", data_of(lab, "a") / "bulk", 60),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        def noticed():
            detail = volume_of(lab, node).get("detail") or {}
            return (detail.get("disk") or {}).get("error") and detail

        detail = wait_for(f"{node} says that its disk failed", noticed, 60, every=0.02)
        if node == "a":
            wait_mounted(lab, "b", 60)
        else:
            before = len(writer.acked())
            wait_for("a goes on without b", lambda: len(writer.acked()) > before + 50, 60)
    finally:
        bulk.kill()
        bulk.wait()
    writer.stop()
    later = written(lab, other, 2, 20)
    later.stop()
    # A loop device hands on what its store said to a direct write: the one that fails may look full as well, for lack of
    # room below it. A file system that is full must never look broken.
    told = detail.get("stall") == "disk-failed" and (kind == "eio" or bool(detail["disk"].get("full")))
    return {"detected": told, "gone": rows_missing(lab, other, [writer, later]),
            "said": f"disk {detail['disk']}, stall {detail.get('stall')}"}  # fmt: skip


def one_round(book, what, kind, node):
    options = ["--log", "16MiB"]
    if what == "disk":
        disks = []
        with whole_pair(*options, volume="96MiB",
                        before_start=lambda lab: disks.append(SmallDisk(lab, node, kind, 96))) as lab:
            try:
                found = disk_round(lab, disks[0], what, kind, node)
            finally:
                disks[0].remove()
    else:
        with whole_pair(*options, volume="64MiB") as lab:
            found = (home_round if what in ("home", "alone") else log_round)(lab, what, kind, node)
    verdict_of = {True: "detected", None: "behind the checkpoint"}.get(found["detected"], "NOT DETECTED")
    book.add(f"{what} {kind} on {node}: {verdict_of}; wrong or gone: {found['gone'] or 'nothing'} ({found['said']})",
             what=what, kind=kind, node=node, **found)  # fmt: skip


def run(book, more):
    kinds = KINDS if not book.short else [KINDS[0], KINDS[6], KINDS[9], KINDS[-1]]
    while more():
        what, kind, node = kinds[len(book.rounds) % len(kinds)]
        try:
            one_round(book, what, kind, node)
        except Late as late:
            book.add(f"{what} {kind} on {node}: {late}", what=what, kind=kind, node=node, detected=False, gone=[], said=str(late))


def verdict(rounds):
    for r in rounds:
        name = f"{r['what']}, {r['kind']}, on {r['node']}"
        if r["detected"] is None:
            yield f"{name}: behind the checkpoint, where it harms nobody", True, ""
        else:
            yield f"{name}: detected", r["detected"], r["said"]
        yield f"{name}: nothing wrong was served, nothing acknowledged is gone", not r["gone"], r["gone"]
