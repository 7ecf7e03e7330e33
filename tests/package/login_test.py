#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The offer of the wizard at the first login, in a real terminal: only for root, only once, and never in the way."""

import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SNIPPET = Path(__file__).resolve().parents[2] / "scripts/packaging/crossbeat-login.sh"
QUESTION = "with the wizard? (yes/no) [yes]: "
failed = 0
passed = 0


def check(sentence, fact, detail=""):
    global failed, passed
    print(f"{'ok' if fact else 'not ok'} - {sentence}")
    if fact:
        passed += 1
    else:
        failed += 1
        print(f"#   {detail!r}")


def machine(folder, uid=0, toml="# role = \"primary\"\n"):
    """A tree and a PATH in which id and crossbeat are ours."""
    root = Path(tempfile.mkdtemp(dir=folder))
    for path in ("bin", "etc/crossbeat", "var/lib/crossbeat"):
        (root / path).mkdir(parents=True)
    (root / "etc/crossbeat/crossbeat.toml").write_text(toml)
    for name, text in (("id", f"echo {uid}"), ("crossbeat", 'echo "WIZARD $*"')):
        (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (root / "bin" / name).chmod(0o755)
    return root


def login(root, answer=None, shell=("bash", "--norc", "--noprofile", "-i", "-c"), terminal=True):
    env = {"PATH": f"{root}/bin:/usr/bin:/bin", "CROSSBEAT_ROOT": str(root), "TERM": "dumb"}
    command = [*shell, f". {SNIPPET}; echo END $?"]
    if not terminal:
        return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20).stdout
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, env)
    text, deadline, answered = "", time.monotonic() + 20, False
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(fd, 4096)
        except OSError:  # the shell has ended
            break
        if not data:
            break
        text += data.decode(errors="replace")
        if QUESTION in text and not answered:
            answered = True
            os.write(fd, b"\x04" if answer is None else answer.encode() + b"\n")
    os.close(fd)
    os.waitpid(pid, 0)
    return text.replace("\r", "")


with tempfile.TemporaryDirectory() as folder:
    root = machine(folder)
    text = login(root, "")
    check("root is asked at the first login, and Enter starts the wizard", QUESTION in text and "WIZARD setup" in text, text)
    check("the shell goes on", "END 0" in text, text)
    text = login(root, "")
    check("at the second login nobody is asked", QUESTION not in text and "END 0" in text, text)

    root = machine(folder)
    text = login(root, "no")
    check("no is taken, and told how later", "WIZARD" not in text and "crossbeat setup" in text and "END 0" in text, text)

    root = machine(folder)
    text = login(root, None)
    check("an end of input ends nothing but the question", "WIZARD" not in text and "END 0" in text, text)

    text = login(machine(folder, uid=1000), "")
    check("nobody but root is asked", QUESTION not in text and "END 0" in text, text)
    text = login(machine(folder, toml='[node]\nrole = "secondary"\n'), "")
    check("a machine that is set up is left alone", QUESTION not in text and "END 0" in text, text)
    text = login(machine(folder), terminal=False)
    check("without a terminal nobody is asked", QUESTION not in text and "END 0" in text, text)
    text = login(machine(folder), "", shell=("dash", "-i", "-c"))
    check("a plain sh does the same", QUESTION in text and "WIZARD setup" in text and "END 0" in text, text)
    root = machine(folder)
    (root / "bin/crossbeat").unlink()
    text = login(root, "")
    check("a removed program offers nothing", QUESTION not in text and "END 0" in text, text)

print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
