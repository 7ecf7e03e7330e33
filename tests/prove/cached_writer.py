#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes through the page cache, over and over the same file; made durable now and then.

  cached_writer.py FILE MIB           prints "PIECES WAIT_MS" after each MiB: how long this one took. Ends, with everything
                                      durable, at SIGTERM
  cached_writer.py FILE MIB --check PIECES   reads the file from its disk: it must hold the newest of so many pieces
"""

import os
import random
import signal
import struct
import sys
import time

PIECE = 1 << 20
PAGE = 4096
DURABLE_EVERY = 16
# No two pages are ever alike: each begins with the number of its piece and its place in it.
NOISE = random.Random("cached writer").randbytes(PIECE)


def piece_of(number):
    data = bytearray(NOISE)
    for at in range(0, PIECE, PAGE):
        struct.pack_into("<QQ", data, at, number, at)
    return data


def write(path, pieces):
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    done = 0
    while not ended:
        data = piece_of(done + 1)
        began = time.monotonic()
        if os.pwrite(fd, data, done % pieces * PIECE) != PIECE:
            raise OSError("a write was cut short")
        done += 1
        if done % DURABLE_EVERY == 0:
            os.fsync(fd)
        print(f"{done} {(time.monotonic() - began) * 1e3:.1f}", flush=True)
    os.fsync(fd)


def check(path, pieces, done):
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    for number in range(max(1, done - pieces + 1), done + 1):
        if os.pread(fd, PIECE, (number - 1) % pieces * PIECE) != piece_of(number):
            sys.exit(f"piece {number} is not what was written")
    print(min(done, pieces))


if __name__ == "__main__":
    if sys.argv[3:4] == ["--check"]:
        check(sys.argv[1], int(sys.argv[2]), int(sys.argv[4]))
    else:
        write(sys.argv[1], int(sys.argv[2]))
