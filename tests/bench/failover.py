# SPDX-License-Identifier: Apache-2.0
"""How long a client waits when the node in command loses its power, is cut off, or hangs.

One client probes the virtual address every 250 us. The outage is what it sees: from the last answer before to the
first answer after. keepalived, at its fastest, runs through the same faults on the same wires in the same run.
"""

import os
import signal

import keepalived
import report
from crossbeat_lab import Lab, LabError, boottime_ns, outage_of

# A lab is built anew before automatic mode would be turned off for moving too often.
TRIALS_A_LAB = 6
SETTINGS = ["failover.automatic_moves_max=8", 'failover.automatic_moves_window="60s"', 'failover.hold_down="0s"']


class Series:
    """The trials of one system under one fault."""

    def __init__(self, name):
        self.name = name
        self.trials = []
        self.violations = 0
        self.unseen = 0

    def add(self, client_report, t0_ns, more):
        outage = outage_of(client_report, t0_ns)
        if outage is None:
            self.trials.append(unnoticed(client_report, more))
            return
        if outage["first_answer_ns"] is None or outage["last_answer_ns"] is None:
            raise LabError(f"{self.name}: the client saw no outage that began and ended")
        self.trials.append(
            {
                "outage_ms": (outage["first_answer_ns"] - outage["last_answer_ns"]) / 1e6,
                "from_fault_ms": (outage["first_answer_ns"] - t0_ns) / 1e6,
                "lost": outage["lost"],
                "client_stall_us": outage["own_stall_us"],
                **more,
            }
        )
        print(f"  {self.name} {len(self.trials)}: {self.trials[-1]['outage_ms']:.2f} ms", flush=True)

    def judged(self, verdict):
        self.violations += sum(len(a["violations"]) for a in verdict["addresses"])
        self.unseen += verdict["missed"]

    def outages(self):
        return [t["outage_ms"] for t in self.trials]

    def median(self):
        return report.median(self.outages())

    def p99(self):
        return report.percentile(self.outages(), 0.99)

    def disturbed(self):
        """Trials in which the client itself did not run for more than 1 ms."""
        return sum(1 for t in self.trials if t["client_stall_us"] > 1000)


def unnoticed(client_report, more):
    """No request was lost: the address moved between two of them, so one interval is the most it can have been."""
    return {
        "outage_ms": client_report["interval_us"] / 1e3,
        "from_fault_ms": None,
        "lost": 0,
        "client_stall_us": client_report["longest_own_stall_us"],
        **more,
    }


def strike(lab, fault, pids=()):
    """Answers when it happened."""
    if fault == "power":
        return lab.power_off("a")["t0_ns"]
    if fault == "silent":
        return lab.power_off("a", "silent")["t0_ns"]
    at = boottime_ns()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return at


def watch_outage(lab, fault, pids):
    """The report of a client that probed through the fault."""
    # A frozen node's kernel answers until the grace is over: a hiccup in it is not what is waited for.
    until = "--until-moved-ms" if fault == "frozen" else "--until-recovered-ms"
    client = lab.client(until, 200, "--max-ms", 30_000).wait_ready()
    client.arm()
    t0_ns = strike(lab, fault, pids())
    return client.finish(), t0_ns


def crossbeat(name, profile, fault, count):
    series = Series(name)
    while len(series.trials) < count:
        lab = Lab(f"bench-{os.getpid()}")
        try:
            options = [word for setting in SETTINGS for word in ("--set", setting)]
            lab.up("--profile", profile, *options)
            lab.verb("pair")
            judge = lab.judge()
            for _ in range(min(TRIALS_A_LAB, count - len(series.trials))):
                lab.wait_protected()
                seen, t0_ns = watch_outage(lab, fault, lambda: [lab.monitor_pid("a")])
                lab.wait_state("b", "FAILOVER_ACTIVE")
                series.add(seen, t0_ns, {"monitor": lab.pairing("b").get("last_failover")})
                bring_back(lab, fault)
            series.judged(judge.stop())
        finally:
            lab.down()
    return series


