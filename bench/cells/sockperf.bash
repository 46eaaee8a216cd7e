# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# sockperf. Placement: the server on the first CPU; the client there too (same),
# or on the second; under load, its receiver on the first, its sender, which
# spins, on the second.
# shellcheck shell=bash

SOCKPERF_PORT=17100

# A few rounds: it sleeps for more than two seconds before each test.
sockperf_cell() { # NAME UNIT BETTER SIDES
	cell "$@"
	cell_rounds "$1" 3
}

sockperf_cell sockperf_pingpong_64_same us lower "tcp shim cgroup naive"
if two_cpus; then
	sockperf_cell sockperf_pingpong_64_two us lower "tcp shim cgroup naive"
	sockperf_cell sockperf_under_load_64 us lower "tcp shim naive"
	sockperf_cell sockperf_throughput_64 msg/s higher "tcp shim naive"
	sockperf_cell sockperf_throughput_1472 msg/s higher "tcp shim naive"
	for cell in sockperf_throughput_64 sockperf_throughput_1472; do
		cell_may_not_redirect "$cell"
		cell_not_worth_it "$cell"
	done
fi

sockperf_start() { # SIDE
	local port

	need sockperf
	port=$(side_port "$SOCKPERF_PORT" "$1")
	serve "$1" "$port" taskset -c "${CPUS[0]}" \
		sockperf server --tcp -i 127.0.0.1 -p "$port"
}

sockperf_round() { # CELL SIDE SECONDS RAW
	local raw=$4 command=(sockperf)

	case $1 in
	*_same) command=(taskset -c "${CPUS[0]}" sockperf ping-pong -m 64) ;;
	*_two) command=(taskset -c "${CPUS[1]}" sockperf ping-pong -m 64) ;;
	*_under_load_*)
		command+=(under-load -m 64 --mps 10000 --reply-every 10
			--sender-affinity "${CPUS[1]}"
			--receiver-affinity "${CPUS[0]}")
		;;
	*_throughput_*)
		command=(taskset -c "${CPUS[1]}" sockperf throughput -m "${1##*_}")
		;;
	esac
	client "$2" "$raw" "${command[@]}" --tcp -i 127.0.0.1 \
		-p "$(side_port "$SOCKPERF_PORT" "$2")" -t "$(whole_seconds "$3")"
	never_says "$raw" ERROR
	case $1 in
	*_pingpong_*)
		check_sockperf "$raw"
		sockperf_latency "$raw"
		;;
	*_under_load_*)
		sockperf_late "$raw"
		sockperf_latency "$raw"
		;;
	*_throughput_*) sockperf_rate "$raw" ;;
	esac
}

sockperf_rate() { # RAW
	says "$1" 'Summary: Message Rate is [1-9]'
	awk '/Summary: Message Rate is/ { print "value", $6 }' "$1"
	cpu_metric "$(awk '/messages sent in/ { print $4 }' "$1")"
}

# What it calls dropped is late, at the end of the test: on a busy machine there
# is some of that on TCP as well.
sockperf_late() { # RAW
	says "$1" 'Summary: Latency is'
	says "$1" '# duplicated messages = 0; # out-of-order messages = 0'
	sed -n 's/.*# dropped messages = \([0-9]*\);.*/late \1/p' "$1"
}

sockperf_latency() { # RAW
	local what

	echo "value $(sockperf_usecs average "$1")"
	for what in 50 99 99.9; do
		echo "p$what $(sockperf_usecs "$what" "$1")"
	done
	cpu_metric "$(sed -n 's/.*Total Run.*SentMessages=\([0-9]*\);.*/\1/p' "$1")"
}
