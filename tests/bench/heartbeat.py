# SPDX-License-Identifier: Apache-2.0
"""How fast a heartbeat is answered, and by whom: eBPF, the kernel's ICMP echo, a program.

One prober for all (cb_rtt), one message at a time, in turns, so that every answerer sees the same minutes. The
heartbeats are real ones with real tags, answered by the XDP program of a running monitor. The peers run over the same veth
pair, as installed: with that program attached. Idle, and with two busy processes a processor.
"""

import contextlib
import json
import os

import load
import report
from crossbeat_lab import Lab

ROUNDS = 9
ECHO_PORTS = {"program": 7001, "program, real-time": 7002}


def addresses_on_the_cable(lab):
    for node, host in (("a", 1), ("b", 2)):
        lab.run(node, "ip", "address", "add", f"10.78.0.{host}/24", "dev", "eth1")


def start_echoes(lab):
    for name, port in ECHO_PORTS.items():
        words = ["cb_echo", "10.78.0.2", port] + (["--fifo"] if "real-time" in name else [])
        tool = lab.start_tool("b", *words)
        tool.wait_ready()


def command_of(lab, answerer):
    if answerer == "heartbeat":
        pair = lab.root("a") / "var/lib/crossbeat/pairs/10.77.0.11"
        return ["cb_rtt", "beat", "--interface", "eth1", "--pair", pair]
    if answerer == "icmp":
        return ["cb_rtt", "icmp", "--to", "10.78.0.2"]
    return ["cb_rtt", "udp", "--to", "10.78.0.2", "--port", ECHO_PORTS[answerer]]


def measure(lab, answerer, count):
    done = lab.run("a", lab.tool_path("cb_rtt"), *command_of(lab, answerer)[1:], "--count", count, timeout=600)
    return json.loads(done.stdout)


def merged(runs):
    """The median run by each figure: one disturbed round does not speak for all."""
    return {key: report.median([r[key] for r in runs]) for key in ("p50", "p99", "p999", "max")} | {
        "lost": sum(r["lost"] for r in runs),
        "runs": runs,
    }


def all_answerers(lab, count):
    names = ["heartbeat", "icmp", *ECHO_PORTS]
    runs = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            runs[name].append(measure(lab, name, count))
            print(f"  {name}: p50 {runs[name][-1]['p50']:.1f} us, p99.9 {runs[name][-1]['p999']:.1f} us", flush=True)
    return {name: merged(seen) for name, seen in runs.items()}


def run(setup):
    count = setup.count(1500, quick=100)
    lab = Lab(f"bench-{os.getpid()}")
    try:
        lab.up("--plain-cable", "--no-start")
        lab.verb("pair", "--by-file")
        addresses_on_the_cable(lab)
        start_echoes(lab)
        # The far end of what answers by XDP_TX needs some program of its own.
        lab.run("a", lab.tool_path("cb_wire"), "attach", lab.home / "wires", "eth1", "--pass-only")
        lab.verb("start", "b")
        found = {}
        for name, busy in (("idle", contextlib.nullcontext()), ("load", load.cpu_hogs())):
            print(f" {name}")
            with busy:
                found[name] = all_answerers(lab, count)
    finally:
        lab.down()
    idle, busy = found["idle"], found["load"]
    beat, icmp, program, fifo = "heartbeat", "icmp", *ECHO_PORTS
    rows = [
        report.ratio_at_most("idle: p50", "us", idle[beat]["p50"], idle[icmp]["p50"], 0.75, "ICMP echo"),
        report.ratio_at_most("idle: p50", "us", idle[beat]["p50"], idle[program]["p50"], 0.35, "program"),
        report.row("idle: p50", "us", idle[beat]["p50"], idle[fifo]["p50"], peer_name="program, real-time"),
        report.row("load: p50", "us", busy[beat]["p50"], busy[icmp]["p50"], peer_name="ICMP echo"),
        report.row("load: p50", "us", busy[beat]["p50"], busy[program]["p50"], peer_name="program"),
        report.row("load: p99.9", "us", busy[beat]["p999"], busy[icmp]["p999"], peer_name="ICMP echo"),
        report.times_shorter("load: p99.9", "us", busy[beat]["p999"], busy[program]["p999"], 50, "program"),
        report.row("load: p99.9", "us", busy[beat]["p999"], busy[fifo]["p999"], peer_name="program, real-time"),
        report.row("heartbeats lost", "of all", idle[beat]["lost"] + busy[beat]["lost"]),
    ]
    notes = [f"median of {ROUNDS} rounds of {count}, in turns; load: two busy processes a processor"]
    return rows, notes, found
