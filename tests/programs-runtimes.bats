#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# What programs of other languages do to sockets, both ends accelerated.

load helpers
load programs

setup() {
	enter_directory
}

teardown() {
	leave_directory
}

# edges PORT BUFFER SEED...: many connections that go on by edges alone, in one
# thread and in two processes; each end fails if one is late.
edges() {
	local port=$1 buffer=$2 seed

	shift 2
	start shimmed "$BIN/et_client" server "$port" "$buffer"
	wait_for_port "$port"
	for seed; do
		client "$BIN/et_client" both 7060 "$buffer" 100 40 "$seed"
		client "$BIN/et_client" client "$port" "$buffer" 100 40 "$seed"
	done
	run ! ended "$SERVER"
}

@test "epoll: no edge is late, and every byte right" {
	edges 7061 0 1 2 3 4 5
	assert_redirected 20000
}

@test "epoll: the same with small buffers" {
	edges 7062 65536 1 2 3 4 5
	edges 7063 8192 1 2 3
	assert_redirected 20000
}

@test "java: available(), timeouts, selectors" {
	local java=(java -XX:-UsePerfData -cp classes Ends) # nothing in /tmp

	javac -J-XX:-UsePerfData -Xlint:all -Werror -d classes "$PROGS/Ends.java"
	start shimmed "${java[@]}" server 7064
	wait_for_port 7064
	run -0 client "${java[@]}" client 7064 50 30
	[[ $output == *" bytes by streams, "*" by 50 channels" ]]
	assert_redirected 4000
}

@test "python: asyncio, a hundred connections" {
	start shimmed python3 "$PROGS/ends.py" server 7065
	wait_for_port 7065
	run -0 client python3 "$PROGS/ends.py" client 7065 100 30
	[[ $output == "100 connections, "*" bytes" ]]
	assert_redirected 4000
}

@test "python: makefile and sendfile" {
	random_bytes $((50 << 20)) >file
	start shimmed python3 "$PROGS/ends.py" server 7066
	wait_for_port 7066
	run -0 client python3 "$PROGS/ends.py" files 7066 file
	[[ $output == "all right" ]]
	assert_redirected 1500
}
