# SPDX-License-Identifier: Apache-2.0
"""The worked scenarios of the reference, with what gethainfo prints on both nodes at each of their steps.

Scenario 3 and 4 (two primaries; switchover and failback by hand) are told in face_stories.py.
"""

from story import lab_of, story, wait_for  # first: it finds the lab
from crossbeat_lab import VIP
from hainfo import BARE_FAILBACK, BARE_FAILOVER, PAIRING, base, block, events_of, paired_product, product, shows, tells

START = [
    "Starting MSE Platform",
    "Starting Health Monitor, Waiting to check the status.",
    "Health Monitor successfully started",
    "Starting Admin process...",
    "Started Admin process.",
    "Starting database .....",
    "Database started successfully. Starting framework and services .....",
]
DORMANT = "Framework and services are in DORMANT mode: this node stands by"
NOT_APPLICABLE = "Not Applicable for a secondary"


def said(done):
    return f"exit {done.returncode}: {done.stdout}{done.stderr}"


def console(lab, node):
    """What the monitor wrote for who stands before the machine; the lab keeps the log in the same file."""
    lines = (lab.root(node) / "var/log/crossbeat/console.log").read_text().splitlines()
    return [line for line in lines if line in START or line.startswith(("Framework and", "Stopping "))]


def both(tell, lab, step, a, b, heartbeat="Up", **fields):
    """The two nodes show these states; a or b may be None."""
    if a:
        wanted = base("a", "Primary", VIP, 1) + block(1, "b", VIP, True, a, heartbeat, **fields)
        shows(tell, lab, f"{step}: the primary is {a}, heartbeat {heartbeat}", "a", wanted)
    if b:
        wanted = base("b", "Secondary", NOT_APPLICABLE, 1) + block(1, "a", VIP, False, b, heartbeat, **fields)
        shows(tell, lab, f"{step}: the secondary is {b}, heartbeat {heartbeat}", "b", wanted)


@story("scenario 1: a pair over the network, before and after pairing")
def over_the_network(tell):
    options = ("--profile", "fast", "--failover", "manual", "--no-cable", "--no-start")
    with lab_of(tell, "scenario", *options, pair=None) as lab:
        product(lab)
        done = lab.crossbeat("a", "getserverinfo")
        tell.check("before the start the monitor is said not to run", done.stdout == "Health Monitor is not running\n", said(done))
        lab.verb("start")
        shows(tell, lab, "unpaired: the primary has no peer", "a", base("a", "Primary", VIP, 0))
        shows(tell, lab, "unpaired: the secondary has no peer", "b", base("b", "Secondary", NOT_APPLICABLE, 0))
        lab.verb("pair")
        lab.wait_protected()
        both(tell, lab, "paired", "PRIMARY_ACTIVE", "SECONDARY_ACTIVE", direct="No")
        tells(tell, lab, "the pairing", PAIRING)
        for node, last in (("a", "Framework and services successfully started"), ("b", DORMANT)):
            tell.check(f"the console of {node} shows the start in its order", console(lab, node) == [*START, last], console(lab, node))
        lab.verb("stop", "b")
        tell.check("and the stop", console(lab, "b")[-1] == "Stopping MSE Platform", console(lab, "b"))


@story("scenario 2: a pair with a cable and automatic failover loses its primary, and gets it back")
def automatic_failover(tell):
    options = ("--profile", "fast", "--failover", "automatic", "--no-start")
    with lab_of(tell, "scenario", *options, pair=None) as lab:
        paired_product(lab)
        automatic = {"failover": "Automatic"}
        both(tell, lab, "normal", "PRIMARY_ACTIVE", "SECONDARY_ACTIVE", **automatic)
        lab.wait_protected()  # still: a machine that stood still meanwhile may have made the primary go solo
        lab.power_off("a")
        lab.wait_state("b", "FAILOVER_ACTIVE", 30)
        tells(tell, lab, "the failover", BARE_FAILOVER, "b")
        both(tell, lab, "the primary has no power", None, "FAILOVER_ACTIVE", "Down", **automatic)
        lab.power_on("a")
        lab.wait_state("a", "TERMINATED", 40, "peer-in-command")
        both(tell, lab, "the primary is back", "TERMINATED", "FAILOVER_ACTIVE", **automatic)
        done = lab.crossbeat("b", "failback", "--force")
        tell.check("failback is called", done.returncode == 0, said(done))
        lab.wait_protected()
        both(tell, lab, "done", "PRIMARY_ACTIVE", "SECONDARY_ACTIVE", **automatic)
        tells(tell, lab, "the failover and the failback", BARE_FAILOVER + BARE_FAILBACK)


