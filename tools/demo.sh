#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# demo.sh: unmodified programs with and without sockshunt, side by side, and
# proof that their data arrived intact. As root, in a sandbox; under a minute.
# Exit status 0: figures printed and all proofs hold; 1: not; 2: usage.
set -euo pipefail
# shellcheck source=bench/lib.sh
source "$(dirname "$0")/../bench/lib.sh"

ROUNDS=3
REQUESTS=80000 # one run of redis-benchmark
SECONDS_EACH=1 # one run of sockperf
VALUE_BYTES=$((16 * 1024 * 1024))
CONNECTIONS=300 # checked byte by byte
REDIS_PLAIN=16379
REDIS_FAST=16380
SOCKPERF_PLAIN=16381
SOCKPERF_FAST=16382

FAILED=0

# start_server NAME PORT COMMAND...
start_server() {
	start "$SANDBOX/$1.log" "${@:3}"
	eventually listens_on "$2" && return
	cat "$SANDBOX/$1.log" >&2
	die "$1 did not start"
}

start_redis() { # HOW PORT
	start_server "redis-$1" "$2" "$1" redis-server --bind 127.0.0.1 \
		--port "$2" --unixsocket "$SANDBOX/redis-$1.sock" \
		--dir "$SANDBOX" --save '' --appendonly no
	redis-cli -s "$SANDBOX/redis-$1.sock" set key:__rand_int__ \
		"$(printf '%064d' 0)" >/dev/null
}

# Both ends on one CPU: so the time is work, not the waking of another CPU.
start_sockperf() { # HOW PORT
	start_server "sockperf-$1" "$2" "$1" taskset -c "$CPU" \
		sockperf server --tcp -i 127.0.0.1 -p "$2"
}

# bench_redis NAME HOW OPTION...: adds requests per second to $SANDBOX/NAME.
bench_redis() {
	local rate

	run "$SANDBOX/run.log" "$2" timeout 60 redis-benchmark --csv -t get \
		-c 50 -n "$REQUESTS" "${@:3}" || true
	rate=$(awk -F'"' '$2 == "GET" { print $4 }' "$SANDBOX/run.log")
	if [[ -z $rate ]]; then
		end_progress
		tail -n 5 "$SANDBOX/run.log" >&2
		die "redis-benchmark failed ($1)"
	fi
	echo "$rate" >>"$SANDBOX/$1"
	progress .
}

# bench_sockperf NAME HOW PORT ROUND: leaves its output in $SANDBOX/NAME.ROUND.
bench_sockperf() {
	run "$SANDBOX/$1.$4" "$2" timeout 60 taskset -c "$CPU" \
		sockperf ping-pong --tcp -i 127.0.0.1 -p "$3" \
		-t "$SECONDS_EACH" || true
	check_sockperf "$SANDBOX/$1.$4"
	progress .
}

measure() {
	local round

	# In turns, so that whatever else the machine does meets all alike.
	progress "measuring, $ROUNDS rounds "
	for ((round = 1; round <= ROUNDS; round++)); do
		bench_redis redis-tcp plain -p "$REDIS_PLAIN"
		bench_redis redis-unix plain -s "$SANDBOX/redis-plain.sock"
		bench_sockperf pp-tcp plain "$SOCKPERF_PLAIN" "$round"
		expect_redirected no "the plain programs"
		bench_redis redis-fast accelerated -p "$REDIS_FAST"
		expect_redirected yes redis
		bench_sockperf pp-fast accelerated "$SOCKPERF_FAST" "$round"
		expect_redirected yes sockperf
	done
	end_progress
}

set_value() {
	accelerated timeout 60 redis-cli -p "$REDIS_FAST" -x set value \
		<"$SANDBOX/value"
}

get_value() {
	accelerated timeout 60 redis-cli -p "$REDIS_FAST" --raw get value \
		>"$SANDBOX/received"
}

