# SPDX-License-Identifier: Apache-2.0
"""What operators and their scripts read, from two real monitors: gethainfo, getserverinfo, doctor."""

import json

from story import lab_of, story, wait_for  # first: it finds the lab
from crossbeat_lab import ADDRESS, VIP
from hainfo import base, block, paired_product, product, shows


def info(lab, node):
    return lab.crossbeat(node, "getserverinfo").stdout


@story("a switchover and a failback, as gethainfo and getserverinfo show them on both nodes")
def walk(tell):
    with lab_of(tell, "face", "--profile", "fast", "--failover", "manual", "--no-start", pair=None) as lab:
        paired_product(lab)
        of_a = base("a", "Primary", VIP, 1)
        of_b = base("b", "Secondary", "Not Applicable for a secondary", 1)
        shows(tell, lab, "the primary is PRIMARY_ACTIVE", "a", of_a + block(1, "b", VIP, True, "PRIMARY_ACTIVE"))
        shows(tell, lab, "the secondary is SECONDARY_ACTIVE", "b", of_b + block(1, "a", VIP, False, "SECONDARY_ACTIVE"))
        text = info(lab, "a")
        tell.check("the primary's services are up", "MSE services are up, getting the status\n" in text, text)
        tell.check("its product is the configured one", "Product name: Product\nVersion: 8.0.110.0\n" in text, text)
        text = info(lab, "b")
        tell.check("the secondary's are dormant", "up and in DORMANT mode, getting the status\n" in text, text)
        tell.check("and it has no sessions to tell", "Active Sessions" not in text and "Restarts: null\n" in text, text)

        done = lab.crossbeat("a", "switchover")
        tell.check("the switchover succeeds", done.returncode == 0, done.stdout + done.stderr)
        lab.wait_state("b", "FAILOVER_ACTIVE")
        lab.wait_state("a", "TERMINATED")
        shows(tell, lab, "the secondary is FAILOVER_ACTIVE", "b", of_b + block(1, "a", VIP, False, "FAILOVER_ACTIVE"))
        shows(tell, lab, "the primary is TERMINATED", "a", of_a + block(1, "b", VIP, True, "TERMINATED"))
        text = info(lab, "b")
        tell.check("now the secondary's services are up", "MSE services are up, getting" in text, text)

        lab.verb("stop", "a")
        wait_for("the monitor of a is gone", lambda: lab.status("a") is None)
        done = lab.crossbeat("a", "gethainfo")
        first = "Health Monitor is not running. Following information is from the last saved configuration\n"
        tell.check("a stopped monitor is named as such", done.returncode == 3 and done.stdout.startswith(first), done.stdout)
        lines = done.stdout.splitlines()
        last = lines[-1].startswith("Last shutdown state: ") and lines[-2] == "Direct connect used: Yes"
        tell.check("its last state is told as the last", last, done.stdout)
        done = lab.crossbeat("a", "getserverinfo")
        tell.check("getserverinfo says just that", done.stdout == "Health Monitor is not running\n", done.stdout)

        lab.verb("start", "a")
        lab.wait_state("a", "TERMINATED", 40, "peer-in-command")
        done = lab.crossbeat("b", "failback", "--force")
        tell.check("the failback succeeds", done.returncode == 0, done.stdout + done.stderr)
        lab.wait_protected()
        shows(tell, lab, "the primary is PRIMARY_ACTIVE again", "a", of_a + block(1, "b", VIP, True, "PRIMARY_ACTIVE"))
        shows(tell, lab, "the secondary SECONDARY_ACTIVE", "b", of_b + block(1, "a", VIP, False, "SECONDARY_ACTIVE"))


@story("a secondary of two primaries shows both of them, and each of them it")
def two_to_one(tell):
    with lab_of(tell, "face", "--nodes", "3", "--profile", "fast", "--no-cable", "--no-start", pair=None) as lab:
        product(lab, "abc")
        lab.verb("start")
        lab.verb("pair")
        for primary in "ac":
            lab.wait_state(primary, "PRIMARY_ACTIVE", 40, "protected", primary=primary)
            lab.wait_state("b", "SECONDARY_ACTIVE", 40, "ready", primary=primary)
        text = lab.crossbeat("b", "gethainfo").stdout
        tell.check("it has two peers", "Number of paired peers: 2\n" in text, text)
        first, second = text.find("Peer configuration#: 1"), text.find("Peer configuration#: 2")
        tell.check("in two blocks", 0 < first < second, text)
        for primary, address in (("a", VIP), ("c", "10.77.0.20")):
            peer = f"Health Monitor IP Address {ADDRESS[primary]}\nVirtual IP Address: {address}\n"
            tell.check(f"one is {primary}, with its address", peer in text, text)
        names = [line for line in text.splitlines() if line.startswith("Instance database name")]
        tell.check("each has a database of its own", len(set(names)) == 2, names)


