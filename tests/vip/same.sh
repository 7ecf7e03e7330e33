#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The VIP control scripts, in a namespace of their own: with iproute2 and with crossbeat's own verbs they
# leave the same addresses, and send the same announcements.
#
#   dvip-a eth0 10.99.7.1/24  <-veth->  dvip-b eth0 10.99.7.2/24 (listens)
set -euo pipefail

scripts="${CB_SOURCE_DIR:?}/scripts"
export VIP_CROSSBEAT="${CB_BUILD_DIR:?}/bin/crossbeat"
scratch="$(mktemp -d)"
export CROSSBEAT_ROOT="$scratch/root" # no monitor there
mkdir -p "$CROSSBEAT_ROOT"
failures=0
checks=0

cleanup() {
  [[ -z ${tcpdump_pid:-} ]] || kill "$tcpdump_pid" 2>/dev/null || true
  ip netns delete dvip-a 2>/dev/null || true
  ip netns delete dvip-b 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

expect_same() {
  checks=$((checks + 1))
  if [[ $2 != "$3" ]]; then
    printf '%s: with ip:\n%s\nwith crossbeat:\n%s\n' "$1" "$2" "$3" >&2
    failures=$((failures + 1))
  fi
}

expect() {
  checks=$((checks + 1))
  if [[ $2 != *"$3"* ]]; then
    printf '%s: wanted "%s" in:\n%s\n' "$1" "$3" "$2" >&2
    failures=$((failures + 1))
  fi
}

in_a() { ip netns exec dvip-a "$@"; }

ip netns add dvip-a
ip netns add dvip-b
ip -n dvip-a link add eth0 address 02:00:00:00:07:01 type veth \
  peer name eth0 netns dvip-b address 02:00:00:00:07:02
in_a sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip -n dvip-a address add 10.99.7.1/24 dev eth0
ip -n dvip-b address add 10.99.7.2/24 dev eth0
ip -n dvip-a link set eth0 up
ip -n dvip-b link set eth0 up

# All that the kernel tells of the virtual addresses, but for how long they have been there.
facts() {
  ip -n dvip-a -j -d address show dev eth0 |
    jq -S '[.[0].addr_info[] | select(.prefixlen == 32 or .prefixlen == 128)]'
}

# One way to do it all; what was seen goes to a file of its own.
walk() {
  local with=$1 seen="$scratch/$1"
  mkdir -p "$seen"
  for address in 10.99.7.10 fd00::7:10; do
    in_a "$scripts/vip-add" --with "$with" "$address/24" eth0 >"$seen/add.$address"
    in_a "$scripts/vip-add" --with "$with" "$address" eth0 >/dev/null # again: no error
  done
  facts >"$seen/facts.added"
  in_a "$scripts/vip-show" --with "$with" eth0 | sort >"$seen/show"
  in_a "$scripts/vip-remove" --with "$with" 10.99.7.10 eth0 >"$seen/remove"
  in_a "$scripts/vip-remove" --with "$with" 10.99.7.10 eth0 >/dev/null # again: no error
  in_a "$scripts/vip-remove" --with "$with" fd00::7:10 eth0 >/dev/null
  facts >"$seen/facts.removed"
  in_a "$scripts/vip-add" --with "$with" 10.99.7.10 eth0 eth0:ha >/dev/null
  facts >"$seen/facts.label"
  in_a "$scripts/vip-remove" --with "$with" 10.99.7.10 eth0 >/dev/null
}

walk ip
walk crossbeat
for file in add.10.99.7.10 add.fd00::7:10 facts.added show remove facts.removed facts.label; do
  expect_same "$file" "$(<"$scratch/ip/$file")" "$(<"$scratch/crossbeat/$file")"
done
expect "show" "$(<"$scratch/ip/show")" "10.99.7.10/32 eth0 eth0:1"
expect "show" "$(<"$scratch/ip/show")" "fd00::7:10/128 eth0 eth0"
expect "label" "$(<"$scratch/ip/facts.label")" '"label": "eth0:ha"'
expect "removed" "$(<"$scratch/ip/facts.removed")" "[]"

# Announcements, as the other end hears them: who tells what of whom.
hear() {
  local with=$1 count=$2 filter=$3 address=$4
  # Emptied here, not by the background job, which may begin late: what the tcpdump before this one said must
  # not be taken for "listening" of this one.
  : >"$scratch/heard.err"
  ip netns exec dvip-b timeout 10 tcpdump -l -n -e -i eth0 -c "$count" "$filter" \
    >"$scratch/heard" 2>"$scratch/heard.err" &
  tcpdump_pid=$!
  until grep -q "listening on" "$scratch/heard.err"; do
    kill -0 "$tcpdump_pid" || return 1
  done
  in_a "$scripts/vip-announce" --with "$with" "$address" eth0 >/dev/null
  wait "$tcpdump_pid" || true
  tcpdump_pid=""
  # Without the time, and without the target MAC, which says nothing in a gratuitous request.
  sed -E 's/^[0-9:.]+ //; s/ \((ff:ff:ff:ff:ff:ff|00:00:00:00:00:00|Broadcast)\)//; s/, length [0-9]+//g' \
    "$scratch/heard" | sort
}

in_a "$scripts/vip-add" 10.99.7.10 eth0 >/dev/null
arp_filter="arp src host 10.99.7.10"
with_ip="$(hear ip 2 "$arp_filter" 10.99.7.10)"
with_crossbeat="$(hear crossbeat 2 "$arp_filter" 10.99.7.10)"
expect_same "announcements" "$with_ip" "$with_crossbeat"
expect "announcements" "$with_ip" "Request who-has 10.99.7.10 tell 10.99.7.10"
expect "announcements" "$with_ip" "Reply 10.99.7.10 is-at 02:00:00:00:07:01"
in_a "$scripts/vip-add" fd00::7:10 eth0 >/dev/null
expect "advertisement" "$(hear crossbeat 1 "icmp6 and ip6[40] == 136" fd00::7:10)" \
  "neighbor advertisement, tgt is fd00::7:10"

# What is wrong is refused, alike.
for with in ip crossbeat; do
  expect "bad address" "$(in_a "$scripts/vip-add" --with $with 10.99 eth0 2>&1 || true)" \
    "is not an address"
  expect "bad interface" "$(in_a "$scripts/vip-add" --with $with 10.99.7.10 nope0 2>&1 || true)" \
    "no interface 'nope0'"
done

if ((failures > 0)); then
  echo "$failures of $checks checks failed" >&2
  exit 1
fi
echo "$checks checks passed"
