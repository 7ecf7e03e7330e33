#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes numbered records to a file, each made durable before it is acknowledged on standard output.

  volume_writer.py FILE [--check]

Prints one line "NUMBER LONGEST_WAIT_MS" for each record that fsync confirmed; ends at an error, which it prints.
--check: reads the file and prints the highest number up to which every record is there and whole.
"""

import os
import struct
import sys
import time
import zlib

RECORD = 4096


def record(number):
    body = struct.pack("<Q", number) * ((RECORD - 4) // 8)
    body += b"\0" * (RECORD - 4 - len(body))
    return body + struct.pack("<I", zlib.crc32(body))


def write(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    number = os.fstat(fd).st_size // RECORD
    longest = 0.0
    while True:
        number += 1
        began = time.monotonic()
        try:
            os.pwrite(fd, record(number), (number - 1) * RECORD)
            os.fsync(fd)
        except OSError as error:
            print(f"error {error}", flush=True)
            return 1
        longest = max(longest, (time.monotonic() - began) * 1e3)
        print(f"{number} {longest:.1f}", flush=True)


def check(path):
    number = 0
    with open(path, "rb") as file:
        while file.read(RECORD) == record(number + 1):
            number += 1
    print(number)
    return 0


if __name__ == "__main__":
    sys.exit(check(sys.argv[1]) if "--check" in sys.argv else write(sys.argv[1]))
