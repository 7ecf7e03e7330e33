# SPDX-License-Identifier: Apache-2.0
"""keepalived on the lab's two nodes, at its fastest: VRRPv3 adverts every 10 ms, real-time priority."""

import shutil
import subprocess

from crossbeat_lab import VIP, LabError, wait_for

PRIORITY = {"a": 150, "b": 100}


def version():
    done = subprocess.run(["keepalived", "--version"], capture_output=True, text=True, check=False)
    return (done.stderr or done.stdout).splitlines()[0].split(" (")[0]


def config(node, advert_s):
    return f"""
global_defs {{
    router_id {node}
    vrrp_version 3
    vrrp_rt_priority 50
    vrrp_no_swap
    vrrp_rlimit_rttime 1000000  # or it is killed by its own limit
}}
vrrp_instance vip {{
    state {"MASTER" if node == "a" else "BACKUP"}
    interface eth0
    virtual_router_id 77
    priority {PRIORITY[node]}
    advert_int {advert_s}
    virtual_ipaddress {{
        {VIP}/32 dev eth0
    }}
}}
"""


class Keepalived:
    def __init__(self, lab, advert_s=0.01):
        if not shutil.which("keepalived"):
            raise LabError("keepalived is not installed; run: sudo scripts/deps bench")
        self.lab = lab
        self.processes = {}
        self.advert_s = advert_s

    def start(self, node):
        folder = self.lab.root(node) / "run"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "keepalived.conf"
        path.write_text(config(node, self.advert_s))
        path.chmod(0o644)
        # Not --log-console: it writes to the machine's console, which may be slow and stalls a processor.
        command = ["keepalived", "--dont-fork", "--vrrp", "-f", path]
        command += [f"--pid={folder}/keepalived.pid", f"--vrrp_pid={folder}/vrrp.pid"]
        with open(self.lab.home / f"keepalived-{node}.log", "ab") as log:
            self.processes[node] = subprocess.Popen(
                self.lab.enter(node, *command), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def pids(self, node):
        """Its processes: all that run in the node's namespace but for ours are of keepalived."""
        listed = subprocess.run(
            ["ip", "netns", "pids", f"cb-{self.lab.name}-{node}"], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def owner(self):
        return {node for node in ("a", "b") if VIP in self.lab.addresses(node)}

    def wait_owner(self, node, timeout=30.0):
        wait_for(f"keepalived on {node}, and only there, holds {VIP}", lambda: self.owner() == {node}, timeout)


def ready_pair(lab):
    """Both nodes run keepalived and a is master."""
    pair = Keepalived(lab)
    pair.start("a")
    pair.start("b")
    pair.wait_owner("a")
    return pair

