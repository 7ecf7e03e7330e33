# SPDX-License-Identifier: Apache-2.0
"""The process that serves a volume is killed, and the next one goes on."""

import errno
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

from bed import ATTACHED, FRONT_END, HOLD_DATA, HOLD_FLUSHES, MIB, Volume, keeper_of, run, wait_for
from device_stories import aligned, run_fio

KILLS = int(os.environ.get("CB_KILLS", "20"))

STORIES = []
story = keeper_of(STORIES)


@story("killed again and again under load")
def killed_under_load(tell, server):
    with Volume(server, 64) as volume:
        volume.control.shuffle = 1
        volume.start().attached()
        device, keeper = volume.device, volume.keeper()
        fio = run_fio(device, depth=16, megabytes=48, numjobs=1, loops=1000, bssplit="4k/80:64k/15:1m/5")
        resent = 0
        for _ in range(KILLS):
            writes = volume.control.writes
            wait_for("there is load", lambda: volume.control.writes > writes + 20 and volume.control.in_flight > 2)
            volume.kill()
            volume.start().attached()
            resent += volume.control.resent
        tell.check("the load goes on", fio.poll() is None, fio.poll())
        fio.send_signal(signal.SIGINT)
        said, _ = fio.communicate(timeout=60)
        read_back = [line.split(";")[5] for line in said.splitlines() if line.startswith("3;fio")]
        tell.check("fio read back to verify", read_back and int(read_back[0]) > 0, said)
        errors = [line for line in said.splitlines() if "error" in line.lower() or "verify" in line.lower()]
        tell.check(f"{KILLS} kills cost no I/O error and no wrong byte", not errors, "\n".join(errors[:5]))
        if FRONT_END == "fuse":  # nobody knows which of ublk's the kernel has said before
            tell.check(f"{resent} unanswered requests were done by the next process", resent >= KILLS, resent)
        tell.check("it is still the same device", volume.device == device)
        tell.check("and the same keeper", volume.keeper() == keeper)


