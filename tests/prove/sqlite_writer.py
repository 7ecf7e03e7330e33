#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One of several writers of a SQLite database (WAL, synchronous FULL): prints each number after its commit returned.

  sqlite_writer.py FILE WHO
  sqlite_writer.py FILE --check         JSON: what integrity_check says, rows that hold what nobody wrote, and the
                                        numbers of each writer
"""

import hashlib
import json
import sqlite3
import sys
from pathlib import Path


def content(who, number):
    return hashlib.sha256(f"{who} {number}".encode()).hexdigest() * (1 + number % 20)


def open_base(file):
    Path(file).parent.mkdir(exist_ok=True)
    base = sqlite3.connect(file, isolation_level=None, timeout=20)
    base.execute("pragma journal_mode=wal")
    base.execute("pragma synchronous=full")
    base.execute("create table if not exists rows (who int, number int, content text, primary key (who, number))")
    return base


def write(file, who):
    base = open_base(file)
    base.execute("pragma wal_autocheckpoint=200")
    number = 0
    while True:
        number += 1
        base.execute("insert into rows values (?, ?, ?)", (who, number, content(who, number)))
        print(number, flush=True)


def check(file):
    base = open_base(file)
    found = {"integrity": [row[0] for row in base.execute("pragma integrity_check")], "wrong": 0, "rows": {}}
    for who, number, text in base.execute("select who, number, content from rows"):
        found["wrong"] += text != content(who, number)
        found["rows"].setdefault(str(who), []).append(number)
    base.close()
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[2] == "--check":
        check(sys.argv[1])
    else:
        write(sys.argv[1], int(sys.argv[2]))
