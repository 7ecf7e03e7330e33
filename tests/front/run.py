#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stories about the front end of volumes (need root):

  tests/front/run.py front SERVER              behind it an image in memory (cb_front_server)
  tests/front/run.py engine CROSSBEAT-VOLUME   behind it the volume process, on one node that is alone

CB_STORY=REGEX runs those whose title matches. CB_FRONT_END=ublk: with that front end, default fuse.
"""

import os
import re
import sys
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "e2e"))

import bed  # noqa: E402


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("front", "engine"):
        print(__doc__, file=sys.stderr)
        return 2
    of_kernel = {"fuse": ("/dev/fuse", "/dev/loop-control"), "ublk": ("/dev/ublk-control",)}
    for needed in of_kernel[bed.FRONT_END]:
        if not os.path.exists(needed):
            print(f"skipped: this kernel has no {needed}")
            return 77
    bed.own_mounts()
    import device_stories
    import engine_stories
    import handover_stories
    from story import Tell

    stories = engine_stories.STORIES
    if sys.argv[1] == "front":
        stories = device_stories.STORIES + handover_stories.STORIES
    tell = Tell(f"front_{sys.argv[1]}" + ("_ublk" if bed.FRONT_END == "ublk" else ""))
    wanted = re.compile(os.environ.get("CB_STORY", ""))
    for title, play in stories:
        if not wanted.search(title):
            continue
        began = time.monotonic()
        print(f"# {title}", flush=True)
        try:
            play(tell, sys.argv[2])
        except Exception:  # noqa: BLE001
            tell.check(title, False, traceback.format_exc())
        print(f"# {time.monotonic() - began:.1f} s", flush=True)
    if os.environ.get("CB_REPORT"):
        tell.write_report(os.environ["CB_REPORT"])
    return 1 if tell.failed() or not tell.told else 0


if __name__ == "__main__":
    sys.exit(main())
