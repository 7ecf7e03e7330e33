# SPDX-License-Identifier: Apache-2.0
"""What a write costs on the replicated volume: 4 KiB each, random and in sequence, with and without fsync; beside the
same volume while its peer is away, so that nothing is replicated.

Both ends are whole appliances on one machine: what the standby's processor does here is another machine's in life.
"""

import json
import os

import report
from crossbeat_lab import Lab, LabError
from crossbeat_volume import data_of, wait_in_step, wait_mounted

# What fio is told beside the common options.
LOADS = {
    "sequential write": ("--rw=write", "--direct=1"),
    "random write": ("--rw=randwrite", "--direct=1"),
    "sequential write+fsync": ("--rw=write", "--fsync=1"),
    "random write+fsync": ("--rw=randwrite", "--fsync=1"),
}


def one_load(lab, seconds, options):
    words = ["fio", "--name=load", f"--filename={data_of(lab, 'a') / 'load'}", "--size=256M", "--bs=4k"]
    words += ["--ioengine=psync", "--time_based", f"--runtime={seconds}", "--output-format=json", *options]
    (job,) = json.loads(lab.run("a", *words, timeout=seconds + 120).stdout)["jobs"]
    if job["error"]:
        raise LabError(f"fio: error {job['error']}")
    write = job["write"]
    each_us = 1e6 / write["iops"]  # with its fsync, where it has one
    return {"each_us": each_us, "write_p99_us": write["clat_ns"]["percentile"]["99.000000"] / 1000, "fio": job["sync"]}


def loads(lab, setup):
    """The median round of each."""
    seconds = round(setup.seconds(4, quick=1))
    found = {}
    for name, options in LOADS.items():
        rounds = [one_load(lab, seconds, options) for _ in range(setup.count(3, quick=1))]
        rounds.sort(key=lambda seen: seen["each_us"])
        found[name] = rounds[len(rounds) // 2] | {"rounds_us": [seen["each_us"] for seen in rounds]}
        print(f"  {name}: {found[name]['each_us']:.0f} us each", flush=True)
    return found


def run(setup):
    lab = Lab(f"bench-{os.getpid()}")
    try:
        lab.up("--profile", "normal", "--plain-cable", "--xdp", "auto", "--volume", "512MiB")
        lab.verb("pair")
        wait_in_step(lab)
        wait_mounted(lab, "a")
        # Laid out before it is measured: no load pays for the file's first blocks.
        lab.run("a", "fio", "--name=fill", f"--filename={data_of(lab, 'a') / 'load'}", "--size=256M", "--bs=1M",
                "--rw=write", "--end_fsync=1", timeout=120)
        print(" replicated", flush=True)
        pair = loads(lab, setup)
        lab.verb("stop", "b")
        lab.wait_state("a", "PRIMARY_ACTIVE", 30, "alone")
        print(" not replicated: the peer has left", flush=True)
        alone = loads(lab, setup)
    finally:
        lab.down()
    rows = []
    for name in LOADS:
        ours, peer = pair[name]["each_us"], alone[name]["each_us"]
        if "fsync" in name:
            rows.append(report.ratio_at_most(f"4 KiB {name}, replicated", "us", ours, peer, 2, "not replicated"))
        else:
            rows.append(report.row(f"4 KiB {name}, replicated", "us", ours, peer, peer_name="not replicated"))
    notes = ["one writer at a time; both nodes, their disks and all their processes share this machine"]
    return rows, notes, {"replicated": pair, "alone": alone}
