# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What vip-add, vip-remove, vip-announce and vip-show share. An appliance maker's own scripts may call
# those four, or replace them.
#
# Each has two ways to do the same: with iproute2 and arping (the default), or with crossbeat's own netlink
# verbs: --with crossbeat, or VIP_WITH=crossbeat. VIP_CROSSBEAT names the program, if it is not in PATH.

vip_with=${VIP_WITH:-ip}
vip_crossbeat=${VIP_CROSSBEAT:-crossbeat}
vip_force=no

die() {
  echo "${0##*/}: $1" >&2
  exit "${2:-1}"
}

# parse_arguments LEAST MOST ARGUMENT...: options away, the rest into vip_words
vip_words=()
parse_arguments() {
  local least=$1 most=$2
  shift 2
  while (($# > 0)); do
    case "$1" in
      --with)
        vip_with=${2:-}
        shift
        ;;
      --force) vip_force=yes ;;
      -h | --help)
        usage
        exit 0
        ;;
      -*) die "unknown option $1; try --help" 2 ;;
      *) vip_words+=("$1") ;;
    esac
    shift
  done
  ((${#vip_words[@]} >= least && ${#vip_words[@]} <= most)) || {
    usage >&2
    exit 2
  }
  [[ $vip_with == ip || $vip_with == crossbeat ]] || die "--with ip, or --with crossbeat" 2
}

# The header of the script that calls, as its help.
usage() { sed -n '3,/^$/s/^# \{0,1\}//p' "$0"; }

# "10.10.10.11/24" is 10.10.10.11: the address is always added alone, so that no route comes with it.
bare_address() {
  local address=${1%%/*}
  [[ $address =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ || $address =~ ^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$ ]] ||
    die "'$1' is not an address" 2
  echo "$address"
}

# Marks the address as Crossbeat's, where iproute2 knows how (6.3 and newer); the label does so too.
protocol_words() {
  if ip address help 2>&1 | grep -q ' proto '; then
    echo proto 0xc8
  fi
}

# The address with the prefix of one host.
host_prefix() {
  if [[ $1 == *:* ]]; then echo "$1/128"; else echo "$1/32"; fi
}

check_interface() {
  [[ $1 =~ ^[A-Za-z0-9_.:-]{1,15}$ && -e /sys/class/net/$1 ]] || die "there is no interface '$1'"
}

# A monitor that runs has the addresses in hand: it would undo what is done here.
check_monitor() {
  [[ $vip_force == no ]] || return 0
  if "$vip_crossbeat" status --json >/dev/null 2>&1; then
    die "the health monitor runs and has the virtual addresses in hand; stop it first, or --force" 4
  fi
}

# Runs crossbeat vip with what the caller gave.
by_crossbeat() {
  local -a more=()
  [[ $vip_force == no || $1 == show || $1 == announce ]] || more=(--force)
  exec "$vip_crossbeat" vip "$@" "${more[@]}"
}
