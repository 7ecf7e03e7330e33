#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The bash completion, asked as bash would ask it.
set -uo pipefail

source "${CB_SOURCE_DIR:?}/scripts/completion/crossbeat.bash"
failures=0

# complete_line "crossbeat vip " -> the words that are offered, on one line
complete_line() {
  local -a words
  read -ra words <<<"$1"
  [[ $1 == *" " ]] && words+=("")
  COMP_WORDS=("${words[@]}")
  COMP_CWORD=$((${#words[@]} - 1))
  COMPREPLY=()
  _crossbeat
  echo "${COMPREPLY[*]}"
}

expect() {
  local line=$1 wanted=$2 got
  got="$(complete_line "$line")"
  if [[ $got != "$wanted" ]]; then
    echo "after '$line': wanted '$wanted', got '$got'" >&2
    failures=$((failures + 1))
  fi
}

expect "crossbeat sw" "switchover"
expect "crossbeat fail" "failover failback"
expect "crossbeat --root /tmp fail" "failover failback"
expect "crossbeat vip " "show announce add remove"
expect "crossbeat maintenance o" "on off"
expect "crossbeat config " "check show"
expect "crossbeat set --failover " "manual automatic"
expect "crossbeat failover --f" "--force"
expect "crossbeat switchover --f" ""
expect "crossbeat events --fo" "--follow"
expect "crossbeat status --ti" "--timeout"
expect "gethainfo --js" "--json"
expect "getserverinfo --js" "--json"
expect "crossbeat setup --an" "--answers"
expect "crossbeat doctor --al" "--all"
expect "crossbeat volume " "create status verify resize history diff"
expect "crossbeat resync --fu" "--full"
expect "crossbeat failover --acc" "--accept-loss"
expect "crossbeat nonsense --js" "--json"

if ((failures > 0)); then
  echo "$failures completions are wrong" >&2
  exit 1
fi
echo "19 completions are right"
