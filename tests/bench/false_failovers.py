# SPDX-License-Identifier: Apache-2.0
"""How often a pair fails over though nothing has failed: processors, memory and service network under load.

Both systems run at the same time, each in a lab of its own, under the same load. What is counted is what the
switch saw: how often the address moved, and how often two nodes answered for it.
"""

import contextlib
import os

import keepalived
import load
import report
from crossbeat_lab import Lab, pause


def count_moves(verdict):
    (address,) = verdict["addresses"]
    return len(address["tenures"]) - 1, len(address["violations"])


def client_view(seen):
    return {key: seen[key] for key in ("sent", "answered", "lost", "longest_own_stall_us", "rtt_us")}


def run(setup):
    seconds = setup.seconds(600, quick=15)
    ours = Lab(f"bench-{os.getpid()}-x")
    theirs = Lab(f"bench-{os.getpid()}-k")
    try:
        ours.up("--profile", "fast")
        ours.verb("pair")
        ours.wait_protected()
        theirs.up("--no-start")
        pair = keepalived.ready_pair(theirs)
        judges = [ours.judge(), theirs.judge()]
        options = ("--interval-us", 10_000, "--max-ms", int((seconds + 60) * 1000))
        clients = [lab.client(*options).wait_ready() for lab in (ours, theirs)]
        with contextlib.ExitStack() as busy:
            busy.enter_context(load.cpu_hogs())
            busy.enter_context(load.memory_hogs())
            for lab in (ours, theirs):
                busy.enter_context(load.flood(lab, "b"))
            pause(seconds)  # the span that is measured
        our_moves, our_overlaps = count_moves(judges[0].stop())
        their_moves, their_overlaps = count_moves(judges[1].stop())
        views = [client_view(client.stop()) for client in clients]
        drops = ours.status("a")["node"].get("drops"), ours.status("b")["node"].get("drops")
        lateness = [ours.status(node)["node"].get("lateness_us") for node in ("a", "b")]
        state = ours.pairing("a").get("state")
        pair.stop()
    finally:
        ours.down()
        theirs.down()

    named = f"{keepalived.version()}, 10 ms"
    still = our_moves == 0 and state == "PRIMARY_ACTIVE"
    rows = [
        report.row(f"moves in {seconds / 60:g} min at fast", "moves", our_moves, their_moves, "0", still, named),
        report.row(
            "stretches of frames of the node that did not serve",
            "stretches",
            our_overlaps,
            their_overlaps,
            "0",
            our_overlaps == 0,
            named,
        ),
    ]
    notes = ["load: two busy processes a processor, 70 % of memory rewritten, UDP floods on both service networks"]
    seen = {"client": {"ours": views[0], "peer": views[1]}, "drops": drops, "lateness_us": lateness}
    return rows, notes, seen
