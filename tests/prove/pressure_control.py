# SPDX-License-Identifier: Apache-2.0
"""The control of `pressure`, in a guest only: do the same writes stand still without the capability? If not, that proof is no measure of it."""

import os
import time

from crossbeat_lab import LabError
from memory import KernelLog, waiting_tasks
from pair import whole_pair
from pressure import CALM, OWN_MACHINE, SECONDS, SHORT_SECONDS, WARM_MIB, Pressed, StoodStill

ROUNDS = 1
SHORT = 1
WITHOUT = "setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource"


def one_round(book, log):
    with whole_pair(*CALM, volume="256MiB") as lab:
        pressed = Pressed(lab, log)
        try:
            pressed.begin(WARM_MIB)
            pressed.press("group")
            end = time.monotonic() + (SHORT_SECONDS if book.short else 5 * SECONDS)
            while time.monotonic() < end:
                pressed.next_piece()
            book.add("nothing stood still", stood_still=False, waiting=[], kernel=log.complaints())
        except StoodStill:
            waiting = waiting_tasks()
            lines = "\n#      ".join(waiting)
            book.add(f"all stood still after {len(pressed.writer.lines) - WARM_MIB} MiB under pressure:\n#      {lines}",
                     stood_still=True, waiting=waiting, kernel=log.complaints())  # fmt: skip
        finally:
            pressed.close()


def run(book, more):
    if not OWN_MACHINE:
        raise LabError("what stands still may not be woken again: only with --guest")
    os.environ["LAB_LAUNCH"] = WITHOUT
    log = KernelLog()
    while more():
        one_round(book, log)


def verdict(rounds):
    yield "without the capability it stands still", rounds and all(r["stood_still"] for r in rounds), ""
