#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the stories of one module: tests/e2e/run.py power (needs root).

CB_STORY=REGEX runs those whose title matches; CB_KEEP_LAB=1 leaves the lab of a failed story standing.
"""

import importlib
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
if not os.environ.get("CROSSBEAT_BUILD") and os.environ.get("CB_BUILD_DIR"):
    os.environ["CROSSBEAT_BUILD"] = os.environ["CB_BUILD_DIR"]

import story  # noqa: E402


def main():
    modules = sorted(path.stem[:-8] for path in HERE.glob("*_stories.py"))
    if len(sys.argv) != 2 or sys.argv[1] not in modules:
        print(f"{__doc__}\nmodules: {' '.join(modules)}", file=sys.stderr)
        return 2
    importlib.import_module(f"{sys.argv[1]}_stories")
    return story.run(f"e2e_{sys.argv[1]}", story.STORIES)


if __name__ == "__main__":
    sys.exit(main())
