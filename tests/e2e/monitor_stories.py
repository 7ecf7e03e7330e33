# SPDX-License-Identifier: Apache-2.0
"""The monitor hangs, dies, is restarted, is replaced; the kernel part goes on."""

import os
import shutil

from story import MAC, move_of, nothing_lost, outage_of, planned_restart, protected_pair, story

GRACE_MS = 500


@story("a frozen monitor stops serving in the kernel before its peer starts, and yields when it wakes up")
def freeze_and_thaw(tell):
    with protected_pair(tell, moves=1) as lab:
        client = lab.client("--until-moved-ms", 300, "--max-ms", 30_000).wait_ready()
        client.arm()
        lab.verb("freeze", "a")
        seen = client.finish()
        outage = move_of(seen)
        tell.check(
            "the client was served on by the frozen node for its grace, then by the secondary",
            outage and outage["mac_before"] == MAC["a"] and outage["mac_after"] == MAC["b"],
            seen,
        )
        tell.check(
            "between the last answer of the one and the first of the other lies a gap",
            outage and outage["ms"] and 0 < outage["ms"] < 2000,
            outage,
        )
        now = lab.wait_state("b", "FAILOVER_ACTIVE")
        last = now["last_failover"] or {}
        tell.check("the secondary says why", last.get("reason") == "peer-monitor-stale", now)
        held = "10.77.0.10" in lab.addresses("a")
        tell.check("the frozen node still has the address on its interface: the kernel's guard was it", held)
        lab.verb("thaw", "a")
        now = lab.wait_state("a", "TERMINATED", 20, "peer-in-command")
        tell.check("continued, it yields", not now["serving"] and "10.77.0.10" not in lab.addresses("a"), now)
        events = lab.crossbeat("a", "events", "--json").stdout
        why = "yield" in events.lower() or "higher term" in events.lower()
        tell.check("and its event log says why", why, events[-3000:])


@story("kill -9 of the monitor and a restart within the grace change nothing")
def kill_and_restart(tell):
    # A grace in which also a slow, busy machine starts a monitor.
    with protected_pair(tell, "--set", 'heartbeat.monitor_grace="15s"', moves=0) as lab:
        client = lab.client("--max-ms", 30_000).wait_ready()
        for node in ("a", "b"):
            before = lab.pairing(node)
            lab.verb("kill", node)
            lab.verb("start", node)
            lab.wait_protected()
            after = lab.pairing(node)
            tell.check(f"{node} is what it was, in the same term", after["term"] == before["term"], (before, after))
        seen = client.stop()
        longest = outage_of(seen)
        tell.check(
            "the client lost less than one request in a hundred, and never waited longer than 20 ms",
            seen["lost"] < seen["sent"] / 100 and (not longest or (longest["ms"] and longest["ms"] < 20)),
            seen,
        )


@story("a monitor that is killed and stays dead is replaced after its grace")
def kill_for_good(tell):
    with protected_pair(tell, moves=1) as lab:
        client = lab.client("--until-moved-ms", 300, "--max-ms", 30_000).wait_ready()
        client.arm()
        lab.verb("kill", "a")
        lab.wait_state("b", "FAILOVER_ACTIVE", 20)
        outage = move_of(client.finish())
        tell.check("the client waited less than the grace", outage and outage["ms"] < GRACE_MS, outage)
        lab.verb("start", "a")
        lab.wait_state("a", "TERMINATED", 40, "peer-in-command")
        tell.check("started again, it sees that its peer is in command", not lab.pairing("a")["serving"])


def restart_unnoticed(tell, lab, node, what):
    peer = {"a": "b", "b": "a"}[node]
    before = lab.pairing(peer)["links"]
    refused = planned_restart(lab, node, lambda: lab.verb("start", node))
    tell.check(f"{node} {what}", refused is None, refused)
    lab.wait_protected()
    for was, now in zip(before, lab.pairing(peer)["links"]):
        # One may be on its way at the moment of asking.
        missed = (now["sequence"] - was["sequence"]) - (now["answered"] - was["answered"])
        answered = now["answered"] > was["answered"]
        tell.check(
            f"meanwhile its kernel answered every heartbeat of {peer} on the {now['link']} link",
            missed <= 1 and answered,
            (missed, was, now),
        )


@story("a planned restart and an upgrade under traffic lose no packet")
def restart_and_upgrade(tell):
    with protected_pair(tell, moves=0) as lab:
        client = lab.client("--max-ms", 60_000).wait_ready()
        for node in ("b", "a"):
            restart_unnoticed(tell, lab, node, "restarts when asked to")

        # The upgrade: another binary, another inode, another build path.
        upgraded = lab.home / "upgraded"
        (upgraded / "bin").mkdir(parents=True)
        (upgraded / "tests").symlink_to(lab.build / "tests")
        for program in ("crossbeatd", "crossbeat"):
            shutil.copy2(lab.build / "bin" / program, upgraded / "bin" / program)
        config = lab.home / "lab.conf"
        config.write_text(config.read_text() + f"build={upgraded}\n")
        for node in ("b", "a"):
            restart_unnoticed(tell, lab, node, "is upgraded")
            program = os.readlink(f"/proc/{lab.monitor_pid(node)}/exe")
            tell.check(f"{node} runs the new program", program.startswith(str(upgraded)), program)

        seen = client.stop()
        nothing_lost(tell, lab, seen, 1000)
