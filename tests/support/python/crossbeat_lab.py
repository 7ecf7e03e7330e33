# SPDX-License-Identifier: Apache-2.0
"""scripts/lab for programs: the demo, the end-to-end tests and the benchmarks.

A Lab runs scripts/lab and the lab's tools, and speaks to the monitors' control sockets. Everything waits on
conditions, with a deadline that says what was waited for.
"""

import json
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
VIP = "10.77.0.10"
# a, b, c, and with --nodes up to 17 also d to q, as scripts/lab numbers them.
HOST = {"a": 11, "b": 12, "c": 13} | {letter: 31 + i for i, letter in enumerate("defghijklmnopq")}
VIRTUAL = {"a": 10, "c": 20} | {letter: 131 + i for i, letter in enumerate("defghijklmnopq")}
MAC = {node: f"02:cb:00:00:00:{part:02x}" for node, part in HOST.items()}
ADDRESS = {node: f"10.77.0.{part}" for node, part in HOST.items()}
VIPS = {node: f"10.77.0.{part}" for node, part in VIRTUAL.items()}


# A node that starts without the maps of an earlier life does not serve before the longest grant that it may
# have given in it has run out. scripts/lab configures the shortest wait for that.
WAIT_AFTER_START_S = 10.1


class LabError(Exception):
    """Something that the lab was asked for did not work; the text says what."""


class Late(LabError):
    """A condition did not come true in time."""


def boottime_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def pause(seconds):
    """Between two looks at a condition; never in place of one."""
    select.select([], [], [], seconds)


def wait_for(what, condition, timeout=10.0, every=0.005):
    """The first true value of condition(), which is asked again and again. CB_SLOW: patience on an emulated machine."""
    timeout *= int(os.environ.get("CB_SLOW", "1"))
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Late(f"after {timeout:g} s still not: {what}")
        pause(every)


def find_build():
    named = os.environ.get("CROSSBEAT_BUILD")
    folders = [Path(named)] if named else [TOP / "build/release", TOP / "build/dev"]
    for folder in folders:
        if (folder / "tests/cb_wire").exists():
            return folder.resolve()
    raise LabError("the lab's programs are not built; run: make build (or set CROSSBEAT_BUILD)")


