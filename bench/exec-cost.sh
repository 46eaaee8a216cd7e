#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# exec-cost.sh: what preloading costs a program that uses no TCP: the time to
# run /bin/true, plain and preloaded. Needs no privilege.
set -euo pipefail
# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

EXECS=50 # in one block
ROUNDS=61  # of one plain and one preloaded block

usage() {
	echo "usage: exec-cost.sh [-n EXECS ($EXECS)] [-r ROUNDS ($ROUNDS)]"
}

bad_usage() {
	usage >&2
	exit 2
}

while getopts n:r:h option; do
	case $option in
	n) EXECS=$OPTARG ;;
	r) ROUNDS=$OPTARG ;;
	h) usage && exit 0 ;;
	*) bad_usage ;;
	esac
done
[[ $# -lt $OPTIND && $EXECS,$ROUNDS =~ ^[1-9][0-9]{0,5},[1-9][0-9]{0,5}$ ]] ||
	bad_usage

LOOP=$ROOT/tests/bin/spawn_loop
need "$LOOP" "$SHIM"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
# What the dynamic linker takes for any object at all: the floor.
"${CC:-gcc}" -shared -x c /dev/null -o "$WORK/empty.so"

# Short blocks in turns, so that whatever else the machine does meets all alike.
for ((round = 0; round < ROUNDS; round++)); do
	"$LOOP" "$EXECS" /bin/true >>"$WORK/plain"
	LD_PRELOAD=$WORK/empty.so "$LOOP" "$EXECS" /bin/true >>"$WORK/empty"
	LD_PRELOAD=$SHIM "$LOOP" "$EXECS" /bin/true >>"$WORK/preloaded"
	progress .
done
end_progress

plain=$(median <"$WORK/plain")
empty=$(median <"$WORK/empty")
preloaded=$(median <"$WORK/preloaded")
echo "/bin/true, us per run; medians of $ROUNDS blocks of $EXECS"
printf 'plain         %8.1f\nempty object  %8.1f  %sx\npreloaded     %8.1f  %sx\n' \
	"$plain" "$empty" "$(quotient "$empty" "$plain")" \
	"$preloaded" "$(quotient "$preloaded" "$plain")"
