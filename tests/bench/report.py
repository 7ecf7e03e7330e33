# SPDX-License-Identifier: Apache-2.0
"""What a measurement leaves behind: rows, the machine, the command; a table and a JSON file.

A row compares ours with a peer measured in the same run: {what, unit, ours, peer, ratio, goal, holds}. ratio is
ours / peer. holds is true or false where there is a goal; a missed goal is shown, never hidden.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def percentile(values, share):
    """The nearest rank: of 50 values the 0.99 one is the largest."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def median(values):
    return statistics.median(values) if values else None


def row(what, unit, ours, peer=None, goal=None, holds=None, peer_name=None):
    ratio = ours / peer if ours is not None and peer else None
    if goal is not None and holds is None:
        raise ValueError(f"{what}: a goal needs a verdict")
    return {
        "what": what,
        "unit": unit,
        "ours": ours,
        "peer": peer,
        "peer_name": peer_name,
        "ratio": ratio,
        "goal": goal,
        "holds": None if holds is None else bool(holds),
    }


def at_most(what, unit, ours, limit, peer=None, peer_name=None):
    return row(what, unit, ours, peer, f"<= {limit:g} {unit}", ours is not None and ours <= limit, peer_name)


def times_shorter(what, unit, ours, peer, factor, peer_name):
    """Ours must be `factor` times less than the peer's."""
    known = ours is not None and peer is not None
    return row(what, unit, ours, peer, f"{factor:g} x less", known and ours * factor <= peer, peer_name)


def ratio_at_most(what, unit, ours, peer, limit, peer_name):
    known = ours is not None and peer
    return row(what, unit, ours, peer, f"<= {limit:g} x", known and ours <= limit * peer, peer_name)


def at_least(what, unit, ours, peer, factor, peer_name):
    """Ours must be at least `factor` times the peer's."""
    known = ours is not None and peer
    return row(what, unit, ours, peer, f">= {factor:g} x", known and ours >= factor * peer, peer_name)


def commit_here():
    return subprocess.run(
        ["git", "-C", str(TOP), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()


def machine():
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = int(Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]) // 1024
    commit = os.environ.get("CB_COMMIT") or commit_here()
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "memory_mb": memory,
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": commit or None,
    }


def shown(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    return str(value)


def table(rows):
    cells = [["", "unit", "ours", "peer", "ratio", "goal", ""]]
    for r in rows:
        verdict = {True: "holds", False: "MISSED", None: ""}[r["holds"]]
        peer = shown(r["peer"]) + (f" ({r['peer_name']})" if r["peer_name"] else "")
        cells.append([r["what"], r["unit"], shown(r["ours"]), peer, shown(r["ratio"]), r["goal"] or "", verdict])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def write(name, rows, facts, notes=(), details=None):
    """Prints the table and writes build/bench/NAME.json. Answers whether every goal holds."""
    folder = TOP / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    report = {
        "name": name,
        "rows": rows,
        "notes": list(notes),
        "machine": facts,
        "command": " ".join(sys.argv),
        "details": details or {},
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"\n{name}")
    print(table(rows))
    for note in notes:
        print(f"  {note}")
    missed = [r["what"] for r in rows if r["holds"] is False]
    goals = [r for r in rows if r["holds"] is not None]
    print(f"  {len(goals) - len(missed)} of {len(goals)} goals hold; rows in {path.relative_to(TOP)}")
    return not missed
