# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# redis and redis-benchmark, unpinned, as they are run.
# shellcheck shell=bash

REDIS_PORT=17200

cell redis_get_c1 req/s higher "tcp shim cgroup naive unix spin"
cell redis_get_c50 req/s higher "tcp shim cgroup naive unix" quick
cell redis_get_pipelined req/s higher "tcp shim cgroup naive unix"
cell redis_set_pipelined req/s higher "tcp shim cgroup naive unix"
cell redis_get_64k req/s higher "tcp shim cgroup naive unix"

redis_at() { # SIDE: as the server and its clients call it, in REDIS_AT
	REDIS_AT=(-p "$(side_port "$REDIS_PORT" "$1")")
	[[ $1 != unix ]] || REDIS_AT=(-s "$SANDBOX/redis.unix")
}

redis_start() { # SIDE
	local own=$SANDBOX/redis-$1.socket port=0

	need redis-server redis-cli redis-benchmark
	if [[ $1 == unix ]]; then
		own=$SANDBOX/redis.unix
	else
		port=$(side_port "$REDIS_PORT" "$1")
	fi
	serve "$1" "$own" redis-server --bind 127.0.0.1 --port "$port" \
		--unixsocket "$own" --dir "$SANDBOX" --save '' --appendonly no
	redis_set "$own" small 64
	redis_set "$own" large 65536
}

redis_set() { # SOCKET KEY BYTES: by the way in that is not measured
	[[ $(printf '%0*d' "$3" 0 | redis-cli -s "$1" -x set "$2") == OK ]] ||
		die "redis does not take $2"
}

redis_round() { # CELL SIDE SECONDS RAW
	local options rate requests

	case $1 in
	*_get_c1) rate=20000 options=(-c 1 GET small) ;;
	*_get_c50) rate=60000 options=(-c 50 GET small) ;;
	*_get_pipelined) rate=600000 options=(-c 50 -P 16 GET small) ;;
	*_set_pipelined)
		rate=500000
		options=(-c 50 -P 16 SET small "$(printf '%064d' 0)")
		;;
	*_get_64k) rate=15000 options=(-c 50 GET large) ;;
	esac
	requests=$(requests_for "$rate" "$3")
	redis_at "$2"
	client "$2" "$4" redis-benchmark --csv "${REDIS_AT[@]}" -n "$requests" \
		"${options[@]}"
	never_says "$4" '[Ee]rror|WARNING'
	says "$4" '^"[GS]ET '
	# Requests per second, and milliseconds: average, least, p50, p95, p99, most.
	awk -F '"' '/^"[GS]ET / {
		print "value", $4
		print "p50", $10 * 1000
		print "p99", $14 * 1000
	}' "$4"
	cpu_metric "$requests"
}
