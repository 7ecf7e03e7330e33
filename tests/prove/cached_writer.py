#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes random data through the page cache, over and over the same file; made durable once each time round.

  cached_writer.py FILE MIB   prints "PIECES WAIT_MS" after each MiB: how long this one took; never ends by itself
"""

import os
import sys
import time

PIECE = 1 << 20


def main():
    path, pieces = sys.argv[1], int(sys.argv[2])
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    done = 0
    while True:
        data = os.urandom(PIECE)
        began = time.monotonic()
        os.pwrite(fd, data, done % pieces * PIECE)
        done += 1
        if done % pieces == 0:
            os.fsync(fd)
        print(f"{done} {(time.monotonic() - began) * 1e3:.1f}", flush=True)


if __name__ == "__main__":
    main()