class Tool:
    """A tool of the lab that runs beside us, prints {"ready":true} and, when told to end, one JSON report."""

    def __init__(self, command):
        self.name = Path(command[command.index("--") + 1]).name
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.report = None

    def wait_ready(self, timeout=10.0):
        self._line(timeout, "ready")
        return self

    def _line(self, timeout, what):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            running = self.process.poll() is None
            self.kill()
            said = self.process.stderr.read().strip()
            raise LabError(f"{self.name}: {said or ('not ' + what + ' in time' if running else 'ended early')}")
        return json.loads(line)

    def arm(self):
        """Of a client that ends by itself after an outage: the next outage is meant."""
        self.process.send_signal(signal.SIGUSR1)

    def stop(self):
        """Asks for the report now."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def finish(self, timeout=120.0):
        """Waits for the report of a tool that ends by itself."""
        if self.report is None:
            try:
                out, said = self.process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired as late:
                self.kill()
                raise LabError(f"{self.name}: no report after {timeout:g} s") from late
            lines = [json.loads(line) for line in out.splitlines() if line.strip()]
            reports = [line for line in lines if "ready" not in line]
            if not reports:
                raise LabError(f"{self.name}: {said.strip() or 'no report'}")
            self.report = reports[-1]
        return self.report

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Lab:
    def __init__(self, name="lab", build=None):
        self.name = name
        self.build = Path(build) if build else find_build()
        self.home = Path("/run/crossbeat-lab") / name
        self.environment = dict(os.environ, LAB=name, CROSSBEAT_BUILD=str(self.build))
        self.tools = []
        self.paired_at = 0.0

    # --- scripts/lab ---

    def verb(self, *arguments, timeout=120.0):
        done = subprocess.run(
            [str(TOP / "scripts/lab"), *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"scripts/lab {' '.join(map(str, arguments))}: {(done.stderr or done.stdout).strip()}")
        if arguments[0] == "pair":
            self.paired_at = time.monotonic()
        return done.stdout

    def up(self, *options):
        self.verb("up", *options)

    def down(self):
        for tool in self.tools:
            tool.kill()
        self.tools.clear()
        self.verb("down")

    def power_off(self, node, how=None):
        """Answers t0_ns and how long after it each part was dead. how: "silent" or "carrier-at-once"."""
        return json.loads(self.verb("power-off", node, *([f"--{how}"] if how else [])))

    def power_on(self, node, start=True):
        self.verb("power-on", node, *([] if start else ["--no-start"]))

    def root(self, node):
        return self.home / node

    # --- inside ---

    def tool_path(self, name):
        return str(self.build / "tests" / name)

    def enter(self, place, *command):
        return ["nsenter", f"--net=/run/netns/cb-{self.name}-{place}", "--", *map(str, command)]

    def run(self, place, *command, timeout=60.0, check=True):
        environment = dict(self.environment, CROSSBEAT_ROOT=str(self.root(place)))
        done = subprocess.run(
            self.enter(place, *command), env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise LabError(f"in {place}: {' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
        return done

    def crossbeat(self, node, *arguments, check=False, timeout=60.0):
        program = str(self.build / "bin/crossbeat")
        return self.run(node, program, "--root", self.root(node), *arguments, check=check, timeout=timeout)

    def start_tool(self, place, name, *arguments):
        tool = Tool(self.enter(place, self.tool_path(name), *arguments))
        self.tools.append(tool)
        return tool

    def client(self, *options, address=VIP):
        """A client that probes the virtual address from now on."""
        return self.start_tool("client", "cb_client_probe", address, *options)

    def judge(self, *options, address=VIP):
        return self.start_tool("switch", "cb_arp_judge", address, *options).wait_ready()

    # --- monitors ---

    def request(self, node, timeout=5.0, **request):
        """One request to the control socket; None when the monitor is not there to answer."""
        path = self.root(node) / "run/crossbeat/control.sock"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
                control.settimeout(timeout)
                control.connect(str(path))
                control.sendall(json.dumps(request).encode() + b"\n")
                with control.makefile("rb") as lines:
                    answer = lines.readline()
        except OSError:
            return None
        return json.loads(answer) if answer else None

    def status(self, node):
        answer = self.request(node, verb="status")
        return answer if answer and answer.get("ok") else None

    def pairing(self, node, primary="a"):
        """The part of the status that concerns the pairing with this primary; {} while there is none."""
        status = self.status(node)
        for pairing in (status or {}).get("pairings", []):
            if pairing.get("pairing") == ADDRESS[primary]:
                return pairing
        return {}

    def wait_state(self, node, state, timeout=30.0, sub_state=None, primary="a"):
        seen = {}

        def arrived():
            seen.update(pairing=self.pairing(node, primary))
            now = seen["pairing"]
            return now.get("state") == state and sub_state in (None, now.get("sub_state")) and now

        try:
            return wait_for(f"{node} {state}", arrived, timeout)
        except Late as late:
            now = seen["pairing"]
            is_now = f"{now.get('state')} ({now.get('sub_state')}, {now.get('reason_text')})" if now else "silent"
            raise Late(f"after {timeout:g} s {node} is {is_now}, not {state} {sub_state or ''}".strip()) from late

    def wait_protected(self, timeout=40.0):
        """Both in their places and each sees it of the other: nothing is under way."""
        self.wait_state("a", "PRIMARY_ACTIVE", timeout, "protected")
        self.wait_state("b", "SECONDARY_ACTIVE", timeout, "ready")

    def wait_able(self, node="b"):
        """The standby stands long enough to take over at once: until then it may have granted its peer a right before it was started."""

        def able():
            uptime = ((self.status(node) or {}).get("node") or {}).get("uptime_s", 0)
            return min(uptime, time.monotonic() - self.paired_at) >= WAIT_AFTER_START_S

        wait_for(f"{node} has run for {WAIT_AFTER_START_S:g} s", able, WAIT_AFTER_START_S + 20, every=0.05)

    def addresses(self, node):
        done = self.run(node, "ip", "-j", "address", "show", "dev", "eth0")
        return {a["local"] for a in json.loads(done.stdout)[0]["addr_info"]}

    def monitor_pid(self, node):
        return int((self.home / f"{node}.pid").read_text())

    def drops(self, node):
        status = self.status(node) or {}
        return status.get("node", {}).get("drops", {})

    def witness_pairing(self):
        """What the lab's witness holds for its one pairing."""
        program = str(self.build / "bin/crossbeat-witness")
        said = self.run("witness", program, "--control", self.root("witness") / "control", "--json", "list")
        (pairing,) = json.loads(said.stdout)["pairings"]
        return pairing

    def log(self, node, lines=20):
        path = self.root(node) / "var/log/crossbeat/health-monitor.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def move_of(report):
    """The outage that another machine ended; None when there was none. For what comes long after its cause: a stall of
    the machine in between is an outage too, but not this one."""
    moves = [o for o in report["outages"] if o["mac_after"] not in (None, o["mac_before"]) and o["mac_before"]]
    return moves[0] if moves else None


def outage_of(report, t0_ns=0):
    """The longest outage that did not end before t0; None when nothing was lost."""
    found = [o for o in report["outages"] if o["first_answer_ns"] is None or o["first_answer_ns"] >= t0_ns]
    for outage in found:
        if outage["first_answer_ns"] is None:
            return outage
    return max(found, key=lambda o: o["first_answer_ns"] - o["first_lost_ns"]) if found else None
