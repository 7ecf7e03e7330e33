# SPDX-License-Identifier: Apache-2.0
#
# Completion of crossbeat, gethainfo and getserverinfo in bash. Installed as
# /usr/share/bash-completion/completions/crossbeat.

_crossbeat_verbs="status gethainfo getserverinfo events vip drill switchover failover failback maintenance set
  pairing-code pair unpair recover licence resolve-conflict volume resync witness restart stop setup config doctor"
_crossbeat_global="--help --version --root --json --no-color --timeout --pairing"

# The options of a verb, besides those that all take.
_crossbeat_options() {
  case "$1" in
    status) echo "--watch --interval --count" ;;
    events) echo "--follow --since --until --limit" ;;
    vip) echo "--dry-run --force --label" ;;
    switchover | restart | stop) echo "--dry-run --no-wait" ;;
    failover) echo "--dry-run --no-wait --force --accept-loss" ;;
    failback) echo "--dry-run --no-wait --force" ;;
    volume) echo "--dry-run --format --fresh --aside --overwrite --offline --stop --no-wait --size --grow-fs" ;;
    resync) echo "--dry-run --full --victim --pause --continue --force" ;;
    maintenance) echo "--dry-run --no-wait --for" ;;
    set) echo "--dry-run --failover --failback" ;;
    pair) echo "--dry-run --code --code-file" ;;
    unpair) echo "--dry-run --force --delete-licence" ;;
    resolve-conflict) echo "--dry-run --force" ;;
    recover) echo "--from --code --code-file --dry-run --force" ;;
    licence) echo "--dry-run --key --id --udi --model --expires" ;;
    doctor) echo "--all" ;;
    setup) echo "--answers --interfaces --dry-run" ;;
  esac
}

# The pairings that the monitor knows; nothing when it cannot be asked.
_crossbeat_pairings() {
  timeout 1 crossbeat status --json 2>/dev/null |
    sed -n 's/^ *"pairing": "\([0-9.]*\)".*/\1/p'
}

_crossbeat() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local verb="" word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$word" in
      --root | --timeout | --pairing) ((i++)) ;;
      -*) ;;
      *)
        verb=$word
        break
        ;;
    esac
  done
  case "${COMP_WORDS[0]##*/}" in
    gethainfo | getserverinfo) verb=${COMP_WORDS[0]##*/} ;;
  esac
  local words=""
  case "$previous" in
    --root)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return
      ;;
    --code-file | --answers | --key)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --failover | --failback) words="manual automatic" ;;
    --pairing) words=$(_crossbeat_pairings) ;;
    --timeout | --interval | --for | --since) words="1s 10s 1min 30min 2h" ;;
    *)
      if [[ -z $verb ]]; then
        words="$_crossbeat_verbs $_crossbeat_global"
      else
        words="$(_crossbeat_options "$verb") $_crossbeat_global"
        case "$verb $previous" in
          "vip vip") words="show announce add remove" ;;
          "maintenance maintenance") words="on off" ;;
          "volume volume") words="create status verify resize history diff" ;;
          "config config") words="check show" ;;
          "witness witness") words="key" ;;
          "licence licence") words="show add delete make-key sign" ;;
          "licence add" | "licence make-key")
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
          "config check")
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        esac
      fi
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _crossbeat crossbeat gethainfo getserverinfo
