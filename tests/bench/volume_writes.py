# SPDX-License-Identifier: Apache-2.0
"""What a write costs on the replicated volume: 4 KiB each, random and in sequence, without a sync, with the fsync of a
file and with the fdatasync of a database; beside the same volume while its peer is away, so that nothing is replicated, in turns.

Both ends are whole appliances on one machine: what the standby's processor does here is another machine's in life.
"""

import json
import os
from pathlib import Path

import report
from crossbeat_lab import Lab, LabError
from crossbeat_volume import data_of, volume_of, wait_in_step, wait_mounted

# What fio is told beside the common options.
LOADS = {
    "sequential write": ("--rw=write", "--direct=1"),
    "random write": ("--rw=randwrite", "--direct=1"),
    "sequential write+fsync": ("--rw=write", "--fsync=1"),
    "random write+fsync": ("--rw=randwrite", "--fsync=1"),
    "sequential write+fdatasync": ("--rw=write", "--fdatasync=1"),
    "random write+fdatasync": ("--rw=randwrite", "--fdatasync=1"),
}
ROUNDS = 7


def writes_of(device):
    return int(Path(f"/sys/block/{device.name}/stat").read_text(encoding="ascii").split()[4])


def one_load(lab, device, seconds, options):
    before = writes_of(device)
    words = ["fio", "--name=load", f"--filename={data_of(lab, 'a') / 'load'}", "--size=256M", "--bs=4k"]
    words += ["--ioengine=psync", "--time_based", f"--runtime={seconds}", "--output-format=json", *options]
    (job,) = json.loads(lab.run("a", *words, timeout=seconds + 120).stdout)["jobs"]
    if job["error"]:
        raise LabError(f"fio: error {job['error']}")
    write = job["write"]
    return {
        "each_us": 1e6 / write["iops"],  # with its fsync, where it has one
        "device_writes": (writes_of(device) - before) / write["total_ios"],  # the journal's, too
        "write_p99_us": write["clat_ns"]["percentile"]["99.000000"] / 1000,
        "fio": job["sync"],
    }


def loads(lab, device, seconds, into):
    for name, options in LOADS.items():
        into.setdefault(name, []).append(one_load(lab, device, seconds, options))
        print(f"  {name}: {into[name][-1]['each_us']:.0f} us each", flush=True)


def middle(rounds, field):
    return report.median([one[field] for one in rounds])


def row_of(name, pair, alone):
    ours, peer = middle(pair, "each_us"), middle(alone, "each_us")
    if "sync" in name:
        return report.ratio_at_most(f"4 KiB {name}, replicated", "us", ours, peer, 2, "not replicated")
    return report.row(f"4 KiB {name}, replicated", "us", ours, peer, peer_name="not replicated")


def run(setup):
    lab = Lab(f"bench-{os.getpid()}")
    seconds = round(setup.seconds(2, quick=1))
    pair, alone = {}, {}
    try:
        lab.up("--profile", "normal", "--plain-cable", "--xdp", "auto", "--volume", "512MiB")
        lab.verb("pair")
        wait_in_step(lab)
        wait_mounted(lab, "a")
        device = Path(volume_of(lab, "a")["device"])
        # Laid out before it is measured: no load pays for the file's first blocks.
        lab.run("a", "fio", "--name=fill", f"--filename={data_of(lab, 'a') / 'load'}", "--size=256M", "--bs=1M",
                "--rw=write", "--end_fsync=1", timeout=120)
        # In turns: a machine that is slower for a while is so for both.
        for _ in range(setup.count(ROUNDS, quick=1)):
            print(" replicated", flush=True)
            loads(lab, device, seconds, pair)
            lab.verb("stop", "b")
            lab.wait_state("a", "PRIMARY_ACTIVE", 30, "alone")
            print(" not replicated: the peer has left", flush=True)
            loads(lab, device, seconds, alone)
            lab.verb("start", "b")
            wait_in_step(lab)
    finally:
        lab.down()
    notes = ["one writer at a time; both nodes, their disks and all their processes share this machine"]
    notes += [
        f"{name}: the file system wrote {middle(pair[name], 'device_writes'):.2f} times for each when replicated, "
        f"{middle(alone[name], 'device_writes'):.2f} times when not: its journal, once in a tick of its clock"
        for name in LOADS if "+fsync" in name
    ]
    return [row_of(name, pair[name], alone[name]) for name in LOADS], notes, {"replicated": pair, "alone": alone}
