# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Counting checks, for the scripts of this folder (sourced, on the host and in the guest alike):
#
#   check "what is shown" COMMAND...   ok if COMMAND succeeds; its output is shown only if it fails
#   tap_adopt FILE              count the "ok" and "not ok" lines that the guest printed
#   finish                             print "N passed, N failed", write $CB_REPORT, exit 0 or 1
#
# A check that could not be made is a failed one: there is no skipping here.

tap_names=() tap_failed=() tap_details=()

# Runs in a subshell without errexit's help inside "if", so a function under check says `|| return`.
check() {
  local name=$1 output status=0
  shift
  output="$("$@" 2>&1)" || status=$?
  if ((status == 0)); then
    tap_record ok "$name"
  else
    tap_record "not ok" "$name" "$(printf '%s\n(exit status %d)' "$output" "$status")"
  fi
}

# Counts a result that came about elsewhere: "ok" or "not ok", the name, and what there is to say.
tap_record() {
  tap_names+=("$2")
  tap_details+=("${3:-}")
  if [[ $1 == ok ]]; then
    tap_failed+=(no)
    echo "ok - $2"
  else
    tap_failed+=(yes)
    echo "not ok - $2"
  fi
  [[ -z ${3:-} ]] || echo "#   ${3//$'\n'/$'\n#   '}"
}

# Counts the lines that another script with these functions printed into FILE.
tap_adopt() {
  local line verdict="" name="" details=""
  while IFS= read -r line; do
    case $line in
      "ok - "* | "not ok - "*)
        [[ -z $verdict ]] || tap_record "$verdict" "$name" "$details"
        verdict="${line%% - *}" name="${line#* - }" details=""
        ;;
      "#   "*) details+="${details:+$'\n'}${line#"#   "}" ;;
    esac
  done <"$1"
  [[ -z $verdict ]] || tap_record "$verdict" "$name" "$details"
}

tap_escape() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g' | tr -cd '\11\12\40-\176'; }

# The report that scripts/run-tests counts cases from.
tap_write_report() {
  local suite=$1 failed=$2 i
  {
    echo '<?xml version="1.0" encoding="UTF-8"?>'
    echo "<testsuites tests=\"${#tap_names[@]}\" failures=\"$failed\">"
    echo "<testsuite name=\"$suite\" tests=\"${#tap_names[@]}\" failures=\"$failed\" errors=\"0\" skipped=\"0\">"
    for i in "${!tap_names[@]}"; do
      printf '<testcase classname="%s" name="%s">' "$suite" "$(tap_escape <<<"${tap_names[i]}")"
      if [[ ${tap_failed[i]} == yes ]]; then
        printf '<failure message="%s">%s</failure>' \
          "$(tap_escape <<<"${tap_details[i]%%$'\n'*}")" "$(tap_escape <<<"${tap_details[i]}")"
      fi
      echo '</testcase>'
    done
    echo '</testsuite></testsuites>'
  } >"$CB_REPORT"
}

finish() {
  local failed=0 item
  for item in "${tap_failed[@]}"; do
    [[ $item == no ]] || failed=$((failed + 1))
  done
  if ((${#tap_names[@]} == 0)); then
    tap_record "not ok" "something was checked"
    failed=1
  fi
  if [[ -n ${CB_REPORT:-} ]]; then
    mkdir -p "$(dirname "$CB_REPORT")"
    tap_write_report "${1:-kernel61}" "$failed"
  fi
  echo "$((${#tap_names[@]} - failed)) passed, $failed failed"
  ((failed == 0)) || exit 1
  exit 0
}
