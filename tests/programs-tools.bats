#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Programs that measure, cache and forward, both ends accelerated.

load helpers
load programs

setup() {
	enter_directory
}

teardown() {
	leave_directory
}

@test "memcached: values of many sizes come back the same" {
	local i

	# It gives up root before it listens: pins are made for its group, ahead.
	configure "pin_group = nogroup"
	"$SOCKSHUNT" load
	start shimmed memcached -u nobody -l 127.0.0.1 -p 7006
	wait_for_port 7006
	# One session of the text protocol over a single connection.
	{
		for ((i = 1; i <= 300; i++)); do
			printf 'set k%d 0 0 %d\r\n%0*d\r\n' "$i" $((i * 37)) $((i * 37)) "$i"
		done
		for ((i = 1; i <= 300; i++)); do
			printf 'get k%d\r\n' "$i"
		done
		printf 'quit\r\n'
	} >session
	for ((i = 1; i <= 300; i++)); do
		printf 'STORED\r\n'
	done >want
	for ((i = 1; i <= 300; i++)); do
		printf 'VALUE k%d 0 %d\r\n%0*d\r\nEND\r\n' "$i" $((i * 37)) $((i * 37)) "$i"
	done >>want
	shimmed timeout 20 curl -sS --max-time 15 telnet://127.0.0.1:7006 \
		<session >got
	cmp want got
	assert_counter redirected_messages -gt 0
}

@test "sockperf: ping-pong and throughput lose and reorder nothing" {
	local mode

	start shimmed sockperf server --tcp -i 127.0.0.1 -p 7007
	wait_for_port 7007
	for mode in ping-pong throughput under-load; do
		run -0 shimmed sockperf "$mode" --tcp -i 127.0.0.1 -p 7007 -t 2
		[[ $output != *ERROR* ]]
		if [[ $mode != throughput ]]; then
			[[ $output == *"# dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0"* ]]
		fi
	done
	assert_counter redirected_messages -gt 10000
}

@test "memcached: forty clients at once, each gets what it has set" {
	configure "pin_group = nogroup"
	"$SOCKSHUNT" load
	start shimmed memcached -u nobody -l 127.0.0.1 -p 7008 -m 512 -t 2
	wait_for_port 7008
	run -0 client python3 "$PROGS/memcached_load.py" 7008 40 20
	[[ $output == *" sets, "*" gets" ]]
	assert_redirected 3000
}

# iperf CLIENT... : one run of its client against the server at 7030; what it
# reports is in the file report.
iperf() {
	client iperf3 -c 127.0.0.1 -p 7030 -J "$@" >report
	[[ $(jq -r .error report) == null ]]
}

# accounted SENT RECEIVED STREAMS: these sums of the report agree. iperf3 stops
# reading when the sender says that it is done, on TCP too; so less may have
# arrived, by no more than was on its way.
accounted() {
	local sent received on_its_way

	sent=$(jq ".end.$1.bytes" report)
	received=$(jq ".end.$2.bytes" report)
	on_its_way=$(awk '{ n += $3 } END { print n }' /proc/sys/net/ipv4/tcp_rmem \
		/proc/sys/net/ipv4/tcp_wmem)
	[[ $received -gt 0 && $received -le $sent ]] &&
		[[ $((sent - received)) -le $(($3 * on_its_way)) ]] && return
	echo "sent $sent, received $received" >&2
	return 1
}

@test "iperf3: forward, reverse, both ways, parallel, zero copy, small writes" {
	local mode

	start shimmed iperf3 -s -p 7030
	wait_for_port 7030
	for mode in '' -R -Z '-l 1K' '-l 1K -R' -N; do
		# shellcheck disable=SC2086 # options
		iperf -n 100M $mode
		[[ $(jq .end.sum_sent.bytes report) -ge $((100 << 20)) ]]
		accounted sum_sent sum_received 1
	done
	for mode in '-P 4' '-P 4 -R'; do
		# shellcheck disable=SC2086 # options
		iperf -t 1 $mode
		accounted sum_sent sum_received 4
	done
	iperf -t 1 --bidir
	accounted sum_sent sum_received 1
	accounted sum_sent_bidir_reverse sum_received_bidir_reverse 1
	assert_redirected 1000
}

