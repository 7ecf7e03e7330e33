# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154  # set in scripts/vm: here, cache, and what parse_run fills; kernel_*: set here
#
# What scripts/vm boots: the kernel package, unpacked, and the guest's memory image. Sourced by scripts/vm.

# The packages whose dependency names the kernel that a Debian 12 machine gets today: its own, and the newer
# one that Debian's security archive has for it. choose_kernel SERIES
choose_kernel() {
  kernel_series=$1.
  kernel_current=$cache/kernel/current
  case $1 in
    6.1) kernel_package=linux-image-cloud-amd64 kernel_deb=${CB_VM_DEB:-} ;;
    6.12)
      kernel_package=linux-image-6.12-cloud-amd64 kernel_deb=${CB_VM_DEB_612:-}
      kernel_current+=-6.12
      ;;
    *) return 1 ;;
  esac
}

# Programs of the guest: everything these packages bring, and these programs by name.
guest_packages=(bash dash coreutils util-linux mount procps iproute2 grep sed findutils diffutils kmod
  hostname)
guest_programs=(awk jq bpftool ethtool ping arping tcpdump)

# Modules loaded at boot, with what they depend on. init fails when one of them does not load.
boot_modules=(veth bridge sch_ingress cls_bpf act_bpf cls_matchall act_gact)
# Modules that are only there, for the kernel to load by itself when something asks for them.
spare_modules=(dummy macvlan tun bonding 8021q loop fuse tls softdog
  sch_netem sch_prio sch_tbf sch_fq cls_u32 cls_flower act_mirred act_police act_pedit act_skbedit
  inet_diag tcp_diag udp_diag unix_diag netlink_diag af_packet_diag
  nf_conntrack nf_tables nft_ct nft_chain_nat tcp_bbr algif_hash crc32c-intel)

# --- the kernel ----------------------------------------------------------------------------------

# Prints "name version" of the package that kernel_package stands for, or nothing.
resolve_kernel() {
  local name version
  name="$(apt-cache "$@" show --no-all-versions "$kernel_package" 2>/dev/null |
    sed -nE 's/^Depends:.*(linux-image-[^ ,]+-cloud-amd64).*/\1/p' | head -n 1)"
  [[ -n $name ]] || return 0
  version="$(apt-cache "$@" policy "$name" 2>/dev/null | sed -nE 's/^ *Candidate: (.*)/\1/p')"
  echo "$name $version"
}

# Downloads the kernel package into DIR with apt-get, given apt's own options.
download_kernel() {
  local dir=$1
  shift
  local name version
  read -r name version < <(resolve_kernel "$@") || true
  [[ -n ${name:-} ]] || return 1
  if [[ $name != linux-image-"$kernel_series"* ]]; then
    die "apt's $kernel_package is $name here, and the guest must run Debian 12's $kernel_series kernel." \
      "Enable Debian 12's archive, or name such a package file (CB_VM_DEB, see scripts/vm --help)"
  fi
  say "downloading $name $version"
  (cd "$dir" && apt-get -q -o APT::Sandbox::User=root "$@" download "$name=$version") \
    >"$dir/apt.log" 2>&1
}

# Fetches and unpacks the newest kernel package. Returns 1, with the reason said, when that fails.
fetch_kernel() {
  need_programs dpkg depmod
  local dir deb
  dir="$(mktemp -d "$cache/fetch.XXXXXX")"
  if [[ -n $kernel_deb ]]; then
    [[ -r $kernel_deb ]] || die "CB_VM_DEB: cannot read $kernel_deb"
    cp "$kernel_deb" "$dir/"
  else
    need_programs apt-get apt-cache
    [[ $(dpkg --print-architecture) == amd64 ]] ||
      die "the guest is amd64 and this machine is $(dpkg --print-architecture): not supported"
    if ! download_kernel "$dir"; then
      # The package lists are absent or older than the archive. Ours are private: no root needed, and
      # the machine's own lists stay as they are.
      local -a private=(-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache"
        -o "Debug::NoLocking=true" -o "APT::Sandbox::User=root")
      mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
      if ! apt-get -q "${private[@]}" update >"$dir/apt.log" 2>&1 ||
        ! download_kernel "$dir" "${private[@]}"; then
        tail -n 5 "$dir/apt.log" >&2
        say "cannot download $kernel_package: no network, or no Debian 12 archive in apt's sources." \
          "CB_VM_DEB may name a package file instead"
        rm -rf "$dir"
        return 1
      fi
    fi
  fi
  deb="$(find "$dir" -maxdepth 1 -name '*.deb')"
  dpkg -x "$deb" "$dir/tree" || die "$deb does not unpack"
  local release
  release="$(basename "$(echo "$dir"/tree/boot/vmlinuz-*)" | sed 's/^vmlinuz-//')"
  [[ -r $dir/tree/boot/vmlinuz-$release && -d $dir/tree/lib/modules/$release/kernel ]] ||
    die "$(basename "$deb") holds no kernel with modules"
  depmod -b "$dir/tree" "$release"
  local id
  id="$release-$(sha256sum "$deb" | cut -c1-12)"
  if [[ ! -d $cache/kernel/$id ]]; then
    mkdir -p "$cache/kernel"
    echo "$release" >"$dir/tree/release"
    basename "$deb" >"$dir/tree/package"
    mv "$dir/tree" "$cache/kernel/$id"
  fi
  ln -sfn "$id" "$kernel_current"
  rm -rf "$dir"
}

