# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034
#
# What can go wrong in the lab; a part of scripts/lab, which sources it.

lose() { "$build/tests/cb_wire" lose "$wires" "$1" "$2" "$3"; }

# direct without a node: one end, both ways, is enough. What a machine sends comes "in" at its port.
set_loss() {
  local link=$1 node=$2 way=$3 ppm=$4 direction=both port
  case $way in
    from) direction=in ;;
    to) direction=out ;;
    both) ;;
    *) usage_error "--one-way is from or to, not '$way'" ;;
  esac
  case $link in
    direct)
      [[ $cable == wired ]] || die "this lab has no cable that can be cut (it was built otherwise)"
      if [[ -z $node ]]; then
        [[ $way == both ]] || usage_error "one way, seen from which node?"
        node=a
      fi
      port=${cable_port[$node]:-}
      ;;
    net)
      [[ -n $node ]] || usage_error "the service link of which node?"
      port=${switch_port[$node]:-}
      ;;
    *) usage_error "which link: direct or net?" ;;
  esac
  [[ -n $port ]] || usage_error "there is no such link at '$node'"
  lose "$port" "$direction" "$ppm"
}

carrier() {
  local link=$1 node=$2 state=$3 place=switch machine
  [[ $link == net ]] || place=cable
  for machine in ${node:-a b}; do
    inside "$place" ip link set dev "$machine" "$state"
  done
}

cut() {
  local link=${1:-} node="" way=both with_carrier=no
  shift || usage_error "cut direct or net?"
  while (($# > 0)); do
    case $1 in
      --one-way) way=${2:?} && shift ;;
      --carrier) with_carrier=yes ;;
      -*) usage_error "cut does not know '$1'" ;;
      *) node=$1 ;;
    esac
    shift
  done
  set_loss "$link" "$node" "$way" 1000000
  [[ $with_carrier == no ]] || carrier "$link" "$node" down
}

loss() {
  local link=${1:-} percent=${2:-} ppm
  [[ $percent =~ ^[0-9]+(\.[0-9]+)?$ ]] || usage_error "loss direct|net PERCENT [NODE]"
  ppm="$(awk -v p="$percent" 'BEGIN { printf "%d", p * 10000 }')"
  ((ppm <= 1000000)) || usage_error "more than everything cannot be lost"
  local node=${3:-}
  if [[ $link == net && -z $node ]]; then
    for node in $nodes; do set_loss net "$node" both "$ppm"; done
  else
    set_loss "$link" "$node" both "$ppm"
  fi
}

# Each node still sees the gateway, the client and the witness.
part() {
  local node
  for node in $nodes; do
    ! has_power "$node" || inside switch bridge link set dev "$node" isolated on
  done
}

heal() {
  local machine
  for machine in $nodes; do
    ! has_power "$machine" || inside switch bridge link set dev "$machine" isolated off
  done
  for machine in $nodes client gw; do
    [[ -n ${node_number[$machine]:-} ]] && ! has_power "$machine" && continue
    lose "${switch_port[$machine]}" both 0
    inside switch ip link set dev "$machine" up
    if [[ $cable == wired && -n ${cable_port[$machine]:-} ]]; then
      lose "${cable_port[$machine]}" both 0
      # The end of a machine without power stays down, and so does the other one's carrier.
      [[ ! -e $home/cable.dead ]] || continue
      inside cable ip link set dev "$machine" up
    fi
  done
}

replug() {
  local node=${1:-}
  need_node "$node"
  need_power "$node"
  [[ $cable == wired && -n ${cable_port[$node]:-} ]] || die "$node has no cable that can be plugged again"
  inside cable ip link del dev "$node"
  plug_into_cable "$node"
}

power_off() {
  local node=${1:-} at_once=no
  if [[ $node == *,* ]]; then
    local each
    for each in ${node//,/ }; do need_node "$each" && need_power "$each"; done
    # All at once, as when a rack loses its power.
    local -a strikes=()
    for each in ${node//,/ }; do
      power_off "$each" "${@:2}" &
      strikes+=($!)
    done
    for each in "${strikes[@]}"; do wait "$each"; done
    return
  fi
  need_node "$node"
  need_power "$node"
  case ${2:-} in
    --silent)
      "$build/tests/cb_power_off" "$wires" --node "${node_number[$node]}"
      return
      ;;
    --carrier-at-once) at_once=yes ;;
    "") ;;
    *) usage_error "power-off does not know '$2'" ;;
  esac
  [[ $cable != plain ]] || die "with --plain-cable a node cannot lose its power at one instant"
  local later peer=a peers=""
  later="$(netns_path switch):$node"
  if [[ $cable == wired && -n ${cable_port[$node]:-} ]]; then
    [[ $node != a ]] || peer=b
    peers="$(netns_path cable):$peer"
    later+=",$(netns_path cable):$node"
    touch "$home/cable.dead"
  fi
  if [[ $at_once == no && -n $peers ]]; then
    later="$peers,$later" peers=""
  fi
  rm -f "$home/$node.powered"
  "$build/tests/cb_power_off" "$wires" --node "${node_number[$node]}" --kill "$(netns_path "$node")" \
    ${peers:+--down "$peers"} --down-later "$later"
}

power_on() {
  local node=${1:-}
  need_node "$node"
  if has_power "$node"; then
    "$build/tests/cb_wire" dead "$wires" "${node_number[$node]}" off  # after power-off --silent
    return
  fi
  unmake_node "$node"
  rm -f "$home/cable.dead"
  make_node "$node"
  if [[ $cable == wired && -n ${cable_port[$node]:-} ]]; then
    inside cable ip link set dev a up
    inside cable ip link set dev b up
  fi
  [[ ${2:-} == --no-start ]] || start_nodes "$node"
}

capture() {
  local what=${2:-net} file=${3:-} place=switch interface=br0
  [[ $what != direct ]] || place=cable interface=any
  file=${file:-$home/$what.pcap}
  case ${1:-} in
    start)
      : >"$home/capture-$what.log" # here: an earlier capture's "listening on" is not this one's
      setsid nsenter --net="$(netns_path "$place")" -- tcpdump -i "$interface" -n -U -w "$file" \
        &>"$home/capture-$what.log" </dev/null &
      echo $! >"$home/capture-$what.pid"
      until grep -q 'listening on' "$home/capture-$what.log"; do
        [[ -d /proc/$(cat "$home/capture-$what.pid") ]] || die "tcpdump: $(cat "$home/capture-$what.log")"
        read -r -t 0.02 <> <(:) || true
      done
      echo "$file"
      ;;
    stop)
      [[ -e $home/capture-$what.pid ]] || die "no capture of $what is running"
      kill -INT "$(cat "$home/capture-$what.pid")" 2>/dev/null || true
      rm -f "$home/capture-$what.pid"
      ;;
    *) usage_error "capture start or stop?" ;;
  esac
}
