# SPDX-License-Identifier: Apache-2.0
"""A record of what a device was asked for (tests/front/server.cpp), and images as a power cut would leave them.

At a crash point everything before the last flush is durable. Of what came after it each 4 KiB block is there or
not, by chance, whatever the order: that is all that a disk with a write cache promises, and what the volume does.
"""

import mmap
import os
import struct
import subprocess
from pathlib import Path

WRITE, ZERO, DISCARD, FLUSH = 1, 2, 3, 4
BLOCK = 4096
ENTRY = struct.Struct("<QQQ")


class Record:
    def __init__(self, path):
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
        self.entries = []  # (kind, offset, length, where its data are)
        at = 0
        while at < size:
            kind, offset, length = ENTRY.unpack_from(self.bytes, at)
            at += ENTRY.size
            self.entries.append((kind, offset, length, at))
            if kind == WRITE:
                at += length
        if at != size:
            raise ValueError(f"the record of {size} bytes ends within an entry")

    def blocks(self, entry):
        """(offset, data) of each block; data None: zeros."""
        kind, offset, length, at = entry
        for step in range(0, length, BLOCK):
            yield offset + step, self.bytes[at + step : at + step + BLOCK] if kind == WRITE else None


class Disk:
    """What is durable for certain, as the points go on."""

    def __init__(self, record, folder, size):
        self.record, self.folder, self.done = record, Path(folder), 0
        self.path = self.folder / "durable"
        with open(self.path, "w+b") as file:
            file.truncate(size)
            self.memory = mmap.mmap(file.fileno(), size)

    def advance(self, point):
        """Everything up to the last flush before the point; returns what is in doubt after it."""
        entries = self.record.entries
        last = next((i for i in range(point - 1, self.done - 1, -1) if entries[i][0] == FLUSH), self.done)
        for entry in entries[self.done : last]:
            if entry[0] == WRITE:
                self.memory[entry[1] : entry[1] + entry[2]] = self.record.bytes[entry[3] : entry[3] + entry[2]]
            elif entry[0] != FLUSH:
                self.memory[entry[1] : entry[1] + entry[2]] = bytes(entry[2])
        self.done = last
        return [entry for entry in entries[last:point] if entry[0] != FLUSH]

    def image(self, point, draw):
        """A file of its own for this point: nothing that is done to it is seen at the next."""
        doubtful = self.advance(point)
        path = self.folder / f"point{point}"
        subprocess.run(["cp", "--sparse=auto", self.path, path], check=True)
        share = draw.choice((0.0, 0.0, 0.1, 0.5, 0.9, 1.0))
        with open(path, "r+b") as file:
            for entry in doubtful:
                for offset, data in self.record.blocks(entry):
                    if draw.random() < share:
                        file.seek(offset)
                        file.write(data if data is not None else bytes(BLOCK))
        return path


def choose_points(draw, count, begin, end, acknowledged):
    """Half of them anywhere, half at the very moment after an acknowledgement; ascending, since a Disk only advances."""
    moments = [at for at in acknowledged if begin < at <= end]
    points = [draw.choice(moments) if moments and i % 2 else draw.randrange(begin + 1, end + 1) for i in range(count)]
    return sorted(points)
