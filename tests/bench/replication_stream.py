# SPDX-License-Identifier: Apache-2.0
"""How fast bytes go over the cable: our links alone, our sealed transport, cubic TCP in clear, TLS 1.3 over cubic TCP.

The same veth pair for all, in turns, at MTU 1500 and 9000. "As installed": two monitors run with the default profile and attach what
answers their heartbeats as they do by themselves: on a veth a tc program. "Native XDP": the same, with native XDP asked for, which on
veth, and on veth only, turns off the other end's segmentation and copies each frame. "Without": no program.
"""

import json
import os
import signal
import subprocess

import report
from crossbeat_lab import Lab, LabError, wait_for

MTUS = (1500, 9000)
HOSTS = {"a": "10.78.0.1", "b": "10.78.0.2"}
IPERF_PORT = 5201
TLS_PORT = 7443
FEATURES = ("tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload")
CONTENDERS = ("cubic", "tls", "link", "sealed")
# How the cable's ends are: what `xdp` is set to, None without monitors.
WAYS = {"as installed": "auto", "native XDP": "native", "without XDP": None}


def offloads(lab, node):
    lines = lab.run(node, "ethtool", "-k", "eth1").stdout.splitlines()
    told = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
    xdp = "xdp" in lab.run(node, "ip", "link", "show", "dev", "eth1").stdout
    return {name: told.get(name, "?").split()[0] for name in FEATURES} | {"xdp": xdp}


def cable(lab, mtu):
    for node, address in HOSTS.items():
        lab.run(node, "ip", "link", "set", "eth1", "mtu", mtu)
        lab.run(node, "ip", "address", "replace", f"{address}/24", "dev", "eth1")
        # As an appliance's card has it.
        lab.run(node, "ethtool", "-K", "eth1", "gro", "on")


# --- one run of each contender: {gbytes_per_s, sender_share, receiver_share}


def result(sent, received, **more):
    return {
        "gbytes_per_s": received["gbytes_per_s"],
        "sender_share": sent["processor_share"],
        "receiver_share": received["processor_share"],
        "sender": sent,
        "receiver": received,
    } | more


def run_tool(lab, node, *words, timeout):
    done = lab.run(node, lab.tool_path(words[0]), *words[1:], timeout=timeout)
    return json.loads(done.stdout.splitlines()[-1])


def run_stream(lab, what, seconds, *options):
    receiver = lab.start_tool("b", "cb_replication_stream", what, "receive", "--interface", "eth1", *options)
    try:
        receiver.wait_ready()
        words = ["cb_replication_stream", what, "send", "--interface", "eth1", "--seconds", seconds, *options]
        sent = run_tool(lab, "a", *words, timeout=seconds + 30)
        return result(sent, receiver.stop())
    finally:
        receiver.kill()
        lab.tools.remove(receiver)


def run_tls(lab, seconds):
    receiver = lab.start_tool("b", "cb_tls", "receive", HOSTS["b"], TLS_PORT)
    try:
        receiver.wait_ready()
        sent = run_tool(lab, "a", "cb_tls", "send", HOSTS["b"], TLS_PORT, "--seconds", seconds, timeout=seconds + 30)
        return result(sent, receiver.finish())
    finally:
        receiver.kill()
        lab.tools.remove(receiver)