@test "iperf3: a file arrives as it is, in both directions" {
	local mode size

	random_bytes $((50 << 20)) >in
	for mode in forward reverse; do
		: >out
		if [[ $mode == forward ]]; then
			start shimmed iperf3 -s -p 7031 -1 -F out
			wait_for_port 7031
			client iperf3 -c 127.0.0.1 -p 7031 -t 3 -F in
		else
			start shimmed iperf3 -s -p 7031 -1 -F in
			wait_for_port 7031
			client iperf3 -c 127.0.0.1 -p 7031 -t 3 -F out -R
		fi
		eventually ended "$SERVER"
		# But for what was on its way, as above.
		size=$(stat -c %s out)
		[[ $size -gt $((10 << 20)) ]]
		cmp -n "$size" in out
	done
	assert_redirected 50
}

# Whether a transfer takes as long as on TCP, twice in three times: with so small
# a buffer a retransmission, now and then, may cost 200 ms (README).
small_buffers() { # [-R]
	local tcp slow=0

	for _ in 1 2 3; do
		timeout 20 iperf3 -c 127.0.0.1 -p 7032 -J -w 64K -n 200M "$@" >tcp
		iperf -w 64K -n 200M "$@"
		accounted sum_sent sum_received 1
		tcp=$(jq .end.sum_sent.seconds tcp)
		jq -e ".end.sum_sent.seconds < $tcp * 5 + 0.5" report || {
			echo "$(jq .end.sum_sent.seconds report) s, $tcp on TCP" >&2
			slow=$((slow + 1))
		}
	done
	[[ $slow -le 1 ]]
}

@test "iperf3: small buffers cost no more than on TCP" {

	start iperf3 -s -p 7032
	wait_for_port 7032
	start shimmed iperf3 -s -p 7030
	wait_for_port 7030
	small_buffers
	small_buffers -R
	assert_redirected 10
}

@test "iperf3: the connection that controls a UDP test" {
	start shimmed iperf3 -s -p 7030
	wait_for_port 7030
	iperf -u -b 100M -n 10M
	[[ $(jq .end.sum.bytes report) -ge $((10 << 20)) ]]
	[[ $(jq '.end.sum.packets > 0' report) == true ]]
	iperf -u -b 100M -n 10M -R
	[[ $(jq '.end.sum.packets > 0' report) == true ]]
	assert_redirected 10
}

@test "socat: a forwarder, both ways, and what half a close says" {
	local want answer i

	random_bytes $((30 << 20)) >file
	want=$(hash_of <file)
	# At 7042 whoever has sent all learns its hash; at 7043 gets a file; at
	# 7044 gets all back, meanwhile (not by PIPE: socat may wait for room in
	# a pipe that only itself can empty, on TCP nearly always).
	start shimmed socat -t 20 TCP-LISTEN:7042,fork,reuseaddr 'SYSTEM:sha256sum'
	start shimmed socat -t 20 TCP-LISTEN:7043,fork,reuseaddr 'SYSTEM:cat file'
	start shimmed socat -t 20 TCP-LISTEN:7044,fork,reuseaddr EXEC:cat
	for i in 2 3 4; do
		start shimmed socat -t 20 "TCP-LISTEN:705$i,fork,reuseaddr" \
			"TCP-CONNECT:127.0.0.1:704$i"
		wait_for_port 704$i
		wait_for_port 705$i
	done
	for i in 1 2 3; do
		answer=$(client socat -t 20 - TCP-CONNECT:127.0.0.1:7052 <file)
		[[ $answer == "$want  -" ]]
		answer=$(client socat -u TCP-CONNECT:127.0.0.1:7053 - | hash_of)
		[[ $answer == "$want" ]]
		answer=$(client socat -t 20 - TCP-CONNECT:127.0.0.1:7054 <file |
			hash_of)
		[[ $answer == "$want" ]]
	done
	# Nothing at all, and its end.
	answer=$(client socat -t 20 - TCP-CONNECT:127.0.0.1:7052 </dev/null)
	[[ $answer == "$(hash_of </dev/null)  -" ]]
	# How many depends on who is ahead.
	assert_redirected 100
}