@story("scenario 5: the primary is stopped by hand in automatic mode: nobody takes over")
def stopped_by_hand(tell):
    options = ("--profile", "fast", "--failover", "automatic", "--no-start")
    with lab_of(tell, "scenario", *options, pair=None) as lab:
        paired_product(lab)
        automatic = {"failover": "Automatic"}
        done = lab.crossbeat("a", "set", "--failover", "automatic")
        tell.check("the failover type is set", done.returncode == 0, said(done))
        tells(tell, lab, "the changed type", [("Primary", "Configuration updated")])
        remarks = [event["remarks"] for event in events_of(lab, "b") if event["description"] == "Configuration updated"]
        tell.check("with the type", remarks == ["Failover mode set to AUTOMATIC."], remarks)
        lab.verb("stop", "a")
        lab.wait_state("b", "GRACEFUL_SHUTDOWN", 30)
        both(tell, lab, "stopped", None, "GRACEFUL_SHUTDOWN", "Down", **automatic)
        tell.check("the secondary does not serve", VIP not in lab.addresses("b"), lab.addresses("b"))
        done = lab.crossbeat("a", "gethainfo")
        last = done.stdout.splitlines()[-1]
        tell.check("the primary tells its last state", done.returncode == 3 and last.startswith("Last shutdown state: "), said(done))
        lab.verb("start", "a")
        lab.wait_protected()
        both(tell, lab, "started again", "PRIMARY_ACTIVE", "SECONDARY_ACTIVE", **automatic)


@story("scenario 6: both nodes active, and a secondary that cannot be deleted: each is one verb")
def troubles(tell):
    options = ("--profile", "fast", "--failover", "manual", "--no-start")
    with lab_of(tell, "scenario", *options, pair=None) as lab:
        paired_product(lab)
        # The two do not hear each other, and an operator forces the secondary to serve as well.
        lab.verb("cut", "direct")
        lab.verb("cut", "net", "b")
        wait_for("b hears nothing", lambda: lab.pairing("b")["heartbeat"] == "Down", 20)
        done = lab.crossbeat("b", "failover", "--force")
        tell.check("an operator forces the secondary", done.returncode == 0, said(done))
        wait_for("b serves", lambda: lab.pairing("b")["serving"], 20)
        done = lab.crossbeat("b", "resolve-conflict", "--dry-run")
        tell.check("a dry run says what would happen", done.returncode == 0 and f"take down {VIP}" in done.stdout, said(done))
        done = lab.crossbeat("b", "resolve-conflict")
        tell.check("no primary is heard, so it asks for --force", done.returncode == 4 and "--force" in done.stderr, said(done))
        done = lab.crossbeat("b", "resolve-conflict", "--force", "--timeout", "5s")
        tell.check("the address is down; nobody started the monitor here", done.returncode == 5 and "systemctl start crossbeat" in done.stderr, said(done))
        tell.check("the secondary serves no more", VIP not in lab.addresses("b"), lab.addresses("b"))
        lab.verb("heal")
        lab.verb("start", "b")
        # The secondary served in the newer term, so the primary yields to it: one serves, and a failback ends it.
        lab.wait_state("a", "TERMINATED", 40, "peer-in-command")
        tell.check("exactly one serves again", lab.pairing("b")["serving"] and not lab.pairing("a")["serving"])
        done = lab.crossbeat("b", "failback", "--force")
        tell.check("a failback returns command", done.returncode == 0, said(done))
        lab.wait_protected()
        both(tell, lab, "resolved", "PRIMARY_ACTIVE", "SECONDARY_ACTIVE")

        lab.power_off("b")
        wait_for("a is alone", lambda: lab.pairing("a")["heartbeat"] == "Down", 20)
        done = lab.crossbeat("a", "unpair", "--force")
        tell.check("a secondary that is gone is deleted by force", done.returncode == 0, said(done))
        shows(tell, lab, "the primary has no peer any more", "a", base("a", "Primary", VIP, 0))
        tell.check("and serves", VIP in lab.addresses("a"))
