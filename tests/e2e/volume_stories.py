# SPDX-License-Identifier: Apache-2.0
"""The replicated volume in two whole appliances: what was acknowledged is there, whoever dies."""

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
from pathlib import Path

from crossbeat_lab import ADDRESS, Late
from crossbeat_volume import (
    Rows, Writer, both_in_step, data_of, dies_under_writes, missing_rows, present, psql, volume_of, volume_pid, wait_database,
    wait_in_step, wait_mounted,
)
from story import lab_of, planned_restart, story, wait_for

VOLUME = ("--volume", "128MiB", "--set", 'failover.hold_down="0s"')


def all_there(tell, lab, node, writer):
    there = present(lab, node, writer.name)
    tell.check(
        f"every record that was acknowledged is on {node}",
        there >= writer.acked() > 0,
        f"acknowledged {writer.acked()}, there {there}",
    )


def fail_back(tell, lab):
    done = lab.crossbeat("b", "failback", timeout=120)
    tell.check("crossbeat failback succeeds", done.returncode == 0, done.stdout + done.stderr)


def paths_in_use(lab):
    paths = ((volume_of(lab, "a").get("detail") or {}).get("transport") or {}).get("paths", [])
    return [p["link"].split()[0] for p in paths if p["in_use"]]


@story("a power failure under writes loses nothing that was acknowledged, nor does the failback")
def power_off_under_writes(tell):
    with lab_of(tell, "volume", *VOLUME) as lab:
        wait_in_step(lab)
        writer = dies_under_writes(lab, 50)
        all_there(tell, lab, "b", writer)

        second = Writer(lab, "b", "afterwards")
        second.wait_more(50)
        tell.check("the secondary writes alone, and says so", volume_of(lab, "b").get("alone"), volume_of(lab, "b"))
        lab.power_on("a")
        wait_for("a is in step again", lambda: volume_of(lab, "a").get("in_step"), 60)
        wait_for("b says so too", lambda: volume_of(lab, "b").get("in_step"), 30)
        second.wait_more(20)
        second.stop()
        fail_back(tell, lab)
        wait_in_step(lab)
        wait_mounted(lab, "a")
        all_there(tell, lab, "a", writer)
        all_there(tell, lab, "a", second)
        third = Writer(lab, "a", "back")
        third.wait_more(20)
        tell.check("the failback went on without an error", not third.errors(), third.errors())
        third.stop()


@story("a secondary has a volume of each of two primaries, and takes over both at once")
def two_volumes(tell):
    with lab_of(tell, "volumes", *VOLUME, "--nodes", "3", pair="file") as lab:
        for primary in ("a", "c"):
            lab.wait_state(primary, "PRIMARY_ACTIVE", 40, "protected", primary=primary)
            both_in_step(lab, primary=primary)
            wait_mounted(lab, primary, primary=primary)
        writers = {primary: Writer(lab, primary, f"of-{primary}", primary) for primary in ("a", "c")}
        for writer in writers.values():
            writer.wait_more(50)
        lab.wait_able()
        lab.verb("power-off", "a,c")
        for primary, writer in writers.items():
            lab.wait_state("b", "FAILOVER_ACTIVE", 30, primary=primary)
            wait_mounted(lab, "b", primary=primary)
            writer.stop()
            there = present(lab, "b", writer.name, primary)
            tell.check(f"what {primary} acknowledged is on b", there >= writer.acked() > 0, f"{writer.acked()}, there {there}")
        alien = [p for p, other in (("a", "c"), ("c", "a")) if (data_of(lab, "b", p) / f"of-{other}").exists()]
        tell.check("each volume holds its own data and no other", not alien, alien)

        lab.power_on("c")
        both_in_step(lab, primary="c")
        done = lab.crossbeat("b", "failback", "--force", "--pairing", ADDRESS["c"], timeout=120)
        tell.check("one of them goes back", done.returncode == 0, done.stdout + done.stderr)
        wait_mounted(lab, "c", primary="c")
        there = present(lab, "c", "of-c", "c")
        tell.check("with its data", there >= writers["c"].acked(), there)
        tell.check("the other one stays", volume_of(lab, "b", "a").get("mounted"), volume_of(lab, "b", "a"))


