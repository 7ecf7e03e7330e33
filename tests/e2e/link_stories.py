# SPDX-License-Identifier: Apache-2.0
"""Cables, switches, gateways: what fails between the nodes, not in them."""

from story import MAC, nothing_lost, outage_of, protected_pair, story, wait_for


def link_is(lab, node, link, state):
    return any(l["link"] == link and l["state"] == state for l in lab.pairing(node).get("links", []))


def both_see(lab, link, state, timeout=10):
    seen = lambda: all(link_is(lab, node, link, state) for node in ("a", "b"))  # noqa: E731
    wait_for(f"both see the {link} link {state}", seen, timeout)


@story("the cable is cut, silently, with carrier loss, and one way: never a failover")
def cable(tell):
    with protected_pair(tell, moves=0) as lab:
        client = lab.client("--max-ms", 60_000).wait_ready()
        for how in ([], ["--carrier"]):
            lab.verb("cut", "direct", *how)
            both_see(lab, "direct", "silent")
            now = lab.wait_state("a", "PRIMARY_ACTIVE", 10, "degraded")
            tell.check(f"cut {' '.join(how) or 'silently'}: degraded, and serving", now["serving"], now)
            lab.verb("heal")
            both_see(lab, "direct", "answers")
            lab.wait_protected()
        for way, deaf, mute in (("from", "b", "a"), ("to", "a", "b")):
            lab.verb("cut", "direct", "a", "--one-way", way)
            silent = lambda n=deaf: link_is(lab, n, "direct", "silent")  # noqa: E731
            told = lambda n=mute: lab.pairing(n)["links"][0]["unanswered_by_peer"] >= 4  # noqa: E731
            wait_for(f"{deaf}, who hears nothing, calls the cable silent", silent)
            wait_for(f"{mute}, who is not heard, is told so over the network", told)
            tell.check(f"cut one way ({way} the primary): both know, and nothing moves", lab.pairing("a")["serving"])
            lab.verb("heal")
            lab.wait_protected()
        nothing_lost(tell, lab, client.stop())


@story("the card of the cable is taken out and put in again: the link comes back by itself, and nothing moves")
def replugged(tell):
    # All of the lab is on one kernel, and that one may stand still for tens of ms while it takes an interface apart:
    # longer than a lease of the fast profile lasts. With this one it is the card that is tested, not the machine.
    with protected_pair(tell, "--profile", "relaxed", moves=0) as lab:
        client = lab.client("--max-ms", 60_000).wait_ready()
        index = lambda n: lab.run(n, "ip", "-o", "link", "show", "eth1").stdout.split(":")[0]  # noqa: E731
        for node in ("a", "b"):
            before = index(node)
            lab.verb("replug", node)
            tell.check(f"the card of {node} is another interface now", index(node) != before, before)
            attached = lambda n=node: "attached to it again" in lab.log(n, 200)  # noqa: E731
            wait_for(f"{node} attaches to it", attached)
            both_see(lab, "direct", "answers")
            lab.wait_protected()
        tell.check("nothing moved", lab.pairing("a")["serving"])
        nothing_lost(tell, lab, client.stop())


@story("a cable and a network that lose frames: never a failover")
def lossy(tell):
    with protected_pair(tell, moves=0) as lab:
        client = lab.client("--max-ms", 60_000).wait_ready()
        lab.verb("loss", "direct", 30)
        lost = lab.pairing("a")["links"][0]

        def many_lost():
            now = lab.pairing("a")["links"][0]
            return (now["sequence"] - now["answered"]) - (lost["sequence"] - lost["answered"]) > 5000

        wait_for("5,000 heartbeats are lost on the cable", many_lost, 60)
        tell.check("thousands of lost heartbeats, and both are what they were", lab.pairing("a")["serving"])
        lab.verb("heal")
        lab.wait_protected()
        nothing_lost(tell, lab, client.stop())


@story("the node in command loses its service link: it hands over")
def service_link(tell):
    with protected_pair(tell, moves=1) as lab:
        client = lab.client("--until-recovered-ms", 300, "--max-ms", 30_000).wait_ready()
        client.arm()
        lab.verb("cut", "net", "a", "--carrier")
        outage = outage_of(client.finish())
        tell.check("the secondary serves", outage and outage["ms"] and outage["mac_after"] == MAC["b"], outage)
        now = lab.wait_state("b", "FAILOVER_ACTIVE")
        tell.check("it did not take the primary for dead", now["heartbeat"] == "Up", now)
        now = lab.wait_state("a", "TERMINATED", 10, "peer-in-command")
        tell.check("the primary has no address", "10.77.0.10" not in lab.addresses("a"))


