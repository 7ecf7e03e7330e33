#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package: built, installed into an empty tree, set up, upgraded, removed, purged. dpkg runs the
# package's scripts for that tree (DPKG_ROOT); nothing of this machine is touched.
# The checks are expressions that check() evaluates.
# shellcheck disable=SC2016,SC2034
set -euo pipefail

source_dir="${CB_SOURCE_DIR:?}"
build="${CB_BUILD_DIR:?}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
tree="$scratch/tree"
failures=0
checks=0

check() {
  checks=$((checks + 1))
  if ! eval "$2"; then
    echo "not so: $1" >&2
    failures=$((failures + 1))
  fi
}

die() {
  echo "$1" >&2
  exit 1
}

# pack VERSION: the package of what is built, as that version
pack() {
  "$source_dir/scripts/sbom" "$build" "$1" "$build/crossbeat.spdx.json" >"$scratch/sbom.log"
  (cd "$build" && cpack -G DEB -B "$scratch/pack-$1" -D CPACK_PACKAGE_VERSION="$1") \
    >"$scratch/cpack.log" 2>&1 || die "$(tail -n 20 "$scratch/cpack.log")"
  echo "$scratch/pack-$1"/*.deb
}

in_tree() {
  dpkg --root="$tree" --force-script-chrootless --force-depends --log="$scratch/dpkg.log" "$@" \
    >"$scratch/out" 2>&1 || die "dpkg $*: $(<"$scratch/out")"
}

# Every file and folder of the tree, without dpkg's own.
listing() { (cd "$tree" && find . -path ./var/lib/dpkg -prune -o -print | sort); }

mkdir -p "$tree"/{etc/profile.d,usr,var/lib/dpkg/{info,updates,triggers},var/log,run}
ln -s usr/bin usr/lib usr/sbin "$tree" 2>/dev/null
touch "$tree/var/lib/dpkg/"{status,available}
mkdir -p "$tree"/usr/{bin,sbin,lib/systemd/system,share/{man/man1,man/man5,man/man8,bash-completion/completions,doc}}
before="$(listing)"

old="$(pack 0.1.0)"
new="$(pack 0.1.1)"

# --- what the package says of itself
check "its version is in its name" '[[ $old == */crossbeat_0.1.0_*.deb ]]'
depends="$(dpkg-deb -f "$old" Depends)"
for library in libbpf1 libc6 libsodium23 libsqlite3-0 liburing2 libnl-3-200 libsystemd0 iproute2; do
  check "depends on $library" '[[ $depends == *$library* ]]'
done
[[ $(dpkg --print-architecture) != amd64 ]] || check "depends on libipsec-mb1" '[[ $depends == *libipsec-mb1* ]]'
check "everything in it belongs to root" \
  '! dpkg-deb -c "$old" | awk "\$2 != \"root/root\"" | grep -q .'
check "nobody but root can write to anything in it" \
  '! dpkg-deb -c "$old" | awk "\$1 ~ /^-....w|^-.......w|^d....w|^d.......w/" | grep -q .'

# --- installed
in_tree -i "$old"
check "it is installed" '[[ $(dpkg-query --admindir="$tree/var/lib/dpkg" -W -f="\${db:Status-Status}" crossbeat) == installed ]]'
for file in usr/sbin/crossbeatd usr/bin/crossbeat usr/bin/gethainfo usr/bin/getserverinfo \
  usr/lib/systemd/system/crossbeat.service usr/share/man/man1/crossbeat.1 \
  usr/share/man/man5/crossbeat.toml.5 usr/share/man/man8/crossbeatd.8 \
  usr/sbin/crossbeat-witness usr/lib/systemd/system/crossbeat-witness.service usr/share/man/man8/crossbeat-witness.8 \
  usr/share/bash-completion/completions/crossbeat usr/lib/crossbeat/bpf/direct.bpf.o \
  usr/lib/crossbeat/bpf/guard.bpf.o usr/lib/crossbeat/vip-add usr/share/doc/crossbeat/copyright \
  usr/share/doc/crossbeat/LICENSE usr/share/doc/crossbeat/LICENSE.GPL-2.0 \
  usr/share/doc/crossbeat/crossbeat.spdx.json etc/crossbeat/crossbeat.toml \
  usr/share/crossbeat/platforms.toml etc/profile.d/crossbeat-login.sh; do
  check "$file is there" '[[ -s "$tree/$file" ]]'
done
check "a fresh installation starts nothing with the machine" \
  '[[ ! -e "$tree/etc/systemd/system/multi-user.target.wants/crossbeat.service" ]]'
check "the program runs" '"$tree/usr/bin/crossbeat" --version | grep -q "^crossbeat "'
check "the default configuration is a template: its role is asked for" \
  '! "$tree/usr/bin/crossbeat" --root "$tree" config check >"$scratch/out" 2>&1 && grep -q "role of this machine is missing" "$scratch/out"'
for program in "$tree"/usr/bin/* "$tree"/usr/sbin/*; do
  name=${program##*/}
  [[ ! -L $program ]] || name=crossbeat # its other names
  check "${program##*/} has a man page" \
    '[[ -s "$tree/usr/share/man/man1/$name.1" || -s "$tree/usr/share/man/man8/$name.8" ]]'
done
check "the completion is bash" 'bash -n "$tree/usr/share/bash-completion/completions/crossbeat"'
if command -v man >/dev/null; then
  for page in man1/crossbeat.1 man5/crossbeat.toml.5 man8/crossbeatd.8 man8/crossbeat-witness.8; do
    check "man reads $page without a warning" \
      '[[ -z $(LC_ALL=C.UTF-8 MANROFFSEQ="" man --warnings -E UTF-8 -l "$tree/usr/share/man/$page" 2>&1 >/dev/null) ]]'
  done