@story("a monitor or a volume process that restarts or is killed leaves the writers alone; so does a cut cable")
def nobody_notices(tell):
    with lab_of(tell, "volume", *VOLUME) as lab:
        wait_in_step(lab)
        wait_mounted(lab, "a")
        writer = Writer(lab, "a")
        writer.wait_more(20)
        refused = planned_restart(lab, "a", lambda: lab.verb("start", "a"))
        tell.check("a planned restart is accepted", not refused, refused)
        writer.wait_more(20)
        lab.verb("kill", "a")
        lab.verb("start", "a")  # within the grace
        wait_in_step(lab)
        writer.wait_more(20)
        tell.check("restarts of the monitor cost no error", not writer.errors(), writer.errors())

        os.kill(volume_pid(lab, "a"), signal.SIGKILL)
        writer.wait_more(50)
        wait_in_step(lab)
        tell.check("a killed volume process costs no error", not writer.errors(), writer.errors())

        lab.verb("cut", "direct")
        writer.wait_more(50)
        # The status is at most a second old.
        wait_for("with the cable cut the stream goes over the network", lambda: paths_in_use(lab) == ["udp"], 10)
        lab.verb("heal")
        writer.wait_more(50)
        tell.check("the cut cost no error", not writer.errors(), writer.errors())
        writer.stop()
        all_there(tell, lab, "a", writer)


@story("a copy that is behind is not promoted by itself; an operator names and accepts the loss; the split is kept")
def accepted_loss(tell):
    with lab_of(tell, "volume", *VOLUME) as lab:
        wait_in_step(lab)
        wait_mounted(lab, "a")
        lab.verb("power-off", "b")
        lab.wait_state("a", "PRIMARY_ACTIVE", 30, "alone")
        writer = Writer(lab, "a")
        writer.wait_more(50)
        writer.stop()
        lab.verb("power-off", "a")
        lab.verb("power-on", "b")
        try:
            lab.wait_state("b", "FAILOVER_ACTIVE", 14)
            alone = False
        except Late:
            alone = True
        tell.check("the one that was away does not serve by itself", alone, lab.pairing("b"))
        dry = lab.crossbeat("b", "failover", "--accept-loss", "--dry-run")
        tell.check("a dry run names what would be lost", "It would lose" in dry.stdout, dry.stdout + dry.stderr)
        done = lab.crossbeat("b", "failover", "--accept-loss", timeout=120)
        tell.check("failover --accept-loss succeeds", done.returncode == 0, done.stdout + done.stderr)
        marks = lab.root("b") / "var/lib/crossbeat/ledger/10.77.0.11.losses"
        tell.check("the loss is recorded", marks.exists() and "position" in marks.read_text())


@story("PostgreSQL under load through the virtual address: no acknowledged row is lost by a power failure")
def database(tell):
    with lab_of(tell, "volume", "--volume", "384MiB", "--postgres", "--set", 'failover.hold_down="0s"') as lab:
        wait_in_step(lab)
        wait_database(lab)
        psql(lab, "create table acknowledged (who int, n int, primary key (who, n))")
        clients = [Rows(lab, who) for who in range(4)]
        wait_for("rows are committed", lambda: sum(len(c.acked()) for c in clients) > 200, 30)
        lab.power_off("a")
        wait_database(lab)
        for client in clients:
            client.stop()
        count, gone = missing_rows(lab, clients)
        tell.check(f"all {count} acknowledged rows are there after the power failure", count > 200 and not gone, gone[:10])
        psql(lab, "insert into acknowledged values (99, 1)")

        lab.power_on("a")
        wait_for("a is in step again", lambda: volume_of(lab, "a").get("in_step"), 60)
        fail_back(tell, lab)
        wait_in_step(lab)
        wait_database(lab)
        _, gone = missing_rows(lab, clients)
        tell.check("all rows are there after the failback", not gone and
                   psql(lab, "select count(*) from acknowledged where who = 99") == "1", gone[:10])


WITNESS = ("--witness", "--set", 'witness.deadline="2s"', "--set", 'failover.wait="60s"')


def register_of(lab):
    """What the witness holds for the volume."""
    return lab.witness_pairing()["volume"] or {}


