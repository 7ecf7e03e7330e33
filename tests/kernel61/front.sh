#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest's script: the front end of volumes on Debian 12's own kernel, which has no FUSE_NOTIFY_RESEND. A
# killed process must cost nothing as long as its successor finds its requests in the keeper's memory; and where
# it cannot, requests must fail and not hang.
#
# cb_front_server's Control (tests/front/control.h) is read and written here by the number of the field.
#
# shellcheck disable=SC2317  # most functions are called through "check"
set -u
# shellcheck source=tests/kernel61/tap.sh
. "$CB_SOURCE_DIR/tests/kernel61/tap.sh"

server="$CB_BUILD_DIR/tests/cb_front_server"
top=/run/front
folder=$top/volume-x
control=$top/control
bytes=$((64 << 20))
server_pid=""

state=0 device=2 flushes=6 resent=9 in_flight=13 detach_wanted=14 hold=15

field() { od -An -t u8 -j $(($1 * 8)) -N 8 "$control" | tr -d ' '; }
set_field() { printf '%b' "\\x$(printf %02x "$2")" | dd of="$control" bs=1 seek=$(($1 * 8)) conv=notrunc status=none; }

# wait_for CONDITION...: until it holds; not longer than a minute (the guest is emulated).
wait_for() {
  local end=$((SECONDS + 60))
  until "$@"; do
    ((SECONDS < end)) || return 1
    read -r -t 0.05 <> <(:)
  done
  return 0
}
is() { [[ $(field "$1") == "$2" ]]; }
decided() { [[ $(field "$state") != 0 ]]; }

start() {
  set_field "$state" 0
  "$server" "$folder" "$top/image" "$control" "$bytes" "$@" >>"$top/log" 2>&1 &
  server_pid=$!
  wait_for decided && is "$state" 1
}

die() {
  kill -9 "$server_pid"
  wait "$server_pid" 2>/dev/null
}

# Not in a subshell, as tap.sh does it: a command may set variables.
check() {
  local name=$1
  shift
  if "$@"; then tap_record ok "$name"; else tap_record "not ok" "$name" "$(tail -n 20 "$top/log")"; fi
}

write_blocks() { dd if="$top/pattern" of="$node" bs=64k oflag=direct conv=fsync status=none; }
same_blocks() { cmp -n $((4 << 20)) "$top/pattern" "$top/image"; }
ended_well() { wait "$1"; }
ended_badly() { ! wait "$1"; }

mkdir -p "$top"
truncate -s 4096 "$control"
head -c $((4 << 20)) /dev/urandom >"$top/pattern"

check "a volume becomes a device" start
node=/dev/loop$(field "$device")
check "its flush was seen" test "$(field "$flushes")" -ge 1
check "4 MiB are written and flushed" write_blocks
check "they are in the image" same_blocks
check "the device uses direct I/O" grep -qx 1 "/sys/block/${node#/dev/}/loop/dio"

head -c $((4 << 20)) /dev/urandom >"$top/pattern"
set_field "$hold" 3
write_blocks &
writer=$!
check "a write waits" wait_for is "$in_flight" 1
die
set_field "$hold" 0
check "the next process attaches" start
check "it did what the killed one had left" test "$(field "$resent")" -ge 1
check "the writer saw no error" ended_well "$writer"
check "what it wrote is in the image" same_blocks

set_field "$hold" 3
write_blocks &
writer=$!
check "a write waits again" wait_for is "$in_flight" 1
die
set_field "$hold" 0
check "a process that cannot read the memory attaches all the same" start --older-pool
check "what nobody can answer fails, and does not hang" ended_badly "$writer"
node=/dev/loop$(field "$device")
check "the new device works" write_blocks

set_field "$detach_wanted" 1
check "it is detached" wait_for is "$state" 3
finish front61
