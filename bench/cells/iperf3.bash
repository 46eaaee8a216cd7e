# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# iperf3: one stream to the server (1), from it (reverse), four to it (4).
# Placement: the server on the first CPU, the client on the second, if there is one.
# shellcheck shell=bash

IPERF3_PORT=17600

cell iperf3_1 Gbit/s higher "tcp shim cgroup naive"
cell iperf3_reverse Gbit/s higher "tcp shim cgroup naive"
cell iperf3_4 Gbit/s higher "tcp shim cgroup naive"

iperf3_start() { # SIDE
	local port

	need iperf3
	port=$(side_port "$IPERF3_PORT" "$1")
	serve "$1" "$port" taskset -c "${CPUS[0]}" iperf3 -s -p "$port"
}

iperf3_round() { # CELL SIDE SECONDS RAW
	local options=() sum

	case $1 in
	*_reverse) options=(-R) ;;
	*_4) options=(-P 4) ;;
	esac
	client "$2" "$4" taskset -c "${CPUS[1]-${CPUS[0]}}" iperf3 -J -c 127.0.0.1 \
		-p "$(side_port "$IPERF3_PORT" "$2")" -t "$(whole_seconds "$3")" \
		"${options[@]}"
	# What has arrived.
	sum=$(jq -r 'if .error then empty else .end.sum_received |
		select(.bytes > 0) | "\(.bytes) \(.bits_per_second)" end' "$4") ||
		round_failed "$4" "is not JSON"
	[[ -n $sum ]] || round_failed "$4" "nothing has arrived"
	awk '{ printf "value %.3f\n", $2 / 1e9 }' <<<"$sum"
	# Of a mebibyte.
	cpu_metric "$(awk '{ print $1 / 1048576 }' <<<"$sum")"
}
