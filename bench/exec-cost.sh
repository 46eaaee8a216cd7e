#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# exec-cost.sh: what preloading costs a program that uses no TCP: the time to
# run /bin/true, plain and preloaded. Needs no privilege.
set -euo pipefail
# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

EXECS=300 # in one block
ROUNDS=9  # of one plain and one preloaded block

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

PLAIN=()
PRELOADED=()
for ((round = 0; round < ROUNDS; round++)); do
	PLAIN+=("$("$LOOP" "$EXECS" /bin/true)")
	PRELOADED+=("$(LD_PRELOAD=$SHIM "$LOOP" "$EXECS" /bin/true)")
	progress .
done
end_progress

plain=$(printf '%s\n' "${PLAIN[@]}" | median)
preloaded=$(printf '%s\n' "${PRELOADED[@]}" | median)
echo "/bin/true, us per run; medians of $ROUNDS blocks of $EXECS"
printf 'plain     %8.1f\npreloaded %8.1f  %sx\n' "$plain" "$preloaded" \
	"$(quotient "$preloaded" "$plain")"
