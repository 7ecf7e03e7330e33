# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034
#
# Building the lab's machines and taking them down again; a part of scripts/lab, which sources it.

make_netns() {
  ip netns add "$(netns "$1")"
  if [[ $ipv6 == no ]]; then
    inside "$1" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
                       echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
  else  # no waiting for duplicates that cannot be
    inside "$1" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
  fi
  inside "$1" ip link set lo up
}

# A network card of a machine, its wire, and the port at the other end.
plug() {
  local machine=$1 card=$2 place=$3 index=$4 mac=$5
  shift 5
  ip -n "$(netns "$place")" link add name "$machine" index "$index" numrxqueues 1 numtxqueues 1 \
    type veth peer name "$card" netns "$(netns "$machine")" address "$mac" numrxqueues 1 numtxqueues 1
  inside "$place" "$build/tests/cb_wire" attach "$wires" "$machine" --node "${node_number[$machine]:-0}" "$@"
  inside "$place" ip link set dev "$machine" up
  inside "$machine" ip link set "$card" up
}

plug_into_switch() {
  local machine=$1
  plug "$machine" eth0 switch "${switch_port[$machine]}" "02:cb:00:00:00:$(printf %02x "${host_part[$machine]}")"
  inside switch ip link set dev "$machine" master br0
  inside "$machine" ip address add "10.77.0.${host_part[$machine]}/24" dev eth0
  if [[ $ipv6 == yes ]]; then
    inside "$machine" ip address add "fd77::${host_part[$machine]}/64" dev eth0 nodad
  fi
}

plug_into_cable() {
  local machine=$1 other=a
  [[ $machine != a ]] || other=b
  case $cable in
    wired)
      plug "$machine" eth1 cable "${cable_port[$machine]}" "02:cb:00:00:01:${host_part[$machine]}" \
        --forward-to "${cable_port[$other]}"
      ;;
    plain)
      # Both ends at once, as soon as both machines are there.
      if [[ -e $(netns_path "$other") ]] && ! inside "$machine" ip link show eth1 &>/dev/null; then
        ip -n "$(netns "$machine")" link add name eth1 address "02:cb:00:00:01:${host_part[$machine]}" \
          numrxqueues 1 numtxqueues 1 type veth peer name eth1 netns "$(netns "$other")" \
          address "02:cb:00:00:01:${host_part[$other]}" numrxqueues 1 numtxqueues 1
        inside "$machine" ip link set eth1 up
        inside "$other" ip link set eth1 up
      fi
      ;;
  esac
}

