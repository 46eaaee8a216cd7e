# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# memcached, unpinned: by memcaslap, one thread that polls 50 connections, a set
# for nine gets; and by memcslap, which can AF_UNIX: 8 threads that block, gets.
# shellcheck shell=bash

MEMCACHED_PORT=17300
MEMCACHED_THREADS=8

cell memcached_c50 req/s higher "tcp shim cgroup naive" quick
cell memcached_blocking_c8 req/s higher "tcp shim cgroup naive unix"

# The user is root because it is given up before the shim finds its pins, which
# are not there for every user.
memcached_start() { # SIDE
	local port

	need memcached memcaslap memcslap
	if [[ $1 == unix ]]; then
		serve unix "$SANDBOX/memcached.unix" memcached -u root -t 2 \
			-s "$SANDBOX/memcached.unix"
	else
		port=$(side_port "$MEMCACHED_PORT" "$1")
		serve "$1" "$port" memcached -u root -t 2 -U 0 \
			-l 127.0.0.1 -p "$port"
	fi
}

memcached_round() { # CELL SIDE SECONDS RAW
	local server=$SANDBOX/memcached.unix

	[[ $2 == unix ]] ||
		server=127.0.0.1:$(side_port "$MEMCACHED_PORT" "$2")
	if [[ $1 == *_blocking_* ]]; then
		memcslap_round "$server" "${@:2}"
	else
		memcaslap_round "$server" "${@:2}"
	fi
}

# No CPU time: some of its own is for making up data, before it begins.
memcaslap_round() { # SERVER SIDE SECONDS RAW
	local requests

	requests=$(($(requests_for 1000 "$3") * 50)) # as many for each connection
	client "$2" "$4" memcaslap -s "$1" -T 1 -c 50 -w 1k -X 128 -x "$requests"
	says "$4" '^get_misses: 0$'
	says "$4" "^Run time: .* Ops: $requests TPS: [1-9]"
	sed -n 's/^Run time: .* TPS: \([0-9]*\) .*/value \1/p' "$4"
}

memcslap_round() { # SERVER SIDE SECONDS RAW
	local each all

	each=$(requests_for $((40000 / MEMCACHED_THREADS)) "$3")
	all=$((each * MEMCACHED_THREADS))
	client "$2" "$4" memcslap -s "$1" -t get -c "$MEMCACHED_THREADS" -e "$each"
	never_says "$4" '[Ee]rror|fail|FAIL'
	says "$4" "^Time to get +$all keys by +$MEMCACHED_THREADS threads:"
	awk -v all="$all" '/^Time to get/ { print "value", all / $(NF - 1) }' "$4"
	cpu_metric "$((all + each))" # the keys are set first
}
