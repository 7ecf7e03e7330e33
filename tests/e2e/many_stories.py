# SPDX-License-Identifier: Apache-2.0
"""One secondary and many primaries; half of them die in the same second. CB_PRIMARIES=16, which is the most that a node
takes, needs a minute; here it is four.

The profile is relaxed (100 ms, five probes): all machines share the processors of one, and at 2 ms the
probes of sixteen alone would take most of two of them, so that what was seen would be the machine's want of time. What is shown
here is that the pairings stand by themselves; how fast one fails over is for the other stories.
"""

import concurrent.futures
import json
import os

from story import ADDRESS, MAC, VIPS, Disturbed, lab_of, story, wait_for

COUNT = int(os.environ.get("CB_PRIMARIES", "4"))
PRIMARIES = [node for node in ADDRESS if node != "b"][:COUNT]
DOOMED = PRIMARIES[COUNT // 4 : COUNT // 4 + COUNT // 2]
SPARED = [node for node in PRIMARIES if node not in DOOMED]
STALL_US = 100_000  # the client's own, beyond which its losses prove nothing


def pairings_of(lab, node):
    return {pairing["pairing"]: pairing for pairing in (lab.status(node) or {}).get("pairings", [])}


def all_of_b(lab, state, nodes, sub_state=None):
    def are():
        now = pairings_of(lab, "b")
        return all(
            now.get(ADDRESS[n], {}).get("state") == state and sub_state in (None, now[ADDRESS[n]]["sub_state"]) for n in nodes
        )

    return are


def holder_of(lab, address):
    """Whose MAC address answers for it, as the client finds out now."""
    lab.run("client", "ip", "neigh", "flush", "dev", "eth0", check=False)
    if lab.run("client", "ping", "-c", "1", "-W", "1", address, check=False).returncode != 0:
        return ""
    neighbours = json.loads(lab.run("client", "ip", "-j", "neigh", "show", address).stdout or "[]")
    return neighbours[0].get("lladdr", "") if neighbours else ""


def blocks_of(lab):
    """What gethainfo on the secondary says of each primary: {address of its health monitor: {field: value}}."""
    text = lab.crossbeat("b", "gethainfo").stdout
    blocks = {}
    for part in text.split("Peer configuration#: ")[1:]:
        address = part.split("Health Monitor IP Address ")[1].split("\n")[0]
        blocks[address] = dict(line.split(": ", 1) for line in part.splitlines() if ": " in line)
    return text, blocks


def who_is(blocks, state):
    return sorted(address for address, block in blocks.items() if block["Current state"] == state)


def addresses_of(nodes):
    return sorted(ADDRESS[node] for node in nodes)


@story("half of the primaries of one secondary lose their power in the same second, and come back")
def half_of_them(tell):
    options = ("--nodes", COUNT + 1, "--profile", "relaxed", "--no-cable", "--no-start")
    with lab_of(tell, "many primaries", *options, pair=None) as lab:
        lab.verb("pair", "--by-file")
        lab.verb("start")
        wait_for(f"{COUNT} stand-bys", all_of_b(lab, "SECONDARY_ACTIVE", PRIMARIES, "ready"), 60, every=0.1)
        for node in PRIMARIES:
            lab.wait_state(node, "PRIMARY_ACTIVE", 60, "protected", primary=node)
        lab.wait_able()
        numbers = {pairing["slot"] for pairing in pairings_of(lab, "b").values()}
        tell.check(f"the secondary stands ready for {COUNT}", len(numbers) == COUNT, numbers)
        text, blocks = blocks_of(lab)
        tell.check(f"gethainfo has {COUNT} peer blocks", f"Number of paired peers: {COUNT}\n" in text and len(blocks) == COUNT, text)
        own = {block["Instance database name"] for block in blocks.values()}
        tell.check("each with an instance of its own", len(own) == COUNT, own)
        shown = lab.crossbeat("b", "drill", "--pairing", ADDRESS[DOOMED[0]]).stdout
        tell.check("a drill shows what the machine has left before it takes over", "MB of memory left" in shown and f"0 of {COUNT} pairings are served here now" in shown, shown)

        before = {node: lab.pairing(node, node) for node in SPARED}
        judges = [lab.judge(address=VIPS[node]) for node in (SPARED[0], DOOMED[0], DOOMED[-1])]
        clients = {
            node: lab.client("--interval-us", 20_000, "--answer-within-ms", 200, "--max-ms", 300_000, address=VIPS[node])
            for node in SPARED
        }
        for client in clients.values():
            client.wait_ready()
        said = lab.verb("power-off", ",".join(DOOMED))
        moments = [json.loads(line)["t0_ns"] for line in said.splitlines()]
        tell.check(f"{len(DOOMED)} lost their power within a second", len(moments) == len(DOOMED) and max(moments) - min(moments) < 1e9, moments)
        wait_for("the failovers", all_of_b(lab, "FAILOVER_ACTIVE", DOOMED), 30)
        held = lab.addresses("b")
        tell.check("the secondary has all their addresses, and no other's", {VIPS[n] for n in DOOMED} <= held and not {VIPS[n] for n in SPARED} & held, held)
        found = {node: wait_for(f"an answer for {node}", lambda n=node: holder_of(lab, VIPS[n]), 10) for node in DOOMED}
        tell.check("each of them is answered by the secondary", set(found.values()) == {MAC["b"]}, found)
        _, blocks = blocks_of(lab)
        tell.check("gethainfo says FAILOVER_ACTIVE of these", who_is(blocks, "FAILOVER_ACTIVE") == addresses_of(DOOMED), blocks)
        tell.check("and SECONDARY_ACTIVE of the others", who_is(blocks, "SECONDARY_ACTIVE") == addresses_of(SPARED), blocks)
        after = lab.crossbeat("b", "drill", "--pairing", ADDRESS[SPARED[0]]).stdout
        tell.check("a drill now tells that these are served here", f"{len(DOOMED)} of {COUNT} pairings are served here now" in after, after)
        events = lab.crossbeat("b", "events", "--json", "--limit", "2000").stdout
        complete = sorted({json.loads(line)["pairing"] for line in events.splitlines() if "failover complete" in line})
        tell.check("each failover is in the log under its own pairing", complete == addresses_of(DOOMED), complete)

        for node in DOOMED:
            lab.power_on(node, start=False)
        lab.verb("start")
        for node in DOOMED:
            lab.wait_state(node, "TERMINATED", 40, "peer-in-command", primary=node)

        def fail_back(node):
            done = lab.crossbeat("b", "failback", "--force", "--pairing", ADDRESS[node])
            return done.returncode, done.stdout + done.stderr

        with concurrent.futures.ThreadPoolExecutor(len(DOOMED)) as hands:
            ends = dict(zip(DOOMED, hands.map(fail_back, DOOMED), strict=True))
        tell.check("their failbacks, all at once, succeed", all(code == 0 for code, _ in ends.values()), ends)
        wait_for(f"{COUNT} stand-bys again", all_of_b(lab, "SECONDARY_ACTIVE", PRIMARIES, "ready"), 30, every=0.1)
        for node in DOOMED:
            lab.wait_state(node, "PRIMARY_ACTIVE", 20, "protected", primary=node)
        tell.check("the secondary has given all addresses back", not {VIPS[n] for n in PRIMARIES} & lab.addresses("b"), lab.addresses("b"))

        seen = {node: client.stop() for node, client in clients.items()}
        stalls = {node: report["longest_own_stall_us"] for node, report in seen.items()}
        lost = {node: report["lost"] for node, report in seen.items() if report["lost"]}
        if lost and max(stalls.values()) > STALL_US:
            raise Disturbed(f"lost {lost}, but the clients themselves stood still (us): {stalls}")
        tell.check("no client of the others lost anything", not lost and all(r["answered"] > 20 for r in seen.values()), (lost, seen))
        for node in SPARED:
            now = lab.pairing(node, node)
            same = all(now[key] == before[node][key] for key in ("state", "sub_state", "term", "serving"))
            tell.check(f"{node} was not disturbed", same and now["since_ms"] > before[node]["since_ms"], (before[node], now))
        for judge in judges:
            (address,) = judge.stop()["addresses"]
            tell.check(f"{address['address']}: never two machines at a time", not address["violations"], address)