fi
# Beside systemd's own units, so that what ours names is found.
mkdir -p "$scratch/verify/usr/sbin" "$scratch/verify/usr/lib/systemd"
cp -r /usr/lib/systemd/system "$scratch/verify/usr/lib/systemd/system"
cp "$tree"/usr/lib/systemd/system/crossbeat{,-witness}.service "$scratch/verify/usr/lib/systemd/system/"
cp "$tree"/usr/sbin/crossbeat{d,-witness} "$scratch/verify/usr/sbin/"
check "the unit is right" \
  'systemd-analyze verify --man=no --root="$scratch/verify" crossbeat.service >"$scratch/out" 2>&1 && ! grep "crossbeat.service:" "$scratch/out" >&2'
check "the witness's unit is right" \
  'systemd-analyze verify --man=no --root="$scratch/verify" crossbeat-witness.service >"$scratch/out" 2>&1 && ! grep "crossbeat-witness.service:" "$scratch/out" >&2'
check "the witness needs no library" '! ldd "$tree/usr/sbin/crossbeat-witness" 2>/dev/null | grep -q "=>"'
exposure="$(systemd-analyze security --offline=true --no-pager \
  "$tree/usr/lib/systemd/system/crossbeat.service" 2>&1 | tail -n 1 || true)"
figure="$(grep -oE '[0-9]+\.[0-9]' <<<"$exposure" || true)"
check "systemd-analyze calls the unit's exposure 6.0 or less, not: $exposure" \
  '[[ -n $figure ]] && awk -v e="$figure" "BEGIN { exit !(e <= 6.0) }"'
# What the unit forbids, no program of ours calls by its name (io_uring's operations are not seen by seccomp).
denied="$(sed -n 's/^SystemCallFilter=~//p' "$tree/usr/lib/systemd/system/crossbeat.service")"
check "the unit forbids system calls" '[[ $denied == *@module* && $denied == *@reboot* ]]'
# shellcheck disable=SC2086 # words
systemd-analyze syscall-filter $denied | sed -n 's/^    \([a-z0-9_]*\)$/\1/p' | sort -u >"$scratch/denied"
check "systemd knows the groups of calls" '[[ $(wc -l <"$scratch/denied") -gt 30 ]]'
for program in "$tree"/usr/sbin/crossbeatd "$tree"/usr/bin/crossbeat*; do
  [[ -f $program && ! -L $program ]] || continue
  nm -D --undefined-only "$program" | sed 's/.* //; s/@.*//' | sort -u >"$scratch/called"
  forbidden="$(comm -12 "$scratch/denied" "$scratch/called" | tr '\n' ' ')"
  check "${program##*/} calls nothing that its unit forbids, not: $forbidden" '[[ -z $forbidden ]]'
done
check "the bill of materials is SPDX and names the libraries" \
  'jq -e ".spdxVersion == \"SPDX-2.3\" and ([.packages[].name] | index(\"libbpf1\") != null and index(\"crossbeat\") != null)" "$tree/usr/share/doc/crossbeat/crossbeat.spdx.json" >/dev/null'

# --- set up, then upgraded: what an operator wrote stays
cat >"$scratch/answers.toml" <<'END'
[ha]
role = 2
[eth0]
address = "10.10.10.13"
gateway = "10.10.10.1"
END
"$tree/usr/bin/crossbeat" --root "$tree" setup --answers "$scratch/answers.toml" >"$scratch/out" 2>&1 ||
  die "setup: $(<"$scratch/out")"
mkdir -p "$tree/var/lib/crossbeat/pairs" "$tree/var/log/crossbeat" "$tree/run/crossbeat"
echo "kept" >"$tree/var/lib/crossbeat/pairs/10.10.10.12.toml"
echo "kept" >"$tree/var/log/crossbeat/health-monitor.log"
wanted="$(<"$tree/etc/crossbeat/crossbeat.toml")"
in_tree -i "$new"
check "it is upgraded" '[[ $(dpkg-query --admindir="$tree/var/lib/dpkg" -W -f="\${Version}" crossbeat) == 0.1.1 ]]'
check "the configuration stays over an upgrade" '[[ "$(<"$tree/etc/crossbeat/crossbeat.toml")" == "$wanted" ]]'
check "pairings stay over an upgrade" '[[ -s "$tree/var/lib/crossbeat/pairs/10.10.10.12.toml" ]]'

# --- removed: the programs go, the configuration and the pairings stay
in_tree -r crossbeat
check "the programs are gone" '[[ ! -e "$tree/usr/bin/crossbeat" && ! -e "$tree/usr/sbin/crossbeatd" ]]'
check "the configuration stays when it is removed" '[[ "$(<"$tree/etc/crossbeat/crossbeat.toml")" == "$wanted" ]]'
check "pairings stay when it is removed" '[[ -s "$tree/var/lib/crossbeat/pairs/10.10.10.12.toml" ]]'

# --- purged: nothing of it is left, but what set-up made of the machine itself
in_tree -P crossbeat
left="$(comm -13 <(echo "$before") <(listing) | grep -v -e '^./etc/systemd' -e '^./etc/hosts$' || true)"
check "purged, it leaves nothing behind, not: $left" '[[ -z $left ]]'
check "purged, the address of the machine stays" \
  '[[ -s "$tree/etc/systemd/network/10-crossbeat-eth0.network" ]]'
check "dpkg knows it no more" \
  '! dpkg-query --admindir="$tree/var/lib/dpkg" -W crossbeat >/dev/null 2>&1'

if ((failures > 0)); then
  echo "$failures of $checks checks failed" >&2
  exit 1
fi
echo "$checks checks passed; exposure by systemd-analyze: $figure"