@story("with a witness the right to write is its register's: it moves with a takeover, and nobody is promoted while it is away")
def witness_keeps_the_register(tell):
    with lab_of(tell, "volume", *VOLUME, *WITNESS) as lab:
        wait_in_step(lab)
        wait_mounted(lab, "a")
        before = wait_for("the witness has the register", lambda: (r := register_of(lab)).get("kind") == "together" and r)
        tell.check("it names the primary, together with its peer", before["holder"] == "primary", before)
        writer = dies_under_writes(lab, 50)
        all_there(tell, lab, "b", writer)
        after = register_of(lab)
        alone = after["holder"] == "secondary" and after["kind"] == "alone" and after["epoch"] > before["epoch"]
        tell.check("the secondary was granted to write alone", alone, after)

        second = Writer(lab, "b", "afterwards")
        second.wait_more(20)
        lab.power_on("a")
        both_in_step(lab, 60)
        now = wait_for("both are in step by the register", lambda: (r := register_of(lab)).get("kind") == "together" and r)
        tell.check("written by the secondary", now["holder"] == "secondary", now)

        lab.verb("witness", "kill")
        wait_for("a notices", lambda: not lab.pairing("a")["witness"]["answers"])
        second.wait_more(20)
        tell.check("without a witness the writes go on", not second.errors(), second.errors())
        lab.power_off("b")
        second.stop()
        wait_for("a says why it waits", lambda: lab.pairing("a")["reason"].lower().replace("_", "-") == "no-arbitration")
        tell.check("the copy is not promoted", not volume_of(lab, "a").get("serving"), volume_of(lab, "a"))
        lab.verb("witness", "start")
        wait_mounted(lab, "a")
        all_there(tell, lab, "a", second)
        tell.check("the register moved back", register_of(lab)["holder"] == "primary", register_of(lab))


SHUT_DOWN = 0x8004587D  # _IOR('X', 125, __u32): from then on every request to the file system fails with EIO


def on_a_disk_of_its_own(lab, node):
    """The copy of a node that does not run yet moves to a file system that can be made to fail."""
    folder = lab.root(node) / "var/lib/crossbeat/volumes"
    aside = folder.with_name("volumes.before")
    folder.mkdir(exist_ok=True)
    folder.rename(aside)
    folder.mkdir()
    mount_new_disk(lab, node, folder, "disk.img")
    subprocess.run(["cp", "-a", "--sparse=always", f"{aside}/.", folder], check=True)
    subprocess.run(["rm", "-rf", aside], check=True)
    return folder


def mount_new_disk(lab, node, folder, name):
    image = lab.root(node) / name
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=1", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)


def fail_disk(folder):
    at = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(at, SHUT_DOWN, struct.pack("I", 2))
    finally:
        os.close(at)


@contextlib.contextmanager
def disk_fails_under_a_writer(tell, node):
    """A whole pair in which a is being written when the disk of `node` fails."""
    with lab_of(tell, "volume", *VOLUME, "--no-start", pair=None) as lab:
        folder = on_a_disk_of_its_own(lab, node)
        lab.verb("start")
        lab.verb("pair")
        wait_in_step(lab)
        wait_mounted(lab, "a")
        writer = Writer(lab, "a")
        writer.wait_more(50)
        fail_disk(folder)
        yield lab, writer, folder


@story("the disk of the node in command fails: it hands over to the one that has everything, and says why")
def disk_fails(tell):
    with disk_fails_under_a_writer(tell, "a") as (lab, writer, _):
        lab.wait_state("b", "FAILOVER_ACTIVE")
        wait_mounted(lab, "b")
        writer.stop()
        all_there(tell, lab, "b", writer)
        second = Writer(lab, "b", "afterwards")
        second.wait_more(20)
        tell.check("the writes go on there", not second.errors(), second.errors())
        second.stop()
        tell.check("a does not serve", not lab.pairing("a")["serving"], lab.pairing("a"))
        events = lab.crossbeat("a", "events", "--json").stdout
        tell.check("a says that its disk failed", "the disk failed" in events, events[-2000:])
        tell.check("and that this is why", "the volume failed" in events, events[-2000:])
        tell.check("a is not one that could take over", not volume_of(lab, "a").get("in_step"), volume_of(lab, "a"))


@story("the disk of the standby fails: the pair is not in step and says why, the writes go on, and a new disk brings it back")
def disk_of_standby_fails(tell):
    with disk_fails_under_a_writer(tell, "b") as (lab, writer, folder):
        wait_for("b knows that its disk failed", lambda: volume_of(lab, "b").get("failure"), 20)
        wait_for("a goes on alone", lambda: volume_of(lab, "a").get("alone"), 20)
        writer.wait_more(50)
        tell.check("without an error", not writer.errors(), writer.errors())
        b = lab.pairing("b")
        tell.check("b is not ready, and why", (b["sub_state"], b["reason"]) == ("not-ready", "volume-failed"), b)
        a = lab.crossbeat("a", "status").stdout
        tell.check("a says that it is not protected", "SERVING, NOT PROTECTED" in a and "See why on b" in a, a)
        status = lab.crossbeat("b", "status").stdout
        tell.check("crossbeat status says so", "FAILED: the " in status and "crossbeat doctor" in status, status)
        said = lab.crossbeat("b", "doctor").stdout
        tell.check("crossbeat doctor says what to do", "make a new copy: crossbeat resync --full" in said, said)
        # Between two tries no process holds the disk.
        wait_for("the disk can be taken away", lambda: subprocess.run(["umount", folder], check=False).returncode == 0, 30)
        gone = lambda: "gone with its file system" in volume_of(lab, "b").get("text", "")  # noqa: E731
        wait_for("nothing is made in its place", gone, 30)
        tell.check("nothing was", not list(folder.iterdir()), list(folder.iterdir()))
        mount_new_disk(lab, "b", folder, "new.img")
        done = lab.crossbeat("b", "resync", "--full")
        tell.check("a full copy is asked for", done.returncode == 0, done)
        both_in_step(lab)
        tell.check("nothing is wrong any more", volume_of(lab, "b").get("failure") is None, volume_of(lab, "b"))
        writer.wait_more(20)
        lab.power_off("a")
        lab.wait_state("b", "FAILOVER_ACTIVE")
        wait_mounted(lab, "b")
        writer.stop()
        all_there(tell, lab, "b", writer)


