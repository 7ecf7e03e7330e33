#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes random data in pieces of 1 MiB at random places of a file, each made durable; never ends by itself.

  bulk_writer.py FILE MIB [TOTAL_MIB]   prints "PIECES WAIT_MS" after each piece: how long this one took;
                                        ends after TOTAL_MIB, when that is given
"""

import os
import random
import sys
import time

PIECE = 1 << 20


def main():
    path, pieces = sys.argv[1], int(sys.argv[2])
    total = int(sys.argv[3]) if len(sys.argv) > 3 else None
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    at = random.Random(path)
    done = 0
    while total is None or done < total:
        place = done if total is not None else at.randrange(pieces)
        data = os.urandom(PIECE)
        began = time.monotonic()
        os.pwrite(fd, data, (place % pieces) * PIECE)
        os.fdatasync(fd)
        done += 1
        print(f"{done} {(time.monotonic() - began) * 1e3:.1f}", flush=True)


if __name__ == "__main__":
    main()
