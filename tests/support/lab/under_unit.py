#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program under the limits that its systemd unit would put it under, where there is no systemd to do it.

    under_unit.py UNIT-FILE COMMAND [ARGUMENT]...

What the unit's [Service] section says of capabilities, system calls, address families, namespaces and resources is
done here with the same kernel calls (systemd.exec(5)); the sets of system calls are those that `systemd-analyze
syscall-filter` prints. A setting that this program does not know is an error: nothing is left out silently.
"""

import ctypes
import errno
import os
import resource
import subprocess
import sys

ALLOW = 0x7FFF0000
NOT_EQUAL, EQUAL, GREATER, MASKED_EQUAL = 1, 4, 6, 7
LAST_FAMILY = 46
NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x00000080)
SET_ID_BITS = (0o4000, 0o2000)
NO_NEW_PRIVS, CAPBSET_DROP, CAPBSET_READ = 38, 24, 23

# How the service is started, supervised and heard; nothing of what it may do.
OF_THE_MANAGER = {
    "Type", "NotifyAccess", "ExecStart", "StandardOutput", "StandardError", "Restart", "RestartSec", "TimeoutStopSec",
    "KillMode",
}  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)
libseccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
libseccomp.seccomp_init.restype = ctypes.c_void_p
libseccomp.seccomp_init.argtypes = [ctypes.c_uint32]
libseccomp.seccomp_load.argtypes = [ctypes.c_void_p]


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


libseccomp.seccomp_rule_add_array.argtypes = [
    ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Compare)
]  # fmt: skip


def die(text):
    sys.exit(f"under_unit.py: {text}")


class Filter:
    """Allows everything but what is denied. Loading it also shuts out every other architecture's calls."""

    def __init__(self):
        self.context = libseccomp.seccomp_init(ALLOW)

    def deny(self, name, error, *comparison):
        number = libseccomp.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not on this architecture
            return 0
        rules = (Compare * 1)(Compare(*comparison)) if comparison else None
        code = libseccomp.seccomp_rule_add_array(self.context, 0x00050000 | error, number, len(rules or ()), rules)
        if code != 0:
            die(f"seccomp rule for {name}: {os.strerror(-code)}")
        return 1

    def load(self):
        code = libseccomp.seccomp_load(self.context)
        if code != 0:
            die(f"load the seccomp filter: {os.strerror(-code)}")


def calls_of(group):
    """The system calls of a group, as systemd knows it; groups within it as well."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    calls = set()
    for line in done.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= calls_of(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def filter_calls(value, error):
    if not value.startswith("~"):
        die("a list of allowed calls is not known here")
    calls = set()
    for word in value[1:].split():
        calls |= calls_of(word) if word.startswith("@") else {word}
    denied = Filter()
    if sum(denied.deny(name, error) for name in sorted(calls)) < 20:
        die("systemd-analyze named hardly any system call")
    denied.load()


def filter_families(value):
    allowed = {int(getattr(__import__("socket"), name)) for name in value.split()}
    denied = Filter()
    for family in range(LAST_FAMILY + 1):
        if family not in allowed:
            denied.deny("socket", errno.EAFNOSUPPORT, 0, EQUAL, family)
    denied.deny("socket", errno.EAFNOSUPPORT, 0, GREATER, LAST_FAMILY)
    denied.load()


def filter_namespaces():
    denied = Filter()
    denied.deny("clone3", errno.ENOSYS)
    denied.deny("setns", errno.EPERM)
    for flag in NEW_NAMESPACES:
        denied.deny("unshare", errno.EPERM, 0, MASKED_EQUAL, flag, flag)
        denied.deny("clone", errno.EPERM, 0, MASKED_EQUAL, flag, flag)
    denied.load()


def filter_set_ids():
    denied = Filter()
    modes = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2, "creat": 1}
    for name, argument in modes.items():
        for bit in SET_ID_BITS:
            denied.deny(name, errno.EPERM, argument, MASKED_EQUAL, bit, bit)
    denied.load()


def filter_personality():
    denied = Filter()
    denied.deny("personality", errno.EPERM, 0, NOT_EQUAL, libc.personality(0xFFFFFFFF))
    denied.load()


CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()


def bound_capabilities(value):
    kept = {CAPABILITIES.index(name.removeprefix("CAP_")) for name in value.split()}
    capability = 0
    while libc.prctl(CAPBSET_READ, capability, 0, 0, 0) >= 0:
        if capability not in kept and libc.prctl(CAPBSET_DROP, capability, 0, 0, 0) != 0:
            die(f"drop capability {capability}: {os.strerror(ctypes.get_errno())}")
        capability += 1


def own_keyring():
    join_session, keyctl = 1, libseccomp.seccomp_syscall_resolve_name(b"keyctl")
    if libc.syscall(keyctl, join_session, None) < 0 and ctypes.get_errno() != errno.ENOSYS:
        die("a session keyring of its own")


def limit(kind, value):
    number = resource.RLIM_INFINITY if value == "infinity" else int(value)
    try:
        resource.setrlimit(kind, (number, number))
    except ValueError:  # a container that may not raise it: what follows runs under a stricter limit than the unit's
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (hard, hard))


def score_for_oom(value):
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(value)
    except PermissionError:
        pass  # as with the limits: a container that may not lower it


def only(wanted):
    """A setting that is done by doing nothing, as long as it has this value."""

    def check(value):
        if value != wanted:
            die(f"the value {value} is not known here")

    return check


def yes(action):
    def do(value):
        only("yes")(value)
        action()

    return do


def settings_of(path):
    """The [Service] section: (name, value) in its order."""
    section, found = "", []
    with open(path, encoding="utf-8") as file:
        for line in (line.strip() for line in file):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and line and line[0] not in "#;":
                name, _, value = line.partition("=")
                found.append((name, value))
    return found


def main():
    if len(sys.argv) < 3:
        die("usage: under_unit.py UNIT-FILE COMMAND [ARGUMENT]...")
    settings = [(name, value) for name, value in settings_of(sys.argv[1]) if name not in OF_THE_MANAGER]
    error = getattr(errno, dict(settings).get("SystemCallErrorNumber", "EPERM"))
    first = {
        "PrivateMounts": only("no"),
        "SystemCallArchitectures": only("native"),
        "SystemCallErrorNumber": lambda value: None,  # read above
        "KeyringMode": lambda value: (only("private")(value), own_keyring()),
        "UMask": lambda value: os.umask(int(value, 8)),
        "LimitRTPRIO": lambda value: limit(resource.RLIMIT_RTPRIO, value),
        "LimitMEMLOCK": lambda value: limit(resource.RLIMIT_MEMLOCK, value),
        "LimitCORE": lambda value: limit(resource.RLIMIT_CORE, value),
        "OOMScoreAdjust": score_for_oom,
    }
    # These forbid what those above need.
    then = {
        "CapabilityBoundingSet": bound_capabilities,
        "NoNewPrivileges": yes(lambda: libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)),
        "LockPersonality": yes(filter_personality),
        "RestrictSUIDSGID": yes(filter_set_ids),
        "RestrictAddressFamilies": filter_families,
        "SystemCallFilter": lambda value: filter_calls(value, error),  # asks systemd-analyze, so before the last
        "RestrictNamespaces": yes(filter_namespaces),
    }
    for name, _ in settings:
        if name not in first and name not in then:
            die(f"the setting {name} is not known here: teach it")
    for known in (first, then):
        for name, act in known.items():
            for value in (value for found, value in settings if found == name):
                act(value)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
