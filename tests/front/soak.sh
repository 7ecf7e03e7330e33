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
mkdir -p $top && mount -t tmpfs -o size=100% soak $top && mkdir $top/mnt
truncate -s 4096 $top/control
"$server" $top/volume-x $top/image $top/control $((192 << 20)) >$top/log 2>&1 &

field() { od -An -t u8 -j $(($1 * 8)) -N 8 $top/control | tr -d ' '; }
rest() { read -r -t "$1" <> <(:) || true; }

until [[ $(field 0) != 0 ]]; do rest 0.1; done
[[ $(field 0) == 1 ]] || { echo "not ok - attach"; cat $top/log; exit 1; }
device=/dev/loop$(field 2)
mkfs.ext4 -q "$device" && mount "$device" $top/mnt || exit 1

free_mib() { awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo; }
reclaimed() { awk '/^pgsteal_(kswapd|direct) / { n += $2 } END { print n }' /proc/vmstat; }

# 120 MiB, through the page cache.
round() {
  local file
  for file in a b c; do
    cat $top/pattern $top/pattern $top/pattern $top/pattern $top/pattern >$top/mnt/$file || return
  done
  sync -f $top/mnt
}

head -c 8m /dev/urandom >$top/pattern
round || { echo "not ok - the first round"; exit 1; }
# What is left is less than half of what a round writes. It cannot be swapped out: there is no swap.
head -c $(($(free_mib) - 50))m /dev/zero >$top/hog
echo "#   $(free_mib) MiB are available"

before=$(reclaimed)
end=$((SECONDS + seconds)) last=$SECONDS longest=0 rounds=0
while ((SECONDS < end)); do
  round || { echo "not ok - a round failed"; exit 1; }
  rounds=$((rounds + 1))
  ((SECONDS - last > longest)) && longest=$((SECONDS - last))
  last=$SECONDS
done
pages=$(($(reclaimed) - before))
grep -E '^(pgsteal_kswapd|pgsteal_direct|allocstall_normal|allocstall_dma32|oom_kill) ' /proc/vmstat | sed 's/^/#   /'
echo "#   $rounds rounds of 120 MiB, the longest took $longest s, $(field 5) writes reached the volume"
((pages > 10000)) || { echo "not ok - there was no pressure: $pages pages were reclaimed"; exit 1; }
rm $top/hog
umount $top/mnt
e2fsck -fn "$device" >/dev/null && echo "ok - $seconds s under memory pressure without a stop" || echo "not ok - e2fsck"
