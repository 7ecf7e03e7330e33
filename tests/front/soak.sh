#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Memory pressure in a guest (Debian 12's own kernel, tests/kernel61): buffered writes to ext4 on a volume, while
# hogs leave so little memory that the kernel has to write back to get some. It must go on all the time.
#
#   scripts/vm run --memory 700 --timeout 900 --module fuse --module loop --module ext4 --add BUILD/tests/cb_front_server \
#     --add /usr/sbin/mkfs.ext4 --add /usr/sbin/e2fsck -- tests/front/soak.sh BUILD/tests/cb_front_server [SECONDS]
set -u
server=$1 seconds=${2:-600}
top=/run/soak
mkdir -p $top/mnt
truncate -s 4096 $top/control
"$server" $top/volume-x $top/image $top/control $((192 << 20)) >$top/log 2>&1 &

field() { od -An -t u8 -j $(($1 * 8)) -N 8 $top/control | tr -d ' '; }
rest() { read -r -t "$1" <> <(:) || true; }

until [[ $(field 0) != 0 ]]; do rest 0.1; done
[[ $(field 0) == 1 ]] || { echo "not ok - attach"; cat $top/log; exit 1; }
device=/dev/loop$(field 2)
mkfs.ext4 -q "$device" && mount "$device" $top/mnt || exit 1

hog() { while :; do head -c "$1" /dev/zero | tail -c "$1" >/dev/null; done; }
hog 70m &
hog 50m &
free -m | sed 's/^/#   /'

end=$((SECONDS + seconds)) last=$SECONDS longest=0 rounds=0
while ((SECONDS < end)); do
  for file in a b c; do
    head -c 40m /dev/urandom >$top/mnt/$file || { echo "not ok - a write failed"; exit 1; }
  done
  sync -f $top/mnt || { echo "not ok - a sync failed"; exit 1; }
  rounds=$((rounds + 1))
  ((SECONDS - last > longest)) && longest=$((SECONDS - last))
  last=$SECONDS
done
grep -E '^(pgsteal_kswapd|pgsteal_direct|allocstall_normal|allocstall_dma32|oom_kill) ' /proc/vmstat | sed 's/^/#   /'
echo "#   $rounds rounds of 120 MiB, the longest took $longest s, $(field 5) writes reached the volume"
umount $top/mnt
e2fsck -fn "$device" >/dev/null && echo "ok - $seconds s under memory pressure without a stop" || echo "not ok - e2fsck"
