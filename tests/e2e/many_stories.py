# SPDX-License-Identifier: Apache-2.0
"""One secondary and sixteen primaries, which is the most that a node takes."""

import json

from story import ADDRESS, MAC, VIPS, lab_of, story, wait_for

PRIMARIES = [node for node in ADDRESS if node != "b"]
DOOMED = PRIMARIES[4:12]


def holder_of(lab, address):
    """Whose MAC address answers for it, as the client finds out now."""
    lab.run("client", "ip", "neigh", "flush", "dev", "eth0", check=False)
    if lab.run("client", "ping", "-c", "1", "-W", "1", address, check=False).returncode != 0:
        return ""
    neighbours = json.loads(lab.run("client", "ip", "-j", "neigh", "show", address).stdout or "[]")
    return neighbours[0].get("lladdr", "") if neighbours else ""


@story("eight of sixteen primaries lose their power in the same second")
def eight_of_sixteen(tell):
    options = ("--nodes", "17", "--profile", "relaxed", "--no-cable")
    with lab_of(tell, "sixteen primaries", *options, pair="file") as lab:
        for node in PRIMARIES:
            lab.wait_state(node, "PRIMARY_ACTIVE", 60, "protected", primary=node)
            lab.wait_state("b", "SECONDARY_ACTIVE", 60, "ready", primary=node)
        lab.wait_able()
        status = lab.status("b")
        numbers = {pairing["slot"] for pairing in status["pairings"]}
        tell.check("the secondary stands ready for sixteen", len(numbers) == 16, numbers)
        drill = lab.request("b", verb="drill", pairing=ADDRESS["d"])
        resources = (drill or {}).get("resources", {})
        tell.check(
            "a drill shows what a takeover has to do with: memory, processors, disk, what is served already",
            resources.get("memory_available_mb", 0) > 0
            and resources.get("processors", 0) > 0
            and resources.get("disk_free_mb", 0) > 0
            and resources.get("pairings") == 16
            and resources.get("serving_now") == 0,
            drill,
        )
        shown = lab.crossbeat("b", "drill", "--pairing", ADDRESS["d"])
        tell.check("and so does its text", "memory" in shown.stdout and "16 pairings" in shown.stdout, shown.stdout)

        before = {node: lab.pairing(node, node) for node in PRIMARIES}
        judges = [lab.judge(address=VIPS[node]) for node in (PRIMARIES[0], DOOMED[0], DOOMED[-1])]
        said = lab.verb("power-off", ",".join(DOOMED))
        moments = [json.loads(line)["t0_ns"] for line in said.splitlines()]
        tell.check("eight lost their power within a second", max(moments) - min(moments) < 1e9, moments)
        for node in DOOMED:
            lab.wait_state("b", "FAILOVER_ACTIVE", 40, primary=node)
        held = wait_for("all eight addresses", lambda: {VIPS[n] for n in DOOMED} <= lab.addresses("b"), 20)
        tell.check("the secondary has all eight addresses", held)
        for node in DOOMED:
            found = wait_for(f"an answer for {node}", lambda n=node: holder_of(lab, VIPS[n]), 10)
            tell.check(f"{VIPS[node]} of {node} is answered by the secondary", found == MAC["b"], found)
        spared = [node for node in PRIMARIES if node not in DOOMED]
        for node in spared:
            now = lab.pairing(node, node)
            same = now.get("serving") and now["term"] == before[node]["term"] and now["since_ms"] > before[node]["since_ms"]
            tell.check(f"{node} was not disturbed", same, (before[node], now))
            there = lab.pairing("b", node)
            tell.check(f"nor is the secondary's part of {node}", there.get("state") == "SECONDARY_ACTIVE", there)
        after = lab.request("b", verb="drill", pairing=ADDRESS[spared[0]]).get("resources", {})
        tell.check("a drill now tells that eight are served here", after.get("serving_now") == 8, after)
        for judge in judges:
            (address,) = judge.stop()["addresses"]
            tell.check(f"{address['address']}: never two machines at a time", not address["violations"], address)
        events = lab.crossbeat("b", "events", "--json", "--limit", "2000").stdout
        complete = {json.loads(line)["pairing"] for line in events.splitlines() if "failover complete" in line}
        tell.check("each failover is in the event log under its own pairing", complete == {ADDRESS[n] for n in DOOMED})