def loop_of(image, mib):
    with open(image, "wb") as file:
        file.truncate(mib << 20)
    return subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True).stdout.strip()


@story("volume create --dry-run says whether the devices that are configured would be taken, and changes nothing")
def devices_are_looked_at(tell):
    with lab_of(tell, "volume", *VOLUME, "--no-start", pair=None) as lab, contextlib.ExitStack() as after:
        home = lab.root("a")
        text = (home / "etc/crossbeat/crossbeat.toml").read_text()
        devices = [loop_of(home / "log.img", 64), loop_of(home / "home.img", 128)]
        for device in devices:
            after.callback(subprocess.run, ["losetup", "-d", device], check=True)

        def create(log, image):
            lines = f'[volume]\nlog_device = "{log}"\nhome_device = "{image}"'
            (home / "etc/crossbeat/crossbeat.toml").write_text(text.replace("[volume]", lines, 1))
            return lab.crossbeat("a", "volume", "create", "--aside", "--dry-run")

        before = sorted((home / "var/lib/crossbeat/volumes").rglob("*"))
        done = create(*devices)
        tell.check("good ones would be taken", done.returncode == 0 and "Would keep the copy aside" in done.stdout, done)
        done = create("/dev/null", devices[1])
        tell.check("what is no block device is refused", done.returncode == 4 and "is no block device" in done.stderr, done)
        done = create(devices[1], devices[0])
        tell.check("one may be too small", done.returncode == 4 and "are needed" in done.stderr, done)
        subprocess.run(["mkfs.ext4", "-q", devices[1]], check=True)
        done = create(*devices)
        tell.check("what one holds is not lost", done.returncode == 4 and "holds something" in done.stderr, done)
        at = home / "mounted"
        at.mkdir()
        subprocess.run(["mount", devices[1], at], check=True)
        done = create(*devices)
        subprocess.run(["umount", at], check=True)
        tell.check("nor is it taken from who uses it", done.returncode == 4 and "is mounted" in done.stderr, done)
        tell.check("and nothing was changed", sorted((home / "var/lib/crossbeat/volumes").rglob("*")) == before)


def block_of(lab, node, path):
    """Where in the volume a file of one block lies."""
    said = lab.run(node, "filefrag", "-v", "-b4096", path).stdout
    return int(re.search(r"^ *0: +0\.\. +0: +(\d+)\.\.", said, re.MULTILINE).group(1))


def forge(folder, block):
    """Something else in a block of the home image, and no checksum that would accuse it."""
    for name, offset, what in (("home", block * 4096, os.urandom(4096)), ("sums", block * 4, bytes(4))):
        at = os.open(folder / name, os.O_RDWR)
        try:
            os.pwrite(at, what, offset)
            os.fsync(at)
        finally:
            os.close(at)


