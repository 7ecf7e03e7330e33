# SPDX-License-Identifier: Apache-2.0
"""What a human or a machine can get wrong: one clear message with the next step, an exit code, nothing half done."""

import subprocess

from story import lab_of, story, wait_for

EXIT_NOT_RUNNING, EXIT_CONFIG, EXIT_PRIVILEGES = 3, 6, 7


def start_monitor(lab, node, *wrapper):
    """A monitor that is expected to refuse, in the foreground."""
    program = lab.build / "bin/crossbeatd"
    return lab.run(node, *wrapper, program, "--root", lab.root(node), check=False, timeout=30)


def refuses(tell, lab, what, wanted, exit_code=None, node="a", wrapper=()):
    """The monitor does not start: `wanted` words are in what it says."""
    done = start_monitor(lab, node, *wrapper)
    said = (done.stdout + done.stderr).strip()
    codes = (exit_code,) if exit_code is not None else range(1, 126)
    tell.check(f"{what}: the monitor refuses to start", done.returncode in codes, f"exit {done.returncode}: {said}")
    missing = [word for word in wanted if word.lower() not in said.lower()]
    tell.check(f"{what}: it says what is wrong ({', '.join(wanted)})", not missing, f"{missing} not in: {said}")
    tell.check(f"{what}: in a few lines", 1 <= len(said.splitlines()) <= 6, said)
    pins = (lab.root(node) / "sys/fs/bpf").rglob("*")
    left = [str(p) for p in pins if p.is_file() and p.suffix != ".debug"]
    socket = lab.root(node) / "run/crossbeat/control.sock"
    address = "10.77.0.10" in lab.addresses(node)
    tell.check(f"{what}: nothing half done is left", not left and not socket.exists() and not address, (left, address))


def edit(lab, change, node="a"):
    path = lab.root(node) / "etc/crossbeat/crossbeat.toml"
    text = path.read_text()
    path.write_text(change(text))
    return text


@story("a bad configuration is refused as a whole, with its lines, before anything happens")
def bad_config(tell):
    with lab_of(tell, "input", "--no-start", pair=None) as lab:
        good = edit(lab, lambda text: text + "\n[heartbeat\n")
        refuses(tell, lab, "a broken line", ["crossbeat.toml:"], EXIT_CONFIG)
        edit(lab, lambda _: good.replace('profile = "fast"', 'profile = "faster"') + '\n[failoverr]\nwait = "1s"\n')
        refuses(tell, lab, "two mistakes at once", ["faster", "failoverr"], EXIT_CONFIG)
        edit(lab, lambda _: good.replace('interface = "eth0"', 'interface = "eth9"'))
        refuses(tell, lab, "an interface that is not there", ["eth9"])
        edit(lab, lambda _: good.replace('interface = "eth1"', 'interface = "eth8"'))
        refuses(tell, lab, "a direct interface that is not there", ["eth8"])
        edit(lab, lambda _: good.replace('"10.77.0.10/24"', '"10.99.0.10/24"'))
        refuses(tell, lab, "a virtual address of another network", ["10.99.0.10"], EXIT_CONFIG)
        (lab.root("a") / "etc/crossbeat/crossbeat.toml").unlink()
        refuses(tell, lab, "no configuration", ["crossbeat.toml"], EXIT_CONFIG)


@story("without root the monitor says so")
def no_privileges(tell):
    with lab_of(tell, "input", "--no-start", pair=None) as lab:
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        refuses(tell, lab, "no privileges", ["root"], EXIT_PRIVILEGES, wrapper=nobody)


@story("a second monitor leaves the first alone")
def twice(tell):
    with lab_of(tell, "input", "--profile", "fast", pair="file") as lab:
        lab.wait_protected()
        done = start_monitor(lab, "a")
        said = (done.stdout + done.stderr).strip()
        tell.check("the second refuses to start", done.returncode not in (0, 124), f"exit {done.returncode}: {said}")
        tell.check("and names the first", str(lab.monitor_pid("a")) in said or "running" in said.lower(), said)
        lab.wait_protected()
        tell.check("the first serves on", lab.pairing("a")["serving"])


@story("a full disk at the ledger stops the start, not the machine")
def full_disk(tell):
    with lab_of(tell, "input", "--no-start", pair="file") as lab:
        state = lab.root("a") / "var/lib/crossbeat"
        pairs = {path.name: path.read_bytes() for path in (state / "pairs").iterdir()}
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", state], check=True)
        try:
            (state / "pairs").mkdir(mode=0o700)
            for name, content in pairs.items():
                (state / "pairs" / name).write_bytes(content)
                (state / "pairs" / name).chmod(0o600)
            with open(state / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass  # full
            refuses(tell, lab, "a full disk", ["no space", "crossbeat"])
        finally:
            subprocess.run(["umount", "-l", state], check=True)


@story("somebody else's XDP program on the cable's interface is reported, not thrown out")
def foreign_xdp(tell):
    with lab_of(tell, "input", "--no-start", pair=None) as lab:
        lab.run("a", lab.tool_path("cb_wire"), "attach", lab.home / "wires", "eth1", "--pass-only")
        before = lab.run("a", "ip", "-d", "link", "show", "eth1").stdout
        done = start_monitor(lab, "a", "timeout", "5")
        said = done.stdout + done.stderr
        tell.check("the monitor says that eth1 has another XDP program", "eth1" in said and "xdp" in said.lower(), said)
        after = lab.run("a", "ip", "-d", "link", "show", "eth1").stdout
        tell.check("and that one is still there", "prog/xdp" in before and "prog/xdp" in after, after)


@story("the command line without a monitor says so, and shows what was saved as saved")
def no_monitor(tell):
    with lab_of(tell, "input", "--no-start", pair=None) as lab:
        done = lab.crossbeat("a", "switchover")
        said = done.stdout + done.stderr
        tell.check("switchover: exit 3", done.returncode == EXIT_NOT_RUNNING, f"exit {done.returncode}: {said}")
        tell.check("switchover: says how to start it", "start" in said.lower(), said)
        lab.verb("start")
        lab.verb("pair", "--by-file")
        lab.wait_protected()
        lab.verb("kill", "a")
        wait_for("the monitor is gone", lambda: lab.status("a") is None)
        done = lab.crossbeat("a", "status")
        said = (done.stdout + done.stderr).lower()
        as_saved = done.returncode == EXIT_NOT_RUNNING and "last saved" in said
        tell.check("status: exit 3, and what is shown is named as last saved", as_saved, said)
        tell.check("status: the last state is there", "primary_active" in said, said)
