#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest's half of tests/prove/guest.py: proofs on a machine of its own, with an empty disk and root's whole rights.
#
#   guest.sh "NAME..." [OPTION]...   as of scripts/prove. After the output of each come its account's name and the account
set -eu
read -r -a names <<<"$1"
shift
mkfs.ext4 -q -m 0 /dev/vda
mkdir -p /run/crossbeat-lab
mount -o discard /dev/vda /run/crossbeat-lab
mount -t fusectl fusectl /sys/fs/fuse/connections
echo 60 >/proc/sys/kernel/hung_task_timeout_secs
echo -1 >/proc/sys/kernel/hung_task_warnings
status=0
for name in "${names[@]}"; do
  free -m | sed -n 's/^Mem:/# memory of the guest, MiB: total, used, free, shared, cache, available:/p'
  /usr/bin/python3 "$CB_SOURCE_DIR/scripts/prove" "$name" "$@" || status=$?
  for account in "$CB_SOURCE_DIR"/build/prove/{,short/}"$name.json"; do
    [[ -e $account ]] || continue
    echo "--- $name.json"
    cat "$account"
    echo "---"
  done
done
exit "$status"
