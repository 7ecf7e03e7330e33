#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Proves the harness of the 6.1 tests, scripts/vm: that the guest is what it says, that Crossbeat's kinds of
# programs and sockets work in it, and that nothing which goes wrong in it can look like success.
#
#   tests/kernel61/selftest.sh        about one minute; needs no root
#
# shellcheck disable=SC2317  # the checks are called through "check"
set -u
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
vm="$here/../../scripts/vm"
# shellcheck source=tests/kernel61/tap.sh
. "$here/tap.sh"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Runs the harness with a script from standard input. Leaves its output in $work/out and $work/err.
guest() {
  local want=$1 status=0
  shift
  "$vm" run "$@" -- - >"$work/out" 2>"$work/err" || status=$?
  cat "$work/out" "$work/err"
  echo "exit status $status, wanted $want"
  ((status == want))
}

build_fixtures() {
  clang-14 -O2 -g -Wall -Wextra -Werror -target bpf -mcpu=v3 \
    -idirafter "/usr/include/$(cc -print-multiarch)" \
    -c "$here/bpf/fixture.bpf.c" -o "$work/fixture.bpf.o" || return
  cc -O2 -Wall -Wextra -Werror -o "$work/fixture" "$here/fixture.c" -luring -lbpf
}

# The guest's own checks count as checks of this test, one by one.
run_in_guest() {
  local status=0
  "$vm" run --timeout 120 --disk 64 --add "$work/fixture:/kernel61/fixture" \
    --add "$work/fixture.bpf.o:/kernel61/fixture.bpf.o" --add "$here/tap.sh:/kernel61/tap.sh" \
    --add "$work/fixture" --env "FIXTURE_AT=$work/fixture" --env 'FIXTURE_ENV=x = y' -- "$here/selftest_guest.sh" 'two words' '' $'a\nb' >"$work/guest" ||
    status=$?
  tap_adopt "$work/guest"
  # Whatever the lines said: the guest finished, and its own count agrees.
  check "the guest's checks ended with a count, and all passed" guest_passed "$status"
}

# guest.sh, given what fails in every way it must notice, and one object that is fine.
bad_steps_are_noticed() {
  clang-14 -O2 -g -target bpf -c -o "$work/wild.bpf.o" -x c - <<<'
    __attribute__((section("xdp"), used)) int wild(void *ctx) { return *(volatile int *)0x1000; }
    __attribute__((section("license"), used)) char wild_license[] = "GPL";' || return
  printf '#!/bin/sh\n%s\n' 'echo "[       OK ] A.One (0 ms)"; kill -SEGV $$' >"$work/crashes"
  printf '#!/bin/sh\n%s\n' 'echo "[       OK ] A.One (0 ms)"; echo "[  SKIPPED ] A.Two (0 ms)"' >"$work/skips"
  printf '#!/bin/sh\n%s\n' 'echo "ok - one"; echo "not ok - two"; exit 0' >"$work/says_no"
  printf '#!/bin/sh\n%s\n' 'exit 3' >"$work/fails"
  printf '#!/bin/sh\n%s\n' 'exit 0' >"$work/runs_nothing"
  chmod +x "$work"/{crashes,skips,says_no,fails,runs_nothing}
  local file status=0
  local -a options=(--add "$here/tap.sh:/top/tests/kernel61/tap.sh" --env CB_SOURCE_DIR=/top)
  for file in wild.bpf.o fixture.bpf.o crashes skips says_no fails runs_nothing; do
    options+=(--add "$work/$file:/top/$file")
  done
  "$vm" run --timeout 60 "${options[@]}" -- "$here/guest.sh" object:/top/wild.bpf.o \
    object:/top/fixture.bpf.o gtest:/top/crashes gtest:/top/skips gtest:/top/runs_nothing \
    script:/top/says_no script:/top/fails typo:/top/fails >"$work/out" 2>"$work/err" || status=$?
  cat "$work/out" "$work/err"
  echo "exit status $status, wanted 1"
  ((status == 1)) || return
  cmp <(grep -E '^(not )?ok - |passed' "$work/out") - <<'END'
ok - the kernel is 6.1
not ok - wild.bpf.o loads
ok - fixture.bpf.o loads
ok - crashes A.One
not ok - crashes ran to its end
ok - skips A.One
not ok - skips A.Two
ok - skips ran to its end
not ok - runs_nothing ran to its end
ok - one
not ok - two
ok - says_no succeeds
not ok - fails succeeds
not ok - the step 'typo:/top/fails' is known
7 passed, 7 failed
END
}

guest_passed() { (($1 == 0)) && grep -E '^[1-9][0-9]* passed, 0 failed$' "$work/guest"; }

output_is_complete() {
  guest 0 --timeout 60 <<<'seq 1 40000; echo "to the other stream" >&2' >/dev/null || return
  cmp "$work/out" <(seq 1 40000 && echo "to the other stream")
}

