#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package in a whole, clean Debian 12 (needs root, debootstrap and Debian's archive): installed by apt with what
# it depends on, its man pages read, its completion used, enabled, upgraded, removed, purged. The other package test
# (package.sh) does in seconds, in an empty tree, what does not need a whole Debian; this one takes minutes, most of
# them for making that Debian, so it is run by hand: sudo make prove-package.
#
#   tests/package/clean_tree.sh BUILD     BUILD: where crossbeat is built
#
# CB_DEBIAN=DIR: a Debian that debootstrap --variant=minbase made before; it is copied, not changed.
# The checks are expressions that check() evaluates.
# shellcheck disable=SC2016,SC2034
set -euo pipefail

source_dir="$(cd "$(dirname "$0")/../.." && pwd)"
build="$(cd "${1:?usage: clean_tree.sh BUILD}" && pwd)"
[[ $(id -u) -eq 0 ]] || { echo "clean_tree.sh: making a Debian needs root: sudo make prove-package" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "clean_tree.sh: debootstrap is missing: sudo scripts/deps prove" >&2; exit 1; }
scratch="$(mktemp -d)"
tree="$scratch/tree"
failures=0
checks=0

clean_up() {
  umount "$tree/proc" 2>/dev/null || true
  rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT

check() {
  checks=$((checks + 1))
  if eval "$2"; then
    echo "ok - $1"
  else
    echo "not ok - $1"
    [[ ! -s $scratch/out ]] || sed 's/^/#   /' "$scratch/out" | tail -n 20
    failures=$((failures + 1))
  fi
}

die() {
  echo "clean_tree.sh: $1" >&2
  exit 1
}

inside() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
quietly() { "$@" >"$scratch/out" 2>&1 || die "$*: $(tail -n 20 "$scratch/out")"; }

pack() {
  quietly "$source_dir/scripts/sbom" "$build" "$1" "$build/crossbeat.spdx.json"
  (cd "$build" && cpack -G DEB -B "$scratch/pack-$1" -D CPACK_PACKAGE_VERSION="$1") >"$scratch/out" 2>&1 || die "$(tail "$scratch/out")"
  cp "$scratch/pack-$1"/*.deb "$tree/root/crossbeat-$1.deb"
}

# Files and folders that are not the package managers' own notes.
listing() {
  (cd "$tree" && find . -xdev \( -path ./proc -o -path ./run -o -path ./root -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache -o \
    -path ./var/log -o -path ./tmp \) -prune -o -print | sort)
}

state_of() { inside dpkg-query -W -f='${db:Status-Status} ${Version}' crossbeat 2>/dev/null || true; }

started=$SECONDS
if [[ -n ${CB_DEBIAN:-} ]]; then
  cp -a --one-file-system "$CB_DEBIAN" "$tree"
else
  mkdir -p "$tree"
  quietly debootstrap --variant=minbase bookworm "$tree" "${CB_MIRROR:-http://deb.debian.org/debian}"
fi
mount -t proc proc "$tree/proc"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
chmod 755 "$tree/usr/sbin/policy-rc.d"
pack 0.1.0
pack 0.1.1
# What every appliance has, and what the package names: so that only its own files come and go below.
depends="$(dpkg-deb -f "$tree/root/crossbeat-0.1.0.deb" Depends), $(dpkg-deb -f "$tree/root/crossbeat-0.1.0.deb" Recommends)"
mapfile -t libraries < <(tr ',' '\n' <<<"$depends" | sed 's/(.*//; s/|.*//; s/ //g')
quietly inside apt-get update -qq
quietly inside apt-get install -y -qq --no-install-recommends systemd man-db bash-completion "${libraries[@]}"
echo "# a clean Debian $(<"$tree/etc/debian_version") after $((SECONDS - started)) s"
before="$(listing)"

# --- installed
quietly inside apt-get install -y -qq /root/crossbeat-0.1.0.deb
check "apt installs it" '[[ $(state_of) == "installed 0.1.0" ]]'
check "it says what comes next" 'grep -q "crossbeat setup" "$scratch/out"'
check "every library is found" '! inside ldd /usr/sbin/crossbeatd /usr/bin/crossbeat /usr/sbin/crossbeat-witness 2>&1 | grep "not found"'
check "the programs run" '[[ $(inside crossbeat --version) == "crossbeat "* && $(inside crossbeatd --version) == "crossbeatd "* ]]'
check "getserverinfo says that nothing runs yet" '[[ $(inside getserverinfo || true) == "Health Monitor is not running" ]]'
for page in crossbeat crossbeat.toml crossbeatd crossbeat-witness; do
  check "man $page shows the page" 'inside man -P cat "$page" >"$scratch/out" 2>&1 && grep -q "^NAME" "$scratch/out" && grep -q "^.*$page" "$scratch/out"'
done
check "man -k finds it" 'inside mandb -q && inside apropos crossbeat | grep -q "^crossbeat (1)"'
check "the completion is loaded on demand, and completes" \
  '[[ $(inside bash -c "source /usr/share/bash-completion/bash_completion; _completion_loader crossbeat; COMP_WORDS=(crossbeat sw); COMP_CWORD=1; _crossbeat; echo \"\${COMPREPLY[*]}\"") == switchover ]]'
check "the unit is right" 'inside systemd-analyze verify --man=yes crossbeat.service crossbeat-witness.service >"$scratch/out" 2>&1 && ! grep crossbeat "$scratch/out"'
security="$(inside systemd-analyze security --offline=true --no-pager crossbeat.service 2>&1 | tail -n 1 || true)"
figure="$(grep -oE '[0-9]+\.[0-9]' <<<"$security" || true)"
check "systemd-analyze security calls its exposure 6.0 or less: $figure" '[[ -n $figure ]] && awk -v e="$figure" "BEGIN { exit !(e <= 6.0) }"'
check "a fresh installation is not enabled" '[[ $(inside systemctl is-enabled crossbeat 2>/dev/null || true) == disabled ]]'
printf '[node]\nname = "mse2"\nrole = "secondary"\n[network]\ninterface = "lo"\naddress = "127.0.0.1"\n' >"$tree/etc/crossbeat/crossbeat.toml"
check "it is enabled" 'inside systemctl enable crossbeat >"$scratch/out" 2>&1 && [[ $(inside systemctl is-enabled crossbeat) == enabled ]]'

# --- upgraded
mkdir -p "$tree/var/lib/crossbeat/pairs"
echo kept >"$tree/var/lib/crossbeat/pairs/10.10.10.12.toml"
wanted="$(<"$tree/etc/crossbeat/crossbeat.toml")"
quietly inside apt-get install -y -qq /root/crossbeat-0.1.1.deb
check "apt upgrades it" '[[ $(state_of) == "installed 0.1.1" ]]'
check "configuration and pairings stay, and it is still enabled" \
  '[[ $(<"$tree/etc/crossbeat/crossbeat.toml") == "$wanted" && -s $tree/var/lib/crossbeat/pairs/10.10.10.12.toml && $(inside systemctl is-enabled crossbeat) == enabled ]]'

# --- removed, purged
quietly inside apt-get remove -y -qq crossbeat
check "apt removes it; configuration and pairings stay" \
  '[[ ! -e $tree/usr/bin/crossbeat && $(<"$tree/etc/crossbeat/crossbeat.toml") == "$wanted" && -s $tree/var/lib/crossbeat/pairs/10.10.10.12.toml ]]'
check "nothing starts it any more" '[[ ! -L $tree/etc/systemd/system/multi-user.target.wants/crossbeat.service ]]'
quietly inside apt-get purge -y -qq crossbeat
left="$(comm -13 <(echo "$before") <(listing))"
check "purged, it leaves nothing: ${left:-nothing}" '[[ -z $left ]]'
check "and takes nothing with it that was there before" '[[ -z $(comm -23 <(echo "$before") <(listing)) ]]'
check "dpkg knows it no more" '[[ -z $(state_of) ]]'

echo "$((checks - failures)) passed, $failures failed, in $((SECONDS - started)) s; exposure by systemd-analyze: $figure"
((failures == 0))
