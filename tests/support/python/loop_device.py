# SPDX-License-Identifier: Apache-2.0
#
# Loop devices that a test takes away from a volume whose processes are dead.
import subprocess
from pathlib import Path


def give_up(device):
    """Detaches it, and leaves it as its number's next user expects it.

    The kernel keeps what a volume without a write cache has set, and its next user's flushes would go nowhere.
    """
    subprocess.run(["losetup", "-d", device], check=False, capture_output=True)
    Path("/sys/block", Path(device).name, "queue/write_cache").write_text("write back", encoding="ascii")
