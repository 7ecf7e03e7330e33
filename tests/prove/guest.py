# SPDX-License-Identifier: Apache-2.0
"""A proof in a guest (scripts/vm): Debian's own kernel in emulation, where root has every right and memory is short."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import report
from crossbeat_lab import TOP, LabError, find_build

MEMORY_MIB = 900
DISK_MIB = 3000
LIMIT_S = 3600
PROGRAMS = ["python3", "mkfs.ext4", "e2fsck", "blkid"]
BUILT = ["bin/crossbeatd", "bin/crossbeat", "bin/crossbeat-volume", "tests/cb_wire"]
SCRIPTS = ["lab", "lab-build.sh", "lab-faults.sh", "prove"]
MODULES = ["fuse", "loop", "ext4"]
LIST_MODULES = """
import sys, encodings.ascii, encodings.idna, tokenize
sys.path[:0] = sys.argv[1].split(":")
import importlib
for name in sys.argv[2:]:
    importlib.import_module(name)
for module in list(sys.modules.values()):
    for file in (getattr(module, "__file__", None), getattr(module, "__cached__", None)):
        if file: print(file)
"""


def python_files(names):
    """Of Python just the modules that the proof loads."""
    folders = ":".join(str(TOP / folder) for folder in ("tests/support/python", "tests/prove", "tests/bench"))
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-B", "-c", LIST_MODULES, folders, "argparse", "signal", "traceback", "account", "guest", "hashlib",
         "_hashlib", *(name.replace("-", "_") for name in names)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted({os.path.realpath(line) for line in done.stdout.splitlines() if os.path.exists(line)})


def programs():
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    for name in PROGRAMS:
        found = shutil.which(name, path=path)
        if not found:
            raise LabError(f"{name} is not installed; run: sudo scripts/deps test")
        yield found


def built(folder, stripped):
    """Without what debuggers want: the guest has all files in memory."""
    for name in BUILT:
        if not (folder / name).is_file():
            raise LabError(f"{folder / name} is not there; run: make build")
        subprocess.run(["strip", "-o", stripped / Path(name).name, folder / name], check=True)
        yield f"{stripped / Path(name).name}:{folder / name}"


def command_line(options, stripped):
    build = find_build()
    added = [*python_files(options.names), *programs(), *built(build, stripped), *(TOP / "scripts" / s for s in SCRIPTS),
             *(TOP / "tests/prove").glob("*.py")]  # fmt: skip
    environment = {"CB_SOURCE_DIR": TOP, "CROSSBEAT_BUILD": build, "CB_PROVE_GUEST": "1", "CB_SLOW": "6",
                   "CB_COMMIT": report.commit_here(), "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    command = [TOP / "scripts/vm", "run", "--kernel", options.kernel, "--timeout", LIMIT_S, "--memory", MEMORY_MIB,
               "--disk", DISK_MIB]  # fmt: skip
    for option, values in (("--module", MODULES), ("--add", added)):
        for value in values:
            command += [option, value]
    for key, value in environment.items():
        command += ["--env", f"{key}={value}"]
    command += ["--", TOP / "tests/prove/guest.sh", " ".join(options.names)]
    command += ["--seed", options.seed] if options.seed is not None else []
    command += ["--rounds", options.rounds] if options.rounds else []
    command += ["--short"] if options.short else []
    return [str(word) for word in command]


def prove(options):
    """The exit status."""
    folder = TOP / "build/prove/guest"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as stripped:
        with subprocess.Popen(command_line(options, Path(stripped)), stdout=subprocess.PIPE, text=True) as guest:
            accounts = show(guest.stdout)
    for name, account in accounts.items():
        (folder / name).write_text(json.dumps(json.loads(account), indent=1) + "\n", encoding="utf-8")
    missing = [name for name in options.names if f"{name}.json" not in accounts]
    if missing:
        print(f"prove: the guest left no account of {' '.join(missing)}", file=sys.stderr)
        return guest.returncode or 1
    return guest.returncode


def show(lines):
    """Passes on what is for people, and answers with the accounts by their names."""
    accounts, name = {}, None
    for line in lines:
        if line.startswith("--- "):
            name = line[4:].strip()
            accounts[name] = ""
        elif line == "---\n":
            name = None
        elif name is None:
            print(line, end="", flush=True)
        else:
            accounts[name] += line
    return accounts
