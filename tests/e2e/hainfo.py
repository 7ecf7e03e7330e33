# SPDX-License-Identifier: Apache-2.0
"""What gethainfo must print, to the letter, for nodes with a product of their own."""

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


def shows(tell, lab, sentence, node, wanted):
    """gethainfo comes to show exactly this: a heartbeat may bring the last news a moment later."""
    seen = {}

    def same():
        seen["text"] = lab.crossbeat(node, "gethainfo").stdout
        return seen["text"] == wanted

    try:
        wait_for(sentence, same, 10)
    except Exception:  # noqa: BLE001  (told below)
        pass
    tell.check(sentence, seen["text"] == wanted, f"wanted:\n{wanted}\nseen:\n{seen['text']}")
