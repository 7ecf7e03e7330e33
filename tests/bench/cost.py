# SPDX-License-Identifier: Apache-2.0
"""What the monitor costs while nothing happens: processor time and memory, with each profile, one pairing; and what
each further pairing costs a secondary.

On a veth pair a frame is carried, answered and taken in within the sender's own call: the probe thread is charged for
what two cards, two interrupts and the peer's kernel do in life. So the cable is the plainest one.
"""

import json
import os
import subprocess
from pathlib import Path

import report
from crossbeat_lab import ADDRESS, Lab, LabError, boottime_ns, pause

PROFILES = ["fast", "normal", "relaxed"]
PAIRINGS = [1, 2, 4, 8, 16]


def processor_ns(pid):
    """Time on a processor so far, by name of thread."""
    times = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        name = (thread / "comm").read_text(encoding="utf-8").strip()
        times[name] = times.get(name, 0) + int((thread / "schedstat").read_text(encoding="utf-8").split()[0])
    return times


def percents(before, after, span):
    return {name: 100 * (time - before.get(name, 0)) / span for name, time in after.items()}


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise LabError(f"process {pid} has no memory")


def measure(profile, seconds):
    lab = Lab(f"bench-{os.getpid()}")
    try:
        lab.up("--profile", profile, "--plain-cable")
        lab.verb("pair")
        lab.wait_protected()
        pids = {node: lab.monitor_pid(node) for node in ("a", "b")}
        before = {node: processor_ns(pid) for node, pid in pids.items()}
        begin = boottime_ns()
        pause(seconds)  # the span that is measured
        span = boottime_ns() - begin
        after = {node: processor_ns(pid) for node, pid in pids.items()}
        return {
            "cpu_percent": {node: percents(before[node], after[node], span) for node in pids},
            "resident_mb": {node: resident_mb(pid) for node, pid in pids.items()},
        }
    finally:
        lab.down()


def switches(pid):
    """How often its threads left the processor so far: for a thread that only waits, its wake-ups."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text(encoding="utf-8").splitlines():
            if "voluntary_ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def measure_many(primaries, seconds):
    """Of the secondary alone; every pairing has the service network only, so each is probed at the full rate."""
    lab = Lab(f"bench-{os.getpid()}")
    try:
        lab.up("--profile", "normal", "--no-cable", "--no-start", "--nodes", primaries + 1)
        lab.verb("pair", "--by-file")
        lab.verb("start")
        for primary in [node for node in ADDRESS if node != "b"][:primaries]:
            lab.wait_state("b", "SECONDARY_ACTIVE", 90, "ready", primary=primary)
        pid = lab.monitor_pid("b")
        before, woken, begin = processor_ns(pid), switches(pid), boottime_ns()
        pause(seconds)  # the span that is measured
        after, span = processor_ns(pid), boottime_ns() - begin
        return {
            "cpu_percent": sum(percents(before, after, span).values()),
            "wakeups_per_s": (switches(pid) - woken) * 1e9 / span,
            "resident_mb": resident_mb(pid),
        }
    finally:
        lab.down()


def only_sleeps(seconds):
    """Of a thread that wakes up as often as the probe thread at `fast`, and does nothing else: this machine's price."""
    program = Lab().tool_path("cb_sleeper")
    done = subprocess.run([program, "--interval-us", "200", "--seconds", str(max(1, round(seconds)))], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"cb_sleeper: {done.stderr.strip()}")
    return json.loads(done.stdout)["cpu_percent"]


def run(setup):
    seconds = setup.seconds(20, quick=3)
    floor = only_sleeps(seconds)
    many = {primaries: measure_many(primaries, seconds) for primaries in PAIRINGS}
    found = {profile: measure(profile, seconds) for profile in PROFILES}
    rows = []
    for profile, seen in found.items():
        cpu = max(sum(threads.values()) for threads in seen["cpu_percent"].values())
        memory = max(seen["resident_mb"].values())
        if profile == "fast":
            rows.append(report.at_most("fast: processor, the busier node", "% of a core", cpu, 3, floor, "a thread that only sleeps"))
            rows.append(report.at_most("fast: resident memory, peak", "MB", memory, 25))
        else:
            rows.append(report.row(f"{profile}: processor, the busier node", "% of a core", cpu))
            rows.append(report.row(f"{profile}: resident memory, peak", "MB", memory))
    busiest = max(found["fast"]["cpu_percent"].values(), key=lambda threads: sum(threads.values()))
    parts = ", ".join(f"{name} {share:.2f} %" for name, share in sorted(busiest.items(), key=lambda item: -item[1])[:4])
    for primaries, seen in many.items():
        what = f"normal: a secondary of {primaries}"
        rows.append(report.row(f"{what}: processor", "% of a core", seen["cpu_percent"]))
        rows.append(report.row(f"{what}: resident memory, peak", "MB", seen["resident_mb"]))
        rows.append(report.row(f"{what}: wake-ups", "per s", seen["wakeups_per_s"]))
    first, last = many[PAIRINGS[0]], many[PAIRINGS[-1]]
    more = PAIRINGS[-1] - PAIRINGS[0]
    each_cpu = (last["cpu_percent"] - first["cpu_percent"]) / more
    each_mb = (last["resident_mb"] - first["resident_mb"]) / more
    rows.append(report.row("normal: processor, each further pairing of a secondary", "% of a core", each_cpu))
    rows.append(report.row("normal: resident memory, each further pairing", "MB", each_mb))
    found["many"] = many
    notes = [
        f"over {seconds:g} s each, one pairing, nothing failing; a plain veth pair as the cable",
        f"fast, by thread: {parts}; on veth the sender is charged for the whole round trip",
    ]
    return rows, notes, found
