# SPDX-License-Identifier: Apache-2.0
"""A night of an operator who knows nothing: each trouble ends with the pair healthy by doing only what status, events
and doctor print. Every remedy is taken from their text; where a text stops saying what to do, a story fails."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from crossbeat_lab import VIP
from story import lab_of, story, wait_for

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")

# What depends on the machine that the lab stands on, and not on the lab.
OF_THE_MACHINE = {"swap", "disk", "clock", "real time", "mtu", "offloads", "kernel"}


class Operator:
    """Reads, and does what is written."""

    def __init__(self, tell, lab):
        self.tell = tell
        self.lab = lab

    def status(self, node):
        done = self.lab.crossbeat(node, "status")
        return done.stdout + done.stderr

    def finding(self, node, check):
        """What doctor says about this, or None."""
        reply = json.loads(self.lab.crossbeat(node, "doctor", "--json").stdout)
        for found in reply["findings"]:
            if found["check"] == check and found["severity"] in ("warning", "problem"):
                return found
        return None

    def wait_finding(self, node, check, timeout=20):
        return wait_for(f"doctor on {node} finds: {check}", lambda: self.finding(node, check), timeout, every=0.2)

    def events(self, node):
        done = self.lab.crossbeat(node, "events", "--limit", "500")
        return done.stdout

    def told(self, text, pattern, what):
        """The part of the text that says what to do."""
        match = re.search(pattern, text)
        self.tell.check(f"it says: {what}", match, text)
        return match.group(0) if match else ""

    def run(self, node, text, pattern):
        """Runs the command that the text names."""
        command = self.told(text, pattern, f"run {pattern}")
        if command.startswith("systemctl start crossbeat"):
            return self.lab.verb("start", node)
        words = command.split()
        if words[:1] != ["crossbeat"]:
            return ""
        done = self.lab.crossbeat(node, *words[1:])
        self.tell.check(f"{command} (on {node})", done.returncode == 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def healthy(self, ours=()):
        """ours: what else doctor must be content with, besides what does not depend on this machine."""
        self.lab.wait_protected(60)
        for node in "ab":
            text = self.status(node)
            first = text.splitlines()[0]
            self.tell.check(f"the status of {node} says PROTECTED", "PROTECTED" in first and "NOT" not in first, text)
            reply = json.loads(self.lab.crossbeat(node, "doctor", "--json").stdout)
            ill = [f for f in reply["findings"] if f["severity"] in ("warning", "problem")]
            ill = [f for f in ill if f["check"] in ours or f["check"] not in OF_THE_MACHINE]
            self.tell.check(f"doctor finds nothing wrong on {node}", not ill, ill)


@story("the disk of the secondary is full")
def disk_full(tell):
    with lab_of(tell, "night", "--profile", "fast", "--no-start", pair=None) as lab:
        var = lab.root("b") / "var/lib/crossbeat"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(var)], check=True)
        try:
            lab.verb("start")
            lab.verb("pair")
            lab.wait_protected()
            night = Operator(tell, lab)
            fill = var / "core.12345"
            with fill.open("wb") as file:
                try:
                    while True:
                        file.write(b"x" * 65536)
                        file.flush()
                except OSError:
                    pass
            found = night.wait_finding("b", "disk")
            tell.check("doctor calls it a problem", found["severity"] == "problem", found)
            folder = night.told(found["remedy"], r"du -xh \S+", "where to look").split()[-1]
            biggest = max((p for p in Path(str(lab.root("b")) + folder).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
            tell.check("what it says to look at shows what takes the room", biggest == fill, biggest)
            # Something happens meanwhile: it must not be lost.
            lab.crossbeat("b", "maintenance", "on")
            lab.crossbeat("b", "maintenance", "off")
            tell.check("events are shown also while none can be written", "maintenance is on" in night.events("b"))
            biggest.unlink()
            wait_for("doctor is content with the disk", lambda: "lib" not in (night.finding("b", "disk") or {"what": ""})["what"], 20, every=0.2)
            night.healthy()
            lab.verb("stop", "b")
            saved = lab.crossbeat("b", "events", "--limit", "500").stdout
            tell.check("and are on the disk when there is room again", "maintenance is on" in saved, saved)
        finally:
            lab.verb("stop", "b")
            subprocess.run(["umount", "-l", str(var)], check=True)


@story("the clock of the secondary is wrong")
def wrong_clock(tell):
    if not FAKETIME.exists():
        tell.check(f"{FAKETIME} is there (scripts/deps test)", False)
        return
    with lab_of(tell, "night", "--profile", "fast", "--no-start", pair=None) as lab:
        offset = lab.home / "clock-of-b"
        offset.write_text("+3600s\n")
        plain = dict(lab.environment)
        lab.verb("start", "a")
        lab.environment.update(
            LD_PRELOAD=str(FAKETIME),
            FAKETIME_TIMESTAMP_FILE=str(offset),
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAKETIME_CACHE_DURATION="1",
        )
        lab.verb("start", "b")
        lab.environment = plain
        lab.verb("pair")
        lab.wait_protected()
        night = Operator(tell, lab)

        def found():
            finding = night.finding("a", "clock")
            return finding if finding and "differ by" in finding["what"] else None

        said = wait_for("doctor on a finds that the clocks differ", found, 20, every=0.2)
        tell.check("an hour is a problem", said["severity"] == "problem", said)
        night.told(said["remedy"], r"same NTP servers: crossbeat setup", "NTP servers, with the set-up")
        offset.write_text("+0s\n")  # what NTP servers do
        wait_for("doctor finds the clocks together", lambda: not found(), 20, every=0.2)
        lab.crossbeat("b", "maintenance", "on")
        lab.crossbeat("b", "maintenance", "off")
        tell.check("a clock that jumped an hour back lost no event", "maintenance is off" in night.events("b"))
        night.healthy()


@story("another program takes the address away, again and again")
def address_removed(tell):
    with lab_of(tell, "night", "--profile", "fast", pair="file") as lab:
        lab.wait_protected()
        night = Operator(tell, lab)
        for _ in range(30):  # as a network manager does that has its own idea of the interface
            lab.run("a", "ip", "address", "del", f"{VIP}/32", "dev", "eth0", check=False)
            if "removed by somebody else" in night.events("a"):
                break
        wait_for("the address is back", lambda: VIP in lab.addresses("a"), 30)
        said = wait_for("the events tell of it", lambda: re.search(r".*removed by somebody else.*", night.events("a")), 10)
        tell.check("the event names the address and the interface", VIP in said.group(0) and "eth0" in said.group(0), said.group(0))
        # networkd with a .network of its own for the interface, as doctor finds it on the disk.
        etc = lab.root("a") / "etc"
        wants = etc / "systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True)
        (wants / "systemd-networkd.service").write_text("")
        network = etc / "systemd/network/50-eth0.network"
        network.parent.mkdir(parents=True)
        network.write_text("[Match]\nName=eth0\n[Network]\nDHCP=yes\n")
        found = night.wait_finding("a", "network manager")
        setting = night.told(found["remedy"], r"KeepConfiguration=\w+|ManageForeign\w+=\w+|Keep\w+=\w+", "which setting leaves the address alone")
        network.write_text(network.read_text() + setting + "\n")
        night.healthy()


@story("a service does not start any more: command moves, and comes back when it is mended")
def unit_does_not_start(tell):
    with lab_of(tell, "night", "--profile", "fast", "--no-start", "--set", 'failover.hold_down="0s"', pair=None) as lab:
        broken = lab.home / "broken"
        running = {node: lab.home / f"runs-on-{node}" for node in "ab"}
        for node in "ab":
            path = lab.root(node) / "etc/crossbeat/crossbeat.toml"
            check = f"test ! -e {broken}" if node == "a" else "true"
            path.write_text(
                path.read_text()
                + '\n[[service]]\nname = "database"\n'
                + f'start = ["/bin/sh", "-c", "{check} && touch {running[node]} || {{ echo disk label is missing; exit 1; }}"]\n'
                + f'stop = ["/bin/rm", "-f", "{running[node]}"]\nrestarts = 1\n'
                + f'health = {{ kind = "command", target = "/usr/bin/test -e {running[node]}", interval = "100ms", rise = 1, fall = 1 }}\n'
            )
        lab.verb("start")
        lab.verb("pair")
        lab.wait_protected()
        lab.wait_able()
        night = Operator(tell, lab)
        broken.touch()
        running["a"].unlink()
        lab.wait_state("b", "FAILOVER_ACTIVE", 60)
        wait_for("the service runs on b", running["b"].exists, 20)
        events = night.events("a")
        tell.check("the events name the service and its last words", re.search(r"database.*disk label is missing", events), events)
        tell.check("the status says who serves", "SERVING ON THE SECONDARY" in night.status("a"), night.status("a"))
        broken.unlink()  # mended, as the service's own words said
        wait_for("a is back and may be asked", lambda: "failback" in night.status("a"), 20)
        lab.wait_state("b", "FAILOVER_ACTIVE", 20, "protected")
        night.run("a", night.status("a"), r"crossbeat failback")
        wait_for("the service runs on a", running["a"].exists, 20)
        night.healthy()


@story("the secondary burned down and is replaced by a new machine")
def replaced(tell):
    with lab_of(tell, "night", "--profile", "fast") as lab:
        lab.wait_protected()
        night = Operator(tell, lab)
        lab.power_off("b")
        lab.wait_state("a", "PRIMARY_ACTIVE", 20, "alone")
        tell.check("the status says that nothing is heard of it", "nothing is heard of b" in night.status("a"), night.status("a"))
        found = night.wait_finding("a", "pairing")
        # A new machine: set up as the old one was, with nothing on its disk.
        config = (lab.root("b") / "etc/crossbeat/crossbeat.toml").read_text()
        lab.verb("power-on", "b", "--no-start")
        shutil.rmtree(lab.root("b") / "var")
        shutil.rmtree(lab.root("b") / "etc")
        (lab.root("b") / "etc/crossbeat").mkdir(parents=True)
        (lab.root("b") / "var/log/crossbeat").mkdir(parents=True)
        (lab.root("b") / "etc/crossbeat/crossbeat.toml").write_text(config)
        lab.verb("start", "b")
        night.run("a", found["remedy"], r"crossbeat unpair --force")
        text = night.status("a")
        tell.check("the primary served on, and is unpaired", "NOT PAIRED" in text and lab.status("a")["unpaired"]["serving"], text)
        night.told(text, r"crossbeat pairing-code", "a code, on the secondary")
        night.told(text, r"crossbeat pair ADDRESS", "and pair, here")
        shown = night.status("b")
        tell.check("the new one says the same", "crossbeat pairing-code" in shown, shown)
        code = json.loads(lab.crossbeat("b", "pairing-code", "--json").stdout)
        given = lab.home / "code"
        given.write_text(code["code"] + "\n")
        done = lab.crossbeat("a", "pair", code["hm_address"], "--code-file", given)
        tell.check("they pair", done.returncode == 0, done.stdout + done.stderr)
        night.healthy()
