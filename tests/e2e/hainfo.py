# SPDX-License-Identifier: Apache-2.0
"""What gethainfo must print, to the letter, for nodes with a product of their own; and what their events tell."""

import json
import re

from story import wait_for  # first: it finds the lab
from crossbeat_lab import ADDRESS

UDI = {node: f"PRODUCT-VA:V01:{node}" for node in "abc"}
RULE = "-----\n"


def base(node, role, address, peers):
    return (
        "Health Monitor is running. Retrieving HA related information\n\n"
        f"{RULE}Base high availability configuration for this server\n{RULE}\n"
        f"Server role: {role}\nHealth Monitor IP Address: {ADDRESS[node]}\nVirtual IP Address: {address}\n"
        f"Version: 8.0.110.0\nUDI: {UDI[node]}\nNumber of paired peers: {peers}\n"
    )


def block(number, peer, address, primary, state, heartbeat="Up", failover="Manual", direct="Yes", instance=3):
    side, port = ("s", 1624) if primary else ("", 1524)
    return (
        f"\n{RULE}Peer configuration#: {number}\n{RULE}\nHealth Monitor IP Address {ADDRESS[peer]}\n"
        f"Virtual IP Address: {address}\nVersion: 8.0.110.0\nUDI: {UDI[peer]}\nFailover type: {failover}\n"
        "Failback type: Manual\nFailover wait time (seconds): 10\n"
        f"Instance database name: mseos{instance}{side}\nInstance database port: {port + instance - 3}\n"
        f"Dataguard configuration name: dg_mse{instance}\nPrimary database alias: mseop{instance}s\n"
        f"Direct connect used: {direct}\nHeartbeat status: {heartbeat}\nCurrent state: {state}\n"
    )


def product(lab, nodes="ab"):
    """Gives each node the product's names, before it starts."""
    for node in nodes:
        path = lab.root(node) / "etc/crossbeat/crossbeat.toml"
        names = f'\n[product]\nname = "Product"\nversion = "8.0.110.0"\nudi_product = "PRODUCT-VA"\nudi_serial = "{node}"\n'
        path.write_text(path.read_text() + names)


def paired_product(lab):
    product(lab)
    lab.verb("start")
    lab.verb("pair")
    lab.wait_protected()


# With a volume a line more follows the reference's fields; what it says changes as the data moves.
OF_THE_VOLUME = re.compile(r"^Data synchronization: .+\n", re.MULTILINE)


def shows(tell, lab, sentence, node, wanted):
    """gethainfo comes to show exactly this: a heartbeat may bring the last news a moment later."""
    seen = {}

    def same():
        seen["text"] = OF_THE_VOLUME.sub("", lab.crossbeat(node, "gethainfo").stdout)
        return seen["text"] == wanted

    try:
        wait_for(sentence, same, 10)
    except Exception:  # noqa: BLE001  (told below)
        pass
    tell.check(sentence, seen["text"] == wanted, f"wanted:\n{wanted}\nseen:\n{seen['text']}")


# The reference's sequences, in our words where ours differ. Who says it, and what.
PAIRING = [
    ("Primary", "Configuration successfully created"),
    ("Primary", "heartbeats are up"),
]
FAILOVER = [
    ("Secondary", "failover begins: command leaves the primary instance"),
    ("Secondary", "failover: opening the instance's data here"),
    ("Secondary", "starting the instance's services here"),
    ("Secondary", "failover complete: this instance is served here"),
]
FAILBACK = [
    ("Secondary", "failback begins: data returns to the primary"),
    ("Primary", "starting the instance's services here"),
    ("Primary", "failback complete: the primary is in command again"),
    ("Primary", "active: this node is in command"),
]

# Of nodes that have neither data nor services of their own.
BARE_FAILOVER = [FAILOVER[0], FAILOVER[-1]]
BARE_FAILBACK = [FAILBACK[0], *FAILBACK[2:]]


def events_of(lab, node):
    lines = lab.crossbeat(node, "events", "--json", "--limit", "200").stdout.splitlines()
    return [json.loads(line) for line in lines]


def follows(events, wanted):
    """How many of the wanted steps come in this order among the events."""
    found = 0
    for event in events:
        if found < len(wanted) and (event["generated_by"], event["description"]) == wanted[found]:
            found += 1
    return found


def tells(tell, lab, what, wanted, nodes="ab"):
    """The events of each of the nodes come to tell the whole sequence: the peer's arrive a moment later."""
    for node in nodes:
        seen = {}

        def whole(node=node, seen=seen):
            seen["events"] = events_of(lab, node)
            return follows(seen["events"], wanted) == len(wanted)

        try:
            wait_for(what, whole, 10)
        except Exception:  # noqa: BLE001  (told below)
            pass
        text = "\n".join(f"{e['wall']} {e['generated_by']} {e['description']} ({e.get('remarks')})" for e in seen["events"])
        reached = follows(seen["events"], wanted)
        tell.check(f"the events of {node} tell {what}, step by step", reached == len(wanted), f"after {wanted[:reached]}:\n{text}")
