#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest's half of selftest.sh: is this a kernel and a system in which Crossbeat can be tested at all?
#
# shellcheck disable=SC2317  # the checks are called through "check"
#
#      ns west            ns switch           ns east
#    ┌─────────┐        ┌──────────┐        ┌─────────┐
#    │ w0 ─────┼────────┼─ sw br se┼────────┼───── e0 │   10.9.0.1 and .2
#    │ wd ─────┼────────┼──────────┼────────┼───── ed │   a direct pair, for XDP
#    └─────────┘        └──────────┘        └─────────┘
set -u
# shellcheck source=tests/kernel61/tap.sh
. /kernel61/tap.sh

fixture=/kernel61/fixture
pins=/sys/fs/bpf/fixture

release_is_6_1() { uname -r | grep '^6\.1\.'; }
btf_is_there() { [[ -s /sys/kernel/btf/vmlinux ]] && bpftool btf dump file /sys/kernel/btf/vmlinux | grep -q "'task_struct'"; }

make_namespaces() {
  ip netns add west && ip netns add east && ip netns add switch || return
  ip -n switch link add name bridge type bridge stp_state 0 forward_delay 0 || return
  ip -n switch link set dev bridge up || return
  ip link add name w0 netns west type veth peer name sw netns switch || return
  ip link add name e0 netns east type veth peer name se netns switch || return
  ip link add name wd netns west type veth peer name ed netns east || return
  ip -n switch link set dev sw master bridge up && ip -n switch link set dev se master bridge up || return
  ip -n west addr add 10.9.0.1/24 dev w0 && ip -n east addr add 10.9.0.2/24 dev e0 || return
  local pair
  for pair in west:w0 west:wd west:lo east:e0 east:ed east:lo; do
    ip -n "${pair%:*}" link set "${pair#*:}" up || return
  done
}

ping_through_bridge() { ip netns exec west ping -c 2 -i 0.2 -W 5 10.9.0.2; }
arping_through_bridge() { ip netns exec west arping -c 1 -w 5 -I w0 10.9.0.2; }

capture_at_bridge() {
  ip netns exec switch timeout 20 tcpdump -U -c 1 -ni bridge -w /tmp/capture icmp 2>/tmp/tcpdump.log &
  local capture=$!
  until grep -q 'listening on' /tmp/tcpdump.log; do kill -0 "$capture" 2>/dev/null || break; done
  ping_through_bridge || return
  wait "$capture" || { cat /tmp/tcpdump.log; return 1; }
  tcpdump -nr /tmp/capture | grep 'ICMP echo request'
}

load_programs() { bpftool prog loadall /kernel61/fixture.bpf.o "$pins" pinmaps "$pins/maps"; }
seen() { bpftool -j map dump pinned "$pins/maps/fixture_counts" | jq -e ".[$1].formatted.value.seen"; }

# "ip netns exec" would mount a new /sys over the one that holds our pins.
in_netns() {
  local ns=$1
  shift
  nsenter --net="/run/netns/$ns" "$@"
}

xdp_answers() {
  in_netns east ip link set dev ed xdpdrv pinned "$pins/fixture_xdp" || return
  in_netns west ip link set dev wd xdpdrv pinned "$pins/fixture_pass" || return
  local mac
  mac="$(ip -j -n east link show ed | jq -r '.[0].address')" || return
  in_netns west "$fixture" packet wd "$mac" || return
  (($(seen 0) == 1))
}

clsact_counts_and_drops() {
  local before
  in_netns west tc qdisc add dev w0 clsact || return
  in_netns west tc filter add dev w0 egress bpf direct-action object-pinned "$pins/fixture_tc" || return
  ip -n east addr add 192.0.2.9/32 dev e0 && ip -n west route add 192.0.2.9 dev w0 || return
  before="$(seen 1)"
  ping_through_bridge || return
  (($(seen 1) >= before + 2)) || { echo "egress was not counted"; return 1; }
  ! ip netns exec west ping -c 1 -W 1 192.0.2.9 || { echo "an address that is fenced answered"; return 1; }
  in_netns west tc filter del dev w0 egress || return
  ip netns exec west ping -c 1 -W 5 192.0.2.9
}

all_is_mounted() {
  [[ -e /sys/fs/cgroup/cgroup.procs && -d /sys/kernel/tracing/events ]] &&
    [[ $(stat -fc %T /sys/fs/bpf) == bpf_fs ]]
}

# Written past the page cache, as images are, and read back from it.
disk_holds_what_is_written() {
  [[ $(cat /sys/block/vda/size) == $((64 << 11)) ]] || return
  head -c 1M /dev/urandom >/tmp/piece
  dd if=/tmp/piece of=/dev/vda bs=1M seek=63 oflag=direct status=none || return
  cmp /tmp/piece <(dd if=/dev/vda bs=1M skip=63 iflag=direct status=none)
}

arguments_arrive() { [[ $# == 3 && $1 == "two words" && $2 == "" && $3 == $'a\nb' && $FIXTURE_ENV == "x = y" ]]; }

check "the kernel is 6.1" release_is_6_1
check "the kernel carries its BTF" btf_is_there
check "cgroup2, bpffs and tracefs are mounted" all_is_mounted
check "arguments and environment arrive as they were given" arguments_arrive "$@"
check "there is a disk of the size that was asked for" disk_holds_what_is_written
check "a file is found where it was on the host" test -x "$FIXTURE_AT"
check "namespaces, veth pairs and a bridge can be made" make_namespaces
check "a ping crosses the bridge" ping_through_bridge
check "an ARP request crosses the bridge" arping_through_bridge
check "a capture at the bridge sees it" capture_at_bridge
check "programs of all our kinds load" load_programs
check "XDP answers a raw frame on veth" xdp_answers
check "tc clsact counts and drops" clsact_counts_and_drops
check "a raw tracepoint sees a process exit, through a pinned link" "$fixture" exits "$pins/fixture_exit" \
  "$pins/maps/fixture_counts"
check "io_uring works as the control loop uses it" "$fixture" uring
check "SCHED_DEADLINE is granted" "$fixture" deadline
check "memory can be locked" "$fixture" lock
for what in uring deadline lock; do "$fixture" "$what"; done
finish selftest
