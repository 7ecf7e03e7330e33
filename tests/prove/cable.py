# SPDX-License-Identifier: Apache-2.0
"""The cable is cut and healed while data is written in bulk: the stream moves, nobody waits long, the images are alike."""

import hashlib
import os

from account import spread
from crossbeat_lab import wait_for
from crossbeat_volume import Lines, Writer, data_of, present, volume_of, wait_in_step
from pair import HERE, whole_pair

ROUNDS = 20
SHORT = 2
BULK_MIB = 96
STALL_MS = 1000


class Bulk(Lines):
    def __init__(self, lab, node):
        super().__init__(lab.enter(node, f"{HERE}/bulk_writer.py", data_of(lab, node) / "bulk", BULK_MIB))
        self.looked_at = 0

    def waits_ms(self):
        """Of each piece since the last look."""
        lines = self.lines[self.looked_at:]
        self.looked_at += len(lines)
        return [float(line.split()[1]) for line in lines if line[:1].isdigit()]

    def wait_more(self, pieces):
        target = len(self.lines) + pieces
        wait_for(f"{pieces} MiB more are written", lambda: len(self.lines) >= target, 30)


def link_in_use(lab, node):
    paths = ((volume_of(lab, node).get("detail") or {}).get("transport") or {}).get("paths", [])
    return [path["link"].split()[0] for path in paths if path["in_use"]]


def one_round(book, lab, bulk, small, carrier):
    """Healed at the end, and back on the cable."""
    bulk.waits_ms()
    lab.verb("cut", "direct", *(["--carrier"] if carrier else []))
    wait_for("the stream goes over the network", lambda: link_in_use(lab, "a") == ["udp"], 20)
    bulk.wait_more(book.random.randrange(10, 40))
    cut_ms = bulk.waits_ms()
    lab.verb("heal")
    wait_for("the stream is back on the cable", lambda: link_in_use(lab, "a") != ["udp"], 20)
    bulk.wait_more(book.random.randrange(10, 40))
    healed_ms = bulk.waits_ms()
    book.add(
        f"{'with' if carrier else 'without'} carrier loss: longest wait for 1 MiB {max(cut_ms):.0f} ms when cut, "
        f"{max(healed_ms):.0f} ms when healed; {len(cut_ms)} and {len(healed_ms)} MiB",
        carrier=carrier, cut_ms=max(cut_ms), healed_ms=max(healed_ms), mib=len(cut_ms) + len(healed_ms),
        small_longest_ms=small.longest_ms(), errors=small.errors()[:3] + [x for x in bulk.lines if not x[:1].isdigit()][:3],
    )  # fmt: skip


def digest(path, direct):
    """Past the page cache where it might be older than the device."""
    told = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY)
    try:
        if direct:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := os.read(fd, 1 << 20):
            told.update(piece)
    finally:
        os.close(fd)
    return told.hexdigest()


def image_of(lab, node):
    return lab.root(node) / "var/lib/crossbeat/volumes/10.77.0.11/home"


def images_alike(lab):
    """When nobody writes any more both homes become what the volume's own device reads. None: they do not."""
    lab.run("a", "sync", "-f", data_of(lab, "a"))
    device = volume_of(lab, "a")["device"]

    def alike():
        found = {digest(path, True) for path in (device, image_of(lab, "a"), image_of(lab, "b"))}
        return found.pop() if len(found) == 1 else None

    return wait_for("device and both images are alike", alike, 20, every=0.2)


def run(book, more):
    with whole_pair(volume="384MiB") as lab:  # the small writer's file only grows
        small = Writer(lab, "a")
        small.wait_more(20)
        bulk = Bulk(lab, "a")
        bulk.wait_more(20)
        while more():
            one_round(book, lab, bulk, small, carrier=len(book.rounds) % 2 == 1)
        bulk.stop()
        small.stop()
        wait_in_step(lab)
        last = book.rounds[-1]
        last["acked"], last["present"] = small.acked(), present(lab, "a")
        last["digest"] = images_alike(lab)


def verdict(rounds):
    errors = [f"round {r['round']}: {r['errors']}" for r in rounds if r["errors"]]
    yield f"{len(rounds)} cuts and as many healings cost no error", rounds and not errors, "\n".join(errors)
    worst = max((max(r["cut_ms"], r["healed_ms"], r["small_longest_ms"]) for r in rounds), default=None)
    yield (f"no write waited for {STALL_MS} ms: cut: {spread([r['cut_ms'] for r in rounds], 'ms', 0)}; "
           f"healed: {spread([r['healed_ms'] for r in rounds], 'ms', 0)}", worst is not None and worst < STALL_MS,
           f"the longest took {worst} ms")  # fmt: skip
    ends = [r for r in rounds if "acked" in r]
    short = [r for r in ends if r["present"] < r["acked"]]
    yield "every record that was acknowledged is there", ends and not short, short
    digests = [r for r in ends if r.get("digest")]
    yield "device and both images have one digest at the end", ends and len(digests) == len(ends), ""
