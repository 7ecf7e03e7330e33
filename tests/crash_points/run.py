#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Crash-point replay: databases on ext4 on a volume, and what a power cut at any moment would leave of them.

  tests/crash_points/run.py SERVER [--points N] [--seed N] [--json FILE]      (needs root)

--points is for all loads together; a tenth of them are PostgreSQL's. The last two loads have a planted fault, a
flush that lies, and are right when that is found out.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
for room in (HERE, HERE.parent / "front", HERE.parent / "e2e"):
    sys.path.insert(0, str(room))

import bed  # noqa: E402
import loads  # noqa: E402
import replay  # noqa: E402


def record(load, server, commits, lie):
    """Runs the load once. (the volume, the first point of interest, the acknowledgements)."""
    volume = bed.Volume(server, load.mib)
    volume.options += ["--record", volume.top / "record"]
    os.chmod(volume.top, 0o755)  # PostgreSQL is not root
    try:
        volume.start().attached()
        bed.run("mkfs.ext4", "-q", "-F", "-J", "size=4", volume.device)
        with volume.mounted("-o", "noatime") as folder:
            load.prepare(folder)
            bed.run("sync", "-f", folder)
            begin = volume.control.recorded
            volume.control.lie = lie
            acks = load.work(folder, commits, lambda: volume.control.recorded)
            end = volume.control.recorded  # before the file system is unmounted, which would mend much
            volume.control.lie = 0
        return volume, begin, end, acks
    except BaseException:
        volume.close()
        raise


def look_at(load, volume, image, acked, issued):
    """Mounts what the power cut left, as the node that takes over does. (kind, what is wrong)."""
    device = bed.run("losetup", "--show", "-f", image).stdout.strip()
    try:
        mounted = bed.run("mount", "-o", "noatime", device, volume.mount_point, fine=False)
        if mounted.returncode != 0:
            return "corrupt", f"mount: {mounted.stderr}"
        try:
            found = load.look(volume.mount_point, acked, issued)
        finally:
            bed.run("umount", volume.mount_point)
        checked = bed.run("e2fsck", "-f", "-n", device, fine=False)
        return ("corrupt", f"e2fsck: {checked.stdout[-300:]}") if checked.returncode != 0 else found
    finally:
        bed.run("losetup", "-d", device)
        os.unlink(image)


def play(load, server, commits, points, seed, lie=0):
    draw = random.Random(f"{seed} {load.name} {lie}")
    began = time.monotonic()
    volume, begin, end, acks = record(load, server, commits, lie)
    try:
        recorded_in = time.monotonic() - began
        told = replay.Record(volume.top / "record")
        disk = replay.Disk(told, volume.top, volume.bytes)
        result = {"load": load.name, "points": points, "commits": len(acks), "requests": end - begin, "lie": lie}
        result |= {"flushes": sum(1 for entry in told.entries[begin:end] if entry[0] == replay.FLUSH)}
        result |= {"corrupt": 0, "lost": 0, "less": 0, "examples": []}
        for point in replay.choose_points(draw, points, begin, end, [at for _, at in acks]):
            acked = {number for number, at in acks if at <= point}
            issued = {number for number, _ in acks}
            if isinstance(load, loads.Sqlite):
                acked, issued = len(acked), len(issued)
            kind, what = look_at(load, volume, disk.image(point, draw), acked, issued)
            if kind:
                result[kind] += 1
                if len(result["examples"]) < 3:
                    result["examples"].append(f"point {point}: {kind}: {what}")
        result["seconds"] = round(time.monotonic() - began, 1)
        result["recorded_in"] = round(recorded_in, 1)
        return result
    finally:
        volume.close()


def judge(tell, result, may_lose):
    name, points = result["load"], result["points"]
    said = f"{result['commits']} commits, {result['requests']} requests, {result['flushes']} flushes, {result['seconds']} s"
    print(f"# {name}{' with a flush that lies' if result['lie'] else ''}: {said}")
    print(f"#   corrupt {result['corrupt']}, lost {result['lost']}, fewer than acknowledged {result['less']}")
    detail = "\n".join(result["examples"])
    if result["lie"]:
        tell.check(f"{name}: of {points} points with a flush that lies some are found out", result["corrupt"] + result["lost"], said)
        return
    tell.check(f"{name}: nothing is corrupt at {points} points", result["corrupt"] == 0, detail)
    if may_lose is None:
        tell.check(f"{name}: that it may lose commits is seen", result["less"] > 0, said)
    else:
        tell.check(f"{name}: no acknowledged commit is lost" + (", but the last" if may_lose else ""), result["lost"] == 0, detail)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json")
    options = parser.parse_args()
    for needed in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(needed):
            print(f"skipped: this kernel has no {needed}")
            return 77
    bed.own_mounts()
    from story import Tell

    tell = Tell("crash_points")
    for_postgres = max(4, options.points // 10)
    each = max(4, (options.points - for_postgres) // len(loads.Sqlite.MODES))
    commits = 60 if options.points < 500 else 300
    plans = [(loads.Sqlite(*mode), each, 0) for mode in loads.Sqlite.MODES]
    plans += [(None, for_postgres, 0), (loads.Sqlite("wal", "full", 0), 24, 2), (loads.Sqlite("delete", "extra", 0), 24, 2)]
    results = []
    place = Path(tempfile.mkdtemp(prefix="cb-crash.", dir="/dev/shm"))
    os.chmod(place, 0o755)
    try:
        for load, points, lie in plans:
            try:
                load = load or loads.Postgres(place)
                result = play(load, options.server, commits, points, options.seed, lie)
            except Exception:  # noqa: BLE001
                tell.check(load.name if load else "PostgreSQL", False, traceback.format_exc())
                continue
            results.append(result)
            judge(tell, result, load.may_lose)
    finally:
        shutil.rmtree(place)
    honest = [result for result in results if not result["lie"]]
    print(f"# {sum(result['points'] for result in honest)} points in {sum(r['seconds'] for r in results):.0f} s")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if os.environ.get("CB_REPORT"):
        tell.write_report(os.environ["CB_REPORT"])
    return 1 if tell.failed() or not tell.told else 0


if __name__ == "__main__":
    sys.exit(main())