# --- the image -----------------------------------------------------------------------------------
# Two archives, one after the other, which the kernel unpacks in order: the base (programs, modules,
# init) is kept; the top (script, added files) is made for every run.

# Where a host path lives in the guest: /bin, /sbin, /lib and /lib64 are links into /usr there.
guest_path() {
  case $1 in
    /bin/* | /sbin/* | /lib/* | /lib64/*) echo "/usr$1" ;;
    *) echo "$1" ;;
  esac
}

# Copies host file $2 to guest path $3 below staging directory $1.
stage_file() {
  local to
  to="$1$(guest_path "$3")"
  mkdir -p "${to%/*}"
  cp -L --preserve=mode,timestamps "$2" "$to"
}

# Prints the shared libraries that the given files need. Files that are no programs need none.
libraries_of() {
  (($# > 0)) || return 0
  local listing
  listing="$(LC_ALL=C ldd "$@" 2>/dev/null || true)"
  if grep -q '=> not found' <<<"$listing"; then
    grep '=> not found' <<<"$listing" | sort -u >&2
    die "the libraries above are missing on this machine"
  fi
  sed -nE 's/^(.* => |\t)(\/[^ ].*) \(0x[0-9a-f]+\)$/\2/p' <<<"$listing" | sort -u
}

stage_libraries() {
  local stage=$1 library needed
  shift
  needed="$(libraries_of "$@")"
  while read -r library; do
    # The base has most of them already; a library found twice is the same library.
    [[ -e $stage$(guest_path "$library") ]] || stage_file "$stage" "$library" "$library"
  done < <([[ -z $needed ]] || echo "$needed")
}

pack() { # DIR OUT
  (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
    cpio --quiet --null -o -H newc -R 0:0 --reproducible) >"$2.part" || die "cpio failed on $1"
  mv "$2.part" "$2"
}

stage_programs() {
  local stage=$1 package program path list
  local -a paths=()
  for package in "${guest_packages[@]}"; do
    list="$(dpkg -L "$package" 2>/dev/null | grep -E '^(/usr)?/s?bin/[^/]+$')" ||
      die "the package $package is not installed here"
    mapfile -t -O "${#paths[@]}" paths <<<"$list"
  done
  for program in "${guest_programs[@]}"; do
    # Debian's own, never one that happens to shadow it in somebody's PATH.
    path="$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$program")" ||
      die "$program is not installed here. Run: sudo scripts/deps build test"
    paths+=("$path")
  done
  for path in "${paths[@]}"; do
    stage_file "$stage" "$path" "$path"
  done
  stage_libraries "$stage" "${paths[@]}"
}

stage_modules() {
  local stage=$1 kernel=$2 release=$3
  shift 3
  local from="$kernel/lib/modules/$release" to="$stage/usr/lib/modules/$release" line
  local -a wanted=("${boot_modules[@]}" "$@")
  mkdir -p "$to" "$stage/vm"
  cp "$from"/modules.{builtin,builtin.modinfo,order} "$to/"
  # --show-depends prints "insmod /path/x.ko" for a module and all below it, and "builtin x".
  modprobe -C /dev/null -d "$kernel" -S "$release" --show-depends -a "${wanted[@]}" \
    "${spare_modules[@]}" >"$stage/vm/depends" ||
    die "a module above is not in $(cat "$kernel/package")"
  while read -r line; do
    line="${line#insmod }"
    line="/lib/modules/${line#*/lib/modules/}"
    stage_file "$stage" "$kernel$line" "${line% }"
  done < <(grep '^insmod ' "$stage/vm/depends" | sort -u | sed 's/ *$//')
  rm "$stage/vm/depends"
  depmod -b "$stage/usr" "$release" 2>/dev/null || depmod -b "$stage" "$release"
  printf '%s\n' "${wanted[@]}" >"$stage/vm/modules"
}