# The guest prints what a success looks like, on the output and on the console, and then the kernel dies.
panic_is_no_success() {
  guest 125 --timeout 60 <<<'echo "exit 0 1.0"; echo "exit 0 1.0" >/dev/kmsg; echo c >/proc/sysrq-trigger' || return
  grep -q 'sysrq triggered crash' "$work/err" && grep -q 'the guest died' "$work/err"
}

timeout_is_kept() {
  local begun=$SECONDS
  guest 124 --timeout 12 <<<'echo begun; tail -f /dev/null' || return
  ((SECONDS - begun < 40)) || { echo "it took $((SECONDS - begun)) s"; return 1; }
  grep -q begun "$work/out" && grep -q 'timeout: the guest was killed after 12 s' "$work/err"
}

# Killed without a chance to clean up: the guest must not stay behind and eat a processor.
guest_dies_with_its_parent() {
  # A cache of its own, so that no other guest on this machine is taken for this one.
  local cache="$work/cache" pid guest
  mkdir -p "$cache"
  cp -as "$(realpath "${CB_VM_CACHE:-$here/../../build/vm}")/kernel" "$cache/kernel" || return
  : >"$work/out"
  CB_VM_CACHE="$cache" "$vm" run --timeout 60 -- - >"$work/out" 2>"$work/err" <<<'echo begun; tail -f /dev/null' &
  pid=$!
  timeout 60 grep -m1 begun <(tail -n +1 -f "$work/out") || { cat "$work/err"; return 1; }
  # The oldest that matches is the guest's wrapper, the newest qemu itself.
  guest="$(pgrep -nf "qemu-system-x86_64.*$cache/")" || { echo "the guest is not to be found"; return 1; }
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null
  timeout 10 tail --pid="$guest" -f /dev/null
}

refuses() { # STATUS TEXT ARGUMENT...
  local want=$1 text=$2 status=0 output
  shift 2
  output="$("$vm" "$@" </dev/null 2>&1)" || status=$?
  printf '%s\n(status %s, wanted %s)\n' "$output" "$status" "$want"
  ((status == want)) && grep -qF -- "$text" <<<"$output"
}

without_qemu() {
  local bin="$work/bin" program
  mkdir -p "$bin"
  for program in bash sed grep readlink dirname mkdir cpio timeout setpriv flock ldd depmod modprobe; do
    ln -sf "$(PATH=/usr/sbin:/usr/bin command -v "$program")" "$bin/$program"
  done
  PATH="$bin" refuses 125 "not installed here: qemu-system-x86_64. Run: sudo scripts/deps" run -- /bin/true
}

# apt with no archive at all: no lists, and no sources to fetch them from.
without_archive() {
  local apt="$work/apt.conf"
  mkdir -p "$work/none"
  printf '%s\n' "Dir::State::Lists \"$work/none\";" 'Dir::Etc::SourceList "/dev/null";' \
    'Dir::Etc::SourceParts "/dev/null";' "Dir::Cache \"$work/none\";" >"$apt"
  APT_CONFIG="$apt" CB_VM_CACHE="$work/empty" refuses 125 "cannot download linux-image-cloud-amd64" \
    run -- /bin/true
}

with_a_missing_library() {
  cc -shared -o "$work/libgone.so" -x c - <<<'int gone(void) { return 1; }' &&
    cc -o "$work/needy" -x c - -L"$work" -lgone <<<'int gone(void); int main(void) { return gone(); }' &&
    rm "$work/libgone.so" && refuses 125 "libgone.so => not found" run --add "$work/needy" -- /bin/true
}

check "the fixtures compile" build_fixtures
run_in_guest
check "a failing script's exit status comes back" guest 7 --timeout 60 <<<'exit 7'
check "a script's output comes back complete" output_is_complete
check "a kernel that dies is no success, whatever was printed" panic_is_no_success
check "no step that fails in the guest goes unnoticed" bad_steps_are_noticed
check "the timeout is kept" timeout_is_kept
check "the guest dies with its parent" guest_dies_with_its_parent
check "a missing script is refused" refuses 2 "cannot read the script" run -- /nonexistent
check "no script is refused" refuses 2 "no script" run --timeout 5
check "an unknown option is refused" refuses 2 "unknown option '--tmeout'" run --tmeout 5 -- /bin/true
check "a file that is not there is refused" refuses 2 "no file /nonexistent" run --add /nonexistent -- /bin/true
check "a timeout that is no number is refused" refuses 2 "takes a number" run --timeout soon -- /bin/true
check "a program whose library is missing is refused" with_a_missing_library
check "qemu missing is said, with what to install" without_qemu
check "a package archive out of reach is said" without_archive
finish kernel61_selftest