def bring_back(lab, fault):
    """The struck node lives again, sees that its peer is in command, and takes command back when told to."""
    if fault == "frozen":
        os.kill(lab.monitor_pid("a"), signal.SIGCONT)
    else:
        lab.power_on("a")
    lab.wait_state("a", "TERMINATED", sub_state="peer-in-command")
    done = lab.crossbeat("b", "failback", "--force")
    if done.returncode != 0:
        raise LabError(f"failback: {(done.stderr or done.stdout).strip()}")
    lab.wait_protected()


def against_keepalived(name, fault, count):
    series = Series(name)
    lab = Lab(f"bench-{os.getpid()}")
    try:
        lab.up("--no-start")
        pair = keepalived.ready_pair(lab)
        judge = lab.judge()
        for _ in range(count):
            seen, t0_ns = watch_outage(lab, fault, lambda: pair.pids("a"))
            series.add(seen, t0_ns, {})
            if fault == "frozen":
                for pid in pair.pids("a"):
                    os.kill(pid, signal.SIGCONT)
            else:
                lab.power_on("a", start=False)
            if fault == "power":
                pair.start("a")
            pair.wait_owner("a")
        series.judged(judge.stop())
    finally:
        lab.down()
    return series


def against(what, ours, peer=None, named=None):
    return report.row(what, "ms", ours, peer, peer_name=named)


def run(setup):
    fast_trials = setup.count(50, quick=3)
    normal_trials = setup.count(20, quick=2)
    other_trials = setup.count(10, quick=2)
    fast = crossbeat("power off, fast", "fast", "power", fast_trials)
    peer = against_keepalived("power off, keepalived", "power", fast_trials)
    normal = crossbeat("power off, normal", "normal", "power", normal_trials)
    cut = crossbeat("silent cut, fast", "fast", "silent", other_trials)
    peer_cut = against_keepalived("silent cut, keepalived", "silent", other_trials)
    frozen = crossbeat("frozen monitor, fast", "fast", "frozen", other_trials)
    named = f"{keepalived.version()}, 10 ms"
    ours = [fast, normal, cut, frozen]
    overlaps = sum(s.violations for s in ours) if not any(s.unseen for s in ours) else None

    power, normal_power = "power-off, fast", "power-off, normal"
    rows = [
        report.at_most(
            f"{power}: outage, median of {len(fast.trials)}", "ms", fast.median(), 1.5, peer.median(), named
        ),
        report.at_most(f"{power}: outage, p99", "ms", fast.p99(), 4, peer.p99(), named),
        report.times_shorter(f"{power}, the same as a ratio", "ms", fast.median(), peer.median(), 15, named),
        against(f"{normal_power}: outage, median of {len(normal.trials)}", normal.median(), peer.median(), named),
        against(f"{normal_power}: outage, p99", normal.p99(), peer.p99(), named),
        against(f"silent cut, fast: outage, median of {len(cut.trials)}", cut.median(), peer_cut.median(), named),
        against("silent cut, fast: outage, p99", cut.p99(), peer_cut.p99(), named),
        against(f"frozen monitor, fast: outage, median of {len(frozen.trials)}", frozen.median()),
        against("frozen monitor, fast: outage, p99", frozen.p99()),
        report.row(
            "frames of two nodes from the address in overlapping time",
            "frames",
            overlaps,
            goal="0",
            holds=overlaps == 0,
        ),
    ]
    notes = [
        "outage: from the last answer to the first answer after, at a client that asks every 250 us",
        "a frozen keepalived never gives the address up: both nodes answer for it, so it has no figure there",
        *(
            f"{s.name}: in {s.disturbed()} of {len(s.trials)} trials the client itself stalled for more than 1 ms"
            for s in (*ours, peer, peer_cut)
            if s.disturbed()
        ),
    ]
    return rows, notes, {s.name: s.trials for s in (*ours, peer, peer_cut)}