@story("the node in command loses its service link without being told: it hands over")
def silent_service_link(tell):
    with protected_pair(tell, moves=1) as lab:
        client = lab.client("--until-recovered-ms", 300, "--max-ms", 60_000).wait_ready()
        client.arm()
        lab.verb("cut", "net", "a")
        outage = outage_of(client.finish())
        tell.check("the secondary serves", outage and outage["ms"] and outage["mac_after"] == MAC["b"], outage)
        lab.wait_state("a", "TERMINATED", 10, "peer-in-command")


@story("the standby loses its service link: nothing moves, and it is not eligible")
def service_link_of_the_standby(tell):
    with protected_pair(tell, moves=0) as lab:
        client = lab.client("--max-ms", 30_000).wait_ready()
        lab.verb("cut", "net", "b", "--carrier")
        now = lab.wait_state("b", "SECONDARY_ACTIVE", 10, "not-ready")
        tell.check("the standby says that it is not ready, and why", now["reason"] == "network-lost", now)
        tell.check("the primary serves", lab.pairing("a")["serving"])
        lab.verb("heal")
        lab.wait_protected()
        nothing_lost(tell, lab, client.stop())


@story("the node in command is cut off from everybody: it closes, the secondary serves, and later it yields")
def isolated(tell):
    with protected_pair(tell, moves=1) as lab:
        client = lab.client("--until-recovered-ms", 300, "--max-ms", 30_000).wait_ready()
        client.arm()
        lab.power_off("a", "silent")
        outage = outage_of(client.finish())
        tell.check("the secondary serves", outage and outage["ms"] and outage["mac_after"] == MAC["b"], outage)
        lab.wait_state("b", "FAILOVER_ACTIVE")
        now = wait_for("the isolated node closes", lambda: lab.pairing("a")["guard"] != "open" and lab.pairing("a"))
        tell.check("the isolated node's guard is closed, by itself", now["guard"] != "open", now)
        lab.power_on("a")
        now = lab.wait_state("a", "TERMINATED", 20, "peer-in-command")
        tell.check("joined again it yields: nobody serves twice", not now["serving"], now)


@story("the standby is cut off from everybody: it stays closed")
def isolated_standby(tell):
    with protected_pair(tell, moves=0) as lab:
        lab.power_off("b", "silent")
        lab.wait_state("a", "PRIMARY_ACTIVE", 20, "alone")
        wait_for("the standby knows that it is the one cut off", lambda: lab.pairing("b")["heartbeat"] == "Down")
        tell.check("it does not serve", not lab.pairing("b")["serving"] and "10.77.0.10" not in lab.addresses("b"))
        lab.power_on("b")
        lab.wait_protected()


@story("the gateway dies: nobody moves, since the other could not do better")
def gateway(tell):
    with protected_pair(tell, moves=0) as lab:
        client = lab.client("--max-ms", 30_000).wait_ready()
        lab.verb("cut", "net", "gw")
        unreachable = lambda: not any(lab.status(n)["node"]["network_ok"] for n in ("a", "b"))  # noqa: E731
        wait_for("both know that the gateway does not answer", unreachable, 20)
        tell.check("the primary serves", lab.pairing("a")["serving"])
        lab.verb("heal")
        lab.wait_protected()
        nothing_lost(tell, lab, client.stop())


@story("somebody removes the address from the interface: it is put back and announced")
def foreign_removal(tell):
    with protected_pair(tell, moves=0) as lab:
        client = lab.client("--until-recovered-ms", 200, "--max-ms", 20_000).wait_ready()
        client.arm()
        listed = lab.run("a", "ip", "-br", "-4", "address", "show", "eth0").stdout.split()
        (held,) = [word for word in listed if word.startswith("10.77.0.10/")]
        lab.run("a", "ip", "address", "del", held, "dev", "eth0")
        wait_for("the address is back", lambda: "10.77.0.10" in lab.addresses("a"))
        # It may be back before a probe of the client could notice.
        seen = client.stop()
        outage = outage_of(seen)
        tell.check("the client lost at most a moment", not outage or (outage["ms"] and outage["ms"] < 200), outage)
        events = lab.crossbeat("a", "events", "--json").stdout
        tell.check("the event log tells of it", "address" in events.lower(), events[-2000:])
