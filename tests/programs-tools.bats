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
