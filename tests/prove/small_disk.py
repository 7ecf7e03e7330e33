# SPDX-License-Identifier: Apache-2.0
"""A disk of a node's own under its volumes, that gets full or fails when it is told to.

full: an ext4 whose free room goes. eio: an ext4 on a loop device whose backing store has no room left, so that the kernel answers
writes and syncs with real I/O errors (newer kernels: a direct write with the store's ENOSPC).
"""

import os
import shutil
import subprocess

MIB = 1 << 20


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class SmallDisk:
    def __init__(self, lab, node, kind, mib):
        self.kind = kind
        self.at = lab.root(node) / "var/lib/crossbeat/volumes"
        self.below = lab.home / f"disk-{node}"
        self.below.mkdir()
        self.mounted = []
        if kind == "eio":
            run("mount", "-t", "tmpfs", "-o", f"size={mib}M", "disk", self.below)
            self.mounted.append(self.below)
        image = self.below / "image"
        with open(image, "wb") as file:
            file.truncate(mib * MIB)
        run("mkfs.ext4", "-q", "-F", "-m", "0", image)
        kept = self.at.with_name("volumes.kept")
        if self.at.exists():
            self.at.rename(kept)
        self.at.mkdir()
        run("mount", "-o", "loop", image, self.at)
        self.mounted.append(self.at)
        if kept.exists():
            for each in kept.iterdir():
                run("cp", "-a", "--sparse=always", each, self.at)
            shutil.rmtree(kept)
        run("sync", "-f", self.at)

    def breaks(self):
        """From now on nothing new can be written. What the device has room for already still can."""
        ballast = (self.at if self.kind == "full" else self.below) / "ballast"
        free = os.statvfs(ballast.parent)
        room = free.f_bavail * free.f_frsize
        with open(ballast, "wb") as file:
            while room >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, room)
                except OSError:
                    pass
                room = room // 2

    def remove(self):
        for at in reversed(self.mounted):
            subprocess.run(["umount", "-l", str(at)], check=False, capture_output=True)
