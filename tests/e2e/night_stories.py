# SPDX-License-Identifier: Apache-2.0
"""A night of an operator who knows nothing: five troubles, one after the other, each ended by doing what doctor prints.

No story knows a remedy: the operator (crossbeat_operator.py) runs the commands that are printed, until both nodes say
that all is well. Where advice is missing or wrong, the trouble does not end.
"""

import contextlib
import shutil
import subprocess

from story import VIPS, lab_of, outage_of, story, verdict, wait_for
from crossbeat_operator import Operator

# What depends on the machine that the lab stands on, and not on the lab.
OF_THE_MACHINE = {"swap", "real time", "mtu", "offloads", "kernel", "start", "resources"}
VIP = VIPS["a"]
LONGEST_MS = 5000  # that a client may wait in a night with two moves


def events(lab, node):
    return lab.crossbeat(node, "events", "--limit", "500").stdout


def put_right(tell, lab, operator, trouble, *, read, acts=True):
    """Ends the trouble, and tells how."""
    did, found = operator.put_right(OF_THE_MACHINE)
    named = any(word in what for what in found for word in [read])
    tell.check(f"{trouble}: doctor named it", named or not acts, found)
    tell.check(f"{trouble}: what it printed to be done ended it", bool(did) or not acts, did)
    now = lab.pairing("a")
    tell.check(f"{trouble}: the pair is healthy", now["serving"] and now["sub_state"] == "protected", now)
    return did


def fill(path):
    with path.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
            file.flush()


def disk_full(tell, lab, operator):
    fill(lab.root("a") / "var/lib/crossbeat/core.12345")
    # Something is to be remembered meanwhile.
    for state in ("on", "off"):
        lab.crossbeat("a", "maintenance", state)
    tell.check("disk full: events are shown also while none can be written", "maintenance is on" in events(lab, "a"), events(lab, "a"))
    put_right(tell, lab, operator, "disk full", read="/var/lib/crossbeat has ")
    tell.check("disk full: no event was lost", "maintenance is on" in events(lab, "a"), events(lab, "a"))
    wait_for("the peer is told when the disk takes them again", lambda: "maintenance is off" in events(lab, "b"), 15, every=0.2)


def wrong_clock(tell, lab, operator):
    machine = operator.machines["b"]
    (machine.home / "ntp").write_text("no\n")
    (machine.home / "clock").write_text("3700\n")

    def differs():
        return abs(lab.pairing("a").get("clock_offset_ms") or 0) > 3_000_000

    wait_for("a sees the clock of b", differs, 10)
    put_right(tell, lab, operator, "wrong clock", read="the clock of b is 1 h")


def address_removed(tell, lab, operator):
    machine = operator.machines["a"]
    etc = lab.root("a") / "etc/systemd"
    wants = etc / "system/multi-user.target.wants"
    for folder in (wants, etc / "network"):
        folder.mkdir(parents=True)
    for unit in ("systemd-networkd", "crossbeat"):
        (wants / f"{unit}.service").write_text("")
    (etc / "network/50-eth0.network").write_text("[Match]\nName=eth0\n[Network]\nDHCP=yes\n")

    def removed():
        return events(lab, "a").count("was removed by somebody else")

    machine.output("networkctl", "reload")
    wait_for("the removal is told", removed)
    wait_for("the address is back", lambda: VIP in lab.addresses("a"))
    put_right(tell, lab, operator, "networkd takes the address", read="systemd-networkd takes the virtual address away")
    before = removed()
    machine.output("networkctl", "reload")
    tell.check("networkd takes the address: it does not any more", VIP in lab.addresses("a") and removed() == before, events(lab, "a"))


def service_does_not_start(tell, lab, operator):
    (lab.home / "lock-a").touch()
    (lab.home / "runs-a").unlink()
    lab.wait_state("b", "FAILOVER_ACTIVE", 30)
    wait_for("the service runs on b", (lab.home / "runs-b").exists)
    lab.wait_state("a", "TERMINATED", 20, "peer-in-command")
    put_right(tell, lab, operator, "a service does not start", read="the service database did not run here, so b serves")
    tell.check("a service does not start: it runs on a again, and on a alone", (lab.home / "runs-a").exists() and not (lab.home / "runs-b").exists())


def peer_replaced(tell, lab, operator):
    lab.power_off("b")
    lab.wait_state("a", "PRIMARY_ACTIVE", 20, "alone")
    config = (lab.root("b") / "etc/crossbeat/crossbeat.toml").read_text()
    lab.power_on("b", start=False)
    # A new machine, set up as the old one was, with nothing on its disk.
    for folder in ("etc", "var"):
        shutil.rmtree(lab.root("b") / folder)
    for folder in ("etc/crossbeat", "var/lib/crossbeat", "var/log/crossbeat"):
        (lab.root("b") / folder).mkdir(parents=True)
    (lab.root("b") / "etc/crossbeat/crossbeat.toml").write_text(config)
    operator.machines["b"].output("systemctl", "start", "crossbeat")
    put_right(tell, lab, operator, "the peer is a new machine", read="does not know this pairing")


def configure(lab):
    """A service whose lock a crash leaves behind, and which says so; moves need not be apart."""
    for node in "ab":
        path = lab.root(node) / "etc/crossbeat/crossbeat.toml"
        runs, lock = lab.home / f"runs-{node}", lab.home / f"lock-{node}"
        start = f"test ! -e {lock} || {{ echo a lock of a crash is left, mend it with: rm -f {lock}; exit 1; }}; touch {runs}"
        path.write_text(
            path.read_text()
            + f'\n[[service]]\nname = "database"\nstart = ["/bin/sh", "-c", "{start}"]\nstop = ["/bin/rm", "-f", "{runs}"]\nrestarts = 1\n'
            + f'health = {{ kind = "command", target = "/usr/bin/test -e {runs}", interval = "100ms", rise = 1, fall = 1 }}\n'
        )


TROUBLES = (disk_full, wrong_clock, address_removed, service_does_not_start, peer_replaced)


@story("an operator's night: five troubles, each ended by doing what is printed")
def night(tell):
    with lab_of(tell, "night", "--profile", "normal", "--no-start", "--set", 'failover.hold_down="0s"', pair=None) as lab:
        disk = lab.root("a") / "var/lib/crossbeat"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
        try:
            configure(lab)
            operator = Operator(lab)
            for node in "ab":
                operator.machines[node].output("systemctl", "start", "crossbeat")
            lab.verb("pair")
            lab.wait_protected()
            judge = lab.judge()
            client = lab.client("--interval-us", 5000, "--max-ms", 600_000).wait_ready()
            for trouble in TROUBLES:
                print(f"# {trouble.__name__}", flush=True)
                trouble(tell, lab, operator)
            seen = client.stop()
            longest = outage_of(seen)
            tell.check(f"no client waited longer than {LONGEST_MS} ms all night", not longest or (longest["ms"] and longest["ms"] < LONGEST_MS), longest)
            verdict(tell, lab, judge.stop(), moves=2)
        finally:
            lab.verb("stop")
            subprocess.run(["umount", "-l", str(disk)], check=True)
