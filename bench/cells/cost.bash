# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What our own code costs: the kernel's figure of a run of the verdict, and
# instructions that the shim adds to an intercepted call.
# shellcheck shell=bash

# shellcheck source=bench/callgrind.bash
source "$ROOT/bench/callgrind.bash"

cell cost_verdict_pingpong ns lower "shim naive empty" quick
cell cost_verdict_stream ns lower "shim naive empty"
cell cost_instructions instructions lower "shim" quick
cell_may_not_redirect cost_verdict_pingpong
cell_may_not_redirect cost_verdict_stream
cell_rounds cost_instructions 1 # they are the same each time

# Sizes as where a message costs little beside the verdict, and where much.
cost_verdict() { # WORKLOAD SIZE SIDE SECONDS RAW
	local map

	map=$("$SOCKSHUNT" status -c "$SANDBOX/$3.ini" --json |
		jq -e .sockhash_id) || die "side $3 is not loaded"
	placement same
	"$ROOT/tests/bin/verdict_cost" "$map" \
		"$SOCKSHUNT" run -c "$SANDBOX/$3.ini" -- \
		"$LOAD" "$1" -s "$2" -t "$4" "${PLACEMENT[@]}" >"$5" ||
		die "the cost of the verdict cannot be had"
	sed -n 's/^verdict /value /p' "$5"
}

cost_instructions() { # RAW
	local plain with unguarded

	need valgrind "$PINGPONG" "$UNGUARDED"
	export SOCKSHUNT_CONF=$SANDBOX/shim.ini
	plain=$(per_trip '')
	with=$(per_trip "$SHIM")
	unguarded=$(per_trip "$UNGUARDED")
	echo "instructions per trip: libc $plain, with the shim $with," \
		"without its guards $unguarded" >"$1"
	echo "value $(per_call $((with - plain)))"
	echo "guards $(per_call $((with - unguarded)))"
	echo "libc $(per_call "$plain")"
}

cost_round() { # CELL SIDE SECONDS RAW
	case $1 in
	cost_verdict_pingpong) cost_verdict pingpong 64 "${@:2}" ;;
	cost_verdict_stream) cost_verdict stream 65536 "${@:2}" ;;
	cost_instructions) cost_instructions "$4" ;;
	esac
}