write_config() {
  local node=$1 root=$home/$1 line table keys
  mkdir -p "$root/etc/crossbeat" "$root/var/lib/crossbeat" "$root/var/log/crossbeat"
  local -A tables=()
  tables[node]="name = \"$node\""$'\n'"role = \"${role_of[$node]}\""
  tables[network]="interface = \"eth0\""$'\n'"address = \"10.77.0.${host_part[$node]}\""
  tables[network]+=$'\n''gateway = "10.77.0.1"'
  if [[ $cable != none && -n ${cable_port[$node]:-} ]]; then
    tables[direct]='interface = "eth1"'$'\n'"xdp = \"$xdp\""
  fi
  if [[ ${role_of[$node]} == primary ]]; then
    tables[virtual]="address = [$(virtual_addresses "$node")]"
  fi
  tables[heartbeat]="profile = \"$profile\""
  tables[failover]="failover = \"$failover\""$'\n'"failback = \"$failback\""
  # The shortest that is allowed: labs are built and struck at once.
  tables[failover]+=$'\n''wait_for_peer = "10s"'
  if [[ -n $volume && ${role_of[$node]} == primary ]]; then
    tables[volume]="$(volume_keys "$node")"$'\n'
  fi
  # A lab is struck while its processes are dead, and only a process of ours takes a ublk device away.
  if [[ -n $volume && " ${settings[*]-}" != *" volume.front_end="* ]]; then
    tables[volume]+='front_end = "fuse"'
  fi
  for line in "${settings[@]}"; do
    table=${line%%.*}
    keys=${line#*.}
    tables[$table]+="${tables[$table]:+$'\n'}${keys%%=*} = ${keys#*=}"
  done
  {
    echo "# Written by scripts/lab."
    for table in "${!tables[@]}"; do
      printf '\n[%s]\n%s\n' "$table" "${tables[$table]}"
    done
    if [[ $postgres == yes ]]; then
      printf '\n[[service]]\nname = "PostgreSQL"\nstart = ["%s", "start"]\nstop = ["%s", "stop"]\n' \
        "$here/tests/support/lab/pg_service" "$here/tests/support/lab/pg_service"
    fi
  } >"$root/etc/crossbeat/crossbeat.toml"
}

# On the secondary the volumes of all primaries are mounted side by side.
volume_keys() {
  local mount=/data
  [[ $1 == a ]] || mount=/data-$1
  printf 'size = "%s"\nlog = "%s"\nmode = "%s"\nmount = "%s"' "$volume" "$volume_log" "$volume_mode" "$mount"
}

# The first copy, as an operator makes it.
make_volume() {
  local node=$1
  [[ -n $volume && ${role_of[$node]} == primary ]] || return 0
  [[ -x $build/bin/crossbeat-volume ]] || die "$build/bin/crossbeat-volume is not built; run: make build"
  inside "$node" "$build/bin/crossbeat" --root "$home/$node" volume create --format >/dev/null
}

virtual_addresses() {
  local list="\"10.77.0.${virtual_part[$1]}/24\""
  [[ $ipv6 == no ]] || list+=", \"fd77::${virtual_part[$1]}/64\""
  echo "$list"
}

make_node() {
  local node=$1
  make_netns "$node"
  plug_into_switch "$node"
  if [[ -n ${cable_port[$node]:-} ]]; then
    plug_into_cable "$node"
  fi
  inside "$node" ip route add default via 10.77.0.1
  # An appliance answers and asks by ARP only for the interface's own addresses.
  inside "$node" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
                        echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
  mkdir -p "$home/$node/sys/fs/bpf" "$home/$node/run"
  mount -t bpf bpf "$home/$node/sys/fs/bpf"
  "$build/tests/cb_wire" dead "$wires" "${node_number[$node]}" off
  touch "$home/$node.powered"
}

# Everything of a node that a power failure takes; its disk (etc, var) stays.
unmake_node() {
  local node=$1
  kill_inside "$node"
  unmount_volumes "$home/$node"
  ! mountpoint -q "$home/$node/sys/fs/bpf" || umount -l "$home/$node/sys/fs/bpf"
  rm -rf "${home:?}/$node/run" "${home:?}/$node/sys" "$home/$node.powered" "$home/$node.pid"
  # The wire first: a namespace goes in its own time, and its port would block the name.
  local place
  for place in switch cable; do
    if [[ -e $(netns_path "$place") ]]; then
      inside "$place" ip link del dev "$node" 2>/dev/null || true
    fi
  done
  if [[ -e $(netns_path "$node") ]]; then
    inside "$node" ip link del eth1 2>/dev/null || true
    ip netns del "$(netns "$node")"
  fi
}

# What was mounted by a node, and the devices that its images were attached to. Lazily: whoever served
# them is dead, as if the power had gone. The devices are looked for first: without its mount an image's
# path no longer tells whose it was.
unmount_volumes() {
  local root=$1 at device back
  local -a devices=()
  [[ -d $root ]] || return 0
  for device in /sys/block/loop*/loop/backing_file; do
    back="$(cat "$device" 2>/dev/null)" || continue
    [[ $back == "$root/"* ]] || continue
    device=${device#/sys/block/}
    devices+=("/dev/${device%%/*}")
  done
  while read -r at; do
    umount -l "$at" 2>/dev/null || true
  done < <(awk -v root="$root/" 'index($5, root) == 1 && $5 != root "sys/fs/bpf" { print $5 }' /proc/self/mountinfo | tac)
  for device in "${devices[@]}"; do
    losetup -d "$device" 2>/dev/null || true
    # As the next user of the number expects it: the kernel keeps what a volume without a write cache has set.
    echo "write back" > "/sys/block/${device#/dev/}/queue/write_cache" || true
  done
}

kill_inside() {
  local -a pids
  [[ -e $(netns_path "$1") ]] || return 0
  mapfile -t pids < <(ip netns pids "$(netns "$1")")
  while ((${#pids[@]} > 0)); do
    kill -KILL "${pids[@]}" 2>/dev/null || true
    mapfile -t pids < <(ip netns pids "$(netns "$1")")
  done
}

up() {
  local profile=fast failover=automatic failback=manual nodes="a b" cable=wired xdp=native ipv6=no witness=no start=yes
  local volume="" volume_mode=sync volume_log=64MiB postgres=no
  local -a settings=()
  while (($# > 0)); do
    case $1 in
      --profile) profile=${2:?} && shift ;;
      --failover) failover=${2:?} && shift ;;
      --failback) failback=${2:?} && shift ;;
      --nodes)
        [[ ${2:-} =~ ^[0-9]+$ ]] && (($2 >= 2 && $2 <= 17)) || usage_error "--nodes is 2 to 17"
        nodes="$(command cut -d ' ' -f "1-$2" <<<"$all_nodes")"
        shift
        ;;
      --plain-cable) cable=plain ;;
      --no-cable) cable=none ;;
      --xdp) xdp=${2:?} && shift ;;
      --ipv6) ipv6=yes ;;
      --witness) witness=yes ;;
      --volume) volume=${2:?} && shift ;;
      --volume-mode) volume_mode=${2:?} && shift ;;
      --log) volume_log=${2:?} && shift ;;
      --postgres) postgres=yes ;;
      --set) [[ ${2:-} == *.*=* ]] || usage_error "--set wants TABLE.KEY=VALUE" && settings+=("$2") && shift ;;
      --no-start) start=no ;;
      *) usage_error "up does not know '$1'" ;;
    esac
    shift
  done
  if [[ $witness == yes ]]; then
    settings=('arbitration.kinds=["gateway", "witness"]' "witness.address=\"10.77.0.${host_part[witness]}\"" "${settings[@]}")
  fi
  find_build
  [[ $start == no || -x $build/bin/crossbeatd ]] || die "$build/bin/crossbeatd is not built; run: make build"
  down
  mkdir -p "$wires"
  trap 'down; echo "lab: could not build the lab; nothing of it is left" >&2' EXIT
  mount -t bpf bpf "$wires"
  "$build/tests/cb_wire" load "$wires"
  printf '%s=%q\n' profile "$profile" failover "$failover" failback "$failback" nodes "$nodes" \
    cable "$cable" xdp "$xdp" ipv6 "$ipv6" witness "$witness" build "$build" volume "$volume" volume_mode "$volume_mode" \
    volume_log "$volume_log" postgres "$postgres" >"$home/lab.conf"
  declare -p settings >>"$home/lab.conf"

  make_netns switch
  inside switch ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
  inside switch ip link set br0 up
  make_netns cable
  local machine
  for machine in gw client; do
    make_netns "$machine"
    plug_into_switch "$machine"
  done
  if [[ $witness == yes ]]; then
    make_netns witness
    plug_into_switch witness
    mkdir -p "$home/witness"
    start_witness
  fi
  for machine in $nodes; do
    make_node "$machine"
    write_config "$machine"
  done
  # A plain cable is there once both nodes are.
  for machine in $nodes; do
    make_volume "$machine"
  done
  trap - EXIT
  [[ $start == no ]] || start_nodes "$nodes"
}

down() {
  local place
  for place in $all_nodes client gw witness cable switch; do
    unmake_node "$place"
  done
  if [[ -d $home ]]; then
    ! mountpoint -q "$wires" || umount -l "$wires"
    rm -rf "$home"
  fi
}