@story("both copies are compared under writes: a block that differs is named, and a full copy mends it")
def compared(tell):
    with lab_of(tell, "volume", *VOLUME) as lab:
        wait_in_step(lab)
        wait_mounted(lab, "a")
        writer = Writer(lab, "a")
        writer.wait_more(20)
        # Nobody writes it again, wherever the other file grows to.
        still = data_of(lab, "a") / "still"
        lab.run("a", "dd", "if=/dev/urandom", f"of={still}", "bs=4k", "count=1", "conv=fsync")
        same = lab.crossbeat("a", "volume", "verify", timeout=60)
        tell.check("the copies are the same", same.returncode == 0 and "The same on both" in same.stdout, same)
        writer.wait_more(20)
        tell.check("and the writes went on without an error", not writer.errors(), writer.errors())
        refused = lab.crossbeat("b", "volume", "verify", timeout=60)
        tell.check("the standby says where to ask", refused.returncode == 4 and "--offline" in refused.stderr, refused)
        alone = lab.crossbeat("b", "volume", "verify", "--offline", timeout=60)
        tell.check("its own records are in order", alone.returncode == 0 and "In order." in alone.stdout, alone)
        block = block_of(lab, "a", still)
        forge(next((lab.root("b") / "var/lib/crossbeat/volumes").glob("10.*")), block)
        other = lab.crossbeat("a", "volume", "verify", timeout=60)
        tell.check("a block that differs is found", other.returncode == 1 and f"block {block} of" in other.stdout, other)
        tell.check("the status says so", f"block {block} of" in lab.crossbeat("a", "volume", "status").stdout)
        events = lab.crossbeat("a", "events", "--json").stdout
        tell.check("it is an alarm", "Volume: ALARM: the two images differ in 1 blocks" in events, events[-2000:])
        given_up = lab.crossbeat("b", "resync", "--full", "--force", timeout=60)
        tell.check("the standby takes a full copy", given_up.returncode == 0, given_up)
        wait_for("b copies", lambda: not volume_of(lab, "b").get("in_step"), 30)
        wait_in_step(lab)
        again = lab.crossbeat("a", "volume", "verify", timeout=60)
        tell.check("and the copies are the same again", again.returncode == 0, again)
        writer.stop()
        all_there(tell, lab, "a", writer)


def may_resize_ext4():
    """CAP_SYS_RESOURCE: not every container has it."""
    effective = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> 24 & 1)


def size_of(device):
    return int(Path(f"/sys/class/block/{Path(device).name}/size").read_text()) * 512


@story("a volume gets longer under writes on both nodes, with its file system, and stays so over a failover")
def resized(tell):
    with lab_of(tell, "volume", *VOLUME) as lab:
        wait_in_step(lab)
        wait_mounted(lab, "a")
        writer = Writer(lab, "a")
        writer.wait_more(20)
        for node, size, why in (("b", "192MiB", "follows"), ("a", "64MiB", "only gets longer"), ("a", "900TiB", "size of a volume")):
            refused = lab.crossbeat(node, "volume", "resize", "--size", size, timeout=60)
            tell.check(f"{size} on {node} is refused: {why}", refused.returncode in (2, 4) and why in refused.stderr, refused)
        dry = lab.crossbeat("a", "volume", "resize", "--size", "192MiB", "--dry-run", timeout=60)
        tell.check("a dry run does nothing", dry.returncode == 0 and "Nothing was done" in dry.stdout, dry)
        before = os.statvfs(data_of(lab, "a"))
        done = lab.crossbeat("a", "volume", "resize", "--size", "192MiB", "--grow-fs", timeout=120)
        tell.check("192 MiB it is", "192MiB on both nodes" in done.stdout, done)
        device = volume_of(lab, "a")["device"]
        tell.check("the device has them", size_of(device) == 192 << 20, size_of(device))
        after = os.statvfs(data_of(lab, "a"))
        if may_resize_ext4():
            tell.check("the file system too", done.returncode == 0 and after.f_blocks > before.f_blocks * 1.3, done)
        else:
            tell.check("the kernel refuses the file system here, and that is said", "Permission denied" in done.stdout and done.returncode == 1, done)
        tell.check("the configuration says so", 'size = "192MiB"' in (lab.root("a") / "etc/crossbeat/crossbeat.toml").read_text())
        again = lab.crossbeat("a", "volume", "resize", "--size", "192MiB", timeout=60)
        tell.check("asked again it is done already", again.returncode == 0, again)
        writer.wait_more(20)
        tell.check("the writes went on without an error", not writer.errors(), writer.errors())
        os.kill(volume_pid(lab, "a"), signal.SIGKILL)
        writer.wait_more(20)
        tell.check("also over a death of the volume's process", not writer.errors(), writer.errors())
        same = lab.crossbeat("a", "volume", "verify", timeout=60)
        wait_in_step(lab)
        same = lab.crossbeat("a", "volume", "verify", timeout=60) if same.returncode else same
        tell.check("both copies are the same", same.returncode == 0, same)
        lab.wait_able()
        lab.verb("power-off", "a")
        lab.wait_state("b", "FAILOVER_ACTIVE")
        wait_mounted(lab, "b")
        writer.stop()
        tell.check("the other node has as much", size_of(volume_of(lab, "b")["device"]) == 192 << 20)
        all_there(tell, lab, "b", writer)
