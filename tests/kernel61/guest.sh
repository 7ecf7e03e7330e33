#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest's half of tests/kernel61/run: runs the given steps in order, each of which yields one or more
# lines "ok - NAME" or "not ok - NAME", and ends with "N passed, N failed". Exits 1 if anything failed.
#
#   guest.sh STEP...
#     object:FILE            the eBPF object FILE loads, every program of it
#     gtest:FILE             the GoogleTest binary FILE; each of its cases counts, a skipped one as failed
#     script:FILE            the script FILE exits with 0; if it prints "ok - " lines, each of them counts
#
# Files have the same absolute path here as on the host, and CB_SOURCE_DIR and CB_BUILD_DIR say the same,
# so that a test finds its data as it does at home. What a step leaves behind (namespaces, pins, processes)
# is its own affair: a new guest is the reset.
#
# shellcheck disable=SC2317  # the checks are called through "check"
set -u
# shellcheck source=tests/kernel61/tap.sh
. "$CB_SOURCE_DIR/tests/kernel61/tap.sh"

release_is_6_1() { uname -r | grep '^6\.1\.'; }

# In a mount namespace with an empty bpffs, so that maps which pin themselves by name are made anew for
# every object and stay out of the next step's way. libbpf prints the verifier's log when it refuses.
load_object() {
  unshare --mount bash "$0" --load-object "$1"
}

load_object_here() {
  local program count=0
  mount -t bpf bpf /sys/fs/bpf || return
  bpftool prog loadall "$1" /sys/fs/bpf/loaded || return
  for program in /sys/fs/bpf/loaded/*; do
    bpftool -j prog show pinned "$program" | jq -r '"\(.type) \(.name): \(.bytes_xlated) bytes"' || return
    count=$((count + 1))
  done
  ((count > 0))
}

object_step() {
  local name=${1##*/} status=0 text
  text="$(load_object "$1" 2>&1)" || status=$?
  if ((status == 0)); then
    tap_record ok "$name loads" "$text"
  else
    # The reason is at the end of a verifier's log that may have thousands of lines.
    tap_record "not ok" "$name loads" "$(tail -n 60 <<<"$text")"
  fi
}

gtest_step() {
  local name=${1##*/} status=0 log=/tmp/gtest.log line case details="" seen=0
  "$1" >"$log" 2>&1 || status=$?
  while IFS= read -r line; do
    case="${line#*] }"
    case="${case%% (*}"
    case $line in
      "[ RUN      ] "*) details="" ;;
      "[       OK ] "*) tap_record ok "$name $case" && seen=$((seen + 1)) ;;
      "[  FAILED  ] "*" ms)") tap_record "not ok" "$name $case" "$details" && seen=$((seen + 1)) ;;
      "[  SKIPPED ] "*" ms)") tap_record "not ok" "$name $case" "skipped: $details" && seen=$((seen + 1)) ;;
      *) details+="$line"$'\n' ;;
    esac
  done <"$log"
  # A crash ends the list of cases without a word, so the end is a check of its own.
  if ((status == 0 && seen > 0)); then
    tap_record ok "$name ran to its end"
  else
    tap_record "not ok" "$name ran to its end" "$seen cases, exit status $status
$(tail -n 40 "$log")"
  fi
}

script_step() {
  local name=${1##*/} status=0 log=/tmp/script.log
  "$1" >"$log" 2>&1 || status=$?
  tap_adopt "$log"
  if ((status == 0)); then
    tap_record ok "$name succeeds"
  else
    tap_record "not ok" "$name succeeds" "exit status $status
$(tail -n 80 "$log")"
  fi
}

if [[ ${1:-} == --load-object ]]; then
  load_object_here "$2"
  exit
fi
check "the kernel is 6.1" release_is_6_1
for step in "$@"; do
  case $step in
    object:* | gtest:* | script:*) "${step%%:*}_step" "${step#*:}" ;;
    *) tap_record "not ok" "the step '$step' is known" ;;
  esac
done
finish kernel61