def run_cubic(lab, seconds):
    server = subprocess.Popen(
        lab.enter("b", "iperf3", "-s", "-1", "-p", IPERF_PORT, "-B", HOSTS["b"]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def listens():
            return f":{IPERF_PORT} " in lab.run("b", "ss", "-Hltn").stdout

        wait_for("iperf3 listens", listens)
        words = ["iperf3", "-c", HOSTS["b"], "-p", IPERF_PORT, "-C", "cubic", "-t", seconds, "-J"]
        end = json.loads(lab.run("a", *words, timeout=seconds + 30).stdout)["end"]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    used = end["cpu_utilization_percent"]
    return {
        "gbytes_per_s": end["sum_received"]["bits_per_second"] / 8e9,
        "sender_share": used["host_total"] / 100,
        "receiver_share": used["remote_total"] / 100,
        "retransmits": end["sum_sent"].get("retransmits"),
        "congestion": end.get("sender_tcp_congestion"),
    }


def run_one(lab, name, seconds):
    if name == "cubic":
        return run_cubic(lab, seconds)
    if name == "tls":
        return run_tls(lab, seconds)
    return run_stream(lab, name, seconds)


def median_run(runs):
    """The run whose rate is the median: its figures belong together."""
    ordered = sorted(runs, key=lambda run: run["gbytes_per_s"])
    return ordered[len(ordered) // 2] | {"rates": [run["gbytes_per_s"] for run in runs]}


# --- heartbeats meanwhile


def histogram(lab):
    for link in lab.pairing("a").get("links", []):
        if link["link"] == "direct":
            return link["rtt_histogram_ns_log2"], link["unanswered"]
    raise LabError("the monitor tells nothing of the cable")


def percentile_us(before, after, share):
    """The upper edge of the bucket: log2 of nanoseconds is all that the kernel's histogram keeps."""
    counts = [now - was for was, now in zip(before, after)]
    left = share * sum(counts)
    for bucket, count in enumerate(counts):
        left -= count
        if count and left <= 0:
            return 2 ** (bucket + 1) / 1000
    return None


class Heartbeats:
    """What the round trips of a's heartbeats on the cable were while something ran."""

    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        self.before = histogram(self.lab)
        return self

    def __exit__(self, *_):
        after = histogram(self.lab)
        self.p99 = percentile_us(self.before[0], after[0], 0.99)
        self.unanswered = after[1] - self.before[1]


# --- all of it


def measure_all(lab, setup, installed):
    seconds = round(setup.seconds(3, quick=1))
    rounds = setup.count(3, quick=1)
    runs = {name: [] for name in CONTENDERS}
    beats = {}
    for _ in range(rounds):
        for name in CONTENDERS:
            if installed:
                with Heartbeats(lab) as beat:
                    found = run_one(lab, name, seconds)
                found["heartbeat_p99_us"] = beat.p99
                found["heartbeats_unanswered"] = beat.unanswered
            else:
                found = run_one(lab, name, seconds)
            runs[name].append(found)
            print(
                f"  {name}: {found['gbytes_per_s']:.2f} GB/s, processor {found['sender_share']:.2f} "
                f"-> {found['receiver_share']:.2f}",
                flush=True,
            )
    if installed:
        with Heartbeats(lab) as beat:
            wait_for("a while without bulk", lambda: sum(histogram(lab)[0]) > sum(beat.before[0]) + 500)
        beats["idle"] = beat.p99
        for name in CONTENDERS:
            beats[name] = report.median([r["heartbeat_p99_us"] for r in runs[name]])
    found = {name: median_run(seen) for name, seen in runs.items()}
    return {"runs": found, "heartbeat_p99_us": beats, "offloads": {n: offloads(lab, n) for n in HOSTS}}


def in_a_lab(setup, mtu, xdp):
    installed = xdp is not None
    lab = Lab(f"bench-{os.getpid()}")
    try:
        lab.up("--plain-cable", "--profile", "normal", "--xdp", xdp or "auto", "--no-start")
        cable(lab, mtu)
        if installed:
            lab.verb("pair", "--by-file")
            lab.verb("start", "b")
            lab.verb("start", "a")
            wait_for("heartbeats on the cable", lambda: sum(histogram(lab)[0]) > 100, timeout=30)
        return measure_all(lab, setup, installed)
    finally:
        lab.down()


def rows_of(found, mtu, how):
    runs = found["runs"]
    cubic, tls, link, sealed = (runs[name] for name in CONTENDERS)
    installed = how == "as installed"
    where = f"{mtu}, {how}: "
    rate = lambda run: run["gbytes_per_s"]  # noqa: E731
    rows = []
    if installed:
        factor = 1.0 if mtu == 1500 else 1.2
        rows.append(report.at_least(where + "sealed", "GB/s", rate(sealed), rate(cubic), factor, "cubic TCP in clear"))
        rows.append(report.at_least(where + "sealed", "GB/s", rate(sealed), rate(tls), 1.5, "TLS 1.3 over cubic"))
        rows.append(report.row(where + "link alone", "GB/s", rate(link), rate(cubic), peer_name="cubic TCP in clear"))
    elif how == "native XDP":
        rows.append(report.row(where + "sealed", "GB/s", rate(sealed), rate(cubic), peer_name="cubic TCP in clear"))
        rows.append(report.row(where + "sealed", "GB/s", rate(sealed), rate(tls), peer_name="TLS 1.3 over cubic"))
    else:
        rows.append(report.row(where + "sealed", "GB/s", rate(sealed), rate(cubic), peer_name="cubic TCP in clear"))
        rows.append(report.row(where + "sealed", "GB/s", rate(sealed), rate(tls), peer_name="TLS 1.3 over cubic"))
        if mtu == 9000:
            rows.append(report.at_least(where + "not sealed", "GB/s", rate(link), rate(cubic), 1.5, "cubic TCP in clear"))
            # For the same bytes: the two do not receive equally many in a second.
            used = [run["receiver_share"] / rate(run) for run in (link, cubic)]
            what = where + "not sealed: receiver, for the same bytes"
            rows.append(report.ratio_at_most(what, "core per GB/s", *used, 1 / 3, "cubic TCP in clear"))
        else:
            rows.append(report.row(where + "not sealed", "GB/s", rate(link), rate(cubic), peer_name="cubic TCP in clear"))
    for name, run in (("sealed", sealed), ("link alone", link)):
        rows.append(report.row(f"{where}{name}: sender", "core", run["sender_share"], cubic["sender_share"], peer_name="cubic"))
        rows.append(
            report.row(f"{where}{name}: receiver", "core", run["receiver_share"], cubic["receiver_share"], peer_name="cubic")
        )
    if found["heartbeat_p99_us"]:
        beats = found["heartbeat_p99_us"]
        rows.append(report.row(where + "heartbeat p99 under sealed bulk", "us", beats["sealed"], beats["idle"], peer_name="idle"))
    return rows


def notes_of(found, mtu, how):
    states = "; ".join(
        f"{node}: " + ", ".join(f"{k.replace('-offload', '')} {v}" for k, v in state.items())
        for node, state in found["offloads"].items()
    )
    link = found["runs"]["link"]["receiver"]["link"]["how"]
    sealed = found["runs"]["sealed"]["sender"]["transport"]
    return [
        f"{mtu}, {how}: {states}",
        f"  link: {link}; sealed: {sealed['cipher']}, packets of {sealed['paths'][0]['packet_max']}",
    ]


def measure(setup):
    rows, notes, details = [], [], {}
    for mtu in MTUS:
        for how, xdp in WAYS.items():
            print(f" MTU {mtu}, {how}", flush=True)
            found = in_a_lab(setup, mtu, xdp)
            rows += rows_of(found, mtu, how)
            notes += notes_of(found, mtu, how)
            details[f"{mtu}, {how}"] = found
    notes.append("processor shares are of the two processes; a veth receives in the sender's time")
    notes.append("'link alone' is the driver with a window of 4 MiB: no sealing, no repair")
    return rows, notes, details
