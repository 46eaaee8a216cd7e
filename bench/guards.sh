#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# guards.sh: what the shim's guards cost where they have nothing to do. A 64 B
# ping-pong with both ends in one thread (tests/progs/pingpong.c), so that the
# calls are all there is: with the guards, without them (the same shim, of which
# only the hooks that register are exported), and on plain TCP; the instructions
# that they add to a call, by callgrind; and the same ping-pong beside 1000 idle
# accelerated connections.
set -euo pipefail
# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=bench/callgrind.bash
source "$ROOT/bench/callgrind.bash"

ROUNDS=41  # of each side, in turns
TRIPS=20000 # in one round
IDLE=1000

usage() {
	echo "usage: guards.sh [-r ROUNDS ($ROUNDS)] [-n TRIPS ($TRIPS)]"
}

while getopts r:n:h option; do
	case $option in
	r) ROUNDS=$OPTARG ;;
	n) TRIPS=$OPTARG ;;
	h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
if [[ $# -ge $OPTIND || ! $ROUNDS,$TRIPS =~ ^[1-9][0-9]{0,5},[1-9][0-9]{0,6}$ ]]; then
	usage >&2
	exit 2
fi
if [[ -z ${SANDBOX-} ]]; then
	exec "$ROOT/tools/sandbox.sh" "$ROOT/bench/guards.sh" "$@"
fi

need "$PINGPONG" "$SHIM" "$UNGUARDED" jq taskset valgrind
at_exit stop_all
load_bpf
mkdir "$SANDBOX/r"

side() { # NAME OBJECT [ARGUMENT...]: one round, on one CPU
	LD_PRELOAD=$2 taskset -c 1 "$PINGPONG" -n "$TRIPS" "${@:3}" \
		>>"$SANDBOX/r/$1"
}

for ((round = 0; round < ROUNDS; round++)); do
	# In turns, and who goes first as well.
	if ((round % 2)); then
		side guarded "$SHIM"
		side unguarded "$UNGUARDED"
	else
		side unguarded "$UNGUARDED"
		side guarded "$SHIM"
	fi
	side plain ''
	side idle "$SHIM" -i "$IDLE"
	side plain_idle '' -i "$IDLE"
	progress .
done
end_progress
expect_redirected yes "the guarded sides"

of() { # SIDE
	median <"$SANDBOX/r/$1"
}

echo "64 B ping-pong in one thread, ns per round trip; medians of $ROUNDS rounds of $TRIPS"
printf 'plain TCP                 %8.0f\n' "$(of plain)"
printf 'accelerated, no guards    %8.0f\n' "$(of unguarded)"
printf 'accelerated, guards       %8.0f  %sx of that without\n' "$(of guarded)" \
	"$(quotient "$(of guarded)" "$(of unguarded)")"
printf 'the same, %d idle       %8.0f  %sx of that alone (plain TCP: %sx)\n' \
	"$IDLE" "$(of idle)" "$(quotient "$(of idle)" "$(of guarded)")" \
	"$(quotient "$(of plain_idle)" "$(of plain)")"
with=$(per_trip "$SHIM")
without=$(per_trip "$UNGUARDED")
printf 'instructions in user space per round trip (2 sends, 2 reads): %d, without guards %d: %s more per call\n' \
	"$with" "$without" "$(per_call $((with - without)))"
