# SPDX-License-Identifier: Apache-2.0
"""A device, and what is expected of one."""

import errno
import mmap
import os
import random
import stat
import threading
from pathlib import Path

from bed import ATTACHED, ATTACH_FAILED, DETACHED, FRONT_END, HOLD_DATA, MIB, Volume, keeper_of, run, wait_for

STORIES = []
story = keeper_of(STORIES)


def aligned(data):
    """Memory that O_DIRECT takes."""
    memory = mmap.mmap(-1, len(data))
    memory.write(data)
    return memory


def error_of(call):
    try:
        call()
        return 0
    except OSError as error:
        return error.errno


@story("a volume becomes a device and goes again")
def becomes_a_device(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        control = volume.control
        name = Path(volume.device).name
        queue = Path("/sys/block") / name / "queue"
        tell.check("attach saw a flush of the device", control.flushes >= 1, control.flushes)
        tell.check("the device has the volume's size", int((queue.parent / "size").read_text()) * 512 == volume.bytes)
        for file, value in (("logical_block_size", "4096"), ("physical_block_size", "4096"), ("write_cache", "write back")):
            told = (queue / file).read_text().strip()
            tell.check(f"{file} is {value}", told == value, told)
        tell.check("it can discard", int((queue / "discard_max_bytes").read_text()) > 0)
        (look_at_ublk if FRONT_END == "ublk" else look_at_fuse)(tell, volume, queue)
        tell.check("it survives its process", control.survives == 1)
        tell.check("detach is answered", volume.detach() == 0 and control.state == DETACHED, volume.said())
        volume.process.wait(10)
        tell.check("the device is gone", volume.devices() == [])
        tell.check("the keeper is gone", volume.keeper() == 0)
        left = [file.name for file in volume.top.glob("volume-x*") if file.suffix != ".errand"]
        tell.check("nothing is left of it", not left, left)
        volume.start().attached()
        tell.check("it can be attached again", control.state == ATTACHED)


@story("a device without a write cache is not flushed, and leaves none behind", fuse_alone=True)  # ublk's always says that it has one
def without_a_write_cache(tell, server):
    with Volume(server, 64, ["--no-write-cache"]) as volume:
        volume.start().attached()
        cache = Path("/sys/block", Path(volume.device).name, "queue/write_cache")
        control = volume.control
        tell.check("attach saw a flush of the device all the same", control.flushes >= 1, control.flushes)
        tell.check("the kernel takes what is answered for durable", cache.read_text().strip() == "write through")
        flushes, fd = control.flushes, os.open(volume.device, os.O_RDWR | os.O_DIRECT)
        os.pwrite(fd, aligned(b"\x22" * 4096), 0)
        os.fsync(fd)
        os.close(fd)
        tell.check("a flush of it has nothing to do", control.flushes == flushes, control.flushes - flushes)
        volume.kill()
        volume.start().attached()
        tell.check("the next process ends the cache anew", cache.read_text().strip() == "write through")
        tell.check("detach is answered", volume.detach() == 0, volume.said())
        volume.process.wait(10)
        tell.check("the number's next user is flushed", cache.read_text().strip() == "write back", cache.read_text())


def look_at_fuse(tell, volume, queue):
    tell.check("it uses direct I/O", (queue.parent / "loop/dio").read_text().strip() == "1")
    tell.check("it does not go by itself", (queue.parent / "loop/autoclear").read_text().strip() == "0")
    shown = run("losetup", "-n", "-O", "BACK-FILE", volume.device).stdout.strip()
    tell.check("losetup names the volume", shown == str(volume.folder / "volume"), shown)
    mode = stat.S_IMODE(os.stat(volume.folder).st_mode)
    tell.check("only root looks into the folder", mode == 0o700, oct(mode))
    names = sorted(os.listdir(volume.folder))
    tell.check("there is one file", names == ["volume"], names)
    tell.check("files cannot be made", error_of(lambda: open(volume.folder / "x", "w")) == errno.EPERM)
    tell.check("the keeper is there", volume.keeper() > 0)


def look_at_ublk(tell, volume, queue):
    for file, value in (("fua", "1"), ("rotational", "0"), ("max_hw_sectors_kb", "1024"), ("nr_requests", "64")):
        told = (queue / file).read_text().strip()
        tell.check(f"{file} is {value}", told == value, told)
    tell.check("no partitions are looked for", volume.control.reads == 0, volume.control.reads)
    fd = os.open(volume.device, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
    os.pwrite(fd, aligned(b"\x11" * 4096), 4096)
    os.close(fd)
    tell.check("a write that forces its data to disk says so itself", volume.control.forced == 1, volume.control.forced)


@story("ext4 lives on it")
def ext4(tell, server):
    with Volume(server, 256) as volume:
        volume.control.shuffle = 1
        volume.start().attached()
        volume.make_file_system()
        random_bytes = random.Random(3).randbytes(3 * MIB + 77)
        with volume.mounted("-o", "discard") as folder:
            for i in range(12):
                (folder / f"file{i}").write_bytes(random_bytes)
            flushes = volume.control.flushes
            run("sync", "-f", folder)
            tell.check("sync of the file system reaches the volume", volume.control.flushes > flushes)
            flushes = volume.control.flushes
            with open(folder / "file0", "r+b") as file:
                file.write(b"x")
                file.flush()
                os.fsync(file.fileno())
            tell.check("fsync of a file reaches the volume", volume.control.flushes > flushes)
            flushes = volume.control.flushes
            fd = os.open(folder / "file1", os.O_WRONLY | os.O_DSYNC)
            os.write(fd, b"y")
            os.close(fd)
            tell.check("an O_DSYNC write reaches the volume as a flush", volume.control.flushes > flushes)
            discards = volume.control.discards
            os.unlink(folder / "file2")
            run("fstrim", folder)
            tell.check("fstrim discards", volume.control.discards > discards)
        with volume.mounted() as folder:
            same = all((folder / f"file{i}").read_bytes() == random_bytes for i in range(3, 12))
            tell.check("what was written is read", same)
        checked = volume.check_file_system()
        tell.check("fsck finds nothing", checked.returncode == 0, checked.stdout)


@story("what many write at once is what is there")
def many_writers(tell, server):
    with Volume(server, 64) as volume:
        volume.control.shuffle = 1
        volume.start().attached()
        expected = bytearray(volume.bytes)
        share = volume.bytes // 8
        wrong = []

        def write(number):
            draw = random.Random(number)
            fd = os.open(volume.device, os.O_RDWR | os.O_DIRECT)
            try:
                for _ in range(40):
                    length = 4096 * draw.choice((1, 1, 2, 3, 16, 200, 256, 300))
                    offset = number * share + 4096 * draw.randrange((share - length) // 4096 + 1)
                    data = draw.randbytes(length)
                    expected[offset : offset + length] = data
                    if os.pwrite(fd, aligned(data), offset) != length:
                        wrong.append(("short", number, offset))
                    back = aligned(bytes(length))
                    os.preadv(fd, [back], offset)
                    if back[:] != data:
                        wrong.append(("read", number, offset, length))
            except OSError as error:
                wrong.append((number, error))
            finally:
                os.close(fd)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        tell.check("every writer reads what it wrote", not wrong, wrong[:4])
        tell.check("the image is the sum of the writes", volume.image.read_bytes() == expected)


@story("discard and zero")
def discard_and_zero(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        fd = os.open(volume.device, os.O_RDWR | os.O_DIRECT)
        os.pwrite(fd, aligned(b"\xaa" * (4 * MIB)), 0)
        os.close(fd)
        run("blkdiscard", "-o", MIB, "-l", MIB, volume.device)
        tell.check("a discard reaches the volume", volume.control.discards >= 1)
        seen = volume.control.discards + volume.control.zeros
        run("blkdiscard", "-z", "-o", 2 * MIB, "-l", 4096, volume.device)
        tell.check("zeroing reaches the volume without data", volume.control.discards + volume.control.zeros > seen)
        wanted = b"\xaa" * MIB + bytes(MIB) + bytes(4096) + b"\xaa" * (2 * MIB - 4096)
        tell.check("the image says so", volume.image.read_bytes()[: 4 * MIB] == wanted)
        fd = os.open(volume.device, os.O_RDONLY | os.O_DIRECT)
        back = aligned(bytes(4 * MIB))
        os.preadv(fd, [back], 0)
        os.close(fd)
        tell.check("the device says so", back[:] == wanted)


@story("errors of the volume are errors of the device")
def errors(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        control = volume.control
        fd = os.open(volume.device, os.O_RDWR | os.O_DIRECT)
        block = aligned(b"\x55" * 4096)
        control.write_error = errno.EIO
        tell.check("a failed write is EIO", error_of(lambda: os.pwrite(fd, block, 0)) == errno.EIO)
        control.write_error = 0
        tell.check("the next write succeeds", error_of(lambda: os.pwrite(fd, block, 0)) == 0)
        control.read_error = errno.EIO
        tell.check("a failed read is EIO", error_of(lambda: os.preadv(fd, [block], 0)) == errno.EIO)
        control.read_error = 0
        for number, name in ((errno.EIO, "EIO"), (errno.ENOSYS, "ENOSYS"), (errno.EOPNOTSUPP, "EOPNOTSUPP")):
            control.flush_error = number
            told = error_of(lambda: os.fsync(fd))
            tell.check(f"a flush that fails with {name} is an error of fsync", told != 0, os.strerror(told))
            control.flush_error = 0
            flushes = control.flushes
            told = error_of(lambda: os.fsync(fd))
            tell.check(f"after {name} the next flush reaches the volume", told == 0 and control.flushes == flushes + 1, told)
        os.close(fd)
    with Volume(server, 64) as volume:
        volume.control.flush_error = errno.EIO
        volume.start()
        tell.check("a volume that cannot flush is not attached", volume.control.state == ATTACH_FAILED)
        tell.check("and says why", volume.control.error == errno.EIO and f"flush {volume.device}" in volume.said(), volume.said())
        volume.control.flush_error = 0
        volume.control.attach_wanted = 1
        wait_for("attach is answered", lambda: volume.control.state != ATTACH_FAILED)
        tell.check("it can be tried again", volume.control.state == ATTACHED, volume.said())
    with Volume(server, 64) as volume:
        volume.control.flush_error = errno.EIO
        volume.start()
        volume.control.flush_error = 0
        tell.check("detach takes away what was begun", volume.detach() == 0, volume.said())
        tell.check("all of it", volume.devices() == [] and volume.keeper() == 0)


@story("a device that is in use is not taken away")
def in_use(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        volume.make_file_system()
        with volume.mounted() as folder:
            tell.check("detach of a mounted device is refused", volume.detach() == errno.EBUSY)
            (folder / "file").write_bytes(b"goes on")
            run("sync", "-f", folder)
        fd = os.open(volume.device, os.O_RDONLY)
        tell.check("detach of an open device is refused", volume.detach() == errno.EBUSY)
        os.close(fd)
        tell.check("and the device stays when it is closed", volume.devices() == [volume.device] and stays(volume))
        with volume.mounted() as folder:
            tell.check("it goes on", (folder / "file").read_bytes() == b"goes on")
        tell.check("then it goes", volume.detach() == 0)


def stays(volume):
    autoclear = Path("/sys/block") / Path(volume.device).name / "loop/autoclear"
    return FRONT_END != "fuse" or autoclear.read_text().strip() == "0"


@story("more requests than there is room for")
def more_than_room(tell, server):
    with Volume(server, 64) as volume:
        volume.start().attached()
        volume.control.hold = HOLD_DATA
        fio = run_fio(volume.device, depth=128, megabytes=8)
        wait_for("the volume is full of requests", lambda: volume.control.in_flight >= 56)
        held = volume.control.in_flight
        volume.control.hold = 0
        said, _ = fio.communicate(timeout=60)
        tell.check(f"{held} were held back, the others waited, and all went well", fio.returncode == 0, said)


def run_fio(device, depth, megabytes, verify=True, **options):
    import subprocess

    words = ["fio", "--name=x", f"--filename={device}", "--direct=1", "--ioengine=libaio", f"--iodepth={depth}"]
    words += ["--verify_state_save=0"]
    words += ["--rw=randwrite", "--bs=4k", f"--size={megabytes}m", "--output-format=terse", "--group_reporting"]
    words += ["--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--verify_backlog=32"] if verify else []
    words += [f"--{name}={value}" for name, value in options.items()]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
