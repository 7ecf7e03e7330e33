# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Offers the set-up wizard once, when root logs in at a terminal of a machine that was not set up yet. Read
# by login shells, so it must never end one: everything is tested, nothing is assumed.

_crossbeat_offer() {
  [ "$(id -u 2>/dev/null)" = 0 ] || return 0
  [ -t 0 ] && [ -t 1 ] || return 0
  case $- in *i*) ;; *) return 0 ;; esac
  _crossbeat_state="${CROSSBEAT_ROOT:-}/var/lib/crossbeat"
  [ -d "$_crossbeat_state" ] && [ ! -e "$_crossbeat_state/setup-offered" ] || return 0
  # Set up already: the shipped template leaves the role to be chosen.
  if grep -Eq '^[[:space:]]*role[[:space:]]*=' "${CROSSBEAT_ROOT:-}/etc/crossbeat/crossbeat.toml" 2>/dev/null; then
    return 0
  fi
  command -v crossbeat >/dev/null 2>&1 || return 0
  : >"$_crossbeat_state/setup-offered" 2>/dev/null || return 0
  echo 'This machine is not set up as a Crossbeat node yet.'
  printf 'Set it up now, with the wizard? (yes/no) [yes]: '
  read -r _crossbeat_answer || return 0
  case "$_crossbeat_answer" in
    '' | y | Y | yes | Yes | YES) crossbeat setup || true ;;
    *) echo 'Later, at any time: crossbeat setup' ;;
  esac
}
_crossbeat_offer || true
unset -f _crossbeat_offer
unset _crossbeat_state _crossbeat_answer