# Builds the base archive unless there is one of the same content. Its programs and libraries are
# Debian's, so the package database stands for what they contain. Sets $base.
make_base() {
  local kernel=$1 release=$2
  shift 2
  local key stage
  key="$({
    sha256sum "$here/vm-image.sh" "$here/vm-init" /var/lib/dpkg/status
    readlink "$kernel_current"
    echo "$*"
  } | sha256sum | cut -c1-16)"
  base="$cache/base-$key.cpio"
  if [[ -e $base ]]; then
    touch "$base"
    return
  fi
  stage="$(mktemp -d "$cache/stage.XXXXXX")"
  mkdir -p "$stage"/{dev,proc,sys,run,tmp,root,etc,var,vm,usr/{bin,sbin,lib,lib64}}
  local name
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$stage/$name"; done
  ln -s /run "$stage/var/run"
  ln -s /tmp "$stage/var/tmp"
  ln -s /proc/self/mounts "$stage/etc/mtab"
  # tcpdump becomes its own user before it writes a file.
  printf '%s\n' 'root:x:0:0:root:/root:/bin/bash' 'tcpdump:x:100:100::/nonexistent:/usr/sbin/nologin' \
    'nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin' >"$stage/etc/passwd"
  printf '%s\n' 'root:x:0:' 'tcpdump:x:100:' 'nogroup:x:65534:' >"$stage/etc/group"
  echo '127.0.0.1 localhost' >"$stage/etc/hosts"
  cp /etc/os-release "$stage/etc/os-release"
  [[ ! -d /etc/iproute2 ]] || cp -rL /etc/iproute2 "$stage/etc/"
  stage_programs "$stage"
  stage_modules "$stage" "$kernel" "$release" "$@"
  cp "$here/vm-init" "$stage/init"
  chmod 755 "$stage/init"
  pack "$stage" "$base"
  rm -rf "$stage"
  # A machine that is upgraded now and then would fill up with images; three are plenty.
  find "$cache" -maxdepth 1 -name 'base-*.cpio' -printf '%T@ %p\n' | sort -rn | tail -n +4 |
    cut -d' ' -f2- | xargs -r rm -f
}

# Stages what the command line adds to the guest, from the arrays that parse_run filled.
stage_top() {
  local stage=$1 item from to
  local -a programs=()
  mkdir -p "$stage/vm"
  for item in "${added_files[@]}"; do
    from="${item%%:*}"
    to="${item#*:}"
    [[ $item == *:* ]] || to="$(realpath -s "$from")"
    stage_file "$stage" "$from" "$to"
    programs+=("$from")
  done
  for item in "${added_trees[@]}"; do
    from="${item%%:*}"
    to="$stage$(guest_path "${item#*:}")"
    mkdir -p "$to"
    cp -rL --preserve=mode,timestamps "$from/." "$to/"
    mapfile -d '' -t -O "${#programs[@]}" programs < <(find -L "$from" -type f \
      \( -perm -u+x -o -name '*.so' -o -name '*.so.*' \) -print0)
  done
  # ldd takes a bare name for a path only with a slash in it.
  local -a rooted=("$(realpath -s "$script_file")")
  for item in "${programs[@]}"; do rooted+=("$(realpath -s "$item")"); done
  stage_libraries "$stage" "${rooted[@]}"
  cp "$script_file" "$stage/vm/script"
  chmod 755 "$stage/vm/script"
  printf '%s\0' "${script_arguments[@]+"${script_arguments[@]}"}" >"$stage/vm/arguments"
  ((${#script_arguments[@]} > 0)) || : >"$stage/vm/arguments"
  : >"$stage/vm/environment"
  ((${#added_environment[@]} == 0)) || printf '%s\0' "${added_environment[@]}" >"$stage/vm/environment"
}
