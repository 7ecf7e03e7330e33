#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two appliances of the lab on Debian 12's own kernel: they are paired, the power of the one in command fails, the
# other one serves, the first one comes back and gets the command again. A guest's script, called by guest.sh; the
# comment in run says what it finds there. Prints "ok - " and "not ok - " lines and exits with 1 if one of them is not ok.
#
# The guest is emulated, so nothing is measured: every step waits for a state, with a deadline that no quiet machine
# comes near, and the pair has the slowest heartbeat. The lab is left standing: the guest ends with it.
#
# shellcheck disable=SC2317  # the checks are called through "check"
set -u
# shellcheck source=tests/kernel61/tap.sh
. "$CB_SOURCE_DIR/tests/kernel61/tap.sh"

export LAB=k61 CROSSBEAT_BUILD="$CB_BUILD_DIR"
home=/run/crossbeat-lab/$LAB
vip=10.77.0.10
mac_of_a=02:cb:00:00:00:0b
mac_of_b=02:cb:00:00:00:0c
patience_s=45 # for one state; a few seconds are the rule
judge_log=/tmp/k61-judge.json
asker="" judge=""

lab() { "$CB_SOURCE_DIR/scripts/lab" "$@"; }

# What "lab exec" does, without a shell that reads the lab first, which under emulation takes longest.
inside() {
  local place=$1
  shift
  CROSSBEAT_ROOT="$home/$place" nsenter --net="/run/netns/cb-$LAB-$place" -- "$@"
}

# Between two looks at a condition.
blink() { read -r -t 0.1 <> <(:) || true; }

# STATE/SUB_STATE of the node's pairing. Unpaired nodes have none.
state_of() {
  inside "$1" crossbeat status --json 2>/dev/null |
    jq -r '.pairings[0] // {} | "\(.state)/\(.sub_state)"' 2>/dev/null
}

wait_for_state() {
  local node=$1 wanted=$2 deadline=$((SECONDS + patience_s)) state=""
  until state="$(state_of "$node")" && [[ $state == "$wanted" ]]; do
    ((SECONDS < deadline)) || {
      echo "after $patience_s s $node is ${state:-silent}, not $wanted"
      tell_about "$node"
      return 1
    }
    blink
  done
}

# For whoever has to find out what went wrong in a machine that is gone by then.
tell_about() {
  inside "$1" crossbeat status 2>&1 | tail -n 40
  tail -n 30 "$home/$1/var/log/crossbeat/health-monitor.log" 2>/dev/null
  tail -n 10 "$home/$1/var/log/crossbeat/console.log" 2>/dev/null
}

in_their_places() {
  wait_for_state a PRIMARY_ACTIVE/protected && wait_for_state b SECONDARY_ACTIVE/ready
}

# The client is answered, and by this machine: what its kernel learned is who answered its ARP.
answered_by() {
  local mac=$1 deadline=$((SECONDS + patience_s)) seen=""
  until inside client ping -q -n -c 1 -W 2 "$vip" >/dev/null &&
    seen="$(inside client ip -j neighbour show to "$vip" | jq -r '.[0].lladdr')" && [[ $seen == "$mac" ]]; do
    ((SECONDS < deadline)) || {
      echo "$vip is not answered by $mac but by ${seen:-nobody}"
      lab status
      return 1
    }
    blink
  done
}

has_address() {
  inside "$1" ip -j address show dev eth0 |
    jq -e --arg vip "$vip" 'any(.[0].addr_info[]; .local == $vip)' >/dev/null
}

has_no_address() {
  ! has_address "$1" || {
    inside "$1" ip address show dev eth0
    return 1
  }
}

# Somebody always asks, so that the judge at the switch sees at any time who answers. With exec, so that the
# process ids are theirs and not those of shells around them.
start_judge() {
  : >"$judge_log" # here, not by the job in the background: an earlier judge's "ready" is not this one's
  (exec nsenter --net="/run/netns/cb-$LAB-switch" -- \
    "$CB_BUILD_DIR/tests/cb_arp_judge" "$vip" --moves 2 >"$judge_log" 2>&1) &
  judge=$!
  (exec nsenter --net="/run/netns/cb-$LAB-client" -- ping -q -n -i 0.1 "$vip" >/dev/null 2>&1) &
  asker=$!
  local deadline=$((SECONDS + patience_s))
  until grep -q '"ready"' "$judge_log"; do
    ((SECONDS < deadline)) && kill -0 "$judge" 2>/dev/null || return 1
    blink
  done
}

# Exit status 0 of the judge: never two machines at a time, and exactly two moves.
verdict() {
  local holders
  cat "$judge_log"
  ((judge_status == 0)) || return
  holders="$(tail -n 1 "$judge_log" | jq -r '[.addresses[0].tenures[].mac] | join(" ")')"
  [[ $holders == "$mac_of_a $mac_of_b $mac_of_a" ]]
}

kernel_is_content() { ! dmesg | grep -A 20 -E 'WARNING: |BUG: |Call Trace|unregister_netdevice'; }

failback() {
  inside b crossbeat failback || {
    tell_about b
    return 1
  }
}

main() {
  # "check" runs in a subshell: what has to stay in this shell is done outside of it.
  check "two monitors start" lab up --profile relaxed --set 'failover.hold_down="0s"'
  check "they are paired by a one-time code" lab pair
  check "a is in command and protected, b stands ready" in_their_places
  check "a answers the client" answered_by "$mac_of_a"
  if start_judge; then
    tap_record ok "a judge watches the switch"
  else
    tap_record "not ok" "a judge watches the switch" "$(cat "$judge_log")"
  fi

  check "the power of a fails" lab power-off a
  check "b is in command" wait_for_state b FAILOVER_ACTIVE/alone
  check "b has the address" has_address b
  check "b answers the client" answered_by "$mac_of_b"

  check "a gets its power again" lab power-on a
  check "a sees that b is in command" wait_for_state a TERMINATED/peer-in-command
  check "a has not taken the address" has_no_address a
  check "b still answers the client" answered_by "$mac_of_b"

  check "b gives the command back when told to" failback
  check "a is in command and protected again, b stands ready" in_their_places
  check "a has the address" has_address a
  check "b has not kept the address" has_no_address b
  check "a answers the client again" answered_by "$mac_of_a"

  [[ -z $asker ]] || kill "$asker" 2>/dev/null
  judge_status=1
  if [[ -n $judge ]]; then
    kill -TERM "$judge" 2>/dev/null
    judge_status=0
    wait "$judge" || judge_status=$?
  fi
  check "never did two machines answer: a, then b, then a" verdict
  check "the monitors stop when told to" lab stop
  check "the kernel had no complaint" kernel_is_content
}

main
finish failover
