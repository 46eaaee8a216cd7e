# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the groups of real programs in bench/cells/ share, to be sourced: servers
# that stay for all rounds of a side, clients, and the CPU time of both.
# shellcheck shell=bash

declare -gA SERVERS # of each side: pids

# side_port FIRST SIDE: each side has a server, and so a port, of its own.
side_port() {
	local side port=$1

	for side in tcp shim cgroup naive spin; do
		[[ $side != "$2" ]] || break
		port=$((port + 1))
	done
	echo "$port"
}

# serves_at PORT|SOCKET
serves_at() {
	if [[ $1 == /* ]]; then
		[[ -S $1 ]]
	else
		listens_on "$1"
	fi
}

# serve SIDE PORT|SOCKET COMMAND...: a server, until stop_servers.
serve() {
	local log=$SANDBOX/server-$1-${2##*/}.log

	start "$log" side "$1" "${@:3}"
	SERVERS[$1]+=" $!"
	eventually serves_at "$2" && return
	cat "$log" >&2
	die "the server at $2 did not start: ${*:3}"
}

ended() { # PID
	[[ ! -e /proc/$1 ]] || grep -q '^State:.*Z' "/proc/$1/status"
}

# Before stop_all, and politely: a server that is killed leaves its workers.
# shellcheck disable=SC2048 # each of SERVERS is a list
stop_servers() {
	local pid

	for pid in ${SERVERS[*]}; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in ${SERVERS[*]}; do
		eventually ended "$pid" || true
	done
	SERVERS=()
}

# server_ticks SIDE: CPU time of its servers, their workers, and those that ended.
server_ticks() {
	local stats

	# Again if one ends meanwhile: its time may not be its parent's yet.
	until stats=$(cat /proc/[0-9]*/stat 2>/dev/null); do :; done
	awk -v servers="${SERVERS[$1]}" '
	{
		pid = $1
		sub(/.*\) /, "") # the name, which may hold spaces
		parent[pid] = $2
		ticks[pid] = $12 + $13 + $14 + $15
	}
	END {
		count = split(servers, server, " ")
		for (i = 1; i <= count; i++)
			ours[server[i]] = 1
		for (pid in ticks) {
			for (up = pid; up > 1 && !(up in ours);)
				up = parent[up]
			if (up in ours)
				sum += ticks[pid]
		}
		print sum + 0
	}' <<<"$stats"
}

# child_usecs BEFORE AFTER: files with what times(1) of bash said.
child_usecs() {
	awk -F '[ms ]+' '
		FNR == 2 { used = ($1 + $3) * 60e6 + ($2 + $4) * 1e6 - used }
		END { printf "%d\n", used }' "$1" "$2"
}

# client SIDE RAW COMMAND...: to its end. CPU_USECS is the CPU time that it and
# the servers of its side took meanwhile.
client() {
	local ticks

	ticks=$(server_ticks "$1")
	times >"$SANDBOX/before" # not in a subshell, which has children of its own
	run "$2" side "$1" timeout -k 1 60 "${@:3}" ||
		round_failed "$2" "status $?"
	times >"$SANDBOX/after"
	ticks=$(($(server_ticks "$1") - ticks))
	CPU_USECS=$(($(child_usecs "$SANDBOX/before" "$SANDBOX/after") +
		ticks * 1000000 / $(getconf CLK_TCK)))
}

round_failed() { # RAW WHY
	end_progress
	tail -n 20 "$1" >&2
	die "$(basename "$1"): $2"
}

# says RAW REGEX: else the round has failed.
says() {
	grep -aEq "$2" "$1" || round_failed "$1" "does not say '$2'"
}

# never_says RAW REGEX
never_says() {
	! grep -aEq "$2" "$1" || round_failed "$1" "says '$2'"
}

# cpu_metric OPERATIONS
cpu_metric() {
	awk -v usecs="$CPU_USECS" -v operations="$1" \
		'BEGIN { printf "cpu %.3f\n", usecs / operations }'
}

# requests_for PER-SECOND SECONDS: of tools that take a number of them.
requests_for() {
	awk -v rate="$1" -v seconds="$2" 'BEGIN { printf "%d\n", rate * seconds + 1 }'
}

# For tools that take whole ones.
whole_seconds() { # SECONDS
	awk -v seconds="$1" 'BEGIN { print int(seconds) + (seconds > int(seconds)) }'
}
