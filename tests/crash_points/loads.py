# SPDX-License-Identifier: Apache-2.0
"""Databases that write to a mounted volume, what they acknowledged and when, and what is found of it afterwards.

A load runs once, into `acks`: (number of the commit, how many requests the volume had recorded by then). Afterwards,
at each crash point, look() says what is wrong with what is there.
"""

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
from pathlib import Path

from bed import run, wait_for

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]


def content(number):
    """What belongs to a commit: its length differs from that of the next one."""
    return hashlib.sha256(str(number).encode()).hexdigest() * (1 + number % 40)


class Sqlite:
    # journal mode, synchronous, and what may be lost: 0, 1 (the last commit), None (any number)
    MODES = (
        ("wal", "full", 0),
        ("persist", "full", 0),
        ("truncate", "full", 0),
        ("delete", "extra", 0),
        # After it removed the journal SQLite does not sync the folder; EXTRA is there for that.
        ("delete", "full", 1),
        # Does not sync at a commit, by design: whatever is lost, nothing may be corrupt.
        ("wal", "normal", None),
    )
    mib = 32

    def __init__(self, mode, synchronous, may_lose):
        self.mode, self.synchronous, self.may_lose = mode, synchronous, may_lose
        self.name = f"SQLite {mode} {synchronous}"

    def open(self, folder):
        base = sqlite3.connect(folder / "base.db", isolation_level=None)
        base.execute(f"pragma journal_mode={self.mode}")
        base.execute(f"pragma synchronous={self.synchronous}")
        return base

    def prepare(self, folder):
        base = self.open(folder)
        base.execute("create table rows (number integer primary key, content text)")
        base.close()

    def work(self, folder, commits, recorded):
        acks = []
        base = self.open(folder)
        base.execute("pragma wal_autocheckpoint=40")
        for number in range(1, commits + 1):
            base.execute("begin immediate")
            base.execute("insert into rows values (?, ?)", (number, content(number)))
            if number > 8 and number % 5 == 0:
                # Changes old pages as well.
                base.execute("update rows set content = ? where number = ?", (content(number - 7), number - 7))
            base.execute("commit")
            acks.append((number, recorded()))
        base.close()
        return acks

    def look(self, folder, acked, issued):
        try:
            base = self.open(folder)
            found = [row[0] for row in base.execute("pragma integrity_check")]
            if found != ["ok"]:
                return "corrupt", f"integrity_check: {found[:3]}"
            rows = base.execute("select number, content from rows order by number").fetchall()
            base.close()
        except sqlite3.Error as error:
            return "corrupt", str(error)
        if any(text != content(number) for number, text in rows):
            return "corrupt", "a row holds what was never written"
        numbers = [row[0] for row in rows]
        if numbers != list(range(1, len(numbers) + 1)) or len(numbers) > issued:
            return "corrupt", f"rows {numbers[:3]}..{numbers[-3:]} of {issued}"
        if self.may_lose is not None and len(numbers) < acked - self.may_lose:
            return "lost", f"{acked} acknowledged, {len(numbers)} there"
        return ("less", f"{acked} acknowledged, {len(numbers)} there") if len(numbers) < acked else ("", "")


class Postgres:
    """Several sessions; each number is acknowledged by itself."""

    name = "PostgreSQL"
    mib = 192
    sessions = 3
    may_lose = 0

    def __init__(self, folder):
        if not POSTGRES:
            raise RuntimeError("PostgreSQL is not installed")
        self.bin = POSTGRES[0]
        self.place = folder / "postgres"  # its socket and its log: not on the volume
        self.place.mkdir()
        shutil.chown(self.place, "postgres")

    def as_postgres(self, *command):
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *map(str, command)]

    def prepare(self, folder):
        os.chmod(folder, 0o755)
        data = folder / "data"
        data.mkdir()
        shutil.chown(data, "postgres")
        run(*self.as_postgres(
            self.bin / "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--locale=C", "--wal-segsize=1", "-N"))  # fmt: skip
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(
                f"listen_addresses = ''\nunix_socket_directories = '{self.place}'\nshared_buffers = '8MB'\n"
                "min_wal_size = '2MB'\nmax_wal_size = '4MB'\ncheckpoint_timeout = '30s'\nautovacuum = off\n"
                "max_wal_senders = 0\nwal_level = minimal\nmax_connections = 12\nlog_min_messages = warning\n"
            )
        with self.server(folder):
            self.ask("create table rows (number integer primary key, content text)")
        run("sync", "-f", folder)  # initdb -N wrote without

    def server(self, folder, thrown_away=False):
        return Server(self, folder / "data", thrown_away)

    def psql(self, *more):
        return [self.bin / "psql", "-h", self.place, "-U", "postgres", "-qAtX", "-v", "ON_ERROR_STOP=1", *more, "postgres"]

    def ask(self, query):
        return run(*self.psql("-c", query)).stdout

    def work(self, folder, commits, recorded):
        acks, failed = [], []

        def session(own):
            try:
                with subprocess.Popen(
                    [str(word) for word in self.psql()],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
                ) as client:  # fmt: skip
                    for number in range(1 + own, commits + 1, self.sessions):
                        client.stdin.write(f"insert into rows values ({number}, '{content(number)}');\n\\echo {number}\n")
                        client.stdin.flush()
                        said = client.stdout.readline().strip()
                        if said != str(number):
                            failed.append(said)
                            return
                        acks.append((number, recorded()))
                    client.stdin.close()
            except OSError as error:
                failed.append(error)

        with self.server(folder):
            threads = [threading.Thread(target=session, args=(own,)) for own in range(self.sessions)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if failed:
            raise RuntimeError(f"a session failed: {failed}")
        return sorted(acks, key=lambda ack: ack[1])

    def look(self, folder, acked, issued):
        try:
            with self.server(folder, thrown_away=True):
                found = self.ask("select number, content from rows order by number")
                self.ask("create extension amcheck; select bt_index_check('rows_pkey', true)")
        except RuntimeError as error:
            return "corrupt", str(error)[-400:]
        rows = [line.split("|") for line in found.splitlines()]
        if any(text != content(int(number)) for number, text in rows):
            return "corrupt", "a row holds what was never written"
        there = {int(number) for number, _ in rows}
        if there - issued:
            return "corrupt", "rows that nobody wrote"
        missing = acked - there
        return ("lost", f"{len(missing)} of {len(acked)} acknowledged, such as {min(missing)}") if missing else ("", "")


class Server:
    def __init__(self, postgres, data, thrown_away):
        self.postgres, self.data, self.thrown_away = postgres, data, thrown_away

    def __enter__(self):
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.log = open(self.postgres.place / "log", "w+", encoding="utf-8")
        command = self.postgres.as_postgres(self.postgres.bin / "postgres", "-D", self.data, *["-F"] * self.thrown_away)
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        ready = [self.postgres.bin / "pg_isready", "-q", "-h", self.postgres.place]
        try:
            wait_for(
                "PostgreSQL is ready or has ended",
                lambda: self.process.poll() is not None or run(*ready, fine=False).returncode == 0, 30, 0.02)  # fmt: skip
        except Exception as error:
            self.__exit__()
            raise RuntimeError(f"{error}: {self.said()}") from error
        if self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended: {self.said()}")
        return self

    def said(self):
        self.log.seek(0)
        return self.log.read()[-1000:]

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT if self.thrown_away else signal.SIGINT)
            self.process.wait(30)
        self.log.close()
