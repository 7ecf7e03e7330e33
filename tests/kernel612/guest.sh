#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest's half of tests/kernel612/run.
set -u
status=0
if uname -r | grep -q '^6\.12\.'; then echo "ok - the kernel is 6.12"; else status=1; fi
export CB_FRONT_END=ublk CB_ENGINE_TOP=/tmp
/usr/bin/python3 "$CB_SOURCE_DIR/tests/front/run.py" front "$CB_BUILD_DIR/tests/cb_front_server" || status=1
/usr/bin/python3 "$CB_SOURCE_DIR/tests/front/run.py" engine "$CB_BUILD_DIR/bin/crossbeat-volume" || status=1
if dmesg | grep -E 'WARNING:|BUG:|hung task|blocked for more'; then
  echo "not ok - the kernel has nothing to complain of"
  dmesg | tail -n 60
  status=1
else
  echo "ok - the kernel has nothing to complain of"
fi
((status == 0)) && echo "the guest is done"
exit "$status"
