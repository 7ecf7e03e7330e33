#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of PostgreSQL that never waits on a lost first packet, as libpq does, and that connects again by itself.

  pg_client.py ADDRESS answers [SECONDS]   asks again and again until it is answered; prints CLOCK_BOOTTIME in ns then
  pg_client.py ADDRESS insert WHO          inserts (WHO, 1), (WHO, 2), ... into the table acknowledged, one commit each;
                                           prints "NUMBER MS" for each that the server confirmed, MS since the one before
"""

import select
import socket
import struct
import sys
import time

STARTUP = struct.pack(">I", 3 << 16) + b"user\0postgres\0database\0postgres\0\0"


class Refused(OSError):
    """The server answered, but not what was asked for; the text is its own."""


class Connection:
    def __init__(self, address, patience):
        self.socket = socket.create_connection((address, 5432), timeout=0.05)
        self.socket.settimeout(patience)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(struct.pack(">I", len(STARTUP) + 4) + STARTUP)
        self._until_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def _until_ready(self):
        kinds = []
        while len(head := self.stream.read(5)) == 5:
            body = self.stream.read(struct.unpack(">I", head[1:])[0] - 4)
            if head[:1] == b"E":
                raise Refused(body.replace(b"\0", b" ").decode(errors="replace"))
            kinds.append(head[:1])
            if head[:1] == b"Z":
                return kinds
        raise ConnectionResetError("the server hung up")

    def ask(self, text):
        """The kinds of the messages that came back; b"C" among them: done, and committed."""
        query = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack(">I", len(query) + 4) + query)
        return self._until_ready()


def until_it_answers(address, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with Connection(address, 1.0) as connection:
                if b"D" in connection.ask("select 1"):
                    print(time.clock_gettime_ns(time.CLOCK_BOOTTIME), flush=True)
                    return 0
        except OSError:
            select.select([], [], [], 0.005)
    print("never", flush=True)
    return 1


def insert(address, who):
    number = 0
    last = time.monotonic()
    while True:
        try:
            with Connection(address, 5.0) as connection:
                while True:
                    number += 1  # after an error nobody knows whether it is there: never asked for twice
                    if b"C" in connection.ask(f"insert into acknowledged values ({who}, {number})"):
                        now = time.monotonic()
                        print(f"{number} {(now - last) * 1e3:.1f}", flush=True)
                        last = now
        except OSError:
            select.select([], [], [], 0.005)


if __name__ == "__main__":
    if sys.argv[2] == "answers":
        sys.exit(until_it_answers(sys.argv[1], float(sys.argv[3] if len(sys.argv) > 3 else 60)))
    insert(sys.argv[1], int(sys.argv[3]))