@story("the verification bites")
def verification_bites(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        fio = run_fio(volume.device, depth=16, megabytes=16, loops=1000)

        def damaged_and_seen():
            with open(volume.image, "r+b") as image:
                for block in range(4096):
                    image.seek(4096 * block + 2000)
                    image.write(b"damage")
            return fio.poll() is not None

        wait_for("fio has seen a damage", damaged_and_seen)
        said, _ = fio.communicate(timeout=60)
        tell.check("a wrong byte is seen", fio.returncode != 0 and "verify" in said, said[-300:])


@story("a file system survives")
def file_system_survives(tell, server):
    with Volume(server, 256) as volume:
        volume.control.shuffle = 1
        volume.start().attached()
        volume.make_file_system()
        wrong = []
        stop = threading.Event()
        with volume.mounted() as folder:

            def work(number):
                rounds = 0
                while not stop.is_set():
                    data = bytes([number, rounds & 255]) * (64 * 1024)
                    try:
                        with open(folder / f"file{number}", "wb") as file:
                            file.write(data)
                            file.flush()
                            os.fsync(file.fileno())
                        if (folder / f"file{number}").read_bytes() != data:
                            wrong.append((number, rounds))
                    except OSError as error:
                        wrong.append((number, error))
                        return
                    rounds += 1

            workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for worker in workers:
                worker.start()
            for _ in range(8):
                flushes = volume.control.flushes
                wait_for("there is load", lambda: volume.control.flushes > flushes + 5)
                volume.kill()
                volume.start().attached()
            stop.set()
            for worker in workers:
                worker.join()
            tell.check("no write or fsync failed", not wrong, wrong[:4])
            options = run("findmnt", "-n", "-o", "OPTIONS", folder).stdout
            tell.check("the file system was not made read-only", options.startswith("rw"), options)
        checked = volume.check_file_system()
        tell.check("fsck finds nothing", checked.returncode == 0, checked.stdout)


@story("killed in the middle of a flush, and of an attach")
def killed_in_a_flush(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        volume.control.hold = HOLD_FLUSHES | HOLD_DATA
        fd = os.open(volume.device, os.O_RDWR | os.O_DIRECT)
        told = []

        def write_and_sync():
            try:
                os.pwrite(fd, aligned(b"\x77" * 4096), 8192)
                os.fsync(fd)
                told.append(0)
            except OSError as error:
                told.append(error.errno)

        writer = threading.Thread(target=write_and_sync)
        writer.start()
        wait_for("the write waits", lambda: volume.control.in_flight == 1)
        volume.kill()
        volume.control.hold = HOLD_FLUSHES
        volume.start(wait=False)  # its own flush waits, too
        wait_for("the flush waits", lambda: volume.control.in_flight == 1)
        tell.check("an unanswered flush keeps attach waiting", volume.control.state == 0)
        volume.kill()
        volume.control.hold = 0
        volume.start().attached()
        writer.join(10)
        os.close(fd)
        tell.check("the flush was answered by the third process", told == [0], told)
        tell.check("the write is there", volume.image.read_bytes()[8192:12288] == b"\x77" * 4096)
        devices = volume.devices()
        tell.check("there is one device", devices == [volume.device], devices)


@story("killed with all that it can hold in its hands")
def killed_when_full(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        volume.control.hold = HOLD_DATA
        fio = run_fio(volume.device, depth=128, megabytes=2)
        wait_for("the volume is full of requests", lambda: volume.control.in_flight >= (64 if FRONT_END == "ublk" else 56))
        volume.kill()
        volume.control.hold = 0
        volume.start().attached()
        said, _ = fio.communicate(timeout=60)
        tell.check("the next process does them all", fio.returncode == 0, said)


def moment(condition, looks):
    """A condition that is true when `condition` is, or when it was looked at more than so many times."""
    looked = iter(range(looks))
    return lambda: condition() or next(looked, None) is None


@story("killed at any moment of an attach")
def killed_in_attach(tell, server):
    with Volume(server, 64) as volume:
        wrong = []
        for step in range(24):
            volume.start(wait=False)
            # From "hardly begun" to "done": it is looked at so many times.
            wait_for("the moment", moment(lambda: volume.control.state == ATTACHED, looks=step), every=0.002)
            volume.kill()
            volume.start()
            if volume.control.state != ATTACHED:
                wrong.append((step, os.strerror(volume.control.error), volume.said()[-400:]))
            devices = volume.devices()
            if devices != [volume.device]:
                wrong.append((step, devices, volume.device, volume.said()[-400:]))
            if step % 2 and (error := volume.detach()):
                wrong.append((step, "detach", os.strerror(error)))
            elif step % 2:
                volume.process.wait(10)
            else:
                volume.kill()
        tell.check("the next process always attaches, to one device", not wrong, wrong[:3])


@story("the memory of another version", fuse_alone=True)
def older_pool(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        device = volume.device
        volume.control.hold = HOLD_DATA
        fio = run_fio(device, depth=8, megabytes=4)
        wait_for("requests wait", lambda: volume.control.in_flight == 8)
        volume.kill()
        volume.control.hold = 0
        volume.start("--older-pool").attached()
        said, _ = fio.communicate(timeout=60)
        if "cannot say its requests again" in volume.said():
            # Kernels before 6.9: nobody knows what was asked, so it fails in place of hanging.
            tell.check("what nobody can answer fails", fio.returncode != 0, said)
        else:
            tell.check("the kernel says its requests again, and no error is seen", fio.returncode == 0, said)
            tell.check("they are counted", volume.control.resent >= 8, volume.control.resent)
            tell.check("it is the same device", volume.device == device)


@story("without the keeper requests fail and do not hang", fuse_alone=True)
def without_keeper(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        keeper, first = volume.keeper(), volume.device
        volume.make_file_system()
        run("mount", volume.device, volume.mount_point)
        volume.kill()
        os.kill(keeper, signal.SIGKILL)
        told = error_of_sync(volume.mount_point)
        tell.check("a sync is an error", told in (errno.EIO, errno.ENOTCONN, errno.EROFS), os.strerror(told))
        volume.start().attached()
        tell.check("the next process makes another device", volume.device != first, first)
        run("umount", volume.mount_point)
        name = Path(first).name
        wait_for("the dead device goes with its last user", lambda: not Path(f"/sys/block/{name}/loop/backing_file").exists())
        with volume.mounted():
            pass
        tell.check("the data are there", volume.check_file_system().returncode == 0)


def error_of_sync(folder):
    try:
        with open(folder / "file", "wb") as file:
            file.write(b"x" * MIB)
            file.flush()
            os.fsync(file.fileno())
        return 0
    except OSError as error:
        return error.errno


@story("the keeper gives to nobody else", fuse_alone=True)
def nobody_else(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        path = f"{volume.folder}.keeper"
        mode = os.stat(path).st_mode & 0o777
        tell.check("only root may connect", mode == 0o600, oct(mode))
        os.chmod(path, 0o777)  # were it otherwise:
        os.chmod(volume.top, 0o755)
        stranger = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", STRANGER, path],
            capture_output=True, text=True, check=False)  # fmt: skip
        tell.check("a stranger is hung up on", stranger.stdout == "hung up\n", stranger.stdout + stranger.stderr)
        friend = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        friend.connect(path)
        friend.send(b"nonsense")
        friend.close()
        volume.kill()
        volume.start().attached()
        tell.check("nonsense does not disturb it", volume.control.survives == 1)


STRANGER = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
try:
    s.send(b"g")
    said = s.recvmsg(16, 1024)
except OSError:
    said = (b"", [])
print("hung up" if not said[0] and not said[1] else said)
"""