# One large value through redis and back.
prove_value() {
	head -c "$VALUE_BYTES" /dev/urandom >"$SANDBOX/value"
	run "$SANDBOX/run.log" set_value || cat "$SANDBOX/run.log" >&2
	run "$SANDBOX/run.log" get_value || cat "$SANDBOX/run.log" >&2
	echo >>"$SANDBOX/value" # as redis-cli ends its output
	VALUE_PROOF=identical
	[[ $(sha256sum <"$SANDBOX/value") == $(sha256sum <"$SANDBOX/received") ]] &&
		return
	VALUE_PROOF=DIFFERENT
	FAILED=1
}

prove_connections() {
	local log=$SANDBOX/integrity.log

	run "$log" accelerated "$ROOT/tests/bin/integrity" -t 30 \
		-n "$CONNECTIONS" || FAILED=1
	CONNECTION_PROOF=$(grep '^connections=' "$log" || tail -n 1 "$log")
}

grouped() { # NUMBER: 1234567 as 1,234,567
	sed ':again; s/\B[0-9]\{3\}\>/,&/; t again' <<<"$1"
}

row() { # NAME TCP ACCELERATED RATIO AF_UNIX RATIO
	printf '%-27s %11s %13s %-6s %12s %s\n' "$@" | sed 's/ *$//'
}

redis_row() {
	local tcp fast unix

	tcp=$(median <"$SANDBOX/redis-tcp")
	fast=$(median <"$SANDBOX/redis-fast")
	unix=$(median <"$SANDBOX/redis-unix")
	row "redis GET, 50 clients" "$(grouped "${tcp%.*}") /s" \
		"$(grouped "${fast%.*}") /s" "$(quotient "$fast" "$tcp")x" \
		"$(grouped "${unix%.*}") /s" "$(quotient "$unix" "$tcp")x"
}

sockperf_row() { # NAME WHAT
	local tcp fast

	tcp=$(sockperf_median "$2" "$SANDBOX"/pp-tcp.*)
	fast=$(sockperf_median "$2" "$SANDBOX"/pp-fast.*)
	row "$1" "$(printf '%.2f us' "$tcp")" "$(printf '%.2f us' "$fast")" \
		"$(quotient "$tcp" "$fast")x" - ""
}

report() {
	echo
	row "" TCP accelerated "" AF_UNIX ""
	redis_row
	sockperf_row "sockperf ping-pong, average" average
	sockperf_row "sockperf ping-pong, p99" 99
	cat <<-END

		Medians of $ROUNDS rounds; accelerated: both ends run by 'sockshunt run'.
		Ratios are to TCP on loopback: requests per second over TCP's for redis,
		TCP's one-way latency over the other for sockperf. Above 1x is faster.

		16 MiB value through redis  $VALUE_PROOF (sha256)
		checked byte by byte        $CONNECTION_PROOF
		messages redirected         $(grouped "$REDIRECTED")
	END
}

case "$#,${1-}" in
0,)
	exec "$ROOT/tools/sandbox.sh" "$ROOT/tools/demo.sh" --inside
	;;
1,--inside) ;;
1,-h | 1,--help)
	echo "usage: demo.sh (as root; no arguments)"
	exit 0
	;;
*)
	echo "usage: demo.sh (as root; no arguments)" >&2
	exit 2
	;;
esac

at_exit stop_all

need "$SOCKSHUNT" "$SHIM" "$ROOT/tests/bin/integrity" \
	redis-server redis-benchmark redis-cli sockperf jq ss taskset timeout
CPU=$(awk '/^Cpus_allowed_list:/ { print $2 + 0 }' /proc/self/status)

# shellcheck disable=SC2119 # no lines of our own in the configuration
load_bpf
echo "starting servers" >&2
start_redis plain "$REDIS_PLAIN"
start_redis accelerated "$REDIS_FAST"
start_sockperf plain "$SOCKPERF_PLAIN"
start_sockperf accelerated "$SOCKPERF_FAST"
measure
echo "checking that data arrives intact" >&2
prove_value
prove_connections
expect_redirected yes "the proofs"
report
if [[ $FAILED -ne 0 ]]; then
	die "a proof above does not hold"
fi