ANSWERS = """[host]
name = "mse1"
[ha]
role = 1
direct_interface = "eth1"
virtual_address = "10.77.0.30"
virtual_mask = "255.255.255.0"
[eth0]
address = "10.77.0.11"
mask = "255.255.255.0"
gateway = "10.77.0.1"
[ntp]
enabled = true
servers = "10.77.0.1"
"""


@story("set-up on a running machine looks at its interfaces and gateway, and shows what it would change")
def set_up(tell):
    with lab_of(tell, "face", "--no-start", pair=None) as lab:
        answers = lab.home / "answers.toml"
        answers.write_text(ANSWERS)

        def dry_run():  # of the machine itself, not of the node's tree
            return lab.run("a", str(lab.build / "bin/crossbeat"), "--root", "/", "setup", "--dry-run", "--answers", answers, check=False)

        done = dry_run()
        said = done.stdout + done.stderr
        tell.check("it can be applied", done.returncode == 0, said)
        tell.check("it would give the host its name by hostnamectl", "run hostnamectl set-hostname mse1" in said, said)
        tell.check("and write the configuration", '+ address = "10.77.0.30/24"' in said, said)
        tell.check("the gateway answers: nobody doubts it", "does not answer" not in said and "no carrier" not in said, said)
        tell.check("nothing was changed", "A dry run: nothing was changed." in said, said)
        lab.run("a", "ip", "link", "set", "eth1", "down")
        lab.run("gw", "ip", "address", "flush", "dev", "eth0")
        said = dry_run().stderr
        tell.check("a cable that is out is doubted", "eth1 has no carrier" in said, said)
        tell.check("and a gateway that is gone", "the gateway 10.77.0.1 does not answer" in said, said)


def findings(lab, node):
    done = lab.crossbeat(node, "doctor", "--json")
    reply = json.loads(done.stdout)
    return done.returncode, {f["check"]: f for f in reply["findings"] if f["severity"] in ("warning", "problem")}


# What depends on the machine that the lab stands on, and not on the lab.
OF_THE_MACHINE = {"swap", "disk", "clock", "real time", "mtu", "offloads", "kernel", "resources"}


@story("doctor finds nothing wrong with a pair that is well, and finds each thing that is done to it")
def doctor(tell):
    with lab_of(tell, "face", "--profile", "fast", "--failover", "manual") as lab:
        lab.wait_protected()
        _, found = findings(lab, "a")
        found = {check: f for check, f in found.items() if check not in OF_THE_MACHINE}
        tell.check("a pair that is well has no warning and no problem", not found, found)

        lab.verb("cut", "direct")
        wait_for("the cable is silent", lambda: "links" in findings(lab, "a")[1])
        _, found = findings(lab, "a")
        tell.check("a cut cable is found, with its remedy", "cable" in found["links"]["remedy"], found)
        lab.verb("heal")
        wait_for("the cable answers", lambda: "links" not in findings(lab, "a")[1])

        done = lab.crossbeat("a", "vip", "add", "10.77.0.99", "eth0")
        tell.check("an address by hand is refused while the monitor runs", done.returncode == 4, done.stderr)
        tell.check("and is not there", "10.77.0.99" not in lab.addresses("a"))

        lab.verb("kill", "b")
        wait_for("the silence is found", lambda: "pairing" in findings(lab, "a")[1])
        code, found = findings(lab, "a")
        tell.check("a dead peer is a problem, and how to do without it is told", code == 9 and "unpair --force" in found["pairing"]["remedy"], found)
        code, found = findings(lab, "b")
        tell.check("on the node itself, how to start the monitor is told", code == 9 and "systemctl start crossbeat" in found["monitor"]["remedy"], found)
